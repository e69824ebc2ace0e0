"""Which of the four outcomes an answer gets, and whose exception it is."""

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from IPython.core.compilerop import CachingCompiler

from mlearn_utils.course.grading.answer import Answer
from mlearn_utils.course.grading.exercise import NotYet, find_exercise
from mlearn_utils.course.grading.grade import grade


def graded(fake, name, answer):
    return grade(find_exercise(fake.EXERCISES, name), answer)


@pytest.mark.parametrize("name", ["double", "mean"])
def test_the_reference_passes_and_the_stub_is_not_attempted(fake, name):
    exercise = find_exercise(fake.EXERCISES, name)
    assert grade(exercise, exercise.reference).outcome == "passed"
    report = grade(exercise, exercise.stub())
    assert report.outcome == "not attempted"
    assert ("find what is wrong, mend it" if exercise.planted else "write") in report.message
    assert f'lesson.hint("{name}")' in report.message


def test_praise_becomes_the_message(fake):
    report = graded(fake, "double", lambda x: 2 * x)
    assert report.message == "Checked on two numbers."
    assert report.ok
    assert report.earned == 1


def test_a_wrong_answer_is_told_the_likely_mistake(fake):
    report = graded(fake, "double", lambda x: x * x)
    assert report.outcome == "not yet"
    assert "squared instead of doubled?" in report.message
    assert report.earned == 0


def test_a_function_without_return_is_not_yet(fake, write):
    report = graded(fake, "double", write("def double(x):\n    y = 2 * x\n", "double"))
    assert report.outcome == "not yet"
    assert "is a `return` missing?" in report.message


@pytest.mark.parametrize("answer", [torch.ones(2), None, 3.0, "double"])
def test_what_is_no_function_is_not_yet(fake, answer):
    report = graded(fake, "double", answer)
    assert report.outcome == "not yet"
    assert "should be a function" in report.message


CRASH = """
def helper(x):
    return x.no_such_thing

def double(x):
    y = x + 1
    return helper(y)
"""


def test_the_students_innermost_line_is_shown(fake, write):
    report = graded(fake, "double", write(CRASH, "double"))
    assert report.outcome == "your code raised"
    assert (report.line, report.source) == (3, "return x.no_such_thing")
    assert "AttributeError: 'Tensor' object has no attribute 'no_such_thing'" in report.message
    assert "Line 3 of the cell, in `helper`: `return x.no_such_thing`" in report.message


def test_a_helper_of_another_cell_is_the_students_too(fake, write):
    helper = write("\n\n\ndef helper(x):\n    return x[99]\n", "helper", cell=2)
    answer = write("def double(x):\n    return helper(x)\n", "double", cell=3, helper=helper)
    report = graded(fake, "double", answer)
    assert (report.outcome, report.line) == ("your code raised", 5)


def test_an_error_inside_a_library_points_at_the_students_call(fake, write):
    answer = write("def double(x):\n    return torch.func.vmap(3)(x)\n", "double", torch=torch)
    report = graded(fake, "double", answer)
    assert (report.outcome, report.line) == ("your code raised", 2)


def test_an_ipython_cell_gives_its_line(fake):
    compiler, source = CachingCompiler(), "import torch\ndef double(x):\n    return undefined_name\n"
    namespace = {}
    exec(compiler(source, compiler.cache(source, 7), "exec"), namespace)
    report = graded(fake, "double", namespace["double"])
    assert (report.outcome, report.line, report.source) == ("your code raised", 3, "return undefined_name")


def test_code_without_source_still_has_a_line(fake):
    namespace = {}
    exec("def double(x):\n    return x / 0 + y", namespace)
    report = graded(fake, "double", namespace["double"])
    assert (report.outcome, report.line, report.source) == ("your code raised", 2, "")


def test_endless_recursion_is_the_students(fake, write):
    report = graded(fake, "double", write("def double(x):\n    return double(x)\n", "double"))
    assert (report.outcome, report.line) == ("your code raised", 2)
    assert "call itself without an end?" in report.message


def test_addresses_are_left_out_of_messages(fake, write):
    source = "def double(x):\n    raise RuntimeError(repr(object()))\n"
    report = graded(fake, "double", write(source, "double"))
    assert "<object object at 0x…>" in report.message
    assert not re.search(r"0x[0-9a-f]", report.message)


