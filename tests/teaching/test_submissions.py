"""Whose notebook it is, by what learning platforms and students make of file names."""

import zipfile
from pathlib import Path

import pytest
from submissions import Found, collect, names_nobody, student_of


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
        ("04_maml (1).ipynb", "04_maml (1)"),
        ("04 MAML-Copy1 anna.ipynb", "Copy1 anna"),
        ("02 Q-learning mary.ipynb", "mary"),
    ],
)
def test_the_student_is_found_in_the_path(path: str, student: str) -> None:
    assert student_of(tuple(path.split("/"))) == student


def test_a_name_that_names_nobody_is_known() -> None:
    assert names_nobody(("04_maml.ipynb",))
    assert names_nobody(("04 MAML (2).ipynb",))
    assert not names_nobody(("04 MAML anna.ipynb",))
    assert not names_nobody(("anna", "04 MAML.ipynb"))


@pytest.mark.parametrize(
    ("members", "students"),
    [
        (["gina_12345_678_04_maml.ipynb", "lopez_LATE_12346_679_04_maml-1.ipynb"], ["gina", "lopez"]),
        (["anna/04_maml.ipynb", "bert/05.ipynb"], ["anna", "bert"]),
        (["anna.ipynb", "bert.ipynb"], ["anna", "bert"]),
        (["04 MAML.ipynb", "05 MAML in practice.ipynb"], ["carl", "carl"]),
        (["my_course/04 MAML.ipynb", "my_course/05 MAML in practice.ipynb"], ["carl", "carl"]),
    ],
)
def test_an_archive_is_of_a_class_or_of_a_student(
    tmp_path: Path, members: list[str], students: list[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "carl.zip", "w") as archive:
        for member in members:
            archive.writestr(member, "{}")
    found = [entry for entry in collect(tmp_path) if isinstance(entry, Found)]
    assert [student_of(entry.parts) for entry in found] == students
