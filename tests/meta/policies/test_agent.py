"""MAMLAgent: what it learns, how it goes on, what it leaves alone, and what it refuses."""

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from mlearn_utils import CartPoleTasks, MAMLAgent, MAMLConfig
from mlearn_utils.meta import maml
from mlearn_utils.meta.checkpoint import optimizer_tensors
from mlearn_utils.meta.policies.adaptation import EpisodeBatch, Query
from mlearn_utils.rl.rollout import collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole

SMALL = MAMLConfig(tasks=4, episodes=4, horizon=15, hidden=6, iterations=8)


def make_agent(family: str = "dirv", config: MAMLConfig = SMALL, seed: int = 0, **changes: Any) -> MAMLAgent:
    return MAMLAgent(CartPoleTasks(family), dataclasses.replace(config, **changes), seed=seed, device="cpu")


def train(agent: MAMLAgent, iterations: int | None = None, **options: Any):
    return agent.train(iterations, progress=False, **options)


def assert_same(one: MAMLAgent, other: MAMLAgent) -> None:
    assert one.history == other.history
    for name, value in one.params.items():
        assert torch.equal(value, other.params[name]), name
    moments, others = (optimizer_tensors(agent._optimizer)[0] for agent in (one, other))
    assert moments.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in moments.items())


def test_log_probabilities_that_a_step_noted_stand_for_those_computed_anew():
    agent = make_agent(inner_steps=2)
    tasks = agent.family.sample(3, seed=1)
    path, supports = [], []
    rates = agent.config.rates(2)
    agent.explore(agent.make_batch(tasks), rates, make_generator(0), path, supports)
    episodes = [EpisodeBatch(*support[:4]) for support in supports]
    for params, batch, support in zip(path, episodes, supports, strict=False):
        torch.testing.assert_close(support.logp, agent.log_probs(params, batch))
    noted: list[torch.Tensor] = []
    shared = maml.expand_params(agent.params, 3)
    agent.task_loss._replace(noted=noted).losses(shared, supports[0])
    first = Query(episodes[0], supports[0].logp - 0.1)
    ours, anew = (
        torch.autograd.grad(agent._loss_before(first, values), agent._learned) for values in (noted, [])
    )
    assert any(part.any() for part in ours)
    for mine, expected in zip(ours, anew, strict=True):
        torch.testing.assert_close(mine, expected)


class TestLearning:
    def test_it_learns_to_adapt(self):
        """In 50 steps a random policy earns about 7 of them, before and after one inner step."""
        config = MAMLConfig(tasks=10, episodes=10, horizon=50, iterations=30)
        agent = make_agent("dirv", config)
        tasks = CartPoleTasks("dirv").sample(40, seed=123_456)
        untrained = agent.evaluate(tasks, steps=1).mean(axis=1)
        history = train(agent)
        before, after = agent.evaluate(tasks, steps=1).mean(axis=1)
        assert after > before + 4
        assert after > untrained.max() + 4
        assert [row["iteration"] for row in history] == list(range(1, 31))
        assert history[-1]["after"] > history[-1]["before"] + 4

    def test_the_lines_that_newcomers_know(self):
        env = gym.make("CartPole-v1")
        with pytest.warns(UserWarning, match="one task"):
            agent = MAMLAgent(env, dataclasses.replace(SMALL, iterations=1))
        agent.train()
        assert len(agent.history) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"inner_lr": 20.0},
            {"inner_steps": 2},
            {"inner_steps": 0},
            {"first_order": True},
            {"surrogate": "plain"},
            {"surrogate": "dice"},
            {"tasks": 5},
            {"episodes": 5},
            {"horizon": 10},
            {"gamma": 0.5},
            {"lam": 0.1},
            {"meta_lr": 0.05},
            {"before_weight": 0.0},
            {"epochs": 1},
            {"clip": 0.001},
        ],
        ids=str,
    )
    def test_every_knob_reaches_the_update(self, change):
        plain, other = make_agent(), make_agent(**change)
        for agent in (plain, other):
            train(agent, 3)
        assert any(not torch.equal(plain.params[name], other.params[name]) for name in plain.params)

    def test_the_step_size_falls_over_the_configured_iterations(self):
        agent, rates = make_agent(iterations=4), []
        for _ in range(6):
            train(agent, 1)
            rates.append(agent._optimizer.param_groups[0]["lr"] / SMALL.meta_lr)
        assert rates == pytest.approx([1, 0.75, 0.5, 0.25, 0.25, 0.25])

    def test_the_return_before_adaptation_counts_in_the_first_half_only(self):
        """From the fifth of eight iterations on, two agents in the same state make the same update."""
        weights = [0.0, 1.0]
        agents = [make_agent(before_weight=weight) for weight in weights]
        for agent in agents:
            agent.history = [{"steps": 0}] * 4
            train(agent, 1)
        for name, value in agents[0].params.items():
            assert torch.equal(value, agents[1].params[name])

    def test_without_inner_steps_it_is_one_policy_for_all_tasks(self):
        row = train(make_agent(inner_steps=0), 1)[0]
        assert row["before"] == row["after"]

    def test_environment_steps_are_counted(self):
        agent = make_agent(horizon=2)  # nobody falls in two steps
        assert [row["steps"] for row in train(agent, 2)] == [4 * 4 * 2 * 2, 2 * 4 * 4 * 2 * 2]

    def test_training_leaves_the_global_generators_alone(self):
        torch.manual_seed(0)
        state = torch.get_rng_state()
        train(make_agent(), 1)
        assert torch.equal(state, torch.get_rng_state())