def test_addresses_are_left_out_of_a_checkers_message(fake):
    def check(answer):
        raise NotYet(f"not {object()}")

    report = grade(replace(find_exercise(fake.EXERCISES, "double"), check=check), lambda x: x)
    assert report.message.startswith("not <object object at 0x…>.")


def test_our_own_exception_says_what_came_back_and_is_logged(fake, caplog):
    report = graded(fake, "broken", lambda x: [x])
    assert report.outcome == "not yet"
    assert "could not use what `broken` returned: a list of 1 values, expected one number." in report.message
    assert report.fault == "KeyError: 'a mistake of ours'"
    (record,) = caplog.records
    assert record.name == "mlearn_utils.course"
    assert "the check of broken raised" in record.message
    assert record.exc_info[0] is KeyError
    caplog.clear()


def test_a_function_of_another_file_that_raises_is_still_an_answer(fake):
    report = grade(find_exercise(fake.EXERCISES, "double"), fake.check_that_raises)
    assert report.outcome == "your code raised"
    assert "ValueError: double trouble" in report.message


def test_an_interrupt_propagates(fake, write):
    answer = write("def double(x):\n    raise KeyboardInterrupt\n", "double")
    with pytest.raises(KeyboardInterrupt):
        graded(fake, "double", answer)


@pytest.mark.parametrize(
    "source", ["import sys; sys.exit(3)", "raise SystemExit(3)", "raise GeneratorExit(3)"]
)
def test_leaving_the_program_is_an_error_of_the_answer(fake, write, source):
    report = graded(fake, "double", write(f"def double(x):\n    {source}\n", "double"))
    assert (report.outcome, report.line) == ("your code raised", 2)
    assert "Exit: 3" in report.message


def test_an_exception_without_a_text_of_its_own_is_reported(fake, write):
    source = """
class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def double(x):
    raise Mute
"""
    report = graded(fake, "double", write(source, "double"))
    assert (report.outcome, report.line) == ("your code raised", 7)
    assert "Mute: (its text cannot be shown)" in report.message


def test_an_object_that_fails_when_it_is_looked_at_is_the_answers_error(fake, write):
    source = """
class Odd:
    def __ne__(self, other):
        raise RuntimeError("keep out")

def mean(values, *, start):
    return Odd()
"""
    report = graded(fake, "mean", write(source, "mean"))
    assert (report.outcome, report.line) == ("your code raised", 4)
    assert not report.fault


def test_parameters_in_another_order_are_told(fake, write):
    def check(answer):
        return None

    def share(part, whole):
        ### BEGIN SOLUTION
        return part / whole
        ### END SOLUTION

    exercise = replace(find_exercise(fake.EXERCISES, "double"), reference=share, check=check)
    report = grade(exercise, write("def share(whole, part):\n    return part / whole\n", "share"))
    assert report.outcome == "not yet"
    assert "should take `(part, whole)`, in this order; yours takes `(whole, part)`" in report.message


def test_a_planted_bug_may_be_mended_in_what_the_function_uses(fake):
    (exercise,) = [exercise for exercise in fake.EXERCISES if exercise.planted][:1]
    assert grade(exercise, exercise.stub()).outcome == "not attempted"
    easy = replace(exercise, check=lambda answer: "Mended elsewhere.")
    assert grade(easy, exercise.stub()).outcome == "passed"


@pytest.mark.parametrize(
    "kind", ["async def double(x):\n    return 2 * x\n", "def double(x):\n    yield 2 * x\n"]
)
def test_a_coroutine_and_a_generator_are_told_what_they_are(fake, write, kind):
    report = graded(fake, "double", write(kind, "double"))
    assert report.outcome == "not yet"
    assert ("`async def`" if "async" in kind else "`yield`") in report.message


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("double", max),
        ("double", functools.partial(int, base=2)),
        ("double", type),
        ("mean", functools.lru_cache(lambda values, *, start: start)),
    ],
)
def test_a_callable_without_lines_of_the_student_gets_a_report(fake, name, answer):
    report = graded(fake, name, answer)
    assert report.outcome in {"your code raised", "not yet"}
    assert report.line is None
    assert not report.fault


def test_a_line_of_a_compiled_library_is_not_shown_as_the_students(fake, write):
    source = "def double(x):\n    rng = numpy.random.default_rng(0)\n    return rng.choice(3, 7, False)\n"
    report = graded(fake, "double", write(source, "double", numpy=np))
    assert (report.outcome, report.line) == ("your code raised", 3)
    assert report.source == "return rng.choice(3, 7, False)"


