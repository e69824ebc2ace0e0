"""MemoryAgent: it learns, resumes exactly, loses nothing when interrupted, and says what does not fit."""

from typing import Any

import numpy as np
import pytest
import torch

from mlearn_utils import BernoulliBandits, CartPoleTasks, MemoryAgent, MemoryConfig, PointTasks
from mlearn_utils.meta.policies.beliefs import BeliefTasks
from mlearn_utils.meta.policies.in_context import agent_policy
from mlearn_utils.meta.policies.memory_config import bandit_config
from mlearn_utils.rl.bandit_histories import policy_value
from mlearn_utils.rl.bayes_bandit import CountTree, greedy_rule
from tests.meta.policies.test_any_family import Lines

SMALL: dict[str, Any] = {"trials": 6, "hidden": 4, "updates": 4, "epochs": 1, "minibatches": 2, "horizon": 7}
BANDITS = BernoulliBandits(2)


def cart(seed: int = 0, family: Any = None, **changes: Any) -> MemoryAgent:
    family = CartPoleTasks("once") if family is None else family
    return MemoryAgent(family, MemoryConfig(**SMALL | changes), seed=seed, device="cpu")


def same(one: MemoryAgent, other: MemoryAgent) -> bool:
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    moments = [agent._optimizer.state_dict()["state"] for agent in (one, other)]
    return (
        all(torch.equal(a, b) for a, b in pairs)
        and one.history == other.history
        and all(
            torch.equal(a[name], b[name])
            for a, b in zip(moments[0].values(), moments[1].values(), strict=True)
            for name in a
        )
    )


# --- learning


def test_it_learns_to_use_what_it_saw_and_its_twin_cannot():
    """Two arms, four pulls: greedy is almost the best, and staying with a win needs no memory."""
    values = {}
    for memory in (True, False):
        config = bandit_config(4, trials=256, updates=40, memory=memory, hidden=16)
        agent = MemoryAgent(BANDITS, config, seed=0, device="cpu")
        agent.train(seed=0, progress=False)
        values[memory] = policy_value(agent_policy(agent, greedy=True), n_arms=2, pulls=4).item()
    tree = CountTree(2, 4)
    assert values[True] > tree.value(greedy_rule) - 0.03
    assert values[True] <= tree.value() + 1e-9
    assert values[False] < values[True] + 1e-9
    assert values[False] > 2.1


def test_entropy_is_what_the_bonus_raises():
    ends = []
    for weight in (0.0, 1.0):
        config = bandit_config(3, trials=64, updates=8, entropy=(weight, weight))
        agent = MemoryAgent(BANDITS, config, seed=1, device="cpu")
        with torch.no_grad():
            agent.network.policy.bias.fill_(3.0)  # nearly certain of the second arm
        ends.append(agent.train(seed=1, progress=False)[-1]["entropy"])
    assert ends[0] < ends[1] - 0.05


def test_the_twin_has_about_as_many_parameters():
    sizes = [
        sum(value.numel() for value in MemoryAgent(CartPoleTasks("dirv"), config).network.parameters())
        for config in (MemoryConfig(), MemoryConfig(memory=False))
    ]
    assert sizes[0] == 4098
    assert 0.8 < sizes[1] / sizes[0] < 1.3


@pytest.mark.parametrize(
    "family", [PointTasks(), Lines(), CartPoleTasks("phys"), BANDITS, BeliefTasks("dir")]
)
@pytest.mark.parametrize("memory", [True, False])
def test_it_learns_on_every_kind_of_family(family, memory):
    agent = cart(family=family, memory=memory)
    before = [value.clone() for value in agent.network.parameters()]
    rows = agent.train(2, progress=False)
    assert [row["update"] for row in rows] == [1, 2]
    assert rows[1]["steps"] > rows[0]["steps"] > 0
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert not all(torch.equal(a, b) for a, b in zip(before, agent.network.parameters(), strict=True))
    assert agent.evaluate(family.sample(3, seed=9), episodes=3).shape == (3, 3)


def test_returns_are_means_over_trials_and_repeatable():
    agent, tasks = cart(), CartPoleTasks("once").sample(5, seed=3)
    one, again = (agent.evaluate(tasks, trials=4, seed=2) for _ in range(2))
    assert one.shape == (2, 5)
    np.testing.assert_array_equal(one, again)
    played = agent.play(agent.make_batch(tasks, trials=4), seed=2)
    np.testing.assert_allclose(one, played.returns.reshape(2, 5, 4).mean(dim=2).numpy(), rtol=1e-6)
    assert not np.array_equal(one, agent.evaluate(tasks, trials=4, seed=3))


def test_tasks_of_another_family_of_the_same_sizes_can_be_played():
    agent = cart()
    found = agent.evaluate(CartPoleTasks("dirv").sample(4, seed=0), family=CartPoleTasks("dirv"))
    assert found.shape == (2, 4)
    played = agent.play(
        agent.make_batch(CartPoleTasks("dirv").sample(4, seed=0), family=CartPoleTasks("dirv")),
        family=CartPoleTasks("dirv"),
    )
    assert played.inputs[8:, :, 6].abs().sum() > 0  # its rewards are seen in the second episode, too


