"""Whose notebook it is, by what learning platforms and students make of file names."""

import pytest
from submissions import student_of


@pytest.mark.parametrize(
    ("path", "student"),
    [
        ("anna.ipynb", "anna"),
        ("04_maml_anna.ipynb", "anna"),
        ("anna_04_maml.ipynb", "anna"),
        ("04 MAML anna berg.ipynb", "anna berg"),
        ("04 MAML (anna).ipynb", "anna"),
        ("student_07.ipynb", "student 07"),
        ("s007.ipynb", "s007"),
        ("04_maml.ipynb", "04_maml"),
        ("anna berg/04 MAML.ipynb", "anna berg"),
        ("Anna Berg_4711_assignsubmission_file/04_maml.ipynb", "Anna Berg"),
        ("Anna Berg_4711_assignsubmission_file_04_maml.ipynb", "Anna Berg"),
        ("berganna_12345_67890_04_maml.ipynb", "berganna"),
        ("berganna_LATE_12345_67890_04_maml-1.ipynb", "berganna"),
        ("07_learning_hyperparameters_07.ipynb", "07"),
        ("02 Q-learning mary.ipynb", "mary"),
    ],
)
def test_the_student_is_found_in_the_path(path: str, student: str) -> None:
    assert student_of(tuple(path.split("/"))) == student
