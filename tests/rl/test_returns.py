"""Returns, advantages and the baseline against loops and textbook formulas."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mlearn_utils.rl.returns import (
    advantages,
    baseline_features,
    baseline_values,
    discounted_sums,
    fit_ridge,
    gae,
    normalise,
    returns_to_go,
)
from mlearn_utils.rl.rollout import Rollout
from mlearn_utils.runtime import make_generator


def episodes(n_tasks=2, steps=7, n_envs=3, seed=0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rewards, values, mask and terminations; lengths run from 1 to `steps`, every second one terminates."""
    generator = make_generator(seed)
    shape = (n_tasks, steps, n_envs)
    lengths = torch.randint(1, steps + 1, (n_tasks, n_envs), generator=generator)
    lengths[0, 0], lengths[-1, -1] = steps, 1
    time = torch.arange(steps)[None, :, None]
    mask = (time < lengths[:, None]).double()
    last = (time == lengths[:, None] - 1).double()
    terminated = last * (torch.arange(n_envs) % 2)
    reward = torch.randn(shape, generator=generator, dtype=torch.float64) * mask
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return reward, values, mask, terminated


def loop_gae(reward, values, last_value, length, terminated, gamma, lam, bootstrap) -> list[float]:
    """One episode, as the textbook has it, from its end backwards."""
    adv, ahead = [0.0] * len(reward), 0.0
    for t in reversed(range(length)):
        is_last = t == length - 1
        following = values[t + 1] if t + 1 < len(values) else last_value
        if is_last and (terminated[t] or not bootstrap):
            following = 0.0
        ahead = reward[t] + gamma * following - values[t] + (0.0 if is_last else gamma * lam * ahead)
        adv[t] = ahead
    return adv


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_returns_to_go_equal_the_loop(gamma):
    reward, _, mask, _ = episodes()
    fast = returns_to_go(reward, mask, gamma=gamma)
    slow, ahead = torch.zeros_like(reward), torch.zeros_like(reward[:, 0])
    for t in reversed(range(reward.shape[1])):
        ahead = reward[:, t] + gamma * ahead
        slow[:, t] = ahead
    torch.testing.assert_close(fast, slow)


def test_a_return_counts_the_terminating_step_and_nothing_after_it():
    mask = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 3, 1)
    reward = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1)
    assert returns_to_go(reward, mask, gamma=0.5).flatten().tolist() == [6.0, 10.0, 0.0]


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.7), (1.0, 1.0), (0.99, 0.0), (0.0, 0.5)])
def test_gae_equals_the_loop(bootstrap, gamma, lam):
    reward, values, mask, terminated = episodes()
    last_values = torch.randn(2, 3, generator=make_generator(5), dtype=torch.float64)
    extra = {"terminated": terminated, "last_values": last_values} if bootstrap else {}
    fast = gae(reward, values, mask, gamma=gamma, lam=lam, **extra)
    for t, e in np.ndindex(2, 3):
        column = (slice(None), e)
        slow = loop_gae(
            reward[t][column].tolist(), values[t][column].tolist(), last_values[t, e].item(),
            int(mask[t][column].sum()), terminated[t][column].tolist(), gamma, lam, bootstrap,
        )  # fmt: skip
        np.testing.assert_allclose(fast[t][column].numpy(), slow, atol=1e-12)


def test_gae_with_lambda_one_is_the_return_less_the_baseline():
    reward, values, mask, _ = episodes()
    expected = (returns_to_go(reward, mask, gamma=0.9) - values) * mask
    torch.testing.assert_close(gae(reward, values, mask, gamma=0.9, lam=1.0), expected)


def test_exact_values_leave_no_advantage_in_a_chain():
    """Reward 1 for ever, gamma 0.5: V = 2. A truncated episode loses nothing when it is bootstrapped."""
    ones = torch.ones(1, 4, 1)
    bootstrapped = gae(
        ones, 2 * ones, ones, gamma=0.5, lam=0.9, terminated=0 * ones, last_values=torch.full((1, 1), 2.0)
    )
    assert bootstrapped.abs().max() == 0
    assert gae(ones, 2 * ones, ones, gamma=0.5, lam=0.9)[0, -1, 0] == -1


def test_discounted_sums_have_a_gradient_in_gamma():
    x = torch.randn(5, 2, generator=make_generator(0), dtype=torch.float64)
    for value in (0.0, 0.6):
        gamma = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(discounted_sums(x, gamma)[0].sum(), gamma)
        expected = sum(k * value ** (k - 1) * x[k].sum() for k in range(1, 5))
        torch.testing.assert_close(slope, torch.as_tensor(expected, dtype=torch.float64))


def test_the_ridge_baseline_is_the_penalised_least_squares_of_each_task():
    generator = make_generator(0)
    features = torch.randn(2, 6, 3, 4, generator=generator, dtype=torch.float64)
    targets = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    mask = episodes(steps=6)[2]
    weights = fit_ridge(features, targets, mask, ridge=0.1)
    for t in range(2):
        x, y = features[t][mask[t] > 0].numpy(), targets[t][mask[t] > 0].numpy()
        n = len(y)
        penalised = np.vstack([x, np.sqrt(0.1 * n) * np.eye(4)])
        expected, *_ = np.linalg.lstsq(penalised, np.concatenate([y, np.zeros(4)]), rcond=None)
        np.testing.assert_allclose(weights[t].numpy(), expected, atol=1e-10)
    expected = torch.einsum("tsek,tk->tse", features, weights)
    torch.testing.assert_close(baseline_values(weights, features), expected)