def test_not_implemented_in_a_partial_answer_is_not_attempted(fake, write):
    source = "def double(x):\n    y = x + x\n    raise NotImplementedError\n"
    report = graded(fake, "double", write(source, "double"))
    assert (report.outcome, report.line) == ("not attempted", 3)
    assert "Not finished yet: line 3 of the cell, in `double`, raises NotImplementedError." in report.message
    helper = write("def helper(x):\n    raise NotImplementedError\n", "helper", cell=2)
    answer = write("def double(x):\n    return helper(x)\n", "double", cell=3, helper=helper)
    assert "line 2 of the cell, in `helper`" in graded(fake, "double", answer).message


def test_not_implemented_of_a_library_is_an_error(fake, write):
    source = "def double(x):\n    return torch.nn.Module()(x)\n"
    report = graded(fake, "double", write(source, "double", torch=torch))
    assert (report.outcome, report.line) == ("your code raised", 2)


@pytest.mark.parametrize(
    ("name", "answer", "yours"),
    [
        ("double", lambda: 1, "yours takes `()`"),
        ("double", lambda x, y: x, "yours takes `(x, y)`"),
        ("mean", lambda values: 1, "yours takes `(values)`"),
        ("mean", lambda values, *, begin: 1, "yours takes `(values, *, begin)`"),
    ],
)
def test_other_parameters_are_not_yet(fake, name, answer, yours):
    report = graded(fake, name, answer)
    assert report.outcome == "not yet"
    assert f"`{name}` should take" in report.message
    assert yours in report.message


def test_a_renamed_parameter_given_by_name_is_not_yet(fake, write):
    exercise = find_exercise(fake.EXERCISES, "double")
    report = grade(exercise, write("def double(z):\n    return 2 * z\n", "double"))
    assert report.outcome == "passed"
    by_name = find_exercise(fake.EXERCISES_BY_NAME, "triple")
    report = grade(by_name, write("def triple(z):\n    return 3 * z\n", "triple"))
    assert report.outcome == "not yet"
    assert "`triple` should take `(x)`" in report.message


def test_an_untouched_stub_is_not_called(fake):
    exercise = replace(find_exercise(fake.EXERCISES, "double"), check=lambda answer: "Checked.")
    assert grade(exercise, exercise.stub()).outcome == "not attempted"


def test_a_generator_that_is_not_heeded_is_told_after_the_check(fake):
    def draw(values, rng):
        ### BEGIN SOLUTION
        return values[0] + rng.random()
        ### END SOLUTION

    def check(answer):
        for seed in range(3):
            answer([1.0, 2.0], np.random.default_rng(seed))

    exercise = replace(find_exercise(fake.EXERCISES, "double"), reference=draw, check=check)
    assert (
        "whatever state the generator `rng` is in" in grade(exercise, lambda values, rng: values[0]).message
    )


def test_a_message_ends_with_one_stop(fake):
    for said, shown in (("Right", "Right."), ("Right!", "Right!"), (None, ""), ("One. Two.", "One. Two.")):
        exercise = replace(find_exercise(fake.EXERCISES, "double"), check=lambda answer, said=said: said)
        assert grade(exercise, lambda x: x).message == shown


def test_what_cannot_even_be_described_gets_a_report(fake, caplog):
    class Shy:
        def __len__(self):
            raise RuntimeError("no length")

    def check(answer):
        answer(1.0)
        raise TypeError("our mistake")

    def expected(self):
        raise RuntimeError("nor can the reference do it")

    exercise = replace(find_exercise(fake.EXERCISES, "double"), check=check)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answer, "expected", expected)
        report = grade(exercise, lambda x: Shy())
    assert (report.outcome, report.fault) == ("not yet", "TypeError: our mistake")
    assert report.message.startswith("The check could not use what `double` returned.")
    caplog.clear()


def test_an_error_that_lies_about_its_class_is_the_students(fake, write):
    source = """
class Liar(Exception):
    @property
    def __class__(self):
        raise ValueError("none of your business")

def double(x):
    raise Liar("gone")
"""
    report = graded(fake, "double", write(source, "double"))
    assert (report.outcome, report.line) == ("your code raised", 8)
