"""MemoryAgent: it learns, resumes exactly, loses nothing when interrupted, and says what does not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from safetensors import safe_open
from safetensors.torch import save_file

from mlearn_utils import BernoulliBandits, CartPoleTasks, MemoryAgent, MemoryConfig, PointTasks
from mlearn_utils.meta.checkpoint import load_checkpoint, save_checkpoint
from mlearn_utils.meta.policies.beliefs import BeliefTasks
from mlearn_utils.meta.policies.in_context import agent_policy
from mlearn_utils.meta.policies.memory_config import bandit_config
from mlearn_utils.rl.bandit_histories import policy_value
from mlearn_utils.rl.bayes_bandit import CountTree, greedy_rule
from mlearn_utils.tasks.bandit import BanditTask
from tests.meta.policies.test_any_family import Line, Lines

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


def recorded(agent: MemoryAgent, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that every batch of trials which the agent plays from now on is added to."""
    played, play = [], agent.play

    def note(*arguments, **more):
        played.append(play(*arguments, **more))
        return played[-1]

    monkeypatch.setattr(agent, "play", note)
    return played


# --- one update, by hand


def slow_update(agent: MemoryAgent, trials: Any) -> None:
    """Do what one update of an agent does, one trial and one step at a time, all trials in one minibatch."""
    config, network = agent.config, agent.network
    lengths = trials.mask.sum(dim=0).int().tolist()
    unit = min(1 / (1 - config.gamma), max(lengths))

    def run(b: int) -> tuple[Any, torch.Tensor]:
        outputs, values, _ = network(trials.inputs[: lengths[b], b : b + 1])
        logits = torch.cat((torch.zeros_like(outputs), outputs), dim=-1)[:, 0]
        return torch.distributions.Categorical(logits=logits), values[:, 0]

    adv, targets = [], []
    for b, length in enumerate(lengths):
        values, after = run(b)[1].detach() * unit, 0.0
        for t in reversed(range(length)):
            last = t == length - 1
            discount = 0.0 if last else config.gamma ** float(trials.clock[t + 1, b] - trials.clock[t, b])
            ahead = 0.0 if last else values[t + 1]
            after = trials.reward[t, b] + discount * (ahead + config.lam * after) - values[t]
            adv.append((b, t, float(after)))
            targets.append(float(after + values[t]) / unit)
    mean, std = np.mean([a for *_, a in adv]), np.std([a for *_, a in adv])
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    for _ in range(config.epochs):
        laws = [run(b) for b in range(len(lengths))]
        loss = torch.zeros((), dtype=torch.float64)
        for (b, t, credit), target in zip(adv, targets, strict=True):
            law, values = laws[b]
            ratio = torch.exp(law.log_prob(trials.act[: lengths[b], b])[t] - trials.logp[t, b])
            credit = (credit - mean) / std
            near = min(max(ratio.item(), 1 - config.clip), 1 + config.clip)
            clipped = near * credit < ratio * credit
            loss = loss - (near * credit if clipped else ratio * credit)
            loss = loss + config.value_weight * (values[t] - target) ** 2
            loss = loss - config.entropy[0] * law.entropy()[t]
        optimizer.zero_grad()
        (loss / len(adv)).backward()
        if config.max_grad_norm is not None:
            gradient = [value.grad for value in network.parameters() if value.grad is not None]
            norm = torch.cat([part.flatten() for part in gradient]).norm()
            for part in gradient:
                part *= min(1.0, config.max_grad_norm / float(norm))
        optimizer.step()


@pytest.mark.parametrize(
    "changes",
    [
        {"entropy": (0.0, 0.0), "value_weight": 0.0},
        {"entropy": (0.5, 0.0)},
        {"gamma": 0.5, "lam": 0.3, "value_weight": 1.0},
        {"memory": False, "crossed": True},
        {"epochs": 3, "clip": 0.02, "entropy": (0.0, 0.0)},
        {"epochs": 2, "max_grad_norm": 0.01},
    ],
)
def test_an_update_is_that_of_the_loop(monkeypatch, changes):
    """Carts that fall at different times: neither padding nor the steps of others may count.

    In float64 but for the play: Adam makes a whole step of a gradient that is mere rounding.
    """
    settings = {"trials": 4, "minibatches": 1, "horizon": 14, "hidden": 3, "learning_rate": 0.02}
    agent, twin = (cart(seed=2, **settings | changes) for _ in range(2))
    with torch.no_grad():
        for each in (agent, twin):
            each.network.policy.bias.fill_(2.0)  # pushes mostly to the right, and falls
    play, played = agent.play, []

    def in_double(*arguments, **more):
        trials = play(*arguments, **more)
        played.append(trials._make(each.double() if each.is_floating_point() else each for each in trials))
        agent.network.double()
        return played[0]

    monkeypatch.setattr(agent, "play", in_double)
    agent.train(1, seed=3, progress=False)
    twin.network.double()
    assert (played[0].mask == 0).sum() > 0
    slow_update(twin, played[0])
    for (name, a), b in zip(agent.network.named_parameters(), twin.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}")


