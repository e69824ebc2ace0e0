"""MAMLAgent on families of one's own: continuous actions, own networks, and what may be wrong with them."""

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mlearn_utils import CartPoleTasks, MAMLAgent, MAMLConfig, PointTasks, check_family
from mlearn_utils.meta import maml
from mlearn_utils.meta.policies.adaptation import EpisodeBatch, PlayedEpisodes
from mlearn_utils.meta.policies.config import point_config
from mlearn_utils.rl.rollout import collect
from mlearn_utils.runtime import make_generator

SMALL: dict[str, Any] = {"tasks": 3, "episodes": 4, "iterations": 3, "hidden": 8}


class Line(gym.Env):
    """A point on a line: action 0 or 1 moves it, and the reward is what `pay` says of it."""

    made, closed = 0, 0

    def __init__(self, pay: Any, *, offset: float = 0.0, broken: Any = None) -> None:
        self.pay, self.offset, self.broken = pay, offset, broken
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        type(self).made += 1

    def seen(self) -> np.ndarray:
        return np.array([self.x + self.offset, 1.0], dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.x, self.steps = float(self.np_random.normal(0, 0.1)), 0
        return self.seen(), {}

    def step(self, action: int) -> Any:
        self.x += 0.2 * (2 * action - 1)
        self.steps += 1
        result = self.seen(), self.pay(self.x), False, False, {}
        return result if self.broken is None else self.broken(self, result)

    def close(self) -> None:
        type(self).closed += 1


class Lines:
    """Lines whose direction is hidden."""

    def __init__(self, pay: Any = None, horizon: int | None = 12, **settings: Any) -> None:
        self.pay, self.settings = pay, settings
        if horizon is not None:
            self.horizon = horizon

    def sample(self, n_tasks: int, *, seed: int) -> Any:
        return np.random.default_rng(seed).choice([-1.0, 1.0], n_tasks)

    def make_env(self, task: float) -> gym.Env:
        return Line(self.pay or (lambda x: task * x), **self.settings)


def agent(family: Any = None, network: Any = None, **settings: Any) -> MAMLAgent:
    return MAMLAgent(
        Lines() if family is None else family, MAMLConfig(**SMALL | settings), network=network, device="cpu"
    )


def moved(agent: MAMLAgent, tasks: Any) -> float:
    """Return how far one inner step goes at most."""
    params = agent.adapt(tasks)
    return max(float((params[name] - value).detach().abs().max()) for name, value in agent.params.items())


class TestBatchesThatTellNothing:
    @pytest.mark.parametrize("pay", [lambda x: -1.0, lambda x: 0.0, lambda x: 1e6])
    @pytest.mark.parametrize("episodes", [1, 4])
    def test_nothing_moves(self, pay, episodes):
        learner = agent(Lines(pay), episodes=episodes)
        assert moved(learner, [1.0, -1.0]) == 0.0
        before = {name: value.detach().clone() for name, value in learner.params.items()}
        learner.train(1, progress=False)
        assert all(torch.equal(value, before[name]) for name, value in learner.params.items())

    def test_nor_does_the_memory_of_adam_move_anything(self):
        learner = agent()
        learner.train(2, progress=False)
        learner.family = Lines(lambda x: -1.0)
        before = {name: value.detach().clone() for name, value in learner.params.items()}
        learner.train(2, progress=False)
        assert all(torch.equal(value, before[name]) for name, value in learner.params.items())

    def test_a_small_difference_between_episodes_tells_something(self):
        learner = agent(Lines(lambda x: -1.0 + 0.01 * x))
        assert moved(learner, [1.0]) > 0.01

    def test_a_task_that_tells_nothing_stays_beside_one_that_does(self):
        class Mixed(Lines):
            def make_env(self, task: float) -> gym.Env:
                return Line((lambda x: -1.0) if task < 0 else (lambda x: x))

        learner = agent(Mixed())
        params = learner.adapt([-1.0, 1.0])
        start = learner.params["0.weight"].detach()
        assert torch.equal(params["0.weight"][0], start)
        assert not torch.equal(params["0.weight"][1], start)


class TestObservations:
    @pytest.mark.parametrize("offset", [0.0, 100.0, -1000.0])
    def test_an_offset_is_taken_off(self, offset):
        learner = agent(Lines(offset=offset))
        learner.train(3, progress=False)
        plain = agent(Lines())
        env = learner.make_batch([1.0, -1.0])
        seen = learner.model.scaled(collect(env, learner.policy(), generator=make_generator(0)).obs)
        assert float(seen.abs().max()) < 20
        assert float(seen[..., 0].std()) == pytest.approx(1.0, abs=0.5)
        assert float(seen[..., 1].abs().max()) < 2  # the constant feature
        returns = [each.evaluate([1.0, -1.0], steps=0).mean() for each in (learner, plain)]
        assert np.isfinite(returns).all()

    @pytest.mark.parametrize("kind", [MAMLAgent.train, MAMLAgent.evaluate, MAMLAgent.adapt])
    def test_nan_is_named_with_its_step_and_environment(self, kind):
        def broken(env: Line, result: tuple) -> tuple:
            return (result[0] * np.nan, *result[1:]) if env.steps == 3 else result

        healthy = agent()
        healthy.family = Lines(broken=broken)
        before = {name: value.detach().clone() for name, value in healthy.params.items()}
        call = {"train": lambda: healthy.train(1, progress=False)}.get(
            kind.__name__, lambda: kind(healthy, [1.0])
        )
        with pytest.raises(
            ValueError, match=r"observation must be finite, got \[nan, nan\] at step 3 of an episode"
        ):
            call()
        assert all(torch.equal(value, before[name]) for name, value in healthy.params.items())
        assert healthy.history == []

    def test_pixels_are_judged_by_time_alone(self):
        class Pictures(Lines):
            def make_env(self, task: float) -> gym.Env:
                env = Line(lambda x: task * x)
                env.observation_space = gym.spaces.Box(-np.inf, np.inf, (12, 12), np.float32)
                env.seen = lambda: np.full((12, 12), env.x, dtype=np.float32)
                return env

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.filter, self.last = nn.Conv2d(1, 2, 3, stride=3), nn.Linear(32, 2)

            def forward(self, x: Tensor) -> Tensor:
                return self.last(torch.relu(self.filter(x[:, None])).flatten(1))

        learner = agent(Pictures(), Net())
        assert learner.train(2, progress=False)[-1]["iteration"] == 2
        assert learner.adapt([1.0, -1.0])["filter.weight"].shape == (2, 2, 1, 3, 3)


class TestEnvironments:
    def test_all_are_closed(self):
        Line.made = Line.closed = 0
        learner = agent()
        learner.train(2, progress=False)
        learner.evaluate([1.0, -1.0])
        learner.adapt([1.0])
        assert Line.made == Line.closed > 20

    def test_they_are_closed_also_when_a_step_fails(self):
        def broken(env: Line, result: tuple) -> tuple:
            raise RuntimeError("the environment's own")

        learner = agent()
        learner.family = Lines(broken=broken)
        Line.made = Line.closed = 0
        with pytest.raises(RuntimeError, match="the environment's own"):
            learner.evaluate([1.0])
        assert Line.made == Line.closed == 4

    @pytest.mark.parametrize(
        ("limit", "horizon", "expected"), [(30, None, 30), (30, 7, 7), (None, None, 1000)]
    )
    def test_their_own_time_limit_holds(self, limit, horizon, expected):
        class Timed(Lines):
            def make_env(self, task: float) -> gym.Env:
                env = super().make_env(task)
                return env if limit is None else gym.wrappers.TimeLimit(env, limit)

        learner = agent(Timed(horizon=None), horizon=horizon, episodes=1, tasks=1)
        assert learner.horizon == expected
        batch = learner.make_batch([1.0])
        assert collect(batch, learner.policy(), generator=make_generator(0)).obs.shape[1] == expected

    @pytest.mark.parametrize(
        ("broken", "error", "message"),
        [
            (lambda env, r: (r[0], r[1], r[2], r[4]), TypeError, "env.step must return .* got 4 values"),
            (
                lambda env, r: (r[0], np.array([1.0]), *r[2:]),
                TypeError,
                "env.step must return a number as reward",
            ),
            (
                lambda env, r: (r[0][:1], *r[1:]),
                ValueError,
                r"env.step returned an observation of shape \(1,\)",
            ),
            (lambda env, r: (r[0], np.nan, *r[2:]), ValueError, "reward must be finite, got nan at step 0"),
        ],
    )
    def test_what_their_step_returns_is_checked(self, broken, error, message):
        with pytest.raises(error, match=message):
            agent(Lines(broken=broken)).train(1, progress=False)

    def test_wrappers_of_a_cart_pole_are_not_dropped_in_silence(self):
        env = gym.make("CartPole-v1")
        blind = gym.wrappers.TransformObservation(env, lambda obs: obs * 0, env.observation_space)
        with pytest.raises(TypeError, match=r"without its wrappers \['TransformObservation'\]"):
            MAMLAgent(blind)
        with pytest.warns(UserWarning, match="whatever its own time limit"):
            assert MAMLAgent(gym.make("CartPole-v1", max_episode_steps=20)).horizon == 100


class TestFamilies:
    @pytest.mark.parametrize(
        ("sample", "error", "message"),
        [
            (lambda n, seed: (k for k in range(n)), TypeError, "must return a sequence of tasks"),
            (lambda n, seed: [1.0], ValueError, r"sample\(3, seed=.*\) of Odd returned 1 tasks"),
            (lambda n, seed: None, TypeError, "must return a sequence of tasks"),
        ],
    )
    def test_what_sample_returns_is_checked(self, sample, error, message):
        class Odd(Lines):
            def sample(self, n_tasks: int, *, seed: int) -> Any:
                return [1.0] if n_tasks == 1 and "returned" in message else sample(n_tasks, seed)

        with pytest.raises(error, match=message):
            agent(Odd()).train(1, progress=False)

    @pytest.mark.parametrize(
        ("family", "fault"),
        [
            (Lines, "it is the class Lines, not an object of it"),
            (object(), "it lacks sample and make_env"),
            (Lines(horizon=None), "its episodes have no time limit"),
            (Lines(lambda x: -1.0), "its tasks do not differ"),
            (Lines(broken=lambda env, r: (r[0], np.nan, *r[2:])), "not finite"),
            (Lines(broken=lambda env, r: r[:4]), "got 4 values"),
            (Lines(broken=lambda env, r: (r[0] + np.random.rand(), *r[1:])), "play differently"),  # noqa: NPY002
        ],
    )
    def test_the_checker_says_what_is_wrong(self, family, fault):
        assert any(fault in said for said in check_family(family)), check_family(family)

    def test_the_checker_looks_at_how_tasks_are_drawn(self):
        class Same(Lines):
            def sample(self, n_tasks: int, *, seed: int) -> Any:
                return [(-1.0) ** k for k in range(n_tasks)]

        class Global(Lines):
            def sample(self, n_tasks: int, *, seed: int) -> Any:
                return list(np.random.rand(n_tasks))  # noqa: NPY002

        class Shared(Lines):
            only = Line(lambda x: x)

            def make_env(self, task: float) -> gym.Env:
                return self.only

        assert (
            "sample with another seed gives the same tasks: its randomness must come from seed"
            in check_family(Same())
        )
        assert any("numpy's global generator" in said for said in check_family(Global()))
        assert any("the same object twice" in said for said in check_family(Shared()))
        assert check_family(Lines()) == check_family(CartPoleTasks("dirv")) == []


class TestContinuousActions:
    def test_the_point_is_learned_a_little_in_a_few_iterations(self):
        learner = MAMLAgent(PointTasks(), point_config(tasks=10, episodes=10, iterations=25), device="cpu")
        learner.train(progress=False)
        goals = PointTasks().sample(40, seed=1)
        returns = learner.evaluate(goals, steps=1, episodes=20).mean(axis=1)
        assert returns[0] < -10
        assert returns[1] > -4
        greedy = learner.evaluate(goals, steps=1, episodes=20, greedy=True).mean(axis=1)
        assert greedy[1] > returns[1] - 0.2

    def test_the_deviation_falls_and_neither_adapts_nor_learns(self):
        learner = MAMLAgent(PointTasks(), point_config(tasks=2, episodes=2, iterations=10), device="cpu")
        for expected in np.linspace(0, -1.5, 9)[:3]:
            learner.train(1, progress=False)
            assert learner.params["log_std"].tolist() == pytest.approx([expected] * 2)
        adapted = learner.adapt(PointTasks().sample(2, seed=0), steps=2)
        assert torch.equal(adapted["log_std"], learner.params["log_std"].expand(2, 2))

    def test_or_is_learned_by_the_outer_loop_alone(self):
        learner = MAMLAgent(
            PointTasks(), point_config(tasks=2, episodes=2, iterations=3, learn_log_std=True), device="cpu"
        )
        learner.train(2, progress=False)
        assert learner.params["log_std"].abs().min() > 0
        adapted = learner.adapt(PointTasks().sample(2, seed=0))
        assert torch.equal(adapted["log_std"], learner.params["log_std"].detach().expand(2, 2))

    def test_gymnasium_s_pendulum(self):
        class Pendulums:
            horizon = 10

            def sample(self, n_tasks: int, *, seed: int) -> list[float]:
                return list(np.random.default_rng(seed).uniform(0.5, 1.5, n_tasks))

            def make_env(self, task: float) -> gym.Env:
                env = gym.make("Pendulum-v1")
                env.unwrapped.l = task  # pyright: ignore
                return env

        learner = agent(Pendulums(), hidden=(8, 8), max_grad_norm=0.5)
        learner.train(2, progress=False)
        assert learner.evaluate([0.7, 1.3], steps=1).shape == (2, 2)
        assert learner.params["4.weight"].shape == (1, 8)

    @pytest.mark.parametrize("log_std", [0.0, (0.0,), (0.0, float("nan")), "ab", (0.0, 1.0, 2.0)])
    def test_bad_deviations(self, log_std):
        with pytest.raises(ValueError, match="log_std must be two finite numbers"):
            MAMLConfig(log_std=log_std)


class Logits(nn.Module):
    def __init__(self, out: int = 2) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 6), nn.Linear(6, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x)))


