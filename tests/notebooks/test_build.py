"""The builder: one source, two executed notebooks, the same bytes each time; --check sees every edit."""

from collections.abc import Callable
from pathlib import Path

import build
import cells
import nbformat
import pytest

SOURCE = """# %% [markdown]
# # A toy lesson

# %% tags=["nbval-ignore-output"]
import os
import time

for key in sorted(os.environ):
    if key.startswith("MLEARN_"):
        print(key, flush=True)
        time.sleep(0.3)
        print("again")

# %% exercise="double"

# %%
try:
    print(double(2))
except NotImplementedError as error:
    print(error)

# %%
import ipywidgets

ipywidgets.IntSlider(description="a")

# %%
import matplotlib.pyplot as plt

plt.figure(figsize=(1, 1))
plt.show()

# %% tags=["raises-exception"]
1 / 0
"""


class Double:
    """An exercise as the builder sees it."""

    def stub_source(self) -> str:
        return 'def double(x):\n    raise NotImplementedError("your turn")\n'

    def solved_source(self) -> str:
        return "def double(x):\n    return 2 * x\n"


EXERCISES = {"double": Double()}


def make_source(root: Path, text: str = SOURCE, name: str = "97_toy") -> Path:
    path = root / "source" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source of a toy lesson that has been built."""
    source = make_source(tmp_path_factory.mktemp("lessons"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLEARN_DEVICE", "cuda")
        patch.setenv("MPLBACKEND", "Agg")
        assert len(build.build(source, EXERCISES)) == 2
    return source


@pytest.fixture
def lesson(built: Path, tmp_path: Path) -> Path:
    """Return the source of a copy of the built lesson, to be edited."""
    source = make_source(tmp_path)
    for path, _ in build.targets(built, EXERCISES):
        copy = tmp_path / path.relative_to(built.parent.parent)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return source


def found(source: Path) -> str:
    return "\n".join(
        line for path, nb in build.targets(source, EXERCISES) for line in build.differences(path, nb)
    )


def texts(path: Path) -> list[str]:
    return [
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
    ]


def test_student_and_solved_differ_in_the_exercise_alone(built: Path) -> None:
    student, solved = (nbformat.read(path, as_version=4) for path, _ in build.targets(built, EXERCISES))

    assert [cell.id for cell in student.cells] == [cell.id for cell in solved.cells]
    assert [a.source == b.source for a, b in zip(student.cells, solved.cells, strict=True)] == (
        [True, True, False, True, True, True, True]
    )
    assert "your turn\n" in texts(built.parent.parent / "97_toy.ipynb")
    assert "4\n" in texts(built.parent.parent / "solutions" / "97_toy.ipynb")


def test_what_is_built_is_up_to_date_and_not_built_again(lesson: Path) -> None:
    assert found(lesson) == ""
    assert build.build(lesson, EXERCISES) == []


def test_two_builds_are_byte_identical(built: Path, lesson: Path) -> None:
    build.build(lesson, EXERCISES, force=True)

    for (first, _), (second, _) in zip(
        build.targets(built, EXERCISES), build.targets(lesson, EXERCISES), strict=True
    ):
        assert first.read_bytes() == second.read_bytes()


def test_the_run_has_a_progress_log_and_no_setting_of_the_builders(built: Path) -> None:
    found = texts(built.parent.parent / "97_toy.ipynb")

    assert found[0] == "MLEARN_PROGRESS\nagain\n"  # in one piece
    assert "<Figure size 100x100 with 0 Axes>" in found


def test_a_stored_widget_has_its_text_but_no_dead_view(built: Path) -> None:
    stored = (built.parent.parent / "97_toy.ipynb").read_text()

    assert "IntSlider(value=0, description='a')" in stored
    assert "widget-view" not in stored
    assert "model_id" not in stored


def set_source(nb: nbformat.NotebookNode) -> None:
    nb.cells[1].source += "\n# edited"


def set_tags(nb: nbformat.NotebookNode) -> None:
    nb.cells[1].metadata = {}


def forget_count(nb: nbformat.NotebookNode) -> None:
    nb.cells[3].execution_count = None


def run_out_of_order(nb: nbformat.NotebookNode) -> None:
    nb.cells[3].execution_count = 7


def add_cell(nb: nbformat.NotebookNode) -> None:
    nb.cells.append(nbformat.v4.new_markdown_cell("more"))


def store_stderr(nb: nbformat.NotebookNode) -> None:
    nb.cells[3].outputs = [nbformat.v4.new_output("stream", name="stderr", text="careful")]


def store_error(nb: nbformat.NotebookNode) -> None:
    nb.cells[3].outputs = [nbformat.v4.new_output("error", ename="E", evalue="v", traceback=[])]


def set_kernel(nb: nbformat.NotebookNode) -> None:
    nb.metadata.kernelspec.name = "mine"


@pytest.mark.parametrize("which", [0, 1], ids=["student", "solved"])
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_source, "cell 1: source differs"),
        (set_tags, "cell 1: metadata differs"),
        (forget_count, "cell 3: execution count None"),
        (run_out_of_order, "cell 3: execution count 7, expected 3"),
        (add_cell, "8 cells, the source has 7"),
        (store_stderr, "cell 3: wrote to stderr: careful"),
        (store_error, "cell 3: raised E: v"),
        (set_kernel, "notebook metadata differ"),
    ],
)
def test_an_edited_notebook_is_noticed(
    lesson: Path, which: int, edit: Callable[[nbformat.NotebookNode], None], message: str
) -> None:
    path = [path for path, _ in build.targets(lesson, EXERCISES)][which]
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)

    assert f"{path.parent.name}/{path.name}: {message}" in found(lesson)
    assert len(found(lesson).splitlines()) == 1


def test_an_edited_source_or_exercise_or_a_missing_notebook_is_noticed(
    lesson: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_source(lesson.parent.parent, SOURCE.replace("A toy", "Another"))
    assert found(lesson).count("cell 0: source differs") == 2

    make_source(lesson.parent.parent)
    monkeypatch.setattr(Double, "solved_source", lambda self: "def double(x):\n    return x + x\n")
    assert found(lesson) == "solutions/97_toy.ipynb: cell 2: source differs from the source"

    (lesson.parent.parent / "97_toy.ipynb").unlink()
    assert "97_toy.ipynb: missing" in found(lesson)


def test_check_reports_a_notebook_without_source_and_a_source_that_cannot_be_composed(lesson: Path) -> None:
    root = lesson.parent.parent
    (root / "98_orphan.ipynb").write_text("{}")

    report = build.check(root)

    assert any("98_orphan.ipynb: has no source" in line for line in report)
    (told,) = [line for line in report if "97_toy.py" in line]
    assert (
        "cell 2 (line 14, under 'A toy lesson'): unknown exercise 'double' (known: none; they would" in told
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SOURCE.replace('"double"', '"triple"'),
            r"97_toy.py: cell 2 \(line 14, under 'A toy lesson'\): unknown exercise 'triple' \(known: double",
        ),
        (SOURCE + '\n# %% exercise="double"\n', "exercise 'double' has 2 cells, expected one"),
        (SOURCE.replace('# %% exercise="double"', ""), "no cell for exercise 'double'"),
        (
            SOURCE.replace('"double"\n', '"double"\nx = 1\n'),
            "cell 2 .*: exercise 'double' is filled in by the builder",
        ),
        (SOURCE + "\n# %%\nif True\n", r"97_toy.py: cell 7 .*: line 1: expected ':': if True"),
        (SOURCE + "\n# %% [raw]\n# x\n", "cell 7 .*: a raw cell"),
        (SOURCE + "\n# %%\n\n# %%\n1\n", "cell 7 .*: an empty code cell"),
    ],
)
def test_a_source_that_is_wrong_is_refused_by_file_and_cell(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(cells.BuildError, match=message):
        cells.compose(make_source(tmp_path, text), EXERCISES, solved=False)


def test_a_badly_named_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(cells.BuildError, match=r"a source is called NN_name\.py"):
        cells.compose(make_source(tmp_path, name="Toy"), EXERCISES, solved=False)


def test_an_unknown_lesson_is_refused(lesson: Path) -> None:
    assert build.sources(lesson.parent.parent, ["97"]) == [lesson]
    with pytest.raises(cells.BuildError, match="no source starts with '12'"):
        build.sources(lesson.parent.parent, ["12"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import sys; print('mind', file=sys.stderr)",
            r"97_toy.ipynb: 97_toy.py: cell 0 \(line 1\): wrote to stderr: mind",
        ),
        ("raise KeyError('k')", r"97_toy.ipynb: 97_toy.py: cell 0 .*: raised KeyError: 'k'\n(?s:.*)line 1\b"),
    ],
)
def test_a_run_that_is_wrong_leaves_the_stored_notebook_alone(
    tmp_path: Path, code: str, message: str
) -> None:
    source = make_source(tmp_path, f"# %%\n{code}\n")
    (tmp_path / "97_toy.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook()))
    before = (tmp_path / "97_toy.ipynb").read_bytes()

    with pytest.raises(cells.BuildError, match=message):
        build.build(source, {})

    assert (tmp_path / "97_toy.ipynb").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_slow_notebook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SECONDS_ALLOWED", 0.1)

    with pytest.raises(cells.BuildError, match=r"took \d+ s, allowed are 0 s"):
        build.build(make_source(tmp_path, "# %%\n1\n"), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{here}/x", "holds a path of this machine"),
        ("x" * build.BYTES_ALLOWED, r"1,50\d,\d+ bytes, allowed are 1,500,000"),
    ],
)
def test_a_notebook_that_should_not_be_committed_is_not_written(
    tmp_path: Path, text: str, message: str
) -> None:
    output = nbformat.v4.new_output("stream", text=text.format(here=tmp_path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])

    with pytest.raises(cells.BuildError, match=message):
        build.write(tmp_path / "97_toy.ipynb", notebook)

    assert list(tmp_path.iterdir()) == []