def test_a_plain_cart_pole_is_made_a_family_with_a_warning_that_names_this_line():
    with pytest.warns(UserWarning, match="is one task") as caught:
        MemoryAgent("CartPole-v1", device="cpu")
    assert caught[0].filename == __file__


# --- exact resume, and interruption


@pytest.mark.parametrize("memory", [True, False])
def test_resuming_is_exact(tmp_path, memory):
    whole, half = cart(seed=3, memory=memory), cart(seed=3, memory=memory)
    whole.train(4, seed=5, progress=False)
    half.train(2, seed=5, progress=False)
    half.save(tmp_path / "agent")
    loaded = MemoryAgent.load(tmp_path / "agent", CartPoleTasks("once"), device="cpu")
    assert same(loaded, half)
    for agent in (half, loaded):
        agent.train(progress=False)
        assert same(agent, whole)


def test_another_seed_gives_another_training():
    one, other = cart(), cart()
    one.train(1, seed=0, progress=False)
    other.train(1, seed=1, progress=False)
    assert not same(one, other)


@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError])
def test_an_interrupted_update_leaves_the_last_finished_one(tmp_path, monkeypatch, error):
    agent, twin = cart(), cart()
    twin.train(2, progress=False)
    step, calls = MemoryAgent._step, []

    def fail(self, *arguments):
        calls.append(1)
        if len(calls) == 6:  # in the middle of the third update
            raise error
        return step(self, *arguments)

    monkeypatch.setattr(MemoryAgent, "_step", fail)
    with pytest.raises(error):
        agent.train(4, progress=False, checkpoint=tmp_path / "agent")
    assert same(agent, twin)
    assert same(MemoryAgent.load(tmp_path / "agent", CartPoleTasks("once"), device="cpu"), twin)


def test_a_gradient_that_is_not_finite_is_refused():
    agent, twin = cart(), cart()
    with torch.no_grad():
        for each in (agent, twin):
            each.network.value.weight.fill_(1e38)
    with pytest.raises(FloatingPointError, match="gradient of update 1 is not finite"):
        agent.train(1, progress=False)
    assert same(agent, twin)


# --- what does not fit


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a, t: a.evaluate(t, episodes=0), ValueError, "episodes must be an integer >= 1, got 0"),
        (lambda a, t: a.evaluate(t, trials=0), ValueError, "trials must be an integer >= 1"),
        (lambda a, t: a.evaluate(t, seed=-1), ValueError, "seed must be"),
        (lambda a, t: a.train(0), ValueError, "updates must be an integer >= 1"),
        (lambda a, t: a.train(1, seed=-1), ValueError, "seed must be"),
        (lambda a, t: a.train(1, checkpoint="/no/such/folder/file"), FileNotFoundError, "checkpoint"),
        (lambda a, t: a.evaluate(CartPoleTasks("dir").sample(2, seed=0)), ValueError, "family 'once'"),
        (
            lambda a, t: a.evaluate(PointTasks().sample(2, seed=0), family=PointTasks()),
            ValueError,
            "tasks must have observations of 4 numbers",
        ),
        (
            lambda a, t: a.evaluate(t, family=BeliefTasks("once")),
            ValueError,
            "tasks must have observations of 4 numbers .* got 6",
        ),
        (lambda a, t: a.evaluate(t, family=3), TypeError, "env must be a family"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(cart(), CartPoleTasks("once").sample(2, seed=0))


def test_a_family_and_a_configuration_are_checked():
    with pytest.raises(TypeError, match="config must be a MemoryConfig"):
        MemoryAgent(CartPoleTasks("dirv"), {"episodes": 2})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="env must be"):
        MemoryAgent(3)  # pyright: ignore[reportArgumentType]


def test_a_finished_training_says_so():
    agent = cart(updates=1)
    agent.train(progress=False)
    with pytest.raises(ValueError, match="updates must be given: all 1"):
        agent.train()


def test_a_checkpoint_of_the_twin_or_of_another_family_is_refused(tmp_path):
    twin = cart(memory=False)
    twin.train(1, progress=False)
    twin.save(tmp_path / "twin")
    with pytest.raises(ValueError, match=r"config: .* memory=False \(got True\)"):
        MemoryAgent.load(tmp_path / "twin", CartPoleTasks("once"), MemoryConfig(**SMALL), device="cpu")
    with pytest.raises(ValueError, match=r"env: .* trained on CartPoleTasks\('once'\)"):
        MemoryAgent.load(tmp_path / "twin", CartPoleTasks("dirv"), device="cpu")
    whole = (tmp_path / "twin").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        MemoryAgent.load(tmp_path / "half", CartPoleTasks("once"), device="cpu")
    with pytest.raises(FileNotFoundError):
        MemoryAgent.load(tmp_path / "none", CartPoleTasks("once"), device="cpu")


@pytest.mark.gpu
def test_the_first_update_is_the_same_on_a_gpu():
    agents = [
        MemoryAgent(CartPoleTasks("once"), MemoryConfig(**SMALL), seed=0, device=d) for d in ("cpu", "cuda")
    ]
    rows = [agent.train(1, seed=0, progress=False)[0] for agent in agents]
    assert rows[0]["steps"] == rows[1]["steps"]
    assert rows[0]["first"] == pytest.approx(rows[1]["first"], rel=1e-4)
    for a, b in zip(*(agent.network.parameters() for agent in agents), strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-3, atol=1e-4)