class TestAdapting:
    def test_the_policies_it_evaluates_are_those_it_adapts(self):
        agent = make_agent()
        train(agent, 2)
        tasks = CartPoleTasks("dirv").sample(3, seed=5)
        returns = agent.evaluate(tasks, steps=2, seed=3)
        assert returns.shape == (3, 3)
        env = BatchedCartPole(tasks, SMALL.episodes, horizon=SMALL.horizon or 100)
        generator = make_generator(3)
        for k in range(3):
            params = agent.adapt(tasks, steps=k, seed=3)
            rollout = collect(env, agent.policy(params), generator=generator)
            assert returns[k] == pytest.approx(rollout.episode_returns().mean(dim=1).double().numpy())

    def test_no_step_and_a_step_of_size_zero_leave_every_task_the_shared_policy(self):
        agent = make_agent()
        tasks = CartPoleTasks("dirv").sample(3, seed=5)
        for params in (agent.adapt(tasks, steps=0), agent.adapt(tasks, steps=1, inner_lr=0.0)):
            for name, value in params.items():
                assert torch.equal(value, agent.params[name].expand_as(value))

    def test_later_steps_are_smaller_and_sizes_can_be_given(self):
        agent = make_agent(step_decay=0.1)
        tasks = CartPoleTasks("dirv").sample(3, seed=5)
        own = agent.evaluate(tasks, steps=2, seed=3)
        given = agent.evaluate(tasks, steps=2, seed=3, inner_lr=[10.0, 1.0])
        assert np.array_equal(own, given)
        assert not np.array_equal(own, agent.evaluate(tasks, steps=2, seed=3, inner_lr=[10.0, 10.0]))

    def test_it_changes_neither_the_agent_nor_the_tasks(self):
        agent = make_agent()
        before = {name: value.clone() for name, value in agent.params.items()}
        tasks = CartPoleTasks("dirv").sample(3, seed=5)
        target = tasks.target.copy()
        agent.evaluate(tasks)
        assert all(torch.equal(value, before[name]) for name, value in agent.params.items())
        assert all(value.grad is None for value in agent.params.values())
        assert np.array_equal(tasks.target, target)

    def test_one_task_one_episode_horizon_one(self):
        agent = make_agent(tasks=1, episodes=1, horizon=1)
        train(agent, 2)
        assert agent.evaluate(CartPoleTasks("dirv").sample(1, seed=0), steps=1).shape == (2, 1)


