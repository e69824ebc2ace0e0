"""What every test may rely on: one thread, no display, its own log, same weights, GPU tests only with one."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

COSTLY = (
    "browser/test_notebooks.py",
    "notebooks/test_set_up.py",
    "docs/test_web_edition.py",
    "test_a_notebook_gives_its_stored_outputs",
    "notebooks/test_contributing.py",
    "course/test_every_lesson.py",
    "course/test_mutants.py",
    "teaching/test_grade.py",
    "browser/test_opening.py",
    "teaching/test_handout.py",
    "hyperparameters/test_model.py",
    "notebooks/test_commands.py",
    "policies/test_memory_agent.py",
    "data/test_runner.py",
)
"""What takes a worker longest, the longest first: if it came last, all others would wait for its end."""


@pytest.fixture(autouse=True)
def own_progress_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the user's progress log; return the log it has instead."""
    log = tmp_path / "progress.jsonl"
    monkeypatch.setenv("MLEARN_PROGRESS", str(log))
    return log


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Start torch's global generator anew: a network that a test makes is the same in every run."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `-n`, keep a file's tests on one worker (they share costly fixtures), but spread nbval's.

    It takes the place of whatever `--dist` names. What is costly is handed out first, then the files with
    most tests: near the end there are only short ones, so that no worker is idle for long.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return (
                nodeid
                if "test_a_notebook_gives_its_stored_outputs" in nodeid
                else super()._split_scope(nodeid)
            )

        def _assign_work_unit(self, node: Any) -> None:
            self.workqueue.move_to_end(min(self.workqueue, key=rank), last=False)
            super()._assign_work_unit(node)

    def rank(scope: str) -> int:
        return next((k for k, name in enumerate(COSTLY) if name in scope), len(COSTLY))

    return Scheduler(config, log)
