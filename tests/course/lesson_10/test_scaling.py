"""Ways, ranks, sums on paper, pictures and predictions of lesson 10, against slower computations."""

import re
import time

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_10 import paper, pictures, predictions, results, two_ranks, ways
from mlearn_utils.meta import maml

# --- ways


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("recompute", [False, True])
def test_all_ways_lead_to_the_gradient_of_the_loop(chunk_size, recompute):
    model, tasks = two_ranks.network(6).double(), two_ranks.sine_tasks(5, torch.float64)
    found = ways.package_ways(model, tasks, 3, chunk_size=chunk_size, recompute=recompute)
    right = found.pop("loop")()
    assert set(found) == {"vmap", "batched", "by hand"}
    for way in found.values():
        _, gradient = way()
        for mine, its in zip(gradient.values(), right, strict=True):
            assert torch.allclose(mine, its, rtol=1e-10, atol=1e-12)


def test_a_round_has_every_way_and_lasts_as_long_as_is_asked():
    calls = []
    found = ways.milliseconds(
        {"a": lambda: calls.append("a"), "b": lambda: time.sleep(0.003)},
        rounds=3,
        least=0.002,
        clock=time.perf_counter,
    )
    assert {name: len(times) for name, times in found.items()} == {"a": 3, "b": 3}
    assert ways.medians(found)["b"] >= 3.0 > ways.medians(found)["a"]


def test_operations_are_counted():
    rows = torch.ones(3, 2, requires_grad=True)
    assert ways.torch_operations(lambda: rows.T @ rows + 1.0) == 2