class TestGoingOn:
    def test_two_calls_equal_one(self):
        whole, parts = make_agent(), make_agent()
        train(whole, 4)
        train(parts, 3)
        train(parts, 1)
        assert_same(whole, parts)

    def test_none_is_what_is_left(self):
        agent = make_agent()
        train(agent, 3)
        assert len(train(agent)) == SMALL.iterations - 3
        with pytest.raises(ValueError, match="iterations must be given: all 8"):
            train(agent)

    def test_a_saved_agent_goes_on_as_if_it_never_stopped(self, tmp_path):
        whole, first = make_agent(), make_agent()
        train(whole, 5, seed=3)
        train(first, 2, seed=3)
        first.save(tmp_path / "agent.safetensors")
        second = MAMLAgent.load(tmp_path / "agent.safetensors", CartPoleTasks("dirv"), device="cpu")
        assert_same(first, second)
        train(second, 3, seed=3)
        assert_same(whole, second)

    @pytest.mark.parametrize("seed", [None, 3])
    def test_a_resumed_training_goes_on_with_its_own_seed(self, tmp_path, seed):
        whole, first = make_agent(), make_agent()
        train(whole, 5, seed=3)
        train(first, 1, seed=3)
        train(first, 1)
        first.save(tmp_path / "agent.safetensors")
        second = MAMLAgent.load(tmp_path / "agent.safetensors", CartPoleTasks("dirv"), device="cpu")
        train(second, 3, seed=seed)
        assert_same(whole, second)

    def test_the_seed_is_0_if_none_was_ever_named_and_0_is_another_than_3(self):
        unnamed, zero, three, mixed = (make_agent() for _ in range(4))
        train(unnamed, 2)
        train(zero, 2, seed=0)
        train(three, 2, seed=3)
        train(mixed, 1, seed=3)
        train(mixed, 1, seed=0)
        assert_same(unnamed, zero)
        assert mixed.history[0] == three.history[0]
        assert mixed.history[1] not in (three.history[1], zero.history[1])

    def test_numbers_of_numpy_train_and_resume_as_pythons_do(self, tmp_path):
        numbers: Any = {"inner_lr": np.float32(5.0), "meta_lr": np.float32(0.01), "gamma": np.float64(0.9)}
        counts: Any = {"tasks": np.int64(3), "hidden": np.int32(5), "horizon": np.int64(9)}
        own = make_agent(**{name: value.item() for name, value in (numbers | counts).items()})
        theirs = make_agent(**numbers, **counts)
        train(own, 4, seed=3)
        call: Any = {"iterations": np.int64(2), "seed": np.int64(3)}
        train(theirs, **call)
        theirs.save(tmp_path / "agent.safetensors")
        resumed = MAMLAgent.load(
            tmp_path / "agent.safetensors", CartPoleTasks("dirv"), theirs.config, device="cpu"
        )
        train(resumed, 2, seed=3)
        assert_same(own, resumed)
        tasks = CartPoleTasks("dirv").sample(2, seed=0)
        step: Any = {"steps": np.int64(1), "inner_lr": np.float32(5.0)}
        assert np.array_equal(own.evaluate(tasks, steps=1), resumed.evaluate(tasks, **step))

    @pytest.mark.parametrize("killed_in", ["collect", "update", "between"])
    def test_killed_at_any_moment_nothing_is_lost(self, tmp_path, monkeypatch, killed_in):
        """Ctrl-C in iteration 3: what stands is iterations 1 and 2, and going on equals never stopping."""
        whole, agent = make_agent(), make_agent()
        train(whole, 4)
        path = tmp_path / "agent.safetensors"
        interrupt_in_third_iteration(agent, monkeypatch, killed_in)
        with pytest.raises(KeyboardInterrupt):
            train(agent, 4, checkpoint=path)
        monkeypatch.undo()
        loaded = MAMLAgent.load(path, CartPoleTasks("dirv"), device="cpu")
        assert len(loaded.history) == 2
        for survivor in (agent, loaded):
            train(survivor, 2)
            assert_same(whole, survivor)

    def test_it_saves_every_ten_iterations(self, tmp_path, monkeypatch):
        agent, saved = make_agent(), []
        monkeypatch.setattr(agent, "save", lambda path: saved.append(len(agent.history)))
        train(agent, 21, checkpoint=tmp_path / "agent.safetensors")
        assert saved == [10, 20, 21]

    def test_a_gradient_that_is_not_finite_leaves_the_agent_as_it_was(self, monkeypatch):
        agent, twin = make_agent(), make_agent()
        for one in (agent, twin):
            train(one, 1)
        monkeypatch.setattr(
            agent,
            "outer_loss",
            lambda params, *_: sum(value.sum() for value in params.values()) * float("nan"),
        )
        with pytest.raises(FloatingPointError, match="iteration 2 is not finite"):
            train(agent, 1)
        assert_same(agent, twin)


