"""The two texts made from a reference, the validation of an exercise, and what counts as untouched."""

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from mlearn_utils.course.grading.exercise import Exercise, NotYet, find_exercise, withheld


def named(fake, name) -> Exercise:
    return find_exercise(fake.EXERCISES, name)


def test_solved_source_has_the_solution_and_no_markers(fake):
    assert named(fake, "double").solved_source() == (
        'def double(x):\n    """Return twice x."""\n    y = x\n    y = 2 * y\n    return y\n'
    )


def test_stub_source_raises_where_the_solution_was(fake):
    assert named(fake, "double").stub_source() == (
        'def double(x):\n    """Return twice x."""\n    y = x\n'
        '    raise NotImplementedError("your turn")\n    return y\n'
    )


def test_solution_at_the_end_of_the_function(fake):
    exercise = named(fake, "broken")
    assert exercise.solved_source().endswith("    return x\n")
    assert exercise.stub_source().endswith('    raise NotImplementedError("your turn")\n')


def test_planted_lines_replace_the_solution_with_their_own_indent(fake):
    exercise = named(fake, "mean")
    assert exercise.stub_source().splitlines()[2:] == [
        "    total = start",
        "    for value in values:",
        "        total = total + value  # forgets to divide",
        "    return total",
    ]
    assert exercise.solved_source().splitlines()[2:] == [
        "    total = start",
        "    for value in values:",
        "        total = total + value / len(values)",
        "    return total",
    ]


def test_both_texts_run(fake):
    exercise = named(fake, "mean")
    assert exercise.stub()([1.0, 3.0], start=0.0) == 4.0
    namespace = {}
    exec(exercise.solved_source(), namespace)
    assert namespace["mean"]([1.0, 3.0], start=0.0) == 2.0
    with pytest.raises(NotImplementedError, match="your turn"):
        named(fake, "double").stub()(1)


def test_a_reference_without_markers_is_refused(fake):
    exercise = replaced(fake, reference=find_exercise)
    with pytest.raises(ValueError, match="BEGIN SOLUTION"):
        exercise.stub_source()


UNTOUCHED = """
def mean(values, *, start):
    # a comment of the student's own
    total = start
    for value in values:
        total = (total + value)
    return total
"""


def test_comments_layout_and_docstring_do_not_touch_a_stub(fake, write):
    exercise = named(fake, "mean")
    assert exercise.is_untouched(exercise.stub())
    assert exercise.is_untouched(write(UNTOUCHED, "mean"))
    assert exercise.is_untouched(write(UNTOUCHED.replace("mean(", "my_mean("), "my_mean"))


@pytest.mark.parametrize(
    "source",
    [
        UNTOUCHED.replace("total + value", "total + value / 2"),
        UNTOUCHED.replace("total = start", "total = 0"),
        UNTOUCHED.replace("return total", "return total, total"),
    ],
)
def test_any_change_of_the_code_touches_it(fake, write, source):
    assert not named(fake, "mean").is_untouched(write(source, "mean"))


@pytest.mark.parametrize("answer", [len, 3.0, lambda values: values, Exercise, object()])
def test_what_has_no_comparable_source_is_touched(fake, answer):
    assert not named(fake, "mean").is_untouched(answer)


def replaced(fake, **changes) -> Exercise:
    return dataclasses.replace(named(fake, "double"), **changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("level", "hard"),
        ("minutes", 0),
        ("minutes", 2.5),
        ("points", -1),
        ("hints", ("only one",)),
        ("hints", ["a", "list"]),
        ("hints", ("one", "")),
        ("title", ""),
    ],
)
def test_a_bad_field_is_refused_by_name(fake, field, value):
    with pytest.raises(ValueError, match=f"{field} of exercise double"):
        replaced(fake, **{field: value})


def test_an_unknown_name_lists_the_known_ones(fake):
    with pytest.raises(ValueError, match=r"no exercise 'triple'.*double, mean, broken"):
        find_exercise(fake.EXERCISES, "triple")


def test_not_yet_is_no_assertion():
    assert not issubclass(NotYet, AssertionError)


# --- a class's edition


@pytest.mark.parametrize("name", ["double", "mean", "broken"])
def test_a_source_without_its_solutions_gives_the_same_stubs(fake, name, tmp_path):
    source = Path(fake.__file__).read_text(encoding="utf-8")
    (tmp_path / "without.py").write_text(withheld(source), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("without", tmp_path / "without.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    here, there = named(fake, name), named(module, name)
    assert here.has_solution
    assert not there.has_solution
    assert there.stub_source() == here.stub_source() == there.solved_source()
    assert withheld(withheld(source)) == withheld(source)


def test_an_end_that_is_indented_further_than_its_beginning_stays_so():
    source = (
        "def f(x):\n    ### BEGIN SOLUTION\n    if x:\n        ### END SOLUTION\n"
        "        #| if not x:\n        return 1\n    return 2\n"
    )
    assert withheld(source) == source.replace("    if x:\n", "    if not x:\n", 1)
