"""Trials against a loop by hand: what the network sees, keeps, forgets, and what a step was worth."""

from typing import Any

import numpy as np
import pytest
import torch

from mlearn_utils import BernoulliBandits, CartPoleTasks
from mlearn_utils.meta.policies.trials import (
    InputEncoder,
    MemoryNetwork,
    Trials,
    build,
    play_trials,
    trial_advantages,
)
from mlearn_utils.rl.actions import DiscreteActions, GaussianActions
from mlearn_utils.rl.returns import gae
from mlearn_utils.runtime import make_generator

THREE = DiscreteActions(3)
LENGTHS = np.array([[3, 2, 5], [1, 4, 2]])  # [episode, environment]


class Scripted:
    """Three environments whose episodes end when LENGTHS says; it pays 10 episode + step + action."""

    num_tasks, num_envs, num_features, num_actions, horizon = 3, 1, 2, 3, 5

    def __init__(self, action_size: int | None = None):
        self.episode = -1
        if action_size is not None:
            self.action_size = action_size

    def reset(self, *, seed: int) -> np.ndarray:
        self.episode, self.elapsed = self.episode + 1, 0
        self.alive = np.ones((3, 1), dtype=bool)
        return self._obs()

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        was, self.elapsed = self.alive, self.elapsed + 1
        self.steps = np.where(was[:, 0], self.elapsed, self.steps) if self.elapsed > 1 else np.full(3, 1)
        self.alive = self.elapsed < LENGTHS[self.episode][:, None]
        acted = action if action.ndim == 2 else action[..., 0]
        reward = np.where(was, 10 * self.episode + self.elapsed + 0.1 * acted, 0)
        return self._obs(), reward, was & ~self.alive, np.zeros_like(was), {}

    def _obs(self) -> np.ndarray:
        steps = np.full(3, 0) if self.elapsed == 0 else self.steps
        return np.stack((np.full(3, self.episode), steps), axis=-1)[:, None].astype(np.float32)


def player(actions, *, memory=True, crossed=False):
    encode = InputEncoder(actions, torch.tensor([0.5, 0.0]), torch.tensor([2.0, 4.0]), crossed)
    network = build(
        lambda: MemoryNetwork(encode.width, actions.width, hidden=5, memory=memory), make_generator(0)
    )
    return network, encode


def play(actions: Any = THREE, *, memory=True, crossed=False, size=None, **more) -> Trials:
    network, encode = player(actions, memory=memory, crossed=crossed)
    return play_trials(Scripted(size), network, encode, episodes=2, generator=make_generator(1), **more)


def by_hand(played: Trials, trial: int, *, seen=2, crossed=False):
    """Return the inputs that a trial must have had, from its actions alone."""
    rows, act, reward, ended, k = [], torch.zeros(3), 0.0, 0.0, 0
    for episode in (0, 1):
        for step in range(LENGTHS[episode, trial]):
            obs = [(episode - 0.5) / 2, step / 4]
            rows.append([*obs, *act.tolist(), reward, ended, *((act * reward).tolist() if crossed else [])])
            arm = int(played.act[k, trial])
            act = torch.nn.functional.one_hot(torch.tensor(arm), 3).float()
            reward = (10 * episode + step + 1 + 0.1 * arm) * (episode < seen)
            ended = float(step == LENGTHS[episode, trial] - 1)
            k += 1
    return torch.tensor(rows)


# --- the same trial played by hand