def interrupt_in_third_iteration(agent: MAMLAgent, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Raise KeyboardInterrupt while the third iteration plays, or updates for the first or second time."""
    calls = {"count": 0}
    name, last = {"collect": ("explore", 3), "update": ("_update", 5), "between": ("_update", 6)}[where]
    original = getattr(agent, name)

    def wrapper(*arguments):
        calls["count"] += 1
        if where == "between" and calls["count"] == last:
            original(*arguments)
        if calls["count"] == last:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(agent, name, wrapper)


class TestRefusals:
    def test_rewards_that_the_family_hides_are_not_adapted_on(self):
        agent = make_agent("once", inner_steps=2)
        tasks = agent.family.sample(3, seed=0)
        with pytest.raises(
            ValueError, match=r"config.inner_steps \* config.episodes must be at most 1: .*2 \* 4"
        ):
            agent.train()
        assert not agent.history
        with pytest.raises(ValueError, match=r"steps \* episodes must be at most 1: CartPoleTasks\('once'\)"):
            agent.evaluate(tasks, steps=1)
        with pytest.raises(ValueError, match=r"got 2 \* 1"):
            agent.adapt(tasks, steps=2, episodes=1)
        assert agent.evaluate(tasks, steps=1, episodes=1).shape == (2, 3)
        assert agent.evaluate(tasks, steps=0, episodes=7).shape == (1, 3)
        one = make_agent("once", episodes=1)
        assert len(train(one, 1)) == 1
        assert len(train(make_agent("once", inner_steps=0), 1)) == 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("inner_lr", -1.0),
            ("inner_lr", float("nan")),
            ("inner_lr", True),
            ("inner_steps", -1),
            ("step_decay", 0.0),
            ("step_decay", 1.5),
            ("first_order", "yes"),
            ("surrogate", "reinforce"),
            ("tasks", 0),
            ("episodes", 0),
            ("horizon", 0),
            ("horizon", 1.5),
            ("gamma", 1.1),
            ("lam", -0.1),
            ("hidden", 0),
            ("meta_lr", 0.0),
            ("meta_lr", True),
            ("before_weight", -1.0),
            ("epochs", 0),
            ("clip", float("inf")),
            ("iterations", 0),
        ],
    )
    def test_a_knob_out_of_range_is_named(self, field, value):
        with pytest.raises(ValueError, match=field):
            MAMLConfig(**{field: value})

    def test_a_configuration_of_another_kind(self):
        with pytest.raises(TypeError, match="config must be a MAMLConfig"):
            MAMLAgent(CartPoleTasks("dirv"), {"tasks": 3})  # pyright: ignore[reportArgumentType]

    @pytest.mark.parametrize(("name", "value"), [("iterations", 0), ("iterations", 2.5), ("seed", -1)])
    def test_bad_counts_of_train(self, name, value):
        with pytest.raises(ValueError, match=name):
            make_agent().train(**{"iterations": 1, "progress": False, name: value})

    def test_a_folder_that_does_not_exist(self, tmp_path):
        agent = make_agent()
        with pytest.raises(FileNotFoundError, match="checkpoint: the folder"):
            train(agent, 1, checkpoint=tmp_path / "nowhere" / "agent.safetensors")
        assert agent.history == []

    def test_tasks_of_another_family(self):
        with pytest.raises(ValueError, match="family 'dirv', got 'dir'"):
            make_agent().evaluate(CartPoleTasks("dir").sample(2, seed=0))
        with pytest.raises(TypeError, match="tasks must be what"):
            make_agent().adapt([1, 2])

    def test_step_sizes_of_another_number(self):
        tasks = CartPoleTasks("dirv").sample(2, seed=0)
        with pytest.raises(ValueError, match="each of the 2 steps, got 1"):
            make_agent().evaluate(tasks, steps=2, inner_lr=[1.0])
        with pytest.raises(ValueError, match="inner_lr must be finite"):
            make_agent().evaluate(tasks, steps=1, inner_lr=-1.0)
        for rates in (True, [True], [float("inf")]):
            with pytest.raises(ValueError, match="inner_lr must be finite"):
                make_agent().evaluate(tasks, steps=1, inner_lr=rates)
        with pytest.raises(ValueError, match="steps"):
            make_agent().evaluate(tasks, steps=-1)

    def test_a_checkpoint_of_another_configuration(self, tmp_path):
        path = tmp_path / "agent.safetensors"
        make_agent().save(path)
        with pytest.raises(ValueError, match=r"config: .* inner_lr=10.0 \(got 5.0\)"):
            MAMLAgent.load(path, CartPoleTasks("dirv"), dataclasses.replace(SMALL, inner_lr=5.0))
        assert MAMLAgent.load(path, CartPoleTasks("dirv"), SMALL).config == SMALL

    def test_a_checkpoint_of_another_family(self, tmp_path):
        path = tmp_path / "agent.safetensors"
        make_agent().save(path)
        with pytest.raises(ValueError, match=r"trained on CartPoleTasks\('dirv'\)"):
            MAMLAgent.load(path, CartPoleTasks("dir"))

    def test_a_truncated_file(self, tmp_path):
        path = tmp_path / "agent.safetensors"
        make_agent().save(path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ValueError, match="not a complete checkpoint"):
            MAMLAgent.load(path, CartPoleTasks("dirv"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_trains_and_adapts_on_a_gpu():
    agent = MAMLAgent(CartPoleTasks("dirv"), SMALL, device="cuda")
    twin = make_agent()
    row, own = train(agent, 1)[0], train(twin, 1)[0]
    assert row == pytest.approx(own, rel=1e-3)  # the same random numbers on every device
    assert agent.evaluate(CartPoleTasks("dirv").sample(3, seed=0), steps=1).shape == (2, 3)
