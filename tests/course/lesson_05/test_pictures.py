"""The widgets and tables of lesson 05, and the long run that resumes."""

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file

from mlearn_utils.course.lesson_05 import predictions, results
from mlearn_utils.course.lesson_05.methods import (
    HEAD,
    METHODS,
    ToldSineTasks,
    all_points,
    begin,
    start_and_rates,
    train_start,
    tune_rate,
)
from mlearn_utils.course.lesson_05.pictures import draw_means, shots_explorer
from mlearn_utils.course.lesson_05.points import MOST, Board, PointExplorer, Start
from mlearn_utils.course.lesson_05.sines import (
    draw_tasks,
    features,
    long_run,
    losses_by_step,
    sine_network,
    task_loss,
)
from mlearn_utils.meta.maml import parameters_of, query_losses
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.regression import SineTasks

ROOT = Path(__file__).resolve().parents[3]


def script(name: str) -> ModuleType:
    path = ROOT / "data" / "lesson_05" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_05", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain_start(seed: int = 0):
    return {name: value.detach() for name, value in sine_network(seed).named_parameters()}


class TestLongRun:
    def small(self, monkeypatch, folder, updates: int) -> ModuleType:
        """Return the script with two short runs, whose files go to `folder`."""
        train = script("train")
        (folder / "train.py").write_text("# the same script")
        for name, value in {
            "RUNS": (("torch", 0.001, 5, 0), ("paper", 0.01, 10, 1)),
            "STREAMS": {5: 1, 10: 2},
            "UPDATES": updates,
            "CHECKPOINT_EVERY": 2,
            "COMPILED": False,
            "TEST_TASKS": 3,
            "EXPERIMENT": dataclasses.replace(train.EXPERIMENT, script=str(folder / "train.py"), needs=()),
        }.items():
            monkeypatch.setattr(train, name, value)
        return train

    def make(self, train: ModuleType, *options: str) -> None:
        with pytest.raises(SystemExit) as ended:
            dataclasses.replace(train.EXPERIMENT, parts=train.parts, finish=train.finish).main([*options])
        assert not ended.value.code

    def test_interrupted_and_resumed_it_ends_as_if_never_stopped(self, tmp_path, monkeypatch):
        folders = [tmp_path / "once", tmp_path / "twice"]
        for folder in folders:
            folder.mkdir()
            train = self.small(monkeypatch, folder, 6)
            if folder.name == "twice":
                self.make(train, "alpha0.001_k5_seed0 to 2", "alpha0.001_k5_seed0 to 4")
                first, last = (part for part in train.parts()[:2])
                train.train(*last.arguments, done={first.name: 0})  # the checkpoint was there, the part not
                assert (
                    len(train.MetaLearner.load(train.checkpoint(train.RUNS[0]), sine_network(0)).history) == 4
                )
                assert not (folder / "table.csv").exists()
            self.make(train)
        once, twice = (load_file(folder / "weights.safetensors") for folder in folders)
        assert once.keys() == twice.keys()
        assert all(torch.equal(once[name], twice[name]) for name in once)
        tables = [(folder / "table.csv").read_text() for folder in folders]
        assert tables[0] == tables[1]
        assert len(tables[0].splitlines()) == 1 + 11 + 2 * 2 * 11  # K = 10 is tested with 5 and with 10

    def test_every_run_is_there_and_its_table_belongs_to_its_weights(self):
        train = script("train")
        for init, inner_lr, shots, seed in train.RUNS:
            start = long_run(inner_lr, shots, seed, init)
            assert start.keys() == plain_start().keys()
        again = train.test(long_run(0.001, 5, 1), ("torch", 0.001, 5, 1), 5, 3, 2000)[1]
        stored = results.long_runs(0.001, 5, 1)
        assert stored["mean"].shape == (3, train.STREAMS[5])
        assert stored["mean"][1, 3] == pytest.approx(float(again["mean"]), rel=1e-2)
        assert stored["median"][1, 3] == pytest.approx(float(again["median"]), rel=1e-2)

    def test_the_paper_s_initialization_is_small_and_its_biases_are_zero(self):
        train = script("train")
        model, again = train.network("paper", 0), train.network("paper", 0)
        for (name, value), other in zip(model.named_parameters(), again.parameters(), strict=True):
            assert torch.equal(value, other)
            assert abs(value).max() <= (0 if "bias" in name else 0.02)
        assert model[2].weight.std().item() == pytest.approx(0.0088, rel=0.05)  # cut off at two deviations
        first, second = (next(net.parameters()) for net in (train.network("torch", 0), sine_network(0)))
        assert torch.equal(first, second)

    def test_a_mean_that_is_not_finite_is_shown_as_such(self):
        assert results.mean_text(np.array([[0.3, np.inf, 0.32], [0.31, 2e5, 0.3]])) == "0.32 [0.30, inf]"
        assert results.mean_text(np.array([0.3, 0.3, 2e5])) == "0.30 [0.30, 2e+05]"

    def test_every_mean_has_its_mark_and_those_beyond_the_top_too(self):
        ax = Figure().subplots()
        draw_means(ax, {"a": {1: np.full((3, 8), 0.5), 5: np.array([[0.4, np.inf, 1e9]])}})
        marks = [(line.get_marker(), np.size(line.get_xdata())) for line in ax.lines]
        assert marks == [("o", 24), ("^", 0), ("o", 1), ("^", 2)]

    def test_a_run_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"there is no long run with inner_lr=0\.5"):
            long_run(0.5, 5, 0)
        with pytest.raises(ValueError, match="there is no long run with"):
            results.long_runs(0.5, 5, 1)


