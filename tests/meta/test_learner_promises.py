"""MetaLearner beyond plain training: precision, frozen and named parameters, failures, copies, shapes."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import mse_loss

from mlearn_utils import LinearTasks, MetaLearner, SineTasks, TaskBatch
from mlearn_utils.meta import learner as learner_module
from mlearn_utils.meta.compiled import compiled_meta_gradient
from mlearn_utils.meta.maml import meta_gradient, module_loss, parameters_of
from mlearn_utils.runtime import make_generator
from tests.meta.reference import largest_difference


def make_network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)


def train(learner: MetaLearner, epochs: int, tasks: Any = None) -> list[dict[str, Any]]:
    return learner.train(SineTasks() if tasks is None else tasks, epochs, 5, 4, progress=False)


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
    def test_it_learns_from_float32_data(self, dtype):
        learner = MetaLearner(make_network(dtype), inner_lr=0.05, meta_lr=0.01, device="cpu")
        losses = [row["query_loss"] for row in train(learner, 60, LinearTasks())]
        assert sum(losses[-15:]) < 0.8 * sum(losses[:15])
        assert all(value.dtype == dtype for value in learner.model.parameters())
        x, y = torch.randn(5, 1), torch.randn(5, 1)
        assert learner.predict(x, learner.adapt(x, y)).dtype == dtype

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_small_updates_of_half_precision_add_up(self, dtype):
        """A weight of 1 in bfloat16 does not feel steps of 1e-4: the float32 copy does."""
        model = nn.Linear(1, 1).to(dtype)
        nn.init.ones_(model.weight)
        nn.init.ones_(model.bias)
        learner = MetaLearner(model, inner_lr=0.0, meta_lr=1e-4, steps=0, device="cpu")

        class Zero:
            def sample(self, n: int, k: int, q: int, *, generator: Any, device: Any) -> TaskBatch:
                x = torch.ones(n, k, 1)
                return TaskBatch((x, 0 * x), (x, 0 * x))

        train(learner, 200, Zero())
        assert float(model.weight.detach()) == pytest.approx(0.98, abs=0.005)
        model.load_state_dict({"weight": torch.full((1, 1), 3.0), "bias": torch.ones(1)})
        train(learner, 1, Zero())
        assert float(model.weight.detach()) == pytest.approx(3.0, abs=0.01)  # the copies follow the model

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    def test_one_update_is_adam_on_the_meta_gradient(self, dtype):
        model = make_network(dtype)
        learner = MetaLearner(model, inner_lr=0.05, meta_lr=0.01, device="cpu")
        wide = torch.promote_types(dtype, torch.float32)
        masters = [value.detach().to(wide).clone().requires_grad_() for value in model.parameters()]
        tasks = SineTasks().sample(4, 5, 5, generator=make_generator(0))
        cast = TaskBatch(*(tuple(t.to(dtype) for t in batch) for batch in tasks))
        _, gradient = meta_gradient(module_loss(model, mse_loss), parameters_of(model), cast, inner_lr=0.05)
        for master, grad in zip(masters, gradient.values(), strict=True):
            master.grad = grad.to(wide)
        torch.optim.Adam(masters, lr=0.01).step()
        train(learner, 1)
        assert all(torch.equal(m.to(dtype), v) for m, v in zip(masters, model.parameters(), strict=True))


class TestFrozenAndNamed:
    def test_frozen_parameters_are_bit_for_bit_the_same(self):
        model = make_network()
        model[0].requires_grad_(False)
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        learner = MetaLearner(model, device="cpu")
        train(learner, 20)
        adapted = learner.adapt(torch.randn(5, 1), torch.randn(5, 1))
        for name, value in model.named_parameters():
            assert torch.equal(value, before[name]) == name.startswith("0.")
            assert torch.equal(adapted[name], value) == name.startswith("0.")
            assert value.requires_grad != name.startswith("0.")

    def test_what_adapts_and_what_learns_is_chosen_by_name(self):
        learner = MetaLearner(make_network(), inner_lr=0.1, adapted=["2"], learned=["0.weight"], device="cpu")
        before = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
        train(learner, 3)
        after = parameters_of(learner.model)
        assert [k for k in before if not torch.equal(before[k], after[k])] == ["0.weight"]
        adapted = learner.adapt(torch.randn(5, 1), torch.randn(5, 1))
        assert [k for k in after if not torch.equal(adapted[k], after[k])] == ["2.weight", "2.bias"]

    @pytest.mark.parametrize("argument", ["adapted", "learned"])
    @pytest.mark.parametrize("names", ["2", [], ["head"], [2], 2, [None]])
    def test_names_that_are_none(self, argument, names):
        with pytest.raises(ValueError, match=f"{argument} must name parameters"):
            MetaLearner(make_network(), **{argument: names}, device="cpu")

    def test_nothing_left_to_learn(self):
        with pytest.raises(ValueError, match="are frozen"):
            MetaLearner(make_network().requires_grad_(False), device="cpu")

    def test_a_rate_for_each_parameter_that_adapts(self):
        learner = MetaLearner(make_network(), {"2.weight": 0.1, "2.bias": torch.tensor(0.2)}, adapted=["2"])  # pyright: ignore
        assert learner.inner_lr == {"2.weight": 0.1, "2.bias": pytest.approx(0.2)}
        train(learner, 1)
        with pytest.raises(ValueError, match=r"missing \['0.bias', '0.weight', '2.bias'\]"):
            MetaLearner(make_network(), {"2.weight": 0.1})
        with pytest.raises(ValueError, match="inner_lr must be a 0-d tensor"):
            MetaLearner(make_network(), torch.ones(3))  # pyright: ignore[reportArgumentType]


class Poisoned:
    """Linear tasks, the third draw of which is made by `how`."""

    def __init__(self, how: Any) -> None:
        self.how, self.calls = how, 0

    def sample(self, *sizes: int, **options: Any) -> TaskBatch:
        self.calls += 1
        tasks = LinearTasks().sample(*sizes, **options)
        return self.how(tasks) if self.calls == 3 else tasks


def root(prediction: Tensor, y: Tensor) -> Tensor:
    return (prediction - y).abs().sqrt().mean()  # its derivative at 0 is infinite, where its value is 0


def shifted(tasks: TaskBatch) -> TaskBatch:
    tasks.support[1][:] = float("nan")
    return tasks


class TestFailures:
    def check_stopped(self, learner: MetaLearner, twin: MetaLearner, tasks: Any, message: str) -> None:
        with pytest.raises(FloatingPointError, match=message):
            train(learner, 10, tasks)
        train(twin, 2, LinearTasks())
        assert learner.history == twin.history
        assert largest_difference(parameters_of(learner.model), parameters_of(twin.model)) == 0.0
        state, other = learner._optimizer.state_dict(), twin._optimizer.state_dict()
        assert state["param_groups"] == other["param_groups"]
        assert all(
            torch.equal(state["state"][k][name], value)
            for k, values in other["state"].items()
            for name, value in values.items()
        )

    def test_a_gradient_that_is_not_finite_at_a_finite_loss(self):
        def exact(tasks: TaskBatch) -> TaskBatch:
            x = tasks.query[0]
            return TaskBatch(tasks.support, (x, torch.stack([learner.predict(each) for each in x])))

        learner, twin = (
            MetaLearner(make_network(), steps=0, loss=root, meta_lr=0.01, device="cpu") for _ in range(2)
        )
        message = "gradient of update 3 is not finite, although its query loss is"
        self.check_stopped(learner, twin, Poisoned(exact), message)

    def test_data_that_hold_nan_are_named(self):
        learner, twin = (MetaLearner(make_network(), device="cpu") for _ in range(2))
        self.check_stopped(learner, twin, Poisoned(shifted), "update 3 is nan: its tasks hold NaN")

    def test_a_gradient_whose_square_is_too_large_for_adam(self):
        learner = MetaLearner(make_network(), steps=0, loss=lambda p, y: 1e25 * mse_loss(p, y), device="cpu")
        before = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
        with pytest.raises(FloatingPointError, match="update 1 is so large that its square is infinite"):
            train(learner, 3)
        assert all(torch.equal(value, before[name]) for name, value in learner.model.named_parameters())
        assert learner.history == []

    def test_freezing_and_thawing_between_two_trainings_is_followed(self):
        model = make_network()
        model[2].requires_grad_(False)
        learner = MetaLearner(model, meta_lr=0.01, device="cpu")
        for frozen in ("2", "0"):
            model.requires_grad_(True)
            model.get_submodule(frozen).requires_grad_(False)
            before = {name: value.detach().clone() for name, value in model.named_parameters()}
            train(learner, 3)
            same = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
            assert same == {f"{frozen}.weight", f"{frozen}.bias"}  # nor does Adam's memory move them

    def test_settings_changed_to_what_cannot_be_are_refused_in_training(self):
        for name, value in (("max_grad_norm", -1.0), ("inner_lr", -0.1), ("steps", -1), ("adapted", ["x"])):
            learner = MetaLearner(make_network(), device="cpu")
            setattr(learner, name, value)
            with pytest.raises(ValueError, match=name):
                train(learner, 1)
            assert learner.history == []

    @pytest.mark.parametrize("limit", [0.01, 1e9])
    def test_the_norm_of_the_meta_gradient_is_limited(self, limit):
        model = make_network()
        tasks = SineTasks().sample(4, 5, 5, generator=make_generator(0))
        _, gradient = meta_gradient(module_loss(model, mse_loss), parameters_of(model), tasks, inner_lr=0.01)
        twins = [value.detach().clone().requires_grad_() for value in model.parameters()]
        for twin, grad in zip(twins, gradient.values(), strict=True):
            twin.grad = grad
        torch.nn.utils.clip_grad_norm_(twins, limit)
        torch.optim.Adam(twins, lr=0.01, eps=1e-8).step()
        train(MetaLearner(model, meta_lr=0.01, max_grad_norm=limit, device="cpu"), 1)
        for twin, value in zip(twins, model.parameters(), strict=True):
            torch.testing.assert_close(value, twin, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"max_grad_norm": 0.0}, "max_grad_norm must be a finite number > 0"),
            ({"task_ndim": 0}, "task_ndim must be an integer >= 1"),
            ({"vectorized": 1}, "vectorized must be True or False"),
            ({"first_order": "yes"}, "first_order must be True or False"),
        ],
    )
    def test_settings_out_of_range(self, settings, message):
        with pytest.raises(ValueError, match=message):
            MetaLearner(make_network(), **settings, device="cpu")

    def test_families_that_are_none(self):
        learner = MetaLearner(make_network(), device="cpu")
        with pytest.raises(TypeError, match="tasks must have a method sample"):
            train(learner, 1, SineTasks)

        class One:
            def sample(self, n: int, k: int, q: int, **options: Any) -> TaskBatch:
                return SineTasks().sample(1, k, q, **options)

        with pytest.raises(ValueError, match=r"tasks: sample\(4, ...\) returned 1 tasks"):
            train(learner, 1, One())


class TestCopies:
    @pytest.mark.parametrize("way", [copy.deepcopy, lambda learner: pickle.loads(pickle.dumps(learner))])
    def test_a_copy_goes_on_alike_and_by_itself(self, way):
        learner = MetaLearner(make_network(), inner_lr=0.05, meta_lr=0.01, device="cpu")
        train(learner, 3)
        twin = way(learner)
        assert twin.model is not learner.model
        assert train(twin, 3) == train(learner, 3)
        with torch.no_grad():
            twin.model[2].bias.add_(1.0)  # pyright: ignore
        x, y = torch.randn(5, 1), torch.randn(5, 1)
        fresh = MetaLearner(copy.deepcopy(twin.model), inner_lr=0.05, device="cpu")
        assert largest_difference(twin.adapt(x, y), fresh.adapt(x, y)) == 0.0
        assert largest_difference(twin.adapt(x, y), learner.adapt(x, y)) > 0.1

    def test_attributes_take_effect_or_are_refused(self):
        learner, twin = (MetaLearner(make_network(), device="cpu") for _ in range(2))
        learner.loss, learner.meta_lr, learner.inner_lr, learner.steps = F.l1_loss, 0.02, 0.1, 2
        twin = MetaLearner(make_network(), 0.1, 0.02, steps=2, loss=F.l1_loss, device="cpu")
        assert train(learner, 2) == train(twin, 2)
        with pytest.raises(ValueError, match="meta_lr must be a finite number > 0"):
            learner.meta_lr = 0.0
        with pytest.raises(TypeError, match="loss must be callable"):
            learner.loss = 3  # pyright: ignore[reportAttributeAccessIssue]

    def test_the_compiled_update_follows_mode_and_settings(self, monkeypatch):
        monkeypatch.setattr(
            learner_module, "compiled_meta_gradient", lambda: compiled_meta_gradient(lambda graph: graph)
        )
        learner = MetaLearner(make_network(), compile=True, device="cpu")
        twin = MetaLearner(make_network(), device="cpu")
        for settings in ({}, {"steps": 2}, {"inner_lr": 0.1}, {"adapted": ["2"]}):
            for each in (learner, twin):
                vars(each).update(settings)
            rows = [train(each, 1)[0]["query_loss"] for each in (learner, twin)]
            assert rows[0] == pytest.approx(rows[1], rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_learner_moves_between_gpu_and_cpu(dtype, tmp_path):
    histories = []
    for device in ("cpu", "cuda"):
        learner = MetaLearner(make_network(dtype), inner_lr=0.05, meta_lr=0.01, chunk_size=3, device=device)
        train(learner, 3)
        learner.save(tmp_path / device)
        histories.append([row["query_loss"] for row in learner.history])
    assert histories[1] == pytest.approx(histories[0], rel=3e-2 if dtype is torch.bfloat16 else 1e-4)
    moved = MetaLearner.load(tmp_path / "cuda", make_network(dtype), device="cpu")
    learner = MetaLearner.load(tmp_path / "cuda", make_network(dtype), device="cuda")
    for each in (moved, learner):
        train(each, 2)
    ends = [row["query_loss"] for row in moved.history]
    assert ends == pytest.approx(
        [row["query_loss"] for row in learner.history], rel=3e-2 if dtype is torch.bfloat16 else 1e-4
    )
    x, y = torch.randn(4, 5, 1), torch.randn(4, 5, 1)
    assert learner.predict(x, learner.adapt(x, y)).device.type == "cuda"


class Sequence(nn.Module):
    """Reads x [K, S, 2] by a recurrent layer."""

    def __init__(self, kind: Any = nn.LSTM) -> None:
        super().__init__()
        self.layer, self.last = kind(2, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x)[0][:, -1])


class Sequences:
    def sample(self, n: int, k: int, q: int, *, generator: Any, device: Any) -> TaskBatch:
        def draw(size: int) -> tuple[Tensor, Tensor]:
            x = torch.randn(n, size, 6, 2, generator=generator)
            return x, x.sum((2, 3))[..., None] * torch.randn(n, 1, 1, generator=generator)

        return TaskBatch(draw(k), draw(q))


class TestShapes:
    def test_before_training_it_is_asked_what_a_task_is(self):
        x, y = torch.randn(4, 6, 2), torch.randn(4, 1)
        learner = MetaLearner(Sequence(), vectorized=False, device="cpu")
        for call in (lambda: learner.adapt(x, y), lambda: learner.predict(x)):
            with pytest.raises(ValueError, match="give MetaLearner task_ndim"):
                call()
        told = MetaLearner(Sequence(), vectorized=False, task_ndim=3, device="cpu")
        assert told.predict(x, told.adapt(x, y)).shape == (4, 1)
        train(learner, 1, Sequences())
        assert learner.adapt(x, y)["last.bias"].shape == (1,)
        assert learner.adapt(x[None], y[None])["last.bias"].shape == (1, 1)

    @pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
    def test_a_recurrent_model_is_served_by_the_loop(self, kind):
        torch.manual_seed(0)
        model = Sequence(kind)
        twin = copy.deepcopy(model)
        with pytest.raises(ValueError, match="give vectorized=False"):
            train(MetaLearner(copy.deepcopy(model), device="cpu"), 1, Sequences())
        learner = MetaLearner(model, inner_lr=0.1, meta_lr=0.01, vectorized=False, device="cpu")
        train(learner, 1, Sequences())
        tasks = Sequences().sample(4, 5, 5, generator=make_generator(0), device="cpu")
        total = torch.zeros(())
        for i in range(4):
            params = parameters_of(twin)
            loss = mse_loss(twin(tasks.support[0][i]), tasks.support[1][i])
            grads = torch.autograd.grad(loss, tuple(params.values()), create_graph=True)
            end = {k: v - 0.1 * g for (k, v), g in zip(params.items(), grads, strict=True)}
            prediction = torch.func.functional_call(twin, end, (tasks.query[0][i],))
            total = total + mse_loss(prediction, tasks.query[1][i]) / 4
        optimizer = torch.optim.Adam(twin.parameters(), lr=0.01)
        total.backward()
        optimizer.step()
        assert largest_difference(parameters_of(model), parameters_of(twin)) < 1e-4
        assert learner.history[0]["query_loss"] == pytest.approx(float(total.detach()), rel=1e-5)

    def test_predictions_are_guarded_as_adaptation_is(self):
        class Noisy(nn.Linear):
            def forward(self, input: Tensor) -> Tensor:
                return F.dropout(super().forward(input), 0.5, training=True)

        class Counter(nn.Linear):
            def forward(self, input: Tensor) -> Tensor:
                self.last = super().forward(input)
                return self.last

        x = torch.randn(4, 1)
        for kind, message in ((Noisy, "draws random numbers"), (Counter, r"writes \['last'\]")):
            learner = MetaLearner(kind(1, 1), device="cpu")
            state = torch.get_rng_state()
            with pytest.raises(ValueError, match=message):
                learner.predict(x)
            assert torch.equal(torch.get_rng_state(), state)
            assert not hasattr(learner.model, "last")

    def test_parameters_and_inputs_that_do_not_fit(self):
        learner = MetaLearner(make_network(), device="cpu")
        many = learner.adapt(torch.randn(3, 5, 1), torch.randn(3, 5, 1))
        with pytest.raises(
            ValueError, match=r"x and params must hold the same number of tasks, got \[2, 3\]"
        ):
            learner.predict(torch.randn(2, 5, 1), many)
        with pytest.raises(ValueError, match=r"missing \['0.bias'\]"):
            learner.predict(torch.randn(5, 1), {k: v for k, v in many.items() if k != "0.bias"})
        one = {name: value[0] for name, value in many.items()}
        for wrong in (
            many | {"0.bias": one["0.bias"]},
            one | {"2.bias": many["2.bias"]},
            many | {"0.bias": many["0.bias"][:2]},
            one | {"0.weight": one["0.weight"].T},
            {name: value[None] for name, value in many.items()},
        ):
            with pytest.raises(ValueError, match="params must have the model's shapes"):
                learner.predict(torch.randn(5, 1), wrong)

    def test_what_is_no_network_of_rows_is_not_taken_for_one(self):
        class Pooled(nn.Sequential):
            def forward(self, input: Tensor) -> Tensor:
                return super().forward(input).mean(1)

        words = nn.Sequential(nn.Embedding(6, 2), nn.Linear(2, 1))
        for model, x in (
            (Pooled(nn.Linear(2, 1)), torch.randn(4, 6, 2)),
            (words, torch.randint(6, (4, 3))),
            (words, torch.randint(6, (4,))),
        ):
            with pytest.raises(ValueError, match="give MetaLearner task_ndim"):
                MetaLearner(model, device="cpu").predict(x)
        assert MetaLearner(words, task_ndim=1, device="cpu").predict(torch.randint(6, (4, 3))).shape == (
            4,
            3,
            1,
        )

    def test_a_family_of_other_dimensions_is_refused(self):
        learner = MetaLearner(make_network(), task_ndim=3, device="cpu")
        with pytest.raises(ValueError, match="their x has 2 dimensions a task, but task_ndim"):
            train(learner, 1)
        assert (learner.task_ndim, learner.history) == (3, [])
        learner.task_ndim = None
        train(learner, 1)
        assert learner.task_ndim == 2

    @pytest.mark.parametrize("inside", [False, True])
    def test_predictions_in_inference_mode(self, inside):
        learner, x = MetaLearner(make_network(), device="cpu"), torch.randn(5, 1)
        for params in (None, learner.adapt(torch.randn(3, 5, 1), torch.randn(3, 5, 1))):
            expected = learner.predict(x, params)
            with torch.inference_mode():
                assert torch.equal(learner.predict(x.clone() if inside else x, params), expected)