def test_the_network_has_the_same_weights_each_time_and_leaves_the_seed_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = ([*two_ranks.network(8, seed).parameters()] for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


# --- ranks


def test_a_group_of_one_rank_has_the_gradient_of_the_package():
    found = two_ranks.alone()
    model = two_ranks.network(40).double()
    _, gradient = maml.meta_gradient(
        two_ranks.network_loss(model),
        maml.parameters_of(model),
        two_ranks.sine_tasks(25, torch.float64),
        inner_lr=0.01,
    )
    right = torch.cat([value.flatten() for value in gradient.values()])
    assert found["counts"] == [25]
    assert torch.allclose(torch.tensor(found["gradient"], dtype=torch.float64), right, rtol=0, atol=1e-13)
    assert not torch.distributed.is_initialized()
    assert two_ranks.command(2, "f")[-4:-2] == ["--nproc-per-node", "2"]


# --- on paper


def test_a_ring_step_by_step_takes_as_long():
    ranks, parameters, bandwidth, delay = 5, 1000, 2e6, 1e-4
    seconds = sent = 0.0
    for _ in range(2 * (ranks - 1)):  # scatter the sums, then gather them
        piece = 4 * parameters / ranks
        sent += piece
        seconds += delay + piece / bandwidth
    assert paper.bytes_sent(ranks, parameters) == pytest.approx(sent)
    assert paper.ring_seconds(ranks, parameters, bandwidth, delay) == pytest.approx(seconds)


def test_a_tree_has_a_level_for_each_doubling():
    one = paper.tree_seconds(2, 1000, 2e6, 1e-4)
    assert one == pytest.approx(2 * (1e-4 + 4000 / 2e6))
    assert [paper.tree_seconds(n, 1000, 2e6, 1e-4) / one for n in (4, 5, 8, 1000)] == pytest.approx(
        [2, 3, 3, 10]
    )


def test_amdahl_and_gustafson_agree_on_one_worker_and_without_a_serial_part():
    for law in (paper.amdahl, paper.gustafson):
        assert law(0.3, 1) == pytest.approx(1)
        assert law(0.0, 17) == pytest.approx(17)
    assert paper.amdahl(0.05, 1e9) == pytest.approx(20, rel=1e-6)


# --- stored measurements


def test_every_way_was_measured_three_times_where_it_is_quick():
    for width, steps, tasks in ((40, 1, 1), (40, 1, 25), (40, 1, 400), (256, 1, 25), (256, 5, 25)):
        for way in results.WAYS[:4]:
            wanted = {"width": str(width), "steps": str(steps), "tasks": str(tasks), "way": way}
            found = [row for row in results.rows("times") if wanted.items() <= row.items()]
            assert [row["repeat"] for row in found] == ["0", "1", "2"], wanted
            middle = sorted(float(row["ms"]) for row in found)[1]
            assert results.times(width, steps, tasks, way) == middle


def test_memory_grows_with_the_steps_and_chunks_hold_less():
    for way in ("loop", "batched", "recompute", "by hand"):
        assert results.memory(20, 100, way) > 2 * results.memory(2, 100, way)
    for way in ("batched", "by hand"):
        assert results.memory(10, 100, way, 10) < results.memory(10, 100, way) / 2
    kept = two_ranks.network(256).parameters()
    assert results.memory(10, 100, "recompute") > 100 * 10 * sum(4 * each.numel() for each in kept) / 1e6


def test_the_rate_of_each_number_of_tasks_lies_within_those_that_were_tried():
    found = results.batches()
    assert list(found) == [1, 5, 25, 100, 400]
    for tasks, (rate, updates) in found.items():
        tried = results.tried(tasks)
        slower = {r: max(u for other, u in tried if other == r) for r, _ in tried}
        assert slower[rate] == min(slower.values())
        assert min(slower) < rate
        assert len(updates) == 5
        assert updates == sorted(updates)


# --- pictures and predictions


@pytest.mark.parametrize(
    ("make", "values", "pieces"),
    [
        (
            pictures.times_explorer,
            {"tasks": 350, "width": 256, "steps": 1},
            ["400 tasks, width 256", "chunks"],
        ),
        (pictures.memory_explorer, {"tasks": 10}, ["10 tasks", "by hand, ten at a time"]),
        (pictures.amdahl_explorer, {"serial": 5.0}, ["<b>19.63</b>", "never more than 20"]),
        (pictures.amdahl_explorer, {"serial": 0.0}, ["without a limit"]),
        (pictures.sum_explorer, {"log_parameters": 9.0, "delay": 5.0}, ["the ring takes", "1,000,000,000"]),
        (pictures.sum_explorer, {"log_parameters": 3.25, "delay": 5.0}, ["the tree takes <b>0.1"]),
    ],
)
def test_an_explorer_says_what_there_is_to_see(make, values, pieces):
    explorer = make()
    explorer.explore(**values)
    for piece in pieces:
        assert piece in explorer.caption.value
    assert "nan" not in explorer.caption.value


def test_the_arrow_that_is_walked_back_is_the_derivative_by_the_start():
    def query_loss(start):
        theta = start
        for _ in range(pictures.STEPS):
            theta = theta - pictures.RATE * pictures._slope(theta)
        return 0.6 * ((theta - pictures.QUERY_CENTER) ** 2).sum()

    moves = 1e-6 * np.eye(2)
    numbers = [(query_loss(pictures.START + m) - query_loss(pictures.START - m)) / 2e-6 for m in moves]
    caption = pictures.walk()(Figure())(9)
    found = re.search(r"v⁰ = v¹ − .* = \((-?[\d.]+), (-?[\d.]+)\)", caption)
    assert found is not None
    assert [float(each) for each in found.groups()] == pytest.approx(numbers, abs=0.006)
    for theta in (pictures.START, np.array([0.4, -0.3])):
        slope = [(pictures._loss(theta + m) - pictures._loss(theta - m)) / 2e-6 for m in moves]
        bent = [(pictures._slope(theta + m) - pictures._slope(theta - m)) / 2e-6 for m in moves]
        assert pictures._slope(theta) == pytest.approx(slope, abs=1e-6)
        assert pictures._hessian(theta) == pytest.approx(np.array(bent), abs=1e-6)


def test_the_updates_that_were_needed_are_drawn():
    ax = Figure().subplots()
    pictures.draw_batches(ax)
    middle = [float(np.median(updates)) for _, updates in results.batches().values()]
    assert any(np.array_equal(line.get_ydata(), middle) for line in ax.lines)


@pytest.mark.parametrize(
    ("make", "guess"),
    [
        (predictions.predict_batching, "4 to 12 times"),
        (predictions.predict_threads, "slower"),
        (predictions.predict_tasks, "less than 1.5 times"),
    ],
)
def test_a_prediction_answers_with_figures_that_fit_one_of_its_choices(make, guess):
    question = make()
    question.commit(guess)
    assert re.search(r"\d", question.caption.value)


def test_the_right_choices_are_those_of_the_stored_measurements():
    assert 4 < results.times(40, 1, 25, "loop") / results.times(40, 1, 25, "vmap") < 12
    assert results.threads(40, "batched", 2)[0] > results.threads(40, "batched", 1)[0]
    few, many = (np.median(results.batches()[count][1]) for count in (100, 400))
    assert 1 < few / many < 1.5
