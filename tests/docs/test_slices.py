"""What of a notebook is run to make a widget again: enough, and little more."""

import ast

import pytest
from slices import names_read, slice_cells


def kept(*cells: str) -> list[str]:
    """Return the lines that the last cell depends on, its own included."""
    return [ast.unparse(stmt) for body in slice_cells(cells, [len(cells) - 1]) for stmt in body]


def test_what_a_cell_needs_is_kept_and_the_rest_is_not() -> None:
    assert kept("import numpy as np\nimport os", "a = np.ones(3)\nb = 2", "print(b)", "c = a + 1", "c") == [
        "import numpy as np",
        "a = np.ones(3)",
        "c = a + 1",
        "c",
    ]


def test_what_was_there_before_a_new_value_is_not_needed() -> None:
    assert kept("a = slow()", "a = 2", "a") == ["a = 2", "a"]


def test_a_name_that_is_only_given_in_a_loop_may_be_older() -> None:
    assert kept("a = 1", "for k in range(0):\n    a = k", "a")[0] == "a = 1"


@pytest.mark.parametrize(
    "change",
    [
        "runs.append(1)",
        "runs[0] = 1",
        "runs.first = 1",
        "history = runs.train()",
        "grow(runs)",
        "runs += [1]",
    ],
)
def test_what_changes_a_needed_value_is_kept(change: str) -> None:
    assert change in kept("def grow(x): x.append(1)", "runs = make()", change, "show(runs)")


@pytest.mark.parametrize(
    "line",
    ["assert runs.train()", "print(runs)", "mean = runs.mean()", "plt.plot(runs)", "lesson.check(runs)"],
)
def test_what_only_looks_at_a_value_is_not(line: str) -> None:
    assert line not in kept("import matplotlib.pyplot as plt", "runs = make()", line, "show(runs)")


def test_a_call_of_a_module_changes_nothing_but_random_numbers() -> None:
    cells = (
        "import torch\nfrom lib import draw",
        "draw(net)",
        "torch.manual_seed(0)",
        "net = torch.make()",
        "net",
    )

    assert kept(*cells) == ["import torch", "torch.manual_seed(0)", "net = torch.make()", "net"]


def test_several_cells_share_what_they_need_and_its_order() -> None:
    slices = slice_cells(["a = 1", "b = a", "a", "a = 2", "a"], [2, 4])

    assert [[ast.unparse(stmt) for stmt in body] for body in slices] == [
        ["a = 1"],
        [],
        ["a"],
        ["a = 2"],
        ["a"],
    ]


def test_names_of_a_function_of_its_own_are_not_read_outside() -> None:
    assert names_read(ast.parse("def f(x):\n    y = x + z\n    return len(y)").body[0]) == {"z"}
