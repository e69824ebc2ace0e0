"""The benchmarks' arithmetic, and that nothing is compared which computes something else."""

import json
import math

import pytest

from tests.benchmarks import bench_maml, command
from tests.benchmarks.maml_sides import Setting
from tests.benchmarks.side_by_side import GRADIENT, Options, Result, Row, compare, far, take_turns
from tests.benchmarks.targets import AT_LEAST, AT_MOST, TARGETS, Target

TIMES = {"slow": [2.0, 4.0, 9.0, 8.0, 10.0], "fast": [1.0, 2.0, 3.0, 2.0, 2.0]}


def test_every_row_is_listed_once_and_every_target_is_of_one(capsys):
    assert command.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == sorted(set(listed), key=listed.index)
    assert {target.row for target in TARGETS} <= set(listed)
    quick = command.choose(command.all_rows(), [], Options(quick=True))
    assert {"maml_1", "steps_64", "agent_maml", "widgets"} <= {row.name for row in quick}


def test_a_ratio_is_the_median_over_rounds_with_its_quartiles():
    ratio = Result(values=TIMES).ratio("slow", "fast")  # 2, 2, 3, 4, 5
    assert ratio == (3.0, 2.0, 4.0)


def test_sides_take_turns_and_each_begins_a_round():
    calls = []
    sides = {name: lambda name=name: calls.append(name) or 1.0 for name in "abc"}
    values = take_turns(sides, 4)
    assert "".join(calls) == "abc" + "bca" + "cab" + "abc"
    assert values == {name: [1.0] * 4 for name in "abc"}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"w": [1.0, -4.0], "b": [0.5]}, 0.0),
        ({"w": [1.0, -4.4], "b": [0.5]}, 0.1),
        ({"w": [1.0, -4.0], "b": [0.6]}, 0.2),
        ({"w": [1.0, -4.0]}, math.inf),
        ({"w": [1.0], "b": [0.5]}, math.inf),
        ({"w": [1.0, math.nan], "b": [0.5]}, math.nan),
    ],
)
def test_a_difference_is_relative_to_the_largest_entry(given, error):
    assert far(given, {"w": [1.0, -4.0], "b": [0.5]}) == pytest.approx(error, nan_ok=True)


@pytest.mark.parametrize(("error", "exit_code"), [(0.9 * GRADIENT, 0), (1.1 * GRADIENT, 1), (math.nan, 1)])
def test_a_row_whose_sides_differ_fails_the_run(monkeypatch, capsys, tmp_path, error, exit_code):
    def measure(options):
        sides = {"slow": lambda: 2.0, "fast": lambda: 1.0, "peer": None}
        return compare(sides, options, "slow", differences={"fast": error})

    monkeypatch.setattr(command, "all_rows", lambda: [Row("pair", "two sides", measure)])
    assert command.main(["--json", str(tmp_path / "run.json")]) == exit_code
    printed = capsys.readouterr().out
    assert ("WRONG" in printed) == bool(exit_code)
    assert "| | peer | | | | not installed |" in printed
    sides = json.loads((tmp_path / "run.json").read_text())["rows"]["pair"]["sides"]
    assert sides["fast"]["slow / this"] == [2.0, 2.0, 2.0]
    assert sides["peer"] == {"missing": "not installed"}


def test_a_row_that_fails_fails_the_run_and_the_next_is_measured(monkeypatch, capsys):
    def measure(options):
        raise RuntimeError("no such environment")

    good = Row("good", "measured", lambda options: Result(values={"only": [1.0]}))
    monkeypatch.setattr(command, "all_rows", lambda: [Row("bad", "none", measure), good])
    assert command.main([]) == 1
    assert "FAILED: RuntimeError: no such environment" in (printed := capsys.readouterr().out)
    assert "| | only | 1 |" in printed


def test_a_name_that_no_row_has_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "maml_1", "nonsense"])
    assert "no row on cpu begins with 'nonsense'" in capsys.readouterr().err


def test_a_target_is_reached_by_measured_and_right_sides_alone():
    most = Target("fast / slow", "pair", "fast", "slow", AT_MOST, 0.34)
    least = Target("slow x fast", "pair", "slow", "fast", AT_LEAST, 3.1)
    right, wrong = Result(values=TIMES), Result(values=TIMES, differences={"fast": 1.0})
    assert most.judge({"pair": right})["reached"] is True
    assert most.judge({"pair": wrong})["reached"] is False
    assert least.judge({"pair": right}) == {
        "what": "slow x fast",
        "row": "pair",
        "bound": "at least 3.1",
        "measured": 3.0,
        "reached": False,
    }
    absent = Result(values={"slow": [1.0]}, missing={"fast": "not installed"})
    assert most.judge({"pair": absent})["why"] == "fast: not installed"
    assert most.judge({})["reached"] is None


def test_every_way_to_the_meta_gradient_of_the_course_is_measured_and_right():
    sides = {bench_maml.LOOP: bench_maml.ALL[bench_maml.LOOP]} | bench_maml.OURS
    result = bench_maml.measure(Setting(tasks=2), sides, Options(quick=True, rounds=2))
    assert result.values.keys() == result.differences.keys() == sides.keys()
    assert not result.wrong