def test_values_of_an_undiscounted_trial_count_in_its_length():
    agent = MemoryAgent(BANDITS, bandit_config(5, trials=8, hidden=3), device="cpu")
    with torch.no_grad():
        agent.network.value.weight.zero_()
        agent.network.value.bias.fill_(0.5)  # half of all that five pulls can pay
    played = agent.play(agent.make_batch(BANDITS.sample(8, seed=0)))
    adv, targets = agent._credit(played)
    assert (float(adv.mean()), float(adv.std(correction=0))) == pytest.approx((0, 1), abs=1e-4)
    torch.testing.assert_close(targets[-1], played.reward[-1] / 5)
    ahead = played.reward[-2] + 0.1 * 2.5 + 0.9 * played.reward[-1]  # lam 0.9
    torch.testing.assert_close(targets[-2], ahead / 5)


def test_every_trial_is_used_once_an_epoch_and_weights_fall_as_the_configuration_says(monkeypatch):
    agent, calls = cart(epochs=3, minibatches=2, updates=5, entropy=(0.4, 0.0)), []
    step = agent._step

    def note(trials, adv, targets, chosen, weight):
        calls.append((sorted(chosen.tolist()), weight, agent._optimizer.param_groups[0]["lr"]))
        return step(trials, adv, targets, chosen, weight)

    monkeypatch.setattr(agent, "_step", note)
    agent.train(2, progress=False)
    assert len(calls) == 2 * 3 * 2
    for first, second in zip(calls[::2], calls[1::2], strict=True):
        assert sorted(first[0] + second[0]) == list(range(6))
        assert len(first[0]) == 3
    assert len({tuple(chosen) for chosen, *_ in calls}) > 2  # shuffled anew
    assert [weight for _, weight, _ in calls[::6]] == pytest.approx([0.4, 0.3])
    assert [lr for *_, lr in calls[::6]] == pytest.approx([0.01, 0.01 * (1 - 0.9 / 4)])


def test_every_update_draws_new_tasks_and_new_episodes_of_its_own_seeds(monkeypatch):
    agent, drawn, played = cart(), [], []
    sample, play = agent.family.sample, agent.play
    monkeypatch.setattr(agent.family, "sample", lambda n, *, seed: drawn.append(seed) or sample(n, seed=seed))
    monkeypatch.setattr(agent, "play", lambda env, *, seed: played.append(seed) or play(env, seed=seed))
    agent.train(3, seed=0, progress=False)
    agent.train(1, seed=1, progress=False)
    assert len(drawn) == len(played) == 4
    assert len({*drawn, *played}) == 8


def test_a_row_of_the_history_tells_of_its_trials(monkeypatch):
    agent = cart(minibatches=1, horizon=14)
    played = recorded(agent, monkeypatch)
    with torch.no_grad():
        agent.network.policy.bias.fill_(2.0)
    rows = agent.train(2, progress=False)
    for k, row in enumerate(rows):
        assert row["first"] == pytest.approx(played[k].returns[0].mean().item())
        assert row["last"] == pytest.approx(played[k].returns[1].mean().item())
    assert [row["steps"] for row in rows] == [int(sum(p.mask.sum() for p in played[:k])) for k in (1, 2)]
    chance = torch.tensor(1 / (1 + np.exp(-2.0)))
    expected = torch.distributions.Bernoulli(chance).entropy().item()
    assert rows[0]["entropy"] == pytest.approx(expected, abs=0.02)
    assert agent.history == rows


def test_a_trial_of_one_step():
    agent = cart(trials=1, minibatches=1, episodes=1, horizon=1, hidden=1)
    assert agent.train(2, progress=False)[-1]["steps"] == 2
    assert all(value.isfinite().all() for value in agent.network.parameters())


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