class TestOwnNetworks:
    def test_it_is_the_same_as_the_built_in_one_of_that_shape(self):
        built_in = agent(hidden=6)
        own = agent(network=Logits(1), hidden=6)
        names = {"a.weight": "0.weight", "a.bias": "0.bias", "b.weight": "2.weight", "b.bias": "2.bias"}
        with torch.no_grad():
            for mine, its in names.items():
                own.params[mine].copy_(built_in.params[its])
        own.model.center, own.model.scale = built_in.center, built_in.scale
        rows = [each.train(2, progress=False)[-1] for each in (own, built_in)]
        assert rows[0]["after"] == pytest.approx(rows[1]["after"], rel=1e-4)
        for mine, its in names.items():
            torch.testing.assert_close(own.params[mine], built_in.params[its], rtol=1e-3, atol=1e-4)

    def test_the_module_given_is_neither_trained_nor_kept(self):
        module = Logits()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        agent(network=module).train(2, progress=False)
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())

    def test_means_alone_or_with_deviations(self):
        for width in (2, 4):
            learner = MAMLAgent(
                PointTasks(),
                point_config(tasks=2, episodes=2, iterations=3),
                network=Logits(width),
                device="cpu",
            )
            learner.train(1, progress=False)
            assert ("log_std" in learner.params) == (width == 2)

    @pytest.mark.parametrize(
        ("network", "error", "message"),
        [
            (Logits(3), ValueError, r"network must return 1 or 2 numbers .* got 3"),
            (nn.Flatten(0), ValueError, "network must have parameters that learn"),
            (nn.Sequential(nn.Linear(2, 2), nn.Flatten(0)), ValueError, "another shape than"),
            (lambda obs: obs, TypeError, "network must be a torch.nn.Module"),
        ],
    )
    def test_what_is_none_is_refused(self, network, error, message):
        with pytest.raises(error, match=message):
            agent(network=network)

    def test_it_is_saved_and_compared(self, tmp_path):
        learner = agent(network=Logits())
        learner.train(1, progress=False)
        learner.save(tmp_path / "x.safetensors")
        resumed = MAMLAgent.load(tmp_path / "x.safetensors", Lines(), network=Logits(), device="cpu")
        assert resumed.train(1, progress=False) == learner.train(1, progress=False)
        for other in (None, nn.Linear(2, 2)):
            with pytest.raises(ValueError, match=r"network: .* was trained with"):
                MAMLAgent.load(tmp_path / "x.safetensors", Lines(), network=other, device="cpu")


