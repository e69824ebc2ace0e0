"""Trials against a loop by hand: what the network sees, keeps, forgets, and what a step was worth."""

from typing import Any

import numpy as np
import pytest
import torch

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


def test_an_episode_that_ends_early_does_not_bring_the_next_one_nearer():
    """What the second episode pays counts alike from the first step, however long the first episode was."""
    played = play()
    clock = [played.clock[int(LENGTHS[0, k]), k].item() for k in range(3)]
    assert clock == [5.0, 5.0, 5.0]
    nothing = torch.zeros_like(played.reward)
    late = (played.clock == 5) * played.mask
    found = trial_advantages(played._replace(reward=late), nothing, gamma=0.9, lam=1.0)
    torch.testing.assert_close(found[0], torch.full((3,), 0.9**5))


def test_build_draws_from_its_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, other = (player(DiscreteActions(3))[0] for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    small = build(lambda: torch.nn.Sequential(torch.nn.Linear(4, 2)), make_generator(0), shrink={"0": 0.01})
    assert all(abs(value).max() <= 0.005 for value in small.parameters())
