"""Beliefs over a hidden target against plain sums and the targets that are possible; the family `once`."""

from math import exp
from typing import Any

import numpy as np
import pytest
import torch

from mlearn_utils.tasks.cartpole import FAMILIES, BatchedCartPole, CartPoleTasks
from mlearn_utils.tasks.target_belief import TargetFilter


def states(velocity, seed=0):
    """Return states [..., 4] with these velocities; the other components are random, and beside the point."""
    velocity = torch.as_tensor(velocity, dtype=torch.float32)
    state = torch.randn(*velocity.shape, 4, generator=torch.Generator().manual_seed(seed))
    state[..., 1] = velocity
    return state


def closeness(velocity, target):
    """Return 1 - |x_dot - v*|, from 0 on: the reward of dirv, once and goalv."""
    return (1 - (torch.as_tensor(velocity) - torch.as_tensor(target)).abs()).clamp(min=0)


def learn(belief, velocities, target):
    """Return the beliefs [N, ..., G] after each of N steps at velocities [N, ...] in tasks with `target`."""
    log_belief, found = belief.prior(*velocities.shape[1:]), []
    for velocity in velocities:
        log_belief = belief.update(log_belief, states(velocity), closeness(velocity, target))
        found.append(log_belief.exp())
    return torch.stack(found)


def draw(*shape, low=-1.5, high=1.5, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(low, high, shape)).float()


# --- the grid and the prior


@pytest.mark.parametrize(("family", "low"), [("dirv", 0.5), ("once", 0.5), ("goalv", 0.5 / 26)])
def test_the_grid_covers_the_range_of_the_family(family, low):
    targets = TargetFilter(family).targets
    assert len(targets) == 52
    assert targets.dtype == torch.float32
    assert (targets.diff() > 0).all()
    torch.testing.assert_close(targets, -targets.flip(0))
    assert (targets[26].item(), targets[-1].item()) == (pytest.approx(low), 1.0)
    torch.testing.assert_close(targets[26:].diff(), torch.full((25,), 2 * TargetFilter(family).width))
    drawn = torch.from_numpy(CartPoleTasks(family).sample(2000, seed=0).target)
    nearest = (drawn[:, None] - targets).abs().min(dim=1).values
    assert nearest.max() <= 1.0002 * TargetFilter(family).width


def test_a_grid_has_as_many_points_as_asked_for():
    assert TargetFilter("dirv", 3).targets.tolist() == [-1.0, -0.75, -0.5, 0.5, 0.75, 1.0]
    assert TargetFilter("dirv", 3).width == 0.125
    assert TargetFilter("goalv", 2).targets.tolist() == [-1.0, -0.25, 0.25, 1.0]
    assert TargetFilter("dir", 7).targets.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("shape", [(), (5,), (3, 4)])
def test_before_the_first_step_every_target_is_as_likely(shape):
    prior = TargetFilter("dirv").prior(*shape)
    assert prior.shape == (*shape, 52)
    torch.testing.assert_close(prior.exp(), torch.full((*shape, 52), 1 / 52))


# --- Bayes' rule


@pytest.mark.parametrize("family", ["dirv", "goalv", "dir"])
def test_a_belief_is_what_plain_sums_give(family):
    belief = TargetFilter(family, 6)
    fastest = 0.01 if family == "dir" else 0.4  # a fast step would decide the direction
    around = 0.005 if family == "dir" else 0.1
    velocities, rewards = draw(3, low=-fastest, high=fastest), draw(3, low=-around, high=around, seed=1) + 0.5
    log_belief = belief.prior()
    for velocity, reward in zip(velocities, rewards, strict=True):
        log_belief = belief.update(log_belief, states(velocity), reward)
    weights = []
    for target in belief.targets.tolist():
        weight = 1.0
        for velocity, reward in zip(velocities.tolist(), rewards.tolist(), strict=True):
            paid = 0.5 + 0.5 * target * velocity if family == "dir" else 1 - abs(velocity - target)
            weight *= exp(-((reward - paid) ** 2) / (2 * belief.width**2))
        weights.append(weight)
    expected = [weight / sum(weights) for weight in weights]
    assert sorted(expected)[-2] > 1e-9  # not a trivial case
    assert log_belief.exp().tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", ["dirv", "once", "goalv", "dir"])
def test_a_belief_stays_a_probability(family):
    belief, log_belief = TargetFilter(family), TargetFilter(family).prior(3, 4)
    velocities, rewards = draw(200, 3, 4, low=-4, high=4), draw(200, 3, 4, low=0, high=1, seed=1)
    for velocity, reward in zip(velocities, rewards, strict=True):
        log_belief = belief.update(log_belief, states(velocity), reward)  # whatever is paid, even nonsense
        assert log_belief.shape == (3, 4, len(belief.targets))
        assert (log_belief <= 1e-6).all()
        torch.testing.assert_close(log_belief.exp().sum(dim=-1), torch.ones(3, 4))