class TestTheSecondEpoch:
    @pytest.mark.parametrize("surrogate", ["plain", "lvc", "dice"])
    def test_its_inner_step_uses_the_ratio_to_who_played(self, surrogate):
        """An importance-weighted policy gradient, by hand: sum over steps of ratio * score * advantage."""
        learner = agent(surrogate=surrogate)
        env = learner.make_batch([1.0])
        batch = learner.with_advantages(collect(env, learner.policy(), generator=make_generator(0)))
        start = {name: value.detach()[None] for name, value in learner.params.items()}
        played = learner.log_probs(start, batch)
        moved = {name: (value + 0.05).requires_grad_() for name, value in start.items()}
        logp = learner.model.log_probs(moved, batch.obs, batch.act)
        ratio = (logp - played).detach()
        ratio = (ratio * batch.mask).cumsum(1).exp() if surrogate == "dice" else ratio.exp()
        if surrogate == "dice":  # the score of all steps so far, each with the weight of the episode so far
            masked = logp * batch.mask
            before = ratio / (logp - played).detach().exp()
            so_far = masked.cumsum(1)
            weighted = ratio * so_far - before * (so_far - masked)
        else:
            weighted = ratio * logp
        total = -(weighted * batch.adv * batch.mask).sum((1, 2)) / batch.act.shape[-1] / learner.horizon
        expected = torch.autograd.grad(total.sum(), tuple(moved.values()))
        support = PlayedEpisodes(*batch, played)
        after = maml.inner_step(learner.task_loss, moved, support, inner_lr=1.0)
        for (name, value), grad in zip(moved.items(), expected, strict=True):
            torch.testing.assert_close(value - after[name], grad, rtol=1e-4, atol=1e-6)

    def test_at_the_first_it_is_the_same_as_without(self):
        learner = agent()
        batch = learner.with_advantages(
            collect(learner.make_batch([1.0]), learner.policy(), generator=make_generator(0))
        )
        start = {name: value.detach()[None] for name, value in learner.params.items()}
        steps = [
            maml.inner_step(learner.task_loss, start, each, inner_lr=1.0)
            for each in (EpisodeBatch(*batch), PlayedEpisodes(*batch, learner.log_probs(start, batch)))
        ]
        for name in start:
            torch.testing.assert_close(steps[0][name], steps[1][name], rtol=1e-5, atol=1e-7)

    def test_the_policies_that_played_are_not_those_of_the_second_epoch(self, monkeypatch):
        """What the outer loss is given stays the same over the epochs, also without an inner step."""
        learner, seen = agent(inner_steps=0, epochs=3, meta_lr=0.1), []
        outer = learner.outer_loss

        def watched(params: Any, supports: Any, query: Any, *noted: Any) -> Tensor:
            seen.append((query.logp.clone(), float(outer(params, supports, query, *noted).detach())))
            return outer(params, supports, query)

        monkeypatch.setattr(learner, "outer_loss", watched)
        learner.train(1, progress=False)
        assert len(seen) == 3
        assert torch.equal(seen[0][0], seen[2][0])
        assert seen[0][1] != seen[2][1]