class TestResults:
    def test_alpha_0_001_is_where_the_papers_table_is(self):
        for steps, (low, high) in {1: (0.5, 0.75), 5: (0.28, 0.40), 10: (0.25, 0.37)}.items():
            assert low < results.long_runs(0.001, 5, steps)["mean"].mean() < high

    def test_every_method_has_ten_seeds_and_every_number_of_steps(self):
        for method in ("random start", *METHODS):
            for steps in (0, 1, 5, 10):
                losses = results.compared(method, steps)
                assert losses.shape == (10,)
                assert np.isfinite(losses).all()
        assert results.compared("told the task", 0).max() < 0.1
        with pytest.raises(ValueError, match="has no 'nobody'"):
            results.compared("nobody", 1)

    def test_what_was_chosen_in_training_is_the_best_of_what_was_tried_and_at_no_end(self):
        for method in ("told the task", *METHODS):
            tried = [row for row in results.read("tuning.csv") if row["method"] == method]
            best = min(tried, key=lambda row: row["loss"])
            for key in ("inner_lr", "meta_lr"):
                values = {row[key] for row in tried}
                chosen = {row[key] for row in results.read("comparison.csv") if row["method"] == method}
                assert chosen == {best[key]}
                # Joint pretraining has no inner step, and what is told takes none.
                assert len(values) == 1 or min(values) < best[key] < max(values), (method, key)

    def test_paired_differences(self):
        mean, low, high = results.paired("joint pretraining", "MAML", 1)
        assert low < mean < high
        assert low > 1
        difference = results.compared("joint pretraining", 1) - results.compared("MAML", 1)
        assert mean == pytest.approx(difference.mean())