class Told(BernoulliBandits):
    """Two arms, one of which always pays, the other never; only the first pull's reward is shown."""

    seen_episodes = 1

    def sample(self, n_tasks: int, *, seed: int) -> BanditTask:
        first = np.random.default_rng(seed).integers(0, 2, n_tasks)
        return BanditTask(np.stack((first, 1 - first), axis=-1))


@pytest.mark.parametrize("seed", [0, 1])
def test_it_learns_to_remember_further_back_than_the_last_pull(seed):
    """In four pulls a guess gets 2, and memory 3.5: the twin cannot tell a reward of 0 from a hidden one.

    After its first pull it can only stay or change for good: 2.5 at best.
    """
    found = {}
    for memory in (True, False):
        config = bandit_config(4, trials=128, updates=25, memory=memory, hidden=16)
        agent = MemoryAgent(Told(2), config, seed=seed, device="cpu")
        agent.train(seed=seed, progress=False)
        tasks = BanditTask([[1, 0], [0, 1]])
        best = agent.evaluate(tasks, greedy=True).sum(axis=0).mean()
        found[memory] = best, agent.evaluate(tasks, trials=200).sum(axis=0).mean()
    assert found[True][0] == 3.5
    assert found[False][0] <= 2.5
    assert found[True][1] > found[False][1] + 0.4
    assert found[False][1] > 2.2  # better than a guess: it stays where it was paid


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


def test_without_memory_what_was_seen_before_the_last_pull_does_not_matter():
    """Pulls with the same last arm, reward and end: one policy for all of them, or one for each past."""
    spreads = {}
    for memory in (True, False):
        config = bandit_config(6, trials=4, memory=memory, hidden=8)
        agent = MemoryAgent(BANDITS, config, seed=1, device="cpu")
        with torch.no_grad():
            agent.network.policy.weight.mul_(100)
        played = agent.play(agent.make_batch(BANDITS.sample(50, seed=1)), seed=0)
        groups: dict[Any, list[float]] = {}
        for x, act, logp in zip(
            played.inputs.flatten(0, 1).tolist(), played.act.flatten(), played.logp.flatten(), strict=True
        ):
            groups.setdefault((*x, int(act)), []).append(float(logp))
        spreads[memory] = max(max(each) - min(each) for each in groups.values())
        assert len(groups) == 2 * (1 + 2 * 2)  # at the start, and after each arm and reward
    assert spreads[False] < 1e-6
    assert spreads[True] > 0.01


@pytest.mark.parametrize("wipe", [False, True])
@pytest.mark.parametrize("greedy", [False, True])
def test_what_is_evaluated_is_what_is_played(wipe, greedy):
    agent, tasks = cart(horizon=14), CartPoleTasks("once").sample(5, seed=3)
    with torch.no_grad():
        agent.network.policy.weight.mul_(100)
    played = agent.play(agent.make_batch(tasks), seed=2, greedy=greedy, wipe=wipe)
    found = agent.evaluate(tasks, seed=2, greedy=greedy, wipe=wipe)
    np.testing.assert_array_equal(found, played.returns.double().numpy())
    best = agent.encode.actions.best(agent.network(played.inputs)[0])
    first = torch.arange(len(played.mask))[:, None] * played.mask < 14  # where no state can have been wiped
    agree = (best == played.act)[(played.mask > 0) & first & (played.clock < 14)]
    assert bool(agree.all()) == greedy
    started = (played.clock == 14) & (played.mask > 0)
    assert (played.inputs[started][:, 4:].abs().sum(dim=-1) == 0).all() == wipe


def test_evaluating_changes_neither_the_agent_nor_global_generators():
    agent, twin = cart(), cart()
    torch.manual_seed(0)
    states = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    agent.evaluate(CartPoleTasks("once").sample(3, seed=0))
    agent.train(1, progress=False)
    twin.train(1, progress=False)
    assert same(agent, twin)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002


def test_rewards_of_later_episodes_are_hidden_where_a_family_says_so():
    agent = cart()
    played = agent.play(agent.make_batch(CartPoleTasks("once").sample(4, seed=0)))
    assert (played.inputs[8:, :, 6] == 0).all()
    assert played.inputs[:8, :, 6].abs().sum() > 0
    assert played.returns[1].sum() > 0


