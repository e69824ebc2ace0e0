"""Several processes train as one does: same numbers, errors that all ranks get, files that outlive a rank."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from mlearn_utils.meta import ranks
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.meta.ranks import Ranks, share
from tests.meta import rank_battery as battery

TASKS = {2: 25, 4: 3}
"""Tasks of the meta-gradient by the number of ranks: not divided by it, and fewer."""


class Run(NamedTuple):
    """What a run under torchrun left: a dict of each rank, its exit code, when it ended, what it printed."""

    folder: Path
    found: list[dict[str, Any]]
    code: int
    ended: float
    told: str


@pytest.fixture(scope="module", params=TASKS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(f"ranks{request.param}")
    battery.begin(folder / "start.safetensors")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += [str(request.param), battery.__file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    files = [folder / f"rank{rank}.json" for rank in range(request.param)]
    assert all(file.exists() for file in files), done.stderr
    found = [json.loads(file.read_text()) for file in files]
    return Run(folder, found, done.returncode, time.time(), done.stderr)


def near(found: Any, expected: Any, within: float) -> bool:
    """Return whether nested numbers are equal but for rounding, relative to the largest of a list."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(near(found[k], expected[k], within) for k in expected)
    if isinstance(expected, list) and not isinstance(expected[0], float):
        return len(found) == len(expected) and all(map(near, found, expected, [within] * len(found)))
    one, other = torch.tensor(found, dtype=torch.float64), torch.tensor(expected, dtype=torch.float64)
    return bool((one - other).abs().max() <= within * other.abs().max())


def test_every_rank_is_counted_and_all_find_the_same(run: Run) -> None:
    size = len(run.found)

    assert [found["group"] for found in run.found] == [[rank, size] for rank in range(size)]
    for name in ("gradient", "chunked", "resumed", "MAMLAgent", "MemoryAgent", "goes on"):
        assert all(found[name] == run.found[0][name] for found in run.found), name


@pytest.mark.parametrize(("name", "chunk_size"), [("gradient", None), ("chunked", 4)])
def test_the_meta_gradient_does_not_depend_on_the_ranks(run: Run, name: str, chunk_size: int | None) -> None:
    expected = battery.gradient(TASKS[len(run.found)], chunk_size, share=False)

    assert near(run.found[0][name], expected, 1e-10)


def test_a_training_goes_on_with_another_number_of_ranks(run: Run) -> None:
    expected = battery.go_on(run.folder / "start.safetensors")

    assert len(expected["history"]) == 2 + battery.LATER
    assert near(run.found[0]["resumed"], expected, 1e-10)


def test_the_outer_gradient_of_episodes_does_not_depend_on_the_ranks(run: Run) -> None:
    alone, together = run.found[0]["outer"]

    assert near(together, alone, 1e-10)
    assert max(map(abs, alone)) > 1e-4


@pytest.mark.parametrize("family", [name for name in battery.FAMILIES if name != "bandit"])
def test_a_maml_agent_learns_as_in_one_process(run: Run, family: str) -> None:
    found, expected = run.found[0]["MAMLAgent"][family], battery.trained(battery.maml_agent(family, 3))

    assert [row["steps"] for row in found["history"]] == [row["steps"] for row in expected["history"]]
    assert near(found, expected, 1e-4)


@pytest.mark.parametrize("family", ["cart-pole", "bandit"])
def test_a_memory_agent_learns_as_in_one_process(run: Run, family: str) -> None:
    found, expected = run.found[0]["MemoryAgent"][family], battery.trained(battery.memory_agent(family, 3))

    assert [row["steps"] for row in found["history"]] == [row["steps"] for row in expected["history"]]
    assert near(found, expected, 1e-4)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "seed",
            "MetaLearner.train: all ranks must hold the same, but seed of rank 1 is another (1; rank 0 ",
        ),
        (
            "agent",
            "MAMLAgent.train: all ranks must hold the same, but seed of rank 1 is another (1; rank 0 has 0)",
        ),
        ("model", "all ranks must hold the same, but model.0.weight of rank 1 is another"),
        ("setting", "config.chunk_size of rank 1 is another (2; rank 0 has 1)"),
        ("tasks", "the first update: all ranks must hold the same, but tasks of rank 1 is another"),
        ("not finite", "FloatingPointError: the query loss of update 1 is"),
    ],
)
def test_what_differs_is_named_on_every_rank(run: Run, what: str, message: str) -> None:
    for found in run.found:
        assert message in found["refused"][what]