def test_baseline_features_are_those_of_the_formula():
    obs = torch.tensor([[2.0, -3.0]]).expand(4, 1, 2)
    third = baseline_features(obs, start=200)[2, 0]
    torch.testing.assert_close(third, torch.tensor([2.0, -3.0, 4.0, 9.0, 2.02, 2.02**2, 2.02**3, 1.0]))


def test_the_baseline_removes_most_of_the_variance_of_returns():
    mask = torch.ones(1, 50, 8)
    reward = torch.ones(1, 50, 8)
    obs = torch.randn(1, 50, 8, 4, generator=make_generator(0))
    targets = returns_to_go(reward, mask, gamma=0.99)
    features = baseline_features(obs)
    values = baseline_values(fit_ridge(features, targets, mask), features)
    assert (targets - values).var() < 0.01 * targets.var()


def test_advantages_are_normalised_within_each_task():
    _, adv, mask, _ = episodes(n_tasks=3, n_envs=6)
    adv = (
        adv * torch.tensor([1.0, 100.0, 5.0])[:, None, None] + torch.tensor([0.0, -50.0, 7.0])[:, None, None]
    )
    for task, taken in zip(normalise(adv, mask), mask, strict=True):
        steps = task[taken > 0]
        assert steps.mean().item() == pytest.approx(0, abs=1e-12)
        assert steps.std(correction=0).item() == pytest.approx(1)
        assert not task[taken == 0].any()


def test_normalising_one_single_step_gives_zero_and_not_nan():
    one = torch.ones(1, 1, 1)
    assert normalise(3 * one, one).item() == 0


def test_advantages_of_a_task_do_not_depend_on_the_other_tasks():
    reward, _, mask, terminated = episodes(n_tasks=2, n_envs=5)
    obs = torch.randn(2, 7, 5, 4, generator=make_generator(3), dtype=torch.float64)
    both = Rollout(obs, mask.long(), reward, mask, terminated, obs[:, -1])
    first = Rollout(*(field[:1] for field in both))
    torch.testing.assert_close(
        advantages(both, gamma=0.9, lam=0.9)[:1], advantages(first, gamma=0.9, lam=0.9)
    )


def test_bad_arguments_are_named():
    reward, values, mask, terminated = episodes()
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\], got 1.1"):
        returns_to_go(reward, mask, gamma=1.1)
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\], got -0.1"):
        gae(reward, values, mask, gamma=-0.1, lam=0.5)
    with pytest.raises(ValueError, match=r"lam must be in \[0, 1\], got 2"):
        gae(reward, values, mask, gamma=0.5, lam=2)
    with pytest.raises(ValueError, match="terminated and last_values must be given together"):
        gae(reward, values, mask, gamma=0.5, lam=0.5, terminated=terminated)


def _rollout(reward: torch.Tensor) -> Rollout:
    random = torch.Generator().manual_seed(0)
    obs, ones = torch.randn(*reward.shape, 2, generator=random), torch.ones_like(reward)
    return Rollout(obs, ones.long(), reward, ones, 0 * ones, obs[:, -1])


@pytest.mark.parametrize("episodes", [1, 4])
@pytest.mark.parametrize("value", [0.0, -1.0, 1e5])
def test_rewards_that_tell_nothing_give_no_advantage(episodes, value):
    """A cubic in time cannot follow the returns exactly; its error, divided by its deviation, is 1."""
    batch = _rollout(torch.full((2, 50, episodes), value))
    for normalised in (True, False):
        adv = advantages(batch, gamma=0.99, lam=0.97, normalised=normalised)
        assert not adv.any()
    if value:
        left = advantages(_rollout(torch.full((1, 50, 4), value)), gamma=0.99, lam=0.97, informed=False)
        assert float(left.abs().max()) > 1


def test_a_schedule_that_all_episodes_share_tells_nothing_and_a_difference_does():
    shared = torch.linspace(0, 1, 30)[None, :, None].expand(2, 30, 3).clone()
    shared[1, 4, 2] += 0.01
    adv = advantages(_rollout(shared), gamma=0.9, lam=0.95)
    assert not adv[0].any()
    assert float(adv[1].std()) == pytest.approx(1.0, abs=0.05)


def test_a_baseline_on_numbers_that_run_away_is_fitted_in_float64():
    obs = 1e4 * torch.randn(1, 40, 3, 2, generator=torch.Generator().manual_seed(0))
    features = baseline_features(obs)
    targets, mask = obs.sum(-1), torch.ones(1, 40, 3)
    weights = fit_ridge(features, targets, mask)
    assert weights.dtype == torch.float32
    error = (baseline_values(weights, features) - targets).abs().max() / targets.abs().max()
    assert float(error) < 1e-4


def test_pixels_leave_the_baseline_the_time():
    assert baseline_features(torch.zeros(1, 5, 2, 101)).shape[-1] == 4
    assert baseline_features(torch.zeros(1, 5, 2, 100)).shape[-1] == 204


def test_features_beside_which_the_penalty_is_lost_leave_a_fit_and_the_other_tasks_as_they_are():
    generator = make_generator(0)
    features, targets = (
        torch.randn(2, 6, 3, 2, generator=generator),
        torch.randn(2, 6, 3, generator=generator),
    )
    mask = torch.ones(2, 6, 3)
    alone = fit_ridge(features[:1].double(), targets[:1].double(), mask[:1].double())
    features[1] = 1e12  # a task that has run away: two columns that are the same, and huge
    weights = fit_ridge(features.double(), targets.double(), mask.double())

    assert torch.equal(weights[:1], alone)
    fitted = baseline_values(weights, features.double())[1]
    assert torch.allclose(fitted, targets[1].double().mean().expand_as(fitted), atol=1e-6)
    assert fit_ridge(features, targets, mask).isfinite().all(), "in float32, too"