@pytest.mark.parametrize("family", ["dirv", "once", "goalv"])
def test_no_target_is_ever_likelier_than_the_true_one_if_the_grid_has_it(family):
    belief = TargetFilter(family)
    targets, rows = belief.targets, torch.arange(52)
    for found in learn(belief, draw(40, 52), targets):
        assert (found[rows, rows] >= found.max(dim=-1).values * (1 - 1e-3)).all()


def test_informative_rewards_leave_the_true_target_alone():
    belief = TargetFilter("dirv")
    targets, rows = belief.targets, torch.arange(52)
    velocities = 0.2 * targets.sign() + draw(15, 52, low=-0.05, high=0.05)
    found = learn(belief, velocities, targets)
    assert (found[-1][rows, rows] > 0.99).all()
    assert found[0][rows, rows].median() < 0.85  # one reward leaves the neighbours in the grid


def test_at_rest_the_sign_stays_unknown():
    belief = TargetFilter("dirv")
    for found in learn(belief, torch.zeros(5, 52), belief.targets):
        torch.testing.assert_close(found, found.flip(-1))
        assert (found.max(dim=-1).values < 0.5001).all()


def test_the_belief_lies_about_the_targets_that_are_possible():
    belief = TargetFilter("dirv")
    target = torch.from_numpy(CartPoleTasks("dirv").sample(400, seed=0).target).float()
    velocity = target + draw(400, low=-0.85, high=0.85)  # a reward near 0 says little
    reward = closeness(velocity, target)
    assert ((reward > 0) & (reward < 1)).all()
    possible = torch.stack((velocity + (1 - reward), velocity - (1 - reward)), dim=-1)
    spacing = 2 * belief.width
    away = (belief.targets - possible[..., None]).abs().min(dim=1).values / spacing
    found = learn(belief, velocity.expand(12, -1), target)
    assert ((found[0] * (away <= 3)).sum(dim=-1) > 0.99).all()
    assert ((found[0] * (away <= 1)).sum(dim=-1) > 0.5).all()
    assert ((found[-1] * (away <= 1)).sum(dim=-1) > 0.99).all()
    other = (2 * velocity - target).abs()
    alone = (other < 0.5 - 6 * spacing) | (other > 1 + 6 * spacing)  # the other is out of range
    assert alone.sum() > 100
    mean, deviation = belief.moments(found[0].log())
    assert (abs(mean - target)[alone] < 1.5 * spacing).all()
    assert (deviation[alone] < 1.1 * spacing).all()


def test_two_possible_targets_have_half_each():
    belief = TargetFilter("dirv")
    found = belief.update(belief.prior(), states(0.05), torch.tensor(0.3)).exp()  # 0.75 or -0.65
    for target in (0.75, -0.65):
        assert found[(belief.targets - target).abs() < 3 * belief.width].sum() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("family", "velocity"), [("dirv", -0.3), ("dirv", 0.3), ("goalv", -0.45), ("goalv", 0.0)]
)
def test_a_reward_of_zero_excludes_only_what_is_nearer_than_one(family, velocity):
    belief = TargetFilter(family)
    found = belief.update(belief.prior(), states(velocity), torch.tensor(0.0)).exp()
    nearer = (1 - (belief.targets - velocity).abs()).clamp(min=0)
    expected = torch.exp(-0.5 * (nearer / belief.width) ** 2)
    torch.testing.assert_close(found, expected / expected.sum(), rtol=1e-3, atol=1e-6)
    far = found[nearer == 0]
    if len(far):
        assert (far == far[0]).all()
        assert far[0] == found.max()


def test_nothing_is_excluded_where_nothing_could_be_paid():
    belief = TargetFilter("dirv")
    after = belief.update(belief.prior(), states(2.5), torch.tensor(0.0))
    torch.testing.assert_close(after, belief.prior())


def test_the_order_of_steps_does_not_matter():
    belief = TargetFilter("dirv")
    target = torch.from_numpy(CartPoleTasks("dirv").sample(50, seed=0).target).float()
    velocities = draw(6, 50, low=-0.8, high=0.8)
    forth, back = (learn(belief, each, target)[-1] for each in (velocities, velocities.flip(0)))
    torch.testing.assert_close(forth, back, rtol=0, atol=1e-3)


@pytest.mark.parametrize("direction", [-1.0, 1.0])
@pytest.mark.parametrize("velocity", [-3.0, -0.3, 0.3, 3.0])
def test_one_moving_step_decides_the_direction(direction, velocity):
    belief = TargetFilter("dir")
    paid = torch.tensor(min(max(0.5 + 0.5 * direction * velocity, 0.0), 1.0))
    found = belief.update(belief.prior(), states(velocity), paid).exp()
    assert found[int(direction > 0)] > 0.9999