def cell_of(network: MemoryNetwork) -> torch.nn.GRUCell:
    """Return the network's recurrent layer as a cell that takes one step."""
    layer = network.body
    assert isinstance(layer, torch.nn.GRU)
    cell = torch.nn.GRUCell(layer.input_size, layer.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    return cell


@torch.no_grad()
def twin(actions: Any, trial: int, *, seen: int, crossed: bool) -> dict[str, Any]:
    """Play one trial of Scripted alone, a step at a time; the noise is that of three environments."""
    network, _ = player(actions, crossed=crossed)
    cell, generator = cell_of(network), make_generator(1)
    size = 3  # three actions, or three numbers
    rows: dict[str, list[Any]] = {name: [] for name in ("inputs", "act", "reward", "logp", "clock")}
    hidden, act_seen, reward_seen, ended = torch.zeros(5), torch.zeros(size), 0.0, 0.0
    returns = [0.0, 0.0]
    for episode in (0, 1):
        torch.randint(2**31 - 1, (), generator=generator)  # the seed of the environments
        noise = actions.noise((5, 3), generator)[:, trial]
        for step in range(LENGTHS[episode, trial]):
            obs = [(episode - 0.5) / 2, step / 4]
            x = torch.tensor([*obs, *act_seen.tolist(), reward_seen, ended])
            x = torch.cat((x, act_seen * reward_seen)) if crossed else x
            hidden = cell(x[None], hidden[None])[0]
            outputs = network.policy(hidden)
            if isinstance(actions, DiscreteActions):
                chances = outputs.softmax(0).tolist()
                act = next(k for k in range(3) if noise[step] < sum(chances[: k + 1]))
                logp, act_seen, paid = np.log(chances[act]), torch.eye(3)[act], float(act)
            else:
                law = torch.distributions.Normal(outputs[:3], outputs[3:].exp())
                act = law.mean + law.stddev * noise[step]
                logp, act_seen, paid = law.log_prob(act).sum().item(), act, act[0].item()
            reward = 10 * episode + step + 1 + 0.1 * paid
            for name, value in zip(rows, (x, act, reward, logp, 5 * episode + step), strict=True):
                rows[name].append(value)
            reward_seen, ended = reward * (episode < seen), float(step == LENGTHS[episode, trial] - 1)
            returns[episode] += reward
    stacked = {
        name: torch.stack(v) if isinstance(v[0], torch.Tensor) else torch.tensor(v)
        for name, v in rows.items()
    }
    return stacked | {"returns": torch.tensor(returns)}


@pytest.mark.parametrize("actions", [THREE, GaussianActions(3)])
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("seen", [2, 1, 0])
def test_a_batch_of_trials_is_each_of_them_played_alone(actions, crossed, seen):
    size = None if actions is THREE else 3
    played = play(actions, crossed=crossed, size=size, seen_episodes=seen)
    for trial in range(3):
        expected = twin(actions, trial, seen=seen, crossed=crossed)
        length = len(expected["act"])
        assert played.mask[:, trial].tolist() == [1.0] * length + [0.0] * (len(played.mask) - length)
        torch.testing.assert_close(played.returns[:, trial], expected.pop("returns"))
        for name, value in expected.items():
            found = getattr(played, name)[:length, trial]
            torch.testing.assert_close(found, value, check_dtype=False, msg=lambda m, n=name: f"{n}: {m}")


class Spy:
    """A network that notes the hidden states it is given and those it returns."""

    def __init__(self, network: MemoryNetwork):
        self.network, self.given, self.returned = network, [], []

    def __call__(self, x: torch.Tensor, state: torch.Tensor | None) -> Any:
        outputs = self.network(x, state)
        self.given.append(state)
        self.returned.append(outputs[2])
        return outputs


def test_the_state_lasts_over_episodes_and_rests_while_an_environment_waits():
    network, encode = player(THREE)
    spy: Any = Spy(network)
    play_trials(Scripted(), spy, encode, episodes=2, generator=make_generator(1))
    assert spy.given[0] is None
    assert len(spy.given) == 5 + 4  # each episode is as long as its longest
    for trial in range(3):
        last = LENGTHS[0, trial] - 1
        for step in range(last + 1, 6):  # waiting in the first episode, and at the start of the second
            assert torch.equal(spy.given[step][:, trial], spy.returned[last][:, trial])
        assert spy.given[5][:, trial].abs().max() > 0
        assert not torch.equal(spy.given[last][:, trial], spy.returned[last][:, trial])


def test_a_wiped_network_starts_every_episode_without_a_state():
    network, encode = player(THREE)
    spy: Any = Spy(network)
    play_trials(Scripted(), spy, encode, episodes=2, generator=make_generator(1), wipe=True)
    assert [k for k, state in enumerate(spy.given) if state is None] == [0, 5]


@pytest.mark.parametrize("seen", [None, 0])
def test_the_flag_stands_at_the_first_input_after_the_end_of_an_episode_and_nowhere_else(seen):
    played = play(seen_episodes=seen)
    for trial in range(3):
        length = LENGTHS[:, trial].sum()
        where = played.inputs[:length, trial, 6].nonzero().flatten().tolist()
        assert where == [LENGTHS[0, trial]]
        assert played.inputs[where[0], trial, 6] == 1


@pytest.mark.parametrize("family", ["dirv", "once"])
def test_batches_of_numpy_and_of_torch_give_the_same_numbers(family):
    tasks = CartPoleTasks(family).sample(5, seed=0)
    actions = DiscreteActions(2)
    encode = InputEncoder(actions, torch.zeros(4), torch.ones(4))
    network = build(
        lambda: MemoryNetwork(encode.width, actions.width, hidden=5, memory=True), make_generator(0)
    )
    numpys, torchs = (
        play_trials(
            CartPoleTasks(family).make_batch(tasks, 3, horizon=20, device=device),
            network,
            encode,
            episodes=2,
            generator=make_generator(4),
        )
        for device in (None, torch.device("cpu"))
    )
    assert numpys.mask.sum() < numpys.mask.numel()  # some fell earlier than others
    for name, value in numpys._asdict().items():
        torch.testing.assert_close(getattr(torchs, name), value, rtol=1e-4, atol=1e-5)


def test_one_trial_of_one_step():
    bandits, actions = BernoulliBandits(2), DiscreteActions(2)
    encode = InputEncoder(actions, torch.zeros(1), torch.ones(1))
    network = build(lambda: MemoryNetwork(encode.width, 1, hidden=2, memory=True), make_generator(0))
    env = bandits.make_batch(bandits.sample(1, seed=0), 1)
    played = play_trials(env, network, encode, episodes=1, generator=make_generator(0))
    assert played.inputs.tolist() == [[[1.0, 0.0, 0.0, 0.0, 0.0]]]
    assert played.returns.tolist() == played.reward.tolist()
    found = trial_advantages(played, torch.full((1, 1), 0.25), gamma=0.9, lam=0.9)
    assert found.tolist() == [[played.reward.item() - 0.25]]


# --- what the network sees, keeps and forgets


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("seen", [None, 1])
def test_the_network_sees_observation_action_reward_and_end(crossed, seen):
    played = play(crossed=crossed, seen_episodes=seen)
    for trial in range(3):
        expected = by_hand(played, trial, seen=seen or 2, crossed=crossed)
        length = LENGTHS[:, trial].sum()
        assert played.mask[:, trial].tolist() == [1.0] * length + [0.0] * (len(played.mask) - length)
        torch.testing.assert_close(played.inputs[:length, trial], expected)


def test_rewards_are_counted_whether_they_are_seen_or_not():
    seen, unseen = play(), play(seen_episodes=0)
    assert (unseen.reward > 0).any()
    assert unseen.returns[1].min() > 10
    torch.testing.assert_close((unseen.reward * unseen.mask).sum(0), unseen.returns.sum(0))
    torch.testing.assert_close((seen.reward * seen.mask).sum(0), seen.returns.sum(0))
    assert (unseen.inputs[..., 5] == 0).all()


@pytest.mark.parametrize("memory", [True, False])
def test_running_over_the_stored_inputs_gives_the_probabilities_of_the_play(memory):
    """So the hidden state did not change while an environment waited, and survived the end of an episode."""
    network, encode = player(DiscreteActions(3), memory=memory)
    played = play(memory=memory)
    outputs, values, _ = network(played.inputs)
    logp = encode.actions.log_prob(outputs, played.act)
    torch.testing.assert_close(logp * played.mask, played.logp * played.mask)
    assert values.shape == played.mask.shape


def test_a_wiped_trial_begins_anew_in_every_episode():
    played = play(wipe=True)
    for trial in range(3):
        first, second = 0, int(LENGTHS[0, trial])
        assert (played.inputs[[first, second], trial, 2:] == 0).all()  # no action, reward or end before
    network, encode = player(DiscreteActions(3))
    at = int(LENGTHS[0, 0])
    alone = network(played.inputs[at : at + int(LENGTHS[1, 0]), :1])[0]
    logp = encode.actions.log_prob(alone, played.act[at : at + int(LENGTHS[1, 0]), :1])
    torch.testing.assert_close(logp, played.logp[at : at + int(LENGTHS[1, 0]), :1])


def test_without_memory_equal_inputs_give_equal_policies():
    network, _ = player(DiscreteActions(3), memory=False)
    x = torch.randn(1, 4, 7, generator=make_generator(0))
    outputs, _, state = network(x.expand(6, -1, -1))
    assert state is None
    torch.testing.assert_close(outputs, outputs[:1].expand(6, -1, -1))
    outputs, _, state = player(DiscreteActions(3))[0](x.expand(6, -1, -1))
    assert state is not None
    assert not torch.allclose(outputs, outputs[:1].expand(6, -1, -1))


def test_continuous_actions_enter_as_they_are():
    played = play(GaussianActions(3), size=3)
    at = int(LENGTHS[0, 1])
    torch.testing.assert_close(played.inputs[1:at, 1, 2:5], played.act[: at - 1, 1])
    assert played.act.shape == (*played.mask.shape, 3)


def test_greedy_trials_take_the_most_probable_actions():
    network, encode = player(DiscreteActions(3))
    played = play(greedy=True)
    best = encode.actions.best(network(played.inputs)[0])
    assert (best == played.act)[played.mask > 0].all()


# --- what a step was worth


def plain_advantages(played: Trials, values, gamma, lam):
    """The recursion, one trial at a time."""
    adv = torch.zeros_like(values)
    for trial in range(values.shape[1]):
        steps = int(played.mask[:, trial].sum())
        after = 0.0
        for t in reversed(range(steps)):
            last = t == steps - 1
            k = 0 if last else float(played.clock[t + 1, trial] - played.clock[t, trial])
            discount = 0.0 if last else gamma**k
            ahead = 0.0 if last else values[t + 1, trial]
            after = played.reward[t, trial] + discount * ahead - values[t, trial] + discount * lam * after
            adv[t, trial] = after
    return adv


@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.7), (1.0, 1.0), (0.0, 0.5), (0.8, 0.0)])
def test_advantages_are_those_of_the_recursion_by_the_clock(gamma, lam):
    played = play()
    values = torch.randn(played.mask.shape, generator=make_generator(3))
    found = trial_advantages(played, values, gamma=gamma, lam=lam)
    torch.testing.assert_close(found, plain_advantages(played, values, gamma, lam))