class TestMethods:
    @pytest.mark.parametrize("name", METHODS)
    def test_a_few_updates_lower_what_the_method_descends(self, name):
        method = METHODS[name]
        update = method.make_update(0.01)
        params = begin(method, plain_start(), 0.01)
        trained = train_start(update, params, updates=60, meta_lr=0.005, seed=0, n_tasks=10)
        tasks, steps = draw_tasks(100, 5, seed=5), 0 if name == "joint pretraining" else 1
        losses = []
        for some in (params, trained):
            start, rates = start_and_rates(method, some, 1.0 if method.learns_rates else 0.01)
            losses.append(losses_by_step(start, tasks, inner_lr=rates, steps=steps)[steps].mean())
        assert losses[1] < 0.95 * losses[0]

    def test_the_same_seed_trains_the_same_start(self):
        update = METHODS["FOMAML"].make_update(0.01)
        first, again = (
            train_start(update, plain_start(), updates=3, meta_lr=0.01, seed=1, n_tasks=2) for _ in range(2)
        )
        other = train_start(update, plain_start(), updates=3, meta_lr=0.01, seed=2, n_tasks=2)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_rates_of_each_kind(self):
        start = plain_start()
        assert start_and_rates(METHODS["MAML"], start, 0.1) == (start, 0.1)
        rates = start_and_rates(METHODS["ANIL"], start, 0.1)[1]
        assert isinstance(rates, dict)
        assert {name for name, rate in rates.items() if rate > 0} == set(HEAD)
        learned = start_and_rates(METHODS["Meta-SGD"], begin(METHODS["Meta-SGD"], start, 0.1), 0.5)
        assert isinstance(learned[1], dict)
        torch.testing.assert_close(learned[1]["0.bias"], torch.full((40,), 0.05))

    def test_the_tuned_rate_is_the_best_of_those_offered(self):
        tasks, start = draw_tasks(50, 5, seed=3), long_run(0.01, 5, 0)
        rates = (0.001, 0.01, 1.0)
        found = tune_rate(METHODS["MAML"], start, tasks, rates, 2)
        for steps in (1, 2):
            losses = [losses_by_step(start, tasks, inner_lr=r, steps=steps)[steps].mean() for r in rates]
            assert found[steps - 1] == rates[int(np.nanargmin(losses))]

    def test_told_tasks_are_the_tasks_that_are_not_told(self):
        told, plain = (
            family.sample(4, 5, 6, generator=make_generator(2)) for family in (ToldSineTasks(), SineTasks())
        )
        amplitude, phase = SineTasks().sample_functions(4, generator=make_generator(2))
        for (inputs, y), (x, y_plain) in zip(told, plain, strict=True):
            assert torch.equal(inputs[..., :1], x)
            assert torch.equal(y, y_plain)
            torch.testing.assert_close(inputs[..., 1] * torch.sin(x[..., 0] - inputs[..., 2]), y[..., 0])
            assert torch.equal(inputs[:, 0, 1:], torch.stack([amplitude, phase], 1))

    def test_all_points_are_support_and_query(self):
        tasks = SineTasks().sample(2, 3, 4, generator=make_generator(0))
        x, y = all_points(tasks)
        assert x.shape == y.shape == (2, 7, 1)
        assert torch.equal(x[:, :3], tasks.support[0])
        assert torch.equal(y[:, 3:], tasks.query[1])


class TestSines:
    def test_losses_by_step_are_the_query_losses_of_the_core(self):
        tasks, start = draw_tasks(6, 5, seed=1), long_run(0.01, 5, 0)
        losses = losses_by_step(start, tasks, inner_lr=0.01, steps=3)
        for steps in range(4):
            expected = query_losses(task_loss, start, tasks, inner_lr=0.01, steps=steps).detach()
            torch.testing.assert_close(losses[steps], expected)

    def test_features_times_the_last_layer_is_the_network(self):
        network, x = sine_network(3), torch.linspace(-5, 5, 7)
        params = plain_start(3)
        found = features(params, x) @ params["4.weight"].T + params["4.bias"]
        torch.testing.assert_close(found, network(x[:, None]).detach())

    def test_the_seed_of_a_network_leaves_the_global_generator_alone(self):
        state = torch.get_rng_state()
        first, again, other = (parameters_of(sine_network(seed))["0.weight"] for seed in (1, 1, 2))
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


class TestBoard:
    def test_a_click_places_and_a_second_one_takes_away(self):
        board = Board()
        board.down(1.0, 2.0)
        board.up()
        assert board.points == [(1.0, 2.0)]
        board.down(1.1, 2.1)
        board.up()
        assert board.points == []

    def test_dragging_carries_a_point_and_stops_at_the_edge(self):
        board = Board()
        board.down(1.0, 2.0)
        board.up()
        board.down(1.0, 2.0)
        board.move(3.0, 9.0)
        board.up()
        assert board.points == [(3.0, 6.0)]
        board.move(0.0, 0.0)  # nothing is held any more
        assert board.points == [(3.0, 6.0)]

    def test_by_keyboard(self):
        board = Board()
        for key in ("ArrowRight", "ArrowRight", "ArrowUp", " "):
            board.key(key)
        assert board.points == [(0.5, 0.25)]
        board.key(" ")
        assert board.points == []
        board.key("n")
        assert len(board.points) == 5
        board.key("c")
        assert (board.points, board.wave) == ([], None)

    def test_a_new_wave_goes_through_its_points_and_the_next_is_another(self):
        board = Board(3)
        seen = []
        for _ in range(2):
            board.new_wave()
            assert board.wave is not None
            amplitude, phase = board.wave
            for x, y in board.points:
                assert y == pytest.approx(amplitude * np.sin(x - phase), abs=1e-4)
            seen.append(board.wave)
        assert seen[0] != seen[1]

    def test_a_full_board_takes_no_more(self):
        board = Board()
        for k in range(MOST + 2):
            board.down(-5 + 0.5 * k, (-1.0) ** k)
            board.up()
        assert len(board.points) == MOST