def test_gymnasiums_environments_are_closed():
    Line.made = Line.closed = 0
    agent = cart(family=Lines())
    agent.train(1, progress=False)
    agent.evaluate([1.0, -1.0], trials=2)
    with pytest.raises(ValueError, match="tasks must have observations of 2 numbers"):
        agent.evaluate(CartPoleTasks("dirv").sample(2, seed=0), family=CartPoleTasks("dirv"))
    assert Line.made == Line.closed > 10


def test_tasks_whose_environments_are_refused_are_closed_too():
    class Wide(Lines):
        def make_env(self, task):
            env = super().make_env(task)
            env.action_space = Discrete(3)
            return env

    agent = cart(family=Lines())
    Line.made = Line.closed = 0
    with pytest.raises(ValueError, match=r"DiscreteActions\(n=2\).* got 2 and DiscreteActions\(n=3\)"):
        agent.evaluate([1.0, -1.0], family=Wide())
    assert Line.made == Line.closed > 1


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


def test_the_same_seed_gives_the_same_weights_and_another_others():
    one, again, other = cart(seed=3), cart(seed=3), cart(seed=4)
    assert same(one, again)
    assert not same(one, other)
    for agent in (one, again):
        agent.train(3, seed=1, progress=False)
    assert same(one, again)


@pytest.mark.parametrize("seed", [None, 5])
def test_a_resumed_training_goes_on_with_its_own_seed_and_schedule(tmp_path, seed):
    whole, first = cart(entropy=(0.3, 0.0)), cart(entropy=(0.3, 0.0))
    whole.train(4, seed=5, progress=False)
    first.train(1, seed=5, progress=False)
    first.save(tmp_path / "agent")
    second = MemoryAgent.load(tmp_path / "agent", CartPoleTasks("once"), first.config, device="cpu")
    rows = second.train(seed=seed, progress=False)
    assert [row["update"] for row in rows] == [2, 3, 4]
    assert same(second, whole)


def test_a_measured_scale_is_stored_and_not_measured_anew(tmp_path):
    agent = cart(family=Lines(offset=50.0))
    assert agent.encode.center[0] == pytest.approx(50, abs=1)
    agent.train(1, progress=False)
    agent.save(tmp_path / "agent")
    other = Lines(offset=0.0)  # of the same name
    loaded = MemoryAgent.load(tmp_path / "agent", other, device="cpu")
    assert same(loaded, agent)
    assert torch.equal(loaded.encode.center, agent.encode.center)
    assert torch.equal(loaded.encode.scale, agent.encode.scale)


def test_numbers_of_numpy_train_and_resume_as_pythons_do(tmp_path):
    numbers: Any = {"gamma": np.float32(0.5), "horizon": np.int64(5), "updates": np.int32(3)}
    own, theirs = cart(**{name: value.item() for name, value in numbers.items()}), cart(**numbers)
    own.train(progress=False)
    call: Any = {"updates": np.int64(2), "seed": np.int64(0)}
    theirs.train(**call, progress=False)
    theirs.save(tmp_path / "agent")
    loaded = MemoryAgent.load(tmp_path / "agent", CartPoleTasks("once"), theirs.config, device="cpu")
    loaded.train(progress=False)
    assert same(loaded, own)


def test_it_saves_every_ten_updates_and_at_the_end(tmp_path, monkeypatch):
    agent, saved = cart(trials=2, minibatches=1, horizon=1, updates=21), []
    monkeypatch.setattr(agent, "save", lambda path: saved.append(len(agent.history)))
    agent.train(checkpoint=tmp_path / "agent", progress=False)
    assert saved == [10, 20, 21]


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


class StopError(Exception):
    """What a family or an optimizer of one's own may raise."""


def failing(call: Any, at: int) -> Any:
    """Return a function that is `call`, and raises StopError the time numbered `at`, counted from 1."""
    count = [0]

    def wrapper(*arguments, **more):
        count[0] += 1
        if count[0] == at:
            raise StopError
        return call(*arguments, **more)

    return wrapper


def test_a_training_stopped_before_its_first_update_overwrites_nothing(tmp_path, monkeypatch):
    agent, path = trained(tmp_path / "agent"), tmp_path / "agent"
    monkeypatch.setattr(MemoryAgent, "_step", failing(MemoryAgent._step, 1))
    with pytest.raises(StopError):
        cart(seed=9).train(3, progress=False, checkpoint=path)
    assert same(MemoryAgent.load(path, CartPoleTasks("once"), device="cpu"), agent)


