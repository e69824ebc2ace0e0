"""MetaLearner: what it learns, what it resumes, what it leaves alone, and what it refuses."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from mlearn_utils import LinearTasks, MetaLearner, SineTasks, TaskBatch
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of, query_losses
from mlearn_utils.runtime import make_generator
from tests.meta.reference import largest_difference


def make_network(width: int = 16, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )


def make_learner(model: nn.Module | None = None, **settings: Any) -> MetaLearner:
    settings = {"device": "cpu"} | settings
    return MetaLearner(model or make_network(), **settings)


def train(learner: MetaLearner, updates: int, **settings: Any):
    return learner.train(LinearTasks(), updates, 5, 4, progress=False, **settings)


class TestTraining:
    def test_the_lines_that_newcomers_know(self):
        learner = MetaLearner(nn.Linear(1, 1), inner_lr=0.01, meta_lr=0.001)
        history = learner.train(LinearTasks(), 3, 5, 2)
        assert [sorted(entry) for entry in history] == [["query_loss", "update"]] * 3
        assert [entry["update"] for entry in history] == [1, 2, 3]

    def test_one_update_is_one_adam_step_on_the_meta_gradient(self):
        learner, twin = make_learner(steps=2, meta_lr=0.01), make_network()
        history = train(learner, 1)
        tasks = LinearTasks().sample(4, 5, 5, generator=make_generator(0))
        loss, gradient = meta_gradient(
            module_loss(twin, mse_loss), parameters_of(twin), tasks, inner_lr=0.01, steps=2
        )
        optimizer = torch.optim.Adam(twin.parameters(), lr=0.01)
        for name, param in twin.named_parameters():
            param.grad = gradient[name]
        optimizer.step()
        assert history[0]["query_loss"] == float(loss)
        assert largest_difference(parameters_of(learner.model), parameters_of(twin)) == 0.0

    @pytest.mark.parametrize(
        "setting", [{"first_order": True}, {"steps": 3}, {"inner_lr": 0.2}, {"loss": l1_loss}]
    )
    def test_every_setting_reaches_the_update(self, setting):
        plain, other = make_learner(inner_lr=0.1), make_learner(**{"inner_lr": 0.1} | setting)
        for learner in (plain, other):
            train(learner, 3)
        assert largest_difference(parameters_of(plain.model), parameters_of(other.model)) > 1e-6

    def test_chunks_reach_the_update_and_change_nothing(self):
        plain, chunked = make_learner(), make_learner(chunk_size=1)
        for learner in (plain, chunked):
            train(learner, 3)
        assert largest_difference(parameters_of(plain.model), parameters_of(chunked.model)) < 1e-6

    def test_batch_sizes_reach_the_sampler(self):
        class Recording:
            asked: tuple[int, ...] = ()

            def sample(self, n_tasks, n_support, n_query, *, generator, device) -> TaskBatch:
                self.asked = (n_tasks, n_support, n_query)
                return LinearTasks().sample(n_tasks, n_support, n_query, generator=generator, device=device)

        tasks = Recording()
        make_learner().train(tasks, 1, 5, 4, progress=False)
        assert tasks.asked == (4, 5, 5)
        make_learner().train(tasks, 1, 5, 4, query_batch_size=9, progress=False)
        assert tasks.asked == (4, 5, 9)

    def test_meta_learning_beats_both_baselines_at_their_best_step_size(self):
        """One step from the learned start against one step from a joint fit and from a random start."""
        learned, joint = make_network(40), make_network(40)
        make_learner(learned, inner_lr=0.02, meta_lr=0.01).train(SineTasks(), 300, 10, 10, progress=False)
        generator, optimizer = make_generator(0), torch.optim.Adam(joint.parameters(), lr=0.01)
        for _ in range(300):
            x, y = SineTasks().sample(10, 10, 1, generator=generator).support
            optimizer.zero_grad()
            mse_loss(joint(x), y).backward()
            optimizer.step()
        tasks = SineTasks().sample(200, 10, 10, generator=make_generator(99))

        def loss_after_one_step(start: nn.Module, inner_lr: float) -> float:
            task_loss, params = module_loss(start, mse_loss), parameters_of(start)
            return float(query_losses(task_loss, params, tasks, inner_lr=inner_lr).detach().mean())

        for baseline in (joint, make_network(40)):
            best = min(loss_after_one_step(baseline, rate) for rate in (0.0, 0.005, 0.01, 0.02, 0.05))
            assert loss_after_one_step(learned, 0.02) < 0.6 * best

    def test_an_interrupted_training_keeps_what_it_has(self):
        class Interrupting:
            calls = 0

            def sample(self, *sizes, **options):
                self.calls += 1
                if self.calls == 4:
                    raise KeyboardInterrupt
                return LinearTasks().sample(*sizes, **options)

        learner = make_learner()
        with pytest.raises(KeyboardInterrupt):
            learner.train(Interrupting(), 10, 5, 4, progress=False)
        assert len(learner.history) == 3
        straight = make_learner()
        train(straight, 3)
        assert largest_difference(parameters_of(learner.model), parameters_of(straight.model)) == 0.0

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
    def test_a_loss_that_is_not_finite_stops_before_it_does_harm(self, value):
        class Poisoned:
            calls = 0

            def sample(self, *sizes, **options):
                self.calls += 1
                tasks = LinearTasks().sample(*sizes, **options)
                if self.calls == 3:
                    tasks.query[1][:] = -float(value)
                return tasks

        def mean_error(prediction: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return (prediction - y).mean()

        learner, twin = make_learner(loss=mean_error), make_learner(loss=mean_error)
        with pytest.raises(FloatingPointError, match=f"query loss of update 3 is {value}"):
            learner.train(Poisoned(), 10, 5, 4, progress=False)
        train(twin, 2)
        assert learner.history == twin.history
        assert largest_difference(parameters_of(learner.model), parameters_of(twin.model)) == 0.0

    def test_same_seed_same_numbers(self):
        histories = [train(make_learner(), 3, seed=seed) for seed in (3, 3, 4)]
        assert histories[0] == histories[1]
        assert histories[0] != histories[2]

    def test_another_seed_starts_another_stream(self):
        learner, fresh = make_learner(), make_learner()
        train(learner, 2, seed=1)
        learner.model.load_state_dict(fresh.model.state_dict())
        assert train(learner, 1, seed=2)[0]["query_loss"] == train(fresh, 1, seed=2)[0]["query_loss"]

    def test_embeddings_train_on_integer_inputs(self):
        class Words:
            def sample(self, n_tasks, n_support, n_query, *, generator, device):
                x = torch.randint(0, 6, (n_tasks, n_support), generator=generator)
                return TaskBatch((x, x[..., None].float()), (x, x[..., None].float()))

        learner = make_learner(nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 1)))
        learner.train(Words(), 2, 5, 3, progress=False)
        x = torch.arange(6)
        assert learner.predict(x, learner.adapt(x, x[:, None].float())).shape == (6, 1)


class TestAdaptAndPredict:
    def test_one_task_is_the_first_of_many(self):
        learner = make_learner(steps=2)
        x, y = LinearTasks().sample(3, 5, 5, generator=make_generator(0)).support
        many, one = learner.adapt(x, y), learner.adapt(x[0], y[0])
        assert largest_difference({name: value[0] for name, value in many.items()}, one) < 1e-6

    def test_equals_gradient_descent(self):
        learner, twin = make_learner(inner_lr=0.1), make_network()
        (x, y), _ = LinearTasks().sample(1, 5, 5, generator=make_generator(0))
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            mse_loss(twin(x[0]), y[0]).backward()
            optimizer.step()
        adapted = learner.adapt(x[0], y[0], steps=3)
        assert largest_difference(adapted, parameters_of(twin)) < 1e-6
        torch.testing.assert_close(learner.predict(x[0], adapted), twin(x[0]).detach())

    def test_leaves_the_learner_alone(self):
        learner = make_learner()
        before = {name: value.clone() for name, value in learner.model.state_dict().items()}
        adapted = learner.adapt(torch.randn(5, 1), torch.randn(5, 1), steps=0)
        for value in adapted.values():
            value.add_(1.0)
        assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())

    def test_shapes_of_predictions(self):
        learner = make_learner()
        one = learner.adapt(torch.randn(5, 1), torch.randn(5, 1))
        many = learner.adapt(torch.randn(3, 5, 1), torch.randn(3, 5, 1))
        assert learner.predict(torch.randn(7, 1)).shape == (7, 1)
        assert learner.predict(torch.randn(3, 7, 1)).shape == (3, 7, 1)
        assert learner.predict(torch.randn(7, 1), one).shape == (7, 1)
        assert learner.predict(torch.randn(7, 1), many).shape == (3, 7, 1)
        assert learner.predict(torch.randn(3, 7, 1), many).shape == (3, 7, 1)

    def test_float64_arrays_are_converted_to_the_model(self):
        learner = make_learner()
        x, y = np.linspace(-1, 1, 5)[:, None], np.linspace(0, 1, 5)[:, None]
        x, y = torch.as_tensor(x), torch.as_tensor(y)
        assert learner.predict(x, learner.adapt(x, y)).dtype == torch.float32

    def test_data_that_disagree(self):
        learner = make_learner()
        for x, y in (
            ((5, 1), (4, 1)),
            ((4, 1), (5, 1)),
            ((3, 5, 1), (2, 5, 1)),
            ((5,), (5,)),
            ((2, 2, 2, 2), (2, 2, 2, 2)),
        ):
            with pytest.raises(ValueError, match="x and y must share"):
                learner.adapt(torch.zeros(x), torch.zeros(y))
        with pytest.raises(ValueError, match="support must hold at least one task and one example"):
            learner.adapt(torch.zeros(0, 1), torch.zeros(0, 1))
        with pytest.raises(ValueError, match="steps must be an integer >= 0"):
            learner.adapt(torch.zeros(5, 1), torch.zeros(5, 1), steps=-1)
        for call in (lambda x: learner.adapt(x, x), learner.predict):
            with pytest.raises(TypeError, match="x must be floating point"):
                call(torch.zeros(5, 1, dtype=torch.int64))


class TestResume:
    @pytest.mark.parametrize("settings", [{}, {"steps": 2, "first_order": True, "inner_lr": 0.1}])
    def test_2k_updates_equal_k_save_load_k(self, tmp_path, settings):
        straight, first = make_learner(**settings), make_learner(**settings)
        train(straight, 6)
        train(first, 3)
        first.save(tmp_path / "half.safetensors")
        resumed = MetaLearner.load(tmp_path / "half.safetensors", make_network(seed=5), device="cpu")
        train(resumed, 3)
        assert resumed.history == straight.history
        assert largest_difference(parameters_of(resumed.model), parameters_of(straight.model)) == 0.0
        assert resumed._config() == straight._config()

    def test_before_any_training(self, tmp_path):
        make_learner().save(tmp_path / "new.safetensors")
        resumed = MetaLearner.load(tmp_path / "new.safetensors", make_network(seed=5), device="cpu")
        assert train(resumed, 2) == train(make_learner(), 2)

    def test_buffers_are_restored(self, tmp_path):
        model = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval()
        model[1].running_mean.fill_(4.0)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        make_learner(model).save(tmp_path / "x.safetensors")
        other = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval()
        MetaLearner.load(tmp_path / "x.safetensors", other, device="cpu")
        assert torch.equal(other.state_dict()["1.running_mean"], torch.full((3,), 4.0))

    def test_another_model_is_refused_and_left_alone(self, tmp_path):
        path = tmp_path / "x.safetensors"
        make_learner().save(path)
        wider = make_network(32)
        before = {name: value.clone() for name, value in wider.state_dict().items()}
        with pytest.raises(
            ValueError, match=r"model.0.weight is \[32, 1\] torch.float32, but .* holds \[16, 1\]"
        ):
            MetaLearner.load(path, wider)
        assert all(torch.equal(value, before[name]) for name, value in wider.state_dict().items())
        with pytest.raises(ValueError, match=r"of another model: it lacks \['model.bias', 'model.weight'\]"):
            MetaLearner.load(path, nn.Linear(1, 1))

    def test_another_loss_is_refused(self, tmp_path):
        make_learner(loss=l1_loss).save(tmp_path / "x.safetensors")
        with pytest.raises(ValueError, match=r"loss: .* was trained with 'l1_loss', got 'mse_loss'"):
            MetaLearner.load(tmp_path / "x.safetensors", make_network())
        MetaLearner.load(tmp_path / "x.safetensors", make_network(), loss=l1_loss, device="cpu")

    @pytest.mark.parametrize("seed", [None, 3])
    def test_a_resumed_training_goes_on_with_its_own_seed(self, tmp_path, seed):
        straight, first = make_learner(), make_learner()
        train(straight, 6, seed=3)
        train(first, 1, seed=3)
        train(first, 2)
        first.save(tmp_path / "half.safetensors")
        resumed = MetaLearner.load(tmp_path / "half.safetensors", make_network(seed=5), device="cpu")
        train(resumed, 3, seed=seed)
        assert resumed.history == straight.history
        assert largest_difference(parameters_of(resumed.model), parameters_of(straight.model)) == 0.0

    def test_the_seed_is_0_if_none_was_ever_named_and_0_is_another_than_3(self):
        assert train(make_learner(), 2) == train(make_learner(), 2, seed=0)
        learner, fresh = make_learner(), make_learner()
        train(learner, 2, seed=3)
        learner.model.load_state_dict(fresh.model.state_dict())
        assert train(learner, 1, seed=0)[0]["query_loss"] == train(fresh, 1)[0]["query_loss"]

    def test_numbers_of_numpy_train_and_resume_as_pythons_do(self, tmp_path):
        rates: Any = {"inner_lr": float(np.float32(0.05)), "meta_lr": float(np.float32(0.01))}
        own = make_learner(**rates, steps=2, chunk_size=3)
        numpys: Any = {"inner_lr": np.float32(0.05), "meta_lr": np.float32(0.01), "chunk_size": np.int32(3)}
        theirs = make_learner(**numpys, steps=np.int64(2))
        own.train(LinearTasks(), 4, 5, 4, seed=3, progress=False)
        sizes: Any = (np.int64(2), np.int32(5), np.uint8(4))
        seed: Any = np.int64(3)
        theirs.train(LinearTasks(), *sizes, seed=seed, progress=False)
        theirs.save(tmp_path / "x.safetensors")
        resumed = MetaLearner.load(tmp_path / "x.safetensors", make_network(seed=5), device="cpu")
        resumed.train(LinearTasks(), *sizes, seed=3, progress=False)
        assert resumed.history == own.history
        assert resumed._config() == own._config()


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"inner_lr": -0.1}, "inner_lr must be finite and >= 0"),
            ({"inner_lr": float("nan")}, "inner_lr must be finite and >= 0"),
            ({"meta_lr": 0.0}, "meta_lr must be a finite number > 0"),
            ({"meta_lr": float("nan")}, "meta_lr must be a finite number > 0"),
            ({"meta_lr": "fast"}, "meta_lr must be a finite number > 0"),
            ({"meta_lr": True}, "meta_lr must be a finite number > 0"),
            ({"steps": -1}, "steps must be an integer >= 0"),
            ({"chunk_size": 0}, "chunk_size must be an integer >= 1"),
            ({"device": "cuda:99"}, "device cuda:99 is not there"),
            ({"model": nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))}, "keeps running statistics"),
        ],
    )
    def test_constructor(self, settings, message):
        with pytest.raises(ValueError, match=message):
            make_learner(**settings)

    def test_a_model_without_parameters(self):
        with pytest.raises(TypeError, match="params must be a non-empty dict"):
            make_learner(nn.Identity())

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"epochs": 0}, "epochs must be an integer >= 1"),
            ({"inner_batch_size": 0}, "inner_batch_size must be an integer >= 1"),
            ({"outer_batch_size": -2}, "outer_batch_size must be an integer >= 1"),
            ({"query_batch_size": 0}, "query_batch_size must be an integer >= 1"),
            ({"seed": -1}, "seed must be an integer >= 0"),
        ],
    )
    def test_train(self, settings, message):
        learner = make_learner()
        sizes = {"epochs": 1, "inner_batch_size": 5, "outer_batch_size": 4} | settings
        with pytest.raises(ValueError, match=message):
            learner.train(LinearTasks(), **sizes, progress=False)
        assert learner.history == []

    def test_tasks_without_sample(self):
        no_tasks: Any = [1, 2]
        with pytest.raises(TypeError, match="tasks must have a method sample"):
            make_learner().train(no_tasks, 1, 5, 4)