def make_explorer() -> PointExplorer:
    return PointExplorer({"MAML": Start(long_run(0.01, 5, 0), 0.01), "random": Start(plain_start(), 0.01)})


class TestPointExplorer:
    def test_steps_fit_the_points_and_the_caption_says_how_well(self):
        explorer = make_explorer()
        pictures = []
        for steps in (0, 1, 10):
            explorer.explore(steps=steps)
            pictures.append(explorer.png)
        assert len(set(pictures)) == 3
        assert "5 points, 10 steps from the MAML start" in explorer.caption.value
        assert "on the whole wave" in explorer.caption.value

    def test_pointer_keys_and_buttons(self):
        explorer = make_explorer()
        explorer._buttons[1].click()
        assert "No point yet" in explorer.caption.value
        explorer.send("down", 1.0, 1.0)
        explorer.send("up")
        assert explorer.caption.value.startswith("1 point, 1 step from the MAML start")
        explorer.send("key", key=" ")  # the cross is where the pointer was
        assert explorer.board.points == []
        explorer._buttons[0].click()
        assert len(explorer.board.points) == 5

    def test_a_message_of_the_page_is_placed_in_the_axes_and_answered(self):
        explorer = make_explorer()
        explorer.board.clear()
        answers = []
        explorer._screen.send = answers.append
        x, y = explorer.picture.figure.axes[0].transData.transform((2.0, -3.0))
        width, height = explorer.picture.size
        explorer._on_message(None, {"kind": "down", "u": x / width, "v": 1 - y / height, "id": "a-1"}, [])
        assert explorer.board.points == [pytest.approx((2.0, -3.0), abs=1e-6)]
        explorer._on_message(None, {"kind": "up", "u": 0.5, "v": 0.5, "id": "a-2"}, [])
        explorer._on_message(None, {"kind": "key", "key": "c", "id": "a-3"}, [])
        assert explorer.board.points == []
        assert answers == [{"done": "a-1"}, {"done": "a-2"}, {"done": "a-3"}]

    def test_overshooting_is_said(self):
        explorer = PointExplorer({"MAML": Start(long_run(0.01, 5, 0), 0.2)})
        explorer.explore(steps=5)
        assert "overshoot" in explorer.caption.value

    def test_unknown_events(self):
        explorer = make_explorer()
        with pytest.raises(ValueError, match="kind must be one of"):
            explorer.send("click", 0.0, 0.0)
        with pytest.raises(ValueError, match="key one of"):
            explorer.send("key", key="q")


def test_the_explorer_of_shots_and_steps():
    explorer = shots_explorer({"MAML": long_run(0.01, 5, 0), "joint pretraining": plain_start()})
    assert explorer.caption.value.startswith("K = 5, α = 0.01, 1 step: MAML 0.")
    before = explorer.png
    explorer.explore(shots=20, log_rate=-1.0, steps=10)
    assert explorer.png != before
    assert "Diverging: MAML" in explorer.caption.value


@pytest.mark.parametrize(
    ("make", "number", "right"),
    [
        (predictions.predict_positions, 1, "<b>B</b>"),
        (predictions.predict_larger_rate, 1, "after several it is a gamble"),
        (predictions.predict_part, 1, "The hidden layers are enough"),
    ],
)
def test_predictions_reveal_what_was_measured(make, number, right):
    question = make()
    question.commit(question._options[number])
    assert right in question.caption.value
