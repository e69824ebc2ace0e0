"""Families whose observations end with a belief: what it says, how long it lasts, what changes it."""

from typing import Any

import numpy as np
import pytest
import torch

from mlearn_utils import CartPoleTasks, PointTasks, check_family
from mlearn_utils.meta.policies.beliefs import BeliefTasks
from mlearn_utils.tasks.target_belief import TargetFilter

NAMES = ["dirv", "once", "dir", "goalv"]


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


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_a_belief_is_bayes_rule_on_the_grid_by_hand(name):
    """One cart and one target at a time, with Python's numbers: p(v) falls with the miss of its reward."""
    seen, paid = drive(BeliefTasks(name), episodes=1, tasks=3)
    filter_ = TargetFilter(name)
    for task in range(3):
        weights = {float(v): 1.0 for v in filter_.targets}
        for step in range(1, 8):
            x_dot, reward = float(seen[0, step, task, 1]), float(paid[0, step - 1, task])
            for v in weights:
                if name == "dir":
                    would = min(max(0.5 + 0.5 * v * x_dot, 0), 1)
                else:
                    would = 1 - abs(x_dot - v) if reward > 0 else max(1 - abs(x_dot - v), 0)
                weights[v] *= np.exp(-(((reward - would) / filter_.width) ** 2) / 2)
            total = sum(weights.values())
            mean = sum(p * v for v, p in weights.items()) / total
            deviation = (sum(p * (v - mean) ** 2 for v, p in weights.items()) / total) ** 0.5
            found = seen[0, step, task, 4:].tolist()
            assert found == pytest.approx([mean, deviation], abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_at_first_all_targets_are_equally_likely_and_then_the_true_one_is_found(name):
    family = BeliefTasks(name)
    tasks = family.sample(6, seed=0)
    seen, _ = drive(family, tasks=6, episodes=2)
    targets = TargetFilter(name).targets
    torch.testing.assert_close(seen[0, 0, :, 4], torch.full((6,), float(targets.mean())), atol=1e-6, rtol=0)
    spread = float(targets.std(correction=0))
    torch.testing.assert_close(seen[0, 0, :, 5], torch.full((6,), spread), atol=1e-5, rtol=0)
    miss = (seen[1, -1, :, 4] - torch.as_tensor(tasks.target, dtype=torch.float32).reshape(-1)).abs()
    assert miss.max() < 0.05
    assert seen[1, -1, :, 5].max() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_only_episodes_that_are_seen_inform(name):
    """Of once the second episode tells nothing, though it is paid; of the others every step does."""
    family = BeliefTasks(name)
    env = family.make_batch(family.sample(5, seed=1), 2)
    rng = np.random.default_rng(0)
    changed, paid = [], []
    for episode in range(3):
        env.reset(seed=episode)
        before = env.log_belief.clone()
        rewards = [env.step(rng.integers(0, 2, (5, 2)))[1] for _ in range(7)]
        changed.append(not torch.equal(before, env.log_belief))
        paid.append(bool(np.any(rewards)))
    assert paid == [True, True, True]
    assert changed == ([True, False, False] if name == "once" else [True, True, True])


def test_carts_that_fell_wait_while_others_learn():
    family = BeliefTasks("dirv")
    env = family.make_batch(family.sample(4, seed=0), 2)
    env.reset(seed=0)
    push = np.repeat([[1, 0]], 4, axis=0)
    frozen = {}
    for step in range(20):
        alive, before = np.array(env.alive), env.log_belief.clone()
        obs, *_ = env.step(np.column_stack((push[:, 0], np.full(4, step % 2))))
        changed = (env.log_belief != before).any(dim=-1).numpy()
        assert not changed[~alive].any()
        for where in zip(*np.nonzero(~alive), strict=True):
            frozen.setdefault(where, obs[where])
            assert torch.equal(obs[where], frozen[where])
        if step == 0:
            assert changed.all()
    assert {e for _, e in frozen} == {0}  # those that were always pushed to the right
    assert np.array(env.alive)[:, 1].all()


def test_the_step_that_ends_an_episode_informs():
    family = BeliefTasks("dirv")
    env = family.make_batch(family.sample(3, seed=0), 1, horizon=1)
    obs = env.reset(seed=0)
    after, _, _, truncated, _ = env.step(np.ones((3, 1), dtype=int))
    assert truncated.all()
    assert not torch.equal(after[..., 4:], obs[..., 4:])


def test_batches_of_numpy_and_of_torch_agree():
    family = BeliefTasks("once")
    tasks = family.sample(3, seed=0)
    batches = [family.make_batch(tasks, 2, device=device) for device in (None, torch.device("cpu"))]
    rng = np.random.default_rng(0)
    for episode in range(2):
        first, second = (env.reset(seed=episode) for env in batches)
        torch.testing.assert_close(first, second, atol=2e-3, rtol=0)
        for _ in range(12):
            push = rng.integers(0, 2, (3, 2))
            one, other = batches[0].step(push), batches[1].step(torch.from_numpy(push))
            torch.testing.assert_close(one[0], other[0], atol=2e-3, rtol=0)
            assert one[0].dtype == other[0].dtype == torch.float32
    assert [(b.num_tasks, b.num_envs, b.num_features, b.num_actions) for b in batches] == [(3, 2, 6, 2)] * 2


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


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_of_every_family_agrees_with_a_batch_step_by_step(name):
    family = BeliefTasks(name)
    task = family.sample(1, seed=3)
    env, batch = family.make_env(task), family.make_batch(task, 1)
    cart: Any = env.unwrapped
    obs = np.zeros(6)
    for episode in range(3):
        before, start = env.reset(seed=episode)[0], batch.reset(seed=episode)[0, 0]
        np.testing.assert_allclose(before[4:], start[4:], atol=2e-3)
        cart.state = start[:4].double().numpy()  # the same start
        for action in (1, 0, 0, 1, 1):
            obs, reward, *_ = env.step(action)
            seen, paid, *_ = batch.step(np.array([[action]]))
            np.testing.assert_allclose(seen[0, 0], obs, atol=2e-3)
            assert reward == pytest.approx(float(paid[0, 0]), abs=1e-4)
            assert env.observation_space.contains(obs)
    fresh, _ = family.make_env(task).reset(seed=0)
    assert fresh[5] > obs[5] + 0.1  # a new environment knows nothing
    env.close()


def test_tasks_of_another_family_are_refused():
    with pytest.raises(ValueError, match="family 'once', got 'dirv'"):
        BeliefTasks("once").make_batch(CartPoleTasks("dirv").sample(2, seed=0), 1)
    with pytest.raises(TypeError, match="tasks must be what"):
        BeliefTasks("once").make_batch(PointTasks().sample(2, seed=0), 1)  # pyright: ignore


@pytest.mark.parametrize("name", NAMES)
def test_the_checker_finds_no_fault(name):
    assert check_family(BeliefTasks(name)) == []


def test_they_are_families_fit_for_use():
    assert check_family(BeliefTasks("dirv")) == []
    assert BeliefTasks("once").seen_episodes == CartPoleTasks("once").seen_episodes == 1
    assert repr(BeliefTasks("dir")) == "BeliefTasks('dir')"


@pytest.mark.parametrize(
    ("family", "message"),
    [("phys", "hides a target"), ("windy", "family must be one of"), (3, "family must be one of")],
)
def test_families_without_a_target_are_refused(family, message):
    with pytest.raises(ValueError, match=message):
        BeliefTasks(family)