@pytest.mark.parametrize(
    ("what", "who", "own", "others"),
    [
        ("failing", 1, "OSError: no such disk", "RankError: rank 1 stopped (OSError: no such disk): rank "),
        ("argument", 1, "ValueError: epochs must", "RankError: rank 1 stopped (ValueError: epochs must be"),
        (
            "folder",
            0,
            "FileNotFoundError: path: the folder",
            "RankError: rank 0 stopped (FileNotFoundError: ",
        ),
    ],
)
def test_an_error_of_one_rank_reaches_the_others(
    run: Run, what: str, who: int, own: str, others: str
) -> None:
    for rank, found in enumerate(run.found):
        assert found["refused"][what].startswith(own if rank == who else others)
    assert {found["refused"]["updates"] for found in run.found} == {"1"}, "what was finished is kept"


def test_ranks_at_different_places_are_told_where(run: Run) -> None:
    for found in run.found:
        told = found["refused"]["place"]
        assert "RankError: the ranks are at different places: rank 0 at the end of a save, rank 1 at " in told
        assert "rank 1 at MetaLearner.train" in told


def test_only_rank_0_shows_a_bar(run: Run) -> None:
    assert ["meta-updates" in found["shown"] for found in run.found] == [True] + [False] * (
        len(run.found) - 1
    )


def test_a_rank_that_dies_ends_the_job_soon_and_the_last_checkpoint_is_whole(run: Run) -> None:
    resumed = MetaLearner.load(run.folder / "death.safetensors", battery.make_model(), device="cpu")
    before, whole = len(resumed.history), battery.make_learner()
    for learner, updates in ((whole, 10), (resumed, 10 - before)):
        learner.train(battery.SineTasks(), updates, 5, 4, progress=False)
    found, expected = (battery.flat(dict(each.model.named_parameters())) for each in (resumed, whole))

    assert run.code != 0
    assert "exitcode  : 7" in run.told
    assert run.ended - max(found["died"] for found in run.found) < 30
    assert before in (6, 7), "what was written last before, or what rank 0 wrote on its way out"
    assert near(found, expected, 1e-10)


@pytest.mark.parametrize(("n", "size"), [(25, 3), (3, 4), (8, 2), (0, 2), (1, 1), (400, 7)])
def test_shares_hold_every_task_once_and_differ_by_one_at_most(n: int, size: int) -> None:
    parts = [range(n)[share(n, rank, size)] for rank in range(size)]

    assert [task for part in parts for task in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_on_its_own_is_left_alone() -> None:
    values = [torch.ones(2), torch.tensor(3)]

    assert ranks.current() == Ranks(0, 1)
    assert Ranks().total(*values) == values
    assert Ranks().mean(values, 0) == values
    assert Ranks().share(5) == slice(0, 5)


WHOLE = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"MASTER_ADDR": ""},
            "the environment has RANK=0, WORLD_SIZE=2, MASTER_PORT=1, .* but not MASTER_ADDR;",
        ),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, "but not MASTER_ADDR, MASTER_PORT; start with torchrun, or"),
        ({"WORLD_SIZE": ""}, "but not WORLD_SIZE;"),
        ({"RANK": ""}, "but not RANK;"),
        ({"RANK": "2"}, "RANK must be below WORLD_SIZE=2, got 2"),
        ({"RANK": "-1"}, "RANK must be an integer >= 0, got '-1'"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE must be an integer >= 1, got 'two'"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT must be an integer >= 1, got 'http'"),
    ],
)
def test_half_an_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], message: str
) -> None:
    for name, value in (WHOLE | changed).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=message):
        battery.make_learner()


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_master_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch, rank: str) -> None:
    for name, value in (WHOLE | {"RANK": rank}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks, "JOIN_SECONDS", 1)

    with pytest.raises(ranks.RankError, match=f"rank {rank} of 2 could not join the others at 127.0.0.1:1 "):
        battery.make_learner()


@pytest.mark.parametrize(
    ("gpus", "device", "message"),
    [
        (0, "cuda", "device cuda is not there: this machine has 0 CUDA"),
        (1, "cuda", "device cuda needs a GPU for each of the 2 ranks of this machine, it has 1"),
        (1, "auto", "device auto needs a GPU for each of the 2 ranks"),
    ],
)
def test_ranks_without_a_gpu_of_their_own_are_refused(
    monkeypatch: pytest.MonkeyPatch, gpus: int, device: str, message: str
) -> None:
    for name, value in (WHOLE | {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)

    with pytest.raises(ValueError, match=message):
        ranks.join(device)


def test_each_rank_takes_the_gpu_of_its_local_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert ranks._own_device("auto") == torch.device("cuda:1")
    assert ranks._own_device("cuda:0") == torch.device("cuda:0")
    assert ranks._own_device("cpu") == torch.device("cpu")
