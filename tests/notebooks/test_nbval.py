"""Every committed notebook, run again, gives its stored outputs: the solved ones by nbval, here.

The student's notebooks run in the browser (`tests/browser`), by the same rules; without a Chromium, here.
"""

import re
import subprocess
import sys
from pathlib import Path

import build
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.browser.chromium import find_chromium
from tests.notebooks.outputs import MENDED_BY, differences

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NOTEBOOKS = sorted(build.ROOT.glob("solutions/[0-9][0-9]_*.ipynb"))
if find_chromium() is None:
    NOTEBOOKS += sorted(build.ROOT.glob("[0-9][0-9]_*.ipynb"))


def run_nbval(notebook: Path, progress: Path) -> subprocess.CompletedProcess[str]:
    """Run strict nbval over one notebook in a pytest of its own, under this suite's warnings and settings."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=180"]
    command += [f"--nbval-sanitize-with={HERE / 'nbval.cfg'}", "-p", "no:cacheprovider", "--color=no"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(notebook)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=build.kernel_environment(progress),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=400,
        check=False,
    )


@pytest.mark.parametrize(
    "notebook", NOTEBOOKS, ids=[path.relative_to(build.ROOT).as_posix() for path in NOTEBOOKS]
)
def test_a_notebook_gives_its_stored_outputs(notebook: Path, own_progress_log: Path) -> None:
    done = run_nbval(notebook, own_progress_log)

    told = f"nbval on {notebook.name}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, f"{told}\n{MENDED_BY.format(lesson=notebook.name[:2])}"


def test_the_notebooks_are_what_their_sources_say() -> None:
    assert build.check() == []


RESULT = {"output_type": "execute_result", "execution_count": 1}
CASES = {
    "right text": ("print(1 + 1)", [new_output("stream", text="2\n")], "PASSED"),
    "right after sanitising": (
        "print('torch 2.13.0')",
        [new_output("stream", text="torch 9.9.9+cu1\n")],
        "PASSED",
    ),
    "wrong text": ("print(1 + 1)", [new_output("stream", text="3\n")], "FAILED"),
    "wrong result": ("1 + 1", [new_output(**RESULT, data={"text/plain": "3"})], "FAILED"),
    "output gone": ("pass", [new_output("stream", text="2\n")], "FAILED"),
    "output new": ("print(1 + 1)", [], "FAILED"),
    "new on stderr": ("import sys; print(1, file=sys.stderr)", [], "FAILED"),
    "wrong html": (
        "from IPython.display import HTML; HTML('<b>2</b>')",
        [
            new_output(
                **RESULT, data={"text/plain": "<IPython.core.display.HTML object>", "text/html": "<b>3</b>"}
            )
        ],
        "FAILED",
    ),
    "raises": ("1 / 0", [], "FAILED"),
}
TWO = [new_output("stream", text="2\n")]
OUTPUTS_NOW = {
    "right text": TWO,
    "right after sanitising": [new_output("stream", text="torch 2.13.0\n")],
    "wrong text": TWO,
    "wrong result": [new_output(**RESULT, data={"text/plain": "2"})],
    "output gone": [],
    "output new": TWO,
    "new on stderr": [new_output("stream", name="stderr", text="1\n")],
    "wrong html": [
        new_output(
            **RESULT, data={"text/plain": "<IPython.core.display.HTML object>", "text/html": "<b>2</b>"}
        )
    ],
    "raises": [new_output("error", ename="ZeroDivisionError", evalue="division by zero")],
}
"""What each of the cases outputs when it is run."""


def test_nbval_notices_a_changed_output(tmp_path: Path, own_progress_log: Path) -> None:
    cells = [
        new_code_cell(source, outputs=outputs, execution_count=1) for source, outputs, _ in CASES.values()
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "cases.ipynb")

    done = run_nbval(tmp_path / "cases.ipynb", own_progress_log)

    assert done.returncode == 1, done.stdout
    failed = {int(number) for number in re.findall(r"^FAILED .*Cell (\d+)", done.stdout, flags=re.MULTILINE)}
    verdicts = ["FAILED" if i in failed else "PASSED" for i in range(len(CASES))]
    assert dict(zip(CASES, verdicts, strict=True)) == {name: case[2] for name, case in CASES.items()}


def test_the_comparison_in_the_browser_notices_the_same_changes() -> None:
    for name, (source, stored, verdict) in CASES.items():
        want = new_code_cell(source, outputs=stored, execution_count=1)
        have = new_code_cell(source, outputs=OUTPUTS_NOW[name], execution_count=1)
        found = differences([want], [have])
        assert ("FAILED" if found else "PASSED") == verdict, (name, found)
        want.metadata["tags"] = ["nbval-ignore-output"]
        assert differences([want], [have]) == []


def test_the_comparison_joins_pieces_of_a_stream_and_counts_cells() -> None:
    whole = [new_code_cell("", outputs=[new_output("stream", text="one\ntwo\n")])]
    pieces = [
        new_code_cell("", outputs=[new_output("stream", text=["one\n"]), new_output("stream", text="two\n")])
    ]

    assert differences(whole, pieces) == []
    assert "2 were run" in differences(whole, pieces * 2)[0]