@pytest.mark.parametrize("where", ["sample", "play", "step", "before the last", "optimizer", "row"])
def test_stopped_anywhere_in_the_third_update_nothing_is_lost(tmp_path, monkeypatch, where):
    """Going on after that equals never having been stopped, from the agent and from the file."""
    whole, twin, agent, path = cart(), cart(), cart(), tmp_path / "agent"
    whole.train(4, progress=False)
    twin.train(2, progress=False)
    if where == "sample":
        monkeypatch.setattr(agent.family, "sample", failing(agent.family.sample, 3))
    elif where == "play":
        monkeypatch.setattr(agent, "play", failing(agent.play, 3))
    elif where == "step":  # of the third batch of environments
        family: Any = agent.family
        make, made = family.make_batch, []

        def make_batch(*arguments, **more):
            made.append(make(*arguments, **more))
            if len(made) == 3:
                made[-1].step = failing(made[-1].step, 9)
            return made[-1]

        monkeypatch.setattr(family, "make_batch", make_batch)
    elif where == "before the last":
        monkeypatch.setattr(agent._optimizer, "zero_grad", failing(agent._optimizer.zero_grad, 6))
    elif where == "optimizer":
        monkeypatch.setattr(agent._optimizer, "step", failing(agent._optimizer.step, 6))
    else:  # after all its steps
        agent.history = Late()
    with pytest.raises(StopError):
        agent.train(4, progress=False, checkpoint=path)
    monkeypatch.undo()
    agent.history = list(agent.history)
    assert [file.name for file in tmp_path.iterdir() if file.name != "progress.jsonl"] == ["agent"]
    loaded = MemoryAgent.load(path, CartPoleTasks("once"), device="cpu")
    rate = whole.config.learning_rate_at(1)
    for survivor in (agent, loaded):
        assert same(survivor, twin)
        assert survivor._optimizer.param_groups[0]["lr"] == rate
        survivor.train(2, progress=False)
        assert same(survivor, whole)


class Late(list):
    """A history that raises StopError once its third row stands in it."""

    def append(self, row: Any) -> None:
        super().append(row)
        if len(self) == 3:
            raise StopError


@pytest.mark.parametrize("at", [1, 2])
def test_a_gradient_that_fails_in_a_later_step_takes_the_earlier_one_back(monkeypatch, at):
    agent, twin = cart(), cart()
    for each in (agent, twin):
        each.train(1, progress=False)
    handle, calls = None, []

    def poison(gradient):
        calls.append(1)
        return gradient * float("nan") if len(calls) == at else gradient

    handle = agent.network.policy.bias.register_hook(poison)
    with pytest.raises(FloatingPointError, match="gradient of update 2 is not finite"):
        agent.train(1, progress=False)
    handle.remove()
    assert len(calls) == at
    assert same(agent, twin)
    for each in (agent, twin):
        each.train(1, progress=False)
    assert same(agent, twin)


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
        (lambda a, t: a.train(1, checkpoint="/tmp"), IsADirectoryError, "checkpoint must be a file"),
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
        (lambda a, t: a.evaluate(t, episodes=1.5), ValueError, "episodes must be an integer >= 1, got 1.5"),
        (lambda a, t: a.evaluate(t, trials=True), ValueError, "trials must be an integer >= 1, got True"),
        (lambda a, t: a.make_batch(t, trials=0), ValueError, "trials must be an integer >= 1, got 0"),
        (lambda a, t: a.play(a.make_batch(t), episodes=0), ValueError, "episodes must be .* got 0"),
        (lambda a, t: a.evaluate([1, 2]), TypeError, "tasks must be what CartPoleTasks"),
        (lambda a, t: a.evaluate(PointTasks().sample(2, seed=0)), TypeError, "tasks must be what"),
        (lambda a, t: a.evaluate(BANDITS.sample(2, seed=0), family=BANDITS), ValueError, "got 1 and"),
        (lambda a, t: a.train(1.5), ValueError, "updates must be an integer >= 1, got 1.5"),
        (lambda a, t: a.train(True), ValueError, "updates must be an integer >= 1, got True"),
        (lambda a, t: a.save("/no/such/folder/file"), FileNotFoundError, "/no/such/folder"),
        (lambda a, t: cart(seed=-1), ValueError, "seed must be an integer >= 0, got -1"),
        (lambda a, t: cart(episodes=0), ValueError, "episodes must be an integer >= 1, got 0"),
        (lambda a, t: cart(family=CartPoleTasks), TypeError, "env must be a family"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(cart(), CartPoleTasks("once").sample(2, seed=0))


def test_a_family_and_a_configuration_are_checked():
    with pytest.raises(TypeError, match="config must be a MemoryConfig"):
        MemoryAgent(CartPoleTasks("dirv"), {"episodes": 2})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="config must be a MemoryConfig"):
        MemoryAgent.load("/no/file", CartPoleTasks("dirv"), {})  # pyright: ignore[reportArgumentType]
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