def test_without_waiting_they_are_the_usual_ones_of_one_long_episode():
    values, reward = (torch.randn(6, 4, generator=make_generator(k)) for k in (0, 1))
    ones, clock = torch.ones(6, 4), torch.arange(6.0)[:, None].expand(6, 4)
    trials = Trials(ones, ones, reward, ones, ones, clock, ones)
    found = trial_advantages(trials, values, gamma=0.9, lam=0.8)
    torch.testing.assert_close(found, gae(reward, values, ones, gamma=0.9, lam=0.8))


def test_episodes_that_last_for_the_whole_horizon_are_one_long_one():
    tasks, actions = CartPoleTasks("dirv").sample(4, seed=0), DiscreteActions(2)
    encode = InputEncoder(actions, torch.zeros(4), torch.ones(4))
    network = build(lambda: MemoryNetwork(encode.width, 1, hidden=3, memory=True), make_generator(0))
    env = CartPoleTasks("dirv").make_batch(tasks, 1, horizon=3)  # in three steps nobody falls
    played = play_trials(env, network, encode, episodes=3, generator=make_generator(0))
    values = torch.randn(9, 4, generator=make_generator(1))
    found = trial_advantages(played, values, gamma=0.9, lam=0.8)
    torch.testing.assert_close(found, gae(played.reward, values, played.mask, gamma=0.9, lam=0.8))
    cut = torch.cat([gae(*(x[k : k + 3] for x in (played.reward, values, played.mask)), gamma=0.9, lam=0.8)
                     for k in (0, 3, 6)])  # fmt: skip
    assert (found - cut)[:6].abs().min() > 1e-3  # and not three short ones
    torch.testing.assert_close(found[6:], cut[6:])


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_nothing_follows_the_last_step_of_a_trial(gamma):
    played = play()
    values = torch.where(played.mask > 0, 0.5, 1e6)  # what stands behind a trial is not looked at
    found = trial_advantages(played, values, gamma=gamma, lam=0.9)
    lengths = LENGTHS.sum(axis=0)
    for trial in range(3):
        last = lengths[trial] - 1
        assert found[last, trial].item() == pytest.approx(played.reward[last, trial].item() - 0.5)
        assert (found[last + 1 :, trial] == 0).all()
    assert found.abs().max() < 1e3


def test_an_episode_that_ends_early_does_not_bring_the_next_one_nearer():
    """What the second episode pays counts alike from the first step, however long the first episode was."""
    played = play()
    clock = [played.clock[int(LENGTHS[0, k]), k].item() for k in range(3)]
    assert clock == [5.0, 5.0, 5.0]
    nothing = torch.zeros_like(played.reward)
    late = (played.clock == 5) * played.mask
    found = trial_advantages(played._replace(reward=late), nothing, gamma=0.9, lam=1.0)
    torch.testing.assert_close(found[0], torch.full((3,), 0.9**5))
    bootstrapped = trial_advantages(played._replace(reward=nothing), late, gamma=0.9, lam=0.0)
    for trial in range(3):  # nor the value of its first state: seen from the last step before, by the clock
        last = LENGTHS[0, trial] - 1
        assert bootstrapped[last, trial].item() == pytest.approx(0.9 ** float(5 - last))


def test_build_draws_from_its_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, other = (player(DiscreteActions(3))[0] for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    small = build(lambda: torch.nn.Sequential(torch.nn.Linear(4, 2)), make_generator(0), shrink={"0": 0.01})
    assert all(abs(value).max() <= 0.005 for value in small.parameters())
