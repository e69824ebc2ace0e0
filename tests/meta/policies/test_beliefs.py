"""Families whose observations end with a belief: what it says, how long it lasts, what changes it."""

import numpy as np
import pytest
import torch

from mlearn_utils import CartPoleTasks, check_family
from mlearn_utils.meta.policies.beliefs import BeliefTasks
from mlearn_utils.tasks.target_belief import TargetFilter


def drive(family, *, episodes=2, steps=7, tasks=4):  # in seven steps no cart can fall
    """Return observations [episode, step, T, 6], true states and rewards, with random pushes."""
    env = family.make_batch(family.sample(tasks, seed=0), 1)
    rng, seen, paid = np.random.default_rng(0), [], []
    for episode in range(episodes):
        seen.append([env.reset(seed=episode)[:, 0]])
        paid.append([])
        for _ in range(steps):
            obs, reward, *_ = env.step(rng.integers(0, 2, (tasks, 1)))
            seen[-1].append(obs[:, 0])
            paid[-1].append(torch.as_tensor(reward)[:, 0])
    return torch.stack([torch.stack(each) for each in seen]), torch.stack([torch.stack(e) for e in paid])


@pytest.mark.parametrize("name", ["dirv", "once", "dir", "goalv"])
def test_a_belief_is_the_filters_over_the_steps_that_are_seen(name):
    seen, paid = drive(BeliefTasks(name))
    filter_ = TargetFilter(name)
    log_belief = filter_.prior(4)
    for episode in range(2):
        for step in range(8):
            if step > 0 and (name != "once" or episode == 0):
                log_belief = filter_.update(log_belief, seen[episode, step, :, :4], paid[episode, step - 1])
            mean, deviation = filter_.moments(log_belief)
            torch.testing.assert_close(seen[episode, step, :, 4], mean, atol=2e-3, rtol=1e-3)
            torch.testing.assert_close(seen[episode, step, :, 5], deviation, atol=2e-3, rtol=1e-3)


def test_a_new_batch_knows_nothing():
    family = BeliefTasks("dirv")
    env = family.make_batch(family.sample(3, seed=0), 2)
    first = env.reset(seed=0)
    for _ in range(5):
        env.step(np.ones((3, 2), dtype=int))
    assert env.reset(seed=1)[..., 5].max() < first[..., 5].min()  # it lasts over episodes
    assert torch.equal(family.make_batch(family.sample(3, seed=0), 2).reset(seed=0), first)


def test_a_cart_that_waits_learns_nothing():
    family = BeliefTasks("dirv")
    env = family.make_batch(family.sample(3, seed=0), 1)
    env.reset(seed=0)
    while env.alive.any():
        env.step(np.ones((3, 1), dtype=int))  # falls after ten steps or so
    before = env.log_belief.clone()
    env.step(np.ones((3, 1), dtype=int))
    assert torch.equal(env.log_belief, before)


def test_an_environment_agrees_with_a_batch():
    family = BeliefTasks("once")
    task = family.sample(1, seed=2)
    env, batch = family.make_env(task), family.make_batch(task, 1)
    assert env.observation_space.shape == (6,)
    for episode in range(2):
        obs, _ = env.reset(seed=episode)
        seen = batch.reset(seed=0)
        batch._env._parts[:] = np.asarray(obs[:4], dtype=np.float32)[:, None, None]  # the same start
        seen = seen[0, 0]
        for action in (1, 1, 0, 1, 0):
            obs, _, *_ = env.step(action)
            seen, *_ = batch.step(np.array([[action]]))
        np.testing.assert_allclose(seen[0, 0], obs, atol=2e-3)
        assert env.observation_space.contains(obs)
    env.close()


def test_they_are_families_fit_for_use():
    assert check_family(BeliefTasks("dirv")) == []
    assert BeliefTasks("once").seen_episodes == CartPoleTasks("once").seen_episodes == 1
    assert repr(BeliefTasks("dir")) == "BeliefTasks('dir')"


@pytest.mark.parametrize(
    ("family", "message"), [("phys", "hides a target"), ("windy", "family must be one of")]
)
def test_families_without_a_target_are_refused(family, message):
    with pytest.raises(ValueError, match=message):
        BeliefTasks(family)