class TestCopiesAndFilms:
    @pytest.mark.parametrize("way", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
    def test_copies_go_on_alike(self, way):
        learner = MAMLAgent(CartPoleTasks("dirv"), MAMLConfig(**SMALL), device="cpu")
        learner.train(1, progress=False)
        twin = way(learner)
        assert twin.train(2, progress=False) == learner.train(2, progress=False)
        assert twin.params["0.weight"] is not learner.params["0.weight"]

    def test_a_film_shows_before_and_after(self, tmp_path):
        image = pytest.importorskip("PIL.Image")
        learner = MAMLAgent(
            PointTasks(), point_config(tasks=2, episodes=2, iterations=2, horizon=6), device="cpu"
        )
        path = learner.film(PointTasks().sample(3, seed=0)[1], tmp_path / "film.png", steps=1, fps=10)
        with image.open(path) as film:
            assert film.size == (400, 200)
            assert film.n_frames == 7
            film.seek(6)
            last = np.asarray(film.convert("RGB"))
        env = PointTasks().make_env(PointTasks().sample(3, seed=0)[1], render_mode="rgb_array")
        env.reset(seed=0)
        goal = np.asarray(env.render())
        red = (goal == [200, 60, 40]).all(-1)
        assert (last[:, :200][red] == [200, 60, 40]).mean() > 0.9  # the ring, both times
        assert (last[:, 200:][red] == [200, 60, 40]).mean() > 0.8

    def test_what_cannot_be_filmed(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="path: the folder"):
            agent().film(1.0, tmp_path / "no" / "film.png")
        with pytest.raises(TypeError, match=r"make_env\(task, render_mode"):
            agent().film(1.0, tmp_path / "film.png")
        with pytest.raises(ValueError, match="fps must be an integer >= 1"):
            agent().film(1.0, tmp_path / "film.png", fps=0)


class TestCheckpoints:
    @pytest.mark.parametrize("name", ["config", "network", "family", "optimizer", "seed", "history"])
    def test_a_missing_fact_is_named(self, tmp_path, name):
        from mlearn_utils.meta.checkpoint import load_checkpoint, save_checkpoint

        path = tmp_path / "x.safetensors"
        learner = agent()
        learner.train(1, progress=False)
        learner.save(path)
        tensors, facts = load_checkpoint(path, "MAMLAgent")
        save_checkpoint(path, "MAMLAgent", tensors, {k: v for k, v in facts.items() if k != name})
        with pytest.raises(ValueError, match=rf"missing \['{name}'\]"):
            MAMLAgent.load(path, Lines(), device="cpu")

    @pytest.mark.parametrize("name", ["params.0.weight", "center", "scale", "optimizer.0.exp_avg"])
    def test_a_missing_or_misshapen_tensor_is_named(self, tmp_path, name):
        from mlearn_utils.meta.checkpoint import load_checkpoint, save_checkpoint

        path = tmp_path / "x.safetensors"
        learner = agent()
        learner.train(1, progress=False)
        learner.save(path)
        tensors, facts = load_checkpoint(path, "MAMLAgent")
        for changed in ({k: v for k, v in tensors.items() if k != name}, tensors | {name: torch.zeros(9)}):
            save_checkpoint(path, "MAMLAgent", changed, facts)
            with pytest.raises(ValueError, match=name.replace(".", r"\.")):
                MAMLAgent.load(path, Lines(), device="cpu")

    def test_another_physics_is_another_family(self, tmp_path):
        from mlearn_utils.tasks.cartpole import CartPolePhysics

        path = tmp_path / "x.safetensors"
        MAMLAgent(
            CartPoleTasks("dirv", physics=CartPolePhysics(gravity=3.0)), MAMLConfig(**SMALL), device="cpu"
        ).save(path)
        with pytest.raises(ValueError, match=r"env: .* was trained on .*gravity=3.0"):
            MAMLAgent.load(path, CartPoleTasks("dirv"), device="cpu")