def trained(path: Path, **changes: Any) -> MemoryAgent:
    agent = cart(**changes)
    agent.train(2, progress=False)
    agent.save(path)
    return agent


def refused(path: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryAgent.load(path, CartPoleTasks("once"), device="cpu")


@pytest.mark.parametrize("name", ["model.value.bias", "center", "scale", "optimizer.0.exp_avg"])
def test_a_flipped_bit_is_noticed(tmp_path, name):
    trained(path := tmp_path / "agent")
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    tensors[name].reshape(-1).view(torch.uint8)[0] ^= 1
    save_file(tensors, path, metadata=metadata)
    refused(path, rf"was changed after it was written: \['tensor {name}'\]")


def test_a_fact_changed_by_hand_is_noticed(tmp_path):
    trained(path := tmp_path / "agent")
    tensors, _ = load_checkpoint(path, "MemoryAgent")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    header = json.loads(metadata["checkpoint"])
    header["facts"]["seed"] = 7
    save_file(tensors, path, metadata=metadata | {"checkpoint": json.dumps(header)})
    refused(path, r"was changed after it was written: \['facts'\]")


CHANGES: list[tuple[Any, str]] = [
    (lambda tensors, facts: facts.pop("seed"), r"facts expected: missing \['seed'\]"),
    (lambda tensors, facts: facts.update(seed=-1), "seed = -1, expected an integer >= 0 or null"),
    (lambda tensors, facts: facts.update(seed=True), "seed = True"),
    (lambda tensors, facts: facts.update(history=[{"update": 1}]), "history"),
    (lambda tensors, facts: facts.update(config=[1]), r"config = \[1\], expected a dict"),
    (lambda tensors, facts: facts["config"].pop("clip"), r"settings expected: missing \['clip'\]"),
    (lambda tensors, facts: facts["config"].update(clip=-1), "clip must be"),
    (lambda tensors, facts: facts["config"].update(entropy=3), "entropy must be"),
    (lambda tensors, facts: facts["config"].update(memory=False), "model: .* is of another model"),
    (lambda tensors, facts: facts["config"].update(hidden=5), r"model: \S+ is \["),
    (lambda tensors, facts: facts["optimizer"].update(moments=[0]), "optimizer's moments"),
    (lambda tensors, facts: facts.update(optimizer=None), "optimizer"),
    (lambda tensors, facts: tensors.pop("model.policy.bias"), r"lacks \['model.policy.bias'\]"),
    (lambda tensors, facts: tensors.pop("scale"), r"tensors expected: missing \['scale'\]"),
    (lambda tensors, facts: tensors.update(more=torch.ones(1)), r"unknown \['more'\]"),
    (lambda tensors, facts: tensors.update(center=torch.zeros(5)), "center = .* expected .*4.* numbers"),
    (lambda tensors, facts: tensors["scale"].fill_(float("nan")), "scale = .* expected"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_file_that_lacks_something_or_holds_what_cannot_be(tmp_path, change, message):
    trained(path := tmp_path / "agent")
    tensors, facts = load_checkpoint(path, "MemoryAgent")
    change(tensors, facts)
    save_checkpoint(path, "MemoryAgent", tensors, facts)
    refused(path, message)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_file(tmp_path, kept):
    trained(path := tmp_path / "agent")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    refused(path, "not a complete checkpoint")


def test_a_file_of_another_kind_of_agent(tmp_path):
    save_checkpoint(tmp_path / "agent", "MAMLAgent", {}, {})
    refused(tmp_path / "agent", "holds a MAMLAgent, expected a MemoryAgent")


def test_the_configuration_of_a_checkpoint_may_be_named_and_is_compared(tmp_path):
    agent = trained(path := tmp_path / "agent", gamma=0.5)
    assert MemoryAgent.load(path, CartPoleTasks("once"), agent.config, device="cpu").config == agent.config
    with pytest.raises(ValueError, match=r"trained with gamma=0.5 \(got 0.98\)$"):
        MemoryAgent.load(path, CartPoleTasks("once"), MemoryConfig(**SMALL), device="cpu")


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


def test_a_file_of_weights_that_are_no_numbers_or_of_a_scale_below_zero_is_refused(tmp_path):
    trained(path := tmp_path / "agent")
    tensors, facts = load_checkpoint(path, "MemoryAgent")
    for name, value in (("model.value.bias", torch.nan), ("scale", 0.0), ("scale", -1.0)):
        broken = tensors | {name: torch.full_like(tensors[name], value)}
        save_checkpoint(path, "MemoryAgent", broken, facts)
        refused(path, f"has {name} = .* expected .*numbers")
    save_checkpoint(path, "MemoryAgent", tensors | {"center": tensors["center"].double()}, facts)
    refused(path, "has center = .* torch.float32")


def test_a_pass_takes_as_many_steps_as_it_has_minibatches(monkeypatch):
    agent, sizes, step = cart(trials=6, minibatches=4), [], MemoryAgent._step

    def note(self, *arguments):
        sizes.append(len(arguments[3]))
        return step(self, *arguments)

    monkeypatch.setattr(MemoryAgent, "_step", note)
    agent.train(1, progress=False)
    assert sorted(sizes) == [1, 1, 2, 2]


def test_what_pads_a_trial_is_never_a_number(monkeypatch):
    """After the end of a trial stands what other trials left: here as far from the policy as can be."""
    agent, twin = cart(horizon=14), cart(horizon=14)
    play = agent.play

    def far(*arguments, **more):
        trials = play(*arguments, **more)
        assert (trials.mask == 0).any()
        return trials._replace(logp=trials.logp.where(trials.mask.bool(), torch.tensor(-1e6)))

    monkeypatch.setattr(agent, "play", far)
    for each in (agent, twin):
        with torch.no_grad():
            each.network.policy.bias.fill_(2.0)  # pushes mostly to the right, and falls
        each.train(2, progress=False)
    assert same(agent, twin)


class Vectors(Lines):
    """Lines as wide as they should be, with actions of another kind, of the same number."""

    def make_env(self, task: float) -> Any:
        env = super().make_env(task)
        env.action_space = Box(-1.0, 1.0, (2,), np.float32)
        return env


def test_actions_of_another_kind_are_refused():
    agent = cart(family=Lines(), horizon=5)
    with pytest.raises(ValueError, match=r"DiscreteActions\(n=2\).* got 2 and GaussianActions\(size=2\)"):
        agent.evaluate([1.0], family=Vectors())


def no_number(at: int, what: int) -> Any:
    """Return what breaks the observation (0) or the reward (1) of a step of a `Line`."""

    def broken(env: Line, result: Any) -> Any:
        seen, reward, *rest = result
        if env.steps == at:
            seen, reward = (np.full(2, np.nan, np.float32), reward) if what == 0 else (seen, np.inf)
        return seen, reward, *rest

    return broken


@pytest.mark.parametrize(("what", "name", "step"), [(0, "observation", 3), (1, "reward", 2)])
def test_an_observation_or_a_reward_that_is_no_number_is_named(what, name, step):
    agent = cart(family=Lines(), horizon=5)
    expected = rf"{name} must be finite, got .* at step {step} of a trial \(task 0, environment 0\)"
    with pytest.raises(ValueError, match=expected):
        agent.evaluate([1.0, -1.0], family=Lines(broken=no_number(3, what)))


def test_the_warning_about_a_single_cart_pole_names_the_line_that_gave_it(tmp_path):
    with pytest.warns(UserWarning, match="made the family") as first:
        agent = MemoryAgent("CartPole-v1", MemoryConfig(**SMALL), device="cpu")
    agent.save(tmp_path / "agent")
    with pytest.warns(UserWarning, match="made the family") as second:
        MemoryAgent.load(tmp_path / "agent", "CartPole-v1", device="cpu")
    tasks = agent.family.sample(2, seed=0)
    with pytest.warns(UserWarning, match="made the family") as third:
        agent.evaluate(tasks, family="CartPole-v1")  # pyright: ignore[reportArgumentType]
    assert {record[0].filename for record in (first, second, third)} == {__file__}
