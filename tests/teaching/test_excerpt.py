"""What of a notebook is run for an answer: its last definition and what that needs, nothing else."""

import ast

import pytest
from excerpt import excerpt, read_cells, without_magics

from tests.teaching.handed_in import EXERCISES, RIGHT_STEP, STEP

STUB = EXERCISES["inner_step"].stub_source()


def lines_of(*cells: str) -> list[str]:
    """Return the first line of each statement that is run for `inner_step`."""
    statements, broken = read_cells(cells)
    found = excerpt(statements, broken, EXERCISES["inner_step"])
    return [ast.unparse(statement.node).splitlines()[0] for statement in found.statements]


def test_only_what_the_answer_needs_is_run() -> None:
    cells = (
        "import torch\nimport os\nprint('hello')",
        "RATE = 2\nother = expensive()\ndef helper(x):\n    return RATE * x",
        STEP + "    return torch.sin(helper(theta))",
        "lesson.check(inner_step)",
    )
    assert lines_of(*cells) == [
        "import torch",
        "RATE = 2",
        "def helper(x):",
        "def inner_step(loss, theta, support, inner_lr):",
    ]


def test_a_value_is_what_stands_when_the_check_is_run() -> None:
    cells = (
        "a = 1",
        "a = a + 1",
        STEP + "    return a",
        "a = a * 10",
        "for a in lesson.exercises:\n    pass",
    )
    assert lines_of(*cells) == ["a = 1", "a = a + 1", "def inner_step(loss, theta, support, inner_lr):"]


def test_what_changes_a_value_belongs_to_it_unless_it_was_imported() -> None:
    cells = (
        "import torch\nopts = {}\nrates = []",
        "opts['a'] = 1\ntorch.manual_seed(0)",
        "for k in range(3):\n    rates.append(k)",
        STEP + "    return torch.f(opts, rates)",
    )
    assert len(lines_of(*cells)) == 6


def test_names_of_star_imports_and_those_that_hide_a_builtin_are_found() -> None:
    cells = ("from numpy import *", "from torch import sum", "def slice(x):\n    return sum(x)")
    assert len(lines_of(*cells, STEP + "    return slice(theta)")) == 4


def test_a_cell_that_is_far_too_long_costs_its_exercise_only() -> None:
    statements, broken = read_cells([RIGHT_STEP, STEP + "    return 1\n" + "\n" * 300_000])
    assert "too many to read" in excerpt(statements, broken, EXERCISES["inner_step"]).broken


def test_a_helper_may_stand_below_the_answer() -> None:
    assert lines_of(STEP + "    return later()", "def later():\n    return 1")[1] == "def later():"


def test_a_stub_below_the_answer_does_not_count() -> None:
    assert lines_of(RIGHT_STEP, STUB, STUB) == lines_of(RIGHT_STEP)
    statements, broken = read_cells([RIGHT_STEP, STUB])
    assert excerpt(statements, broken, EXERCISES["inner_step"]).statements[-1].cell == 0


def test_the_last_of_two_answers_counts() -> None:
    statements, broken = read_cells([STEP + "    return 1", STEP + "    return 2"])
    assert excerpt(statements, broken, EXERCISES["inner_step"]).statements[-1].cell == 1


def test_a_definition_within_an_if_or_a_lambda_counts() -> None:
    assert lines_of("if True:\n    def inner_step(a):\n        return a") == ["if True:"]
    assert lines_of("inner_step = lambda a: a") == ["inner_step = lambda a: a"]
    assert lines_of("from cheat import inner_step") == ["from cheat import inner_step"]


def test_a_cell_that_cannot_be_read_is_told_if_it_is_the_last_answer() -> None:
    for cells in ([RIGHT_STEP, STEP + "    return ("], [STEP + "    return (", STUB]):
        statements, broken = read_cells(cells)
        assert "SyntaxError" in excerpt(statements, broken, EXERCISES["inner_step"]).broken
    statements, broken = read_cells([STEP + "    return (", RIGHT_STEP, "x = ("])
    assert not excerpt(statements, broken, EXERCISES["inner_step"]).broken


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("x = 1\n!ls *\nprint?", "x = 1\npass\npass"),
        ("files = !ls\ny = 2", "pass\ny = 2"),
        ("%%time\nx = 1", "\nx = 1"),
        ("%%bash\nrm -r x", ""),
        ("x = 5 %2", "x = 5 %2"),
        ("x = (\n    7\n    % 4\n)", "x = (\n    7\n    % 4\n)"),
    ],
)
def test_lines_of_ipython_keep_their_place(text: str, plain: str) -> None:
    assert without_magics(text) == plain