def test_a_direction_is_not_known_at_rest():
    belief = TargetFilter("dir")
    found = belief.update(belief.prior(), states(0.0), torch.tensor(0.5))
    torch.testing.assert_close(found.exp(), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("family", ["dirv", "goalv", "dir"])
def test_a_batch_of_environments_is_followed_one_by_one(family):
    env = BatchedCartPole(CartPoleTasks(family).sample(3, seed=1), 4)
    env.reset(seed=0)
    belief = TargetFilter(family)
    together, alone = belief.prior(3, 4), [[belief.prior() for _ in range(4)] for _ in range(3)]
    for step in range(12):
        obs, reward, *_ = (torch.as_tensor(each) for each in env.step(np.full((3, 4), step % 4 != 0))[:2])
        before = together.clone()
        after = belief.update(together, obs, reward)
        assert torch.equal(together, before)  # no argument is written to
        together = after
        for t, e in np.ndindex(3, 4):
            alone[t][e] = belief.update(alone[t][e], obs[t, e], reward[t, e])
    stacked = torch.stack([torch.stack(row) for row in alone])
    torch.testing.assert_close(together, stacked, rtol=1e-5, atol=1e-3)
    mean, _ = belief.moments(together)
    assert mean.shape == (3, 4)
    target = torch.from_numpy(env.tasks.target).float()[:, None]
    assert (abs(mean - target) < belief.width).all()


def test_moments_are_those_of_the_targets():
    belief = TargetFilter("dirv", 3)
    chances = np.random.default_rng(0).dirichlet(np.ones(6), size=(2, 5))
    mean, deviation = belief.moments(torch.from_numpy(chances).log())
    targets = belief.targets.double().numpy()
    for index in np.ndindex(2, 5):
        expected = np.average(targets, weights=chances[index])
        variance = np.average((targets - expected) ** 2, weights=chances[index])
        assert mean[index].item() == pytest.approx(expected)
        assert deviation[index].item() == pytest.approx(variance**0.5)
    mean, deviation = belief.moments(belief.prior())
    assert mean.item() == pytest.approx(0, abs=1e-6)
    assert deviation.item() == pytest.approx(np.sqrt((1 + 0.75**2 + 0.5**2) / 3))


# --- what is refused


def test_families_that_hide_no_target_are_refused():
    with pytest.raises(ValueError, match="family must be one that hides a target, got 'phys'"):
        TargetFilter("phys")
    bad: Any
    for bad in ("velocity", None, 3):
        with pytest.raises(ValueError, match=r"family must be one of \('dirv', .*got"):
            TargetFilter(bad)


@pytest.mark.parametrize("points", [1, 0, -3, 2.0, True, None])
def test_a_bad_number_of_points(points):
    with pytest.raises(ValueError, match="points must be an integer >= 2"):
        TargetFilter("dirv", points)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["obs", "reward"])
def test_what_is_not_finite_is_refused(name, bad):
    grid = TargetFilter("dirv")
    given = {"obs": torch.zeros(2, 4), "reward": torch.zeros(2)}
    given[name].view(-1)[-1] = bad
    with pytest.raises(ValueError, match=f"{name} must be finite, got"):
        grid.update(grid.prior(2), **given)


# --- the family whose rewards are seen once


def test_once_has_the_targets_of_dirv():
    once, dirv = (CartPoleTasks(family).sample(50, seed=4) for family in ("once", "dirv"))
    np.testing.assert_array_equal(once.target, dirv.target)
    np.testing.assert_array_equal(once.hidden(), dirv.hidden())
    torch.testing.assert_close(TargetFilter("once").targets, TargetFilter("dirv").targets)


def test_once_pays_what_dirv_pays_in_every_episode():
    families = [CartPoleTasks("once"), CartPoleTasks("dirv")]
    once, dirv = (family.make_batch(family.sample(5, seed=4), 3) for family in families)
    total = 0.0
    for seed in (0, 1, 2):
        np.testing.assert_array_equal(once.reset(seed=seed), dirv.reset(seed=seed))
        for step in range(12):
            action = np.full((5, 3), step % 3 > 0)
            first, second = once.step(action), dirv.step(action)
            for a, b in zip(first[:4], second[:4], strict=True):
                np.testing.assert_array_equal(a, b)
            total += first[1].sum()
    assert total > 10


def test_only_once_hides_rewards():
    assert CartPoleTasks("once").seen_episodes == FAMILIES["once"].seen_episodes == 1
    for family in set(FAMILIES) - {"once"}:
        assert CartPoleTasks(family).seen_episodes is FAMILIES[family].seen_episodes is None
