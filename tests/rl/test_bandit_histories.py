"""Sums over all histories of a bandit against counts, samples and finite differences."""

from itertools import product

import numpy as np
import pytest
import torch

from mlearn_utils.rl import bayes_bandit
from mlearn_utils.rl.bandit_histories import count, history_policy, policy_value
from mlearn_utils.rl.bayes_bandit import CountTree
from mlearn_utils.tasks.bandit import BatchedBandit, BernoulliBandits

RULES = {
    "greedy": bayes_bandit.greedy_rule,
    "thompson": bayes_bandit.thompson_rule,
    "random": bayes_bandit.random_rule,
    "ucb1": bayes_bandit.ucb1_rule,
    "ucb": bayes_bandit.ucb_rule(0.7),
}


def beside_safe(rule):
    """Return a rule that pulls the safe arm with probability 1/4, more after losses, else as `rule` does."""

    def mixed(wins, losses):
        safe = 1 - 0.75 / (1 + losses.sum(axis=1, keepdims=True))
        return np.concatenate(((1 - safe) * rule(wins, losses), safe), axis=1)

    return mixed


def win_stay_lose_shift(n_actions):
    """Start with arm 0, pull an arm again after 0.5 or more, and go on to the next one after less."""

    def policy(arms, rewards):
        if not arms.shape[1]:
            return torch.eye(n_actions)[:1]
        last = arms[:, -1]
        return torch.eye(n_actions)[torch.where(rewards[:, -1] >= 0.5, last, (last + 1) % n_actions)]

    return policy


def constant(*chances):
    return lambda arms, rewards: torch.tensor([chances], dtype=torch.float64).expand(len(arms), -1)


def recurrent(theta, n_actions):
    """Return a small network with a memory: its weights are the numbers theta [2 A² + A]."""
    within, seen, bias = theta.split([n_actions**2, n_actions**2, n_actions])
    within, seen = within.reshape(n_actions, n_actions), seen.reshape(n_actions, n_actions)

    def policy(arms, rewards):
        h = torch.zeros(len(arms), n_actions, dtype=torch.float64)
        for arm, reward in zip(arms.T, rewards.T, strict=True):
            h = torch.tanh(h @ within + seen[arm] * (reward.double() - 0.3)[:, None])
        return torch.softmax(h @ within + bias, dim=1)

    return policy


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("n_arms", "pulls", "safe"),
    [(1, 3, None), (2, 3, None), (2, 5, None), (3, 3, None), (1, 4, 0.5), (2, 3, 0.5)],
)
def test_a_rule_of_counts_is_worth_what_the_tree_of_counts_says(name, n_arms, pulls, safe):
    rule = RULES[name] if safe is None else beside_safe(RULES[name])
    value = policy_value(history_policy(rule, n_arms), n_arms=n_arms, pulls=pulls, safe=safe)
    assert value.shape == ()
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(CountTree(n_arms, pulls, safe=safe).value(rule), abs=1e-12)


def test_what_the_safe_arm_pays_is_not_rounded():
    assert policy_value(constant(0.0, 1.0), n_arms=1, pulls=3, safe=0.55).item() == pytest.approx(
        1.65, abs=1e-12
    )


@pytest.mark.parametrize(
    ("n_arms", "pulls", "safe"), [(2, 6, None), (3, 4, None), (2, 4, 0.55), (1, 5, 0.45)]
)
def test_a_policy_of_the_order_earns_what_simulated_trials_earn(n_arms, pulls, safe):
    bandits = BernoulliBandits(n_arms, safe=safe)
    env = BatchedBandit(bandits.sample(200_000, seed=0), 1, horizon=pulls)
    policy = win_stay_lose_shift(env.num_actions)
    env.reset(seed=1)
    arms, rewards = torch.zeros(200_000, 0, dtype=torch.int64), torch.zeros(200_000, 0)
    earned = np.zeros((200_000, 1))
    for _ in range(pulls):
        arms = (
            policy(arms, rewards).argmax(dim=-1).expand(200_000)[:, None]
        )  # it looks at the last pull alone
        _, reward, *_ = env.step(arms.numpy())
        rewards = torch.from_numpy(reward)
        earned += reward
    value = policy_value(policy, n_arms=n_arms, pulls=pulls, safe=safe).item()
    assert abs(earned.mean() - value) <= 4 * earned.std() / np.sqrt(200_000)


def test_win_stay_lose_shift_for_two_pulls_by_hand():
    value = policy_value(win_stay_lose_shift(2), n_arms=2, pulls=2)
    assert value.item() == pytest.approx(1 / 2 + 1 / 2 * 2 / 3 + 1 / 2 * 1 / 2, abs=1e-12)


def test_a_policy_is_asked_once_about_every_history_of_a_length():
    asked = []

    def policy(arms, rewards):
        asked.append(
            [tuple(zip(a, r, strict=True)) for a, r in zip(arms.tolist(), rewards.tolist(), strict=True)]
        )
        assert arms.dtype == torch.int64
        return torch.full((len(arms), 3), 1 / 3)

    policy_value(policy, n_arms=2, pulls=4, safe=0.25)
    pulls = [(0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0), (2, 0.25)]
    assert len(asked) == 4
    for made, histories in enumerate(asked):
        assert sorted(histories) == sorted(product(pulls, repeat=made))


@pytest.mark.parametrize(("n_arms", "safe"), [(2, None), (3, None), (2, 0.5)])
@pytest.mark.parametrize("entropy_weight", [0.0, 0.2])
def test_the_gradient_is_that_of_finite_differences(n_arms, safe, entropy_weight):
    n_actions = n_arms + (safe is not None)
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(2 * n_actions**2 + n_actions, generator=generator, dtype=torch.float64)

    def value(weights):
        policy = recurrent(weights, n_actions)
        return policy_value(policy, n_arms=n_arms, pulls=3, safe=safe, entropy_weight=entropy_weight)

    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(value(theta), theta)
    steps = 1e-5 * torch.eye(len(theta), dtype=torch.float64)
    with torch.no_grad():
        slopes = torch.stack([(value(theta + step) - value(theta - step)) / 2e-5 for step in steps])
    torch.testing.assert_close(gradient, slopes, rtol=0, atol=1e-9)
    assert gradient.abs().max() > 0.01


def test_a_uniform_policy_adds_the_entropy_of_every_pull():
    plain = policy_value(constant(1 / 3, 1 / 3, 1 / 3), n_arms=3, pulls=4)
    added = policy_value(constant(1 / 3, 1 / 3, 1 / 3), n_arms=3, pulls=4, entropy_weight=0.7)
    assert plain.item() == pytest.approx(2, abs=1e-12)
    assert (added - plain).item() == pytest.approx(0.7 * 4 * np.log(3), abs=1e-12)


def test_entropies_are_weighed_by_how_often_a_history_comes_up():
    def sure_after_a_win(arms, rewards):
        won = (rewards[:, :1] == 1).any(dim=1, keepdim=True)
        return torch.where(won, torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]))

    plain, added = (
        policy_value(sure_after_a_win, n_arms=2, pulls=2, entropy_weight=weight).item()
        for weight in (0.0, 1.0)
    )
    assert added - plain == pytest.approx(np.log(2) * (1 + 1 / 2), abs=1e-12)
    assert policy_value(win_stay_lose_shift(2), n_arms=2, pulls=3, entropy_weight=1.0) == policy_value(
        win_stay_lose_shift(2), n_arms=2, pulls=3
    )


def test_count_leaves_the_safe_arm_out():
    arms = torch.tensor([[0, 2, 1, 0, 1], [2, 2, 2, 2, 1]])
    rewards = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    wins, losses = count(arms, rewards, 2)
    assert wins.tolist() == [[1, 0], [0, 1]]
    assert losses.tolist() == [[1, 2], [0, 0]]
    three = [counts.tolist() for counts in count(arms, rewards, 3)]
    assert three == [[[1, 0, 1], [0, 1, 4]], [[1, 2, 0], [0, 0, 0]]]
    assert [counts.tolist() for counts in count(arms[:, :0], rewards[:, :0], 2)] == [[[0, 0], [0, 0]]] * 2


def test_a_safe_arm_that_pays_one_is_no_win_of_another():
    rule = beside_safe(RULES["greedy"])
    value = policy_value(history_policy(rule, 2), n_arms=2, pulls=4, safe=1.0)
    assert value.item() == pytest.approx(CountTree(2, 4, safe=1.0).value(rule), abs=1e-12)


# --- what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_arms": 0}, "n_arms must be an integer >= 1, got 0"),
        ({"n_arms": 2.0}, "n_arms must be an integer >= 1, got 2.0"),
        ({"pulls": 0}, "pulls must be an integer >= 1, got 0"),
        ({"pulls": True}, "pulls must be an integer >= 1, got True"),
        ({"safe": 1.1}, r"safe must be in \[0, 1\], got 1.1"),
        ({"safe": float("nan")}, r"safe must be in \[0, 1\], got nan"),
        ({"pulls": 12}, "pulls=12 with n_arms=2 is too long to enumerate: 4..11 histories, .* 2,000,000"),
        ({"pulls": 11, "safe": 0.5}, "pulls=11 with n_arms=2 is too long to enumerate: 5..10 histories"),
    ],
)
def test_bad_numbers_are_refused_by_name(arguments, message):
    def never(arms, rewards):
        raise AssertionError("nothing is to be enumerated")

    with pytest.raises(ValueError, match=message):
        policy_value(never, **{"n_arms": 2, "pulls": 3, **arguments})


def test_a_very_long_horizon_is_refused_by_name():
    with pytest.raises(ValueError, match="pulls=9000 with n_arms=2 is too long to enumerate"):
        policy_value(constant(0.5, 0.5), n_arms=2, pulls=9000)


@pytest.mark.parametrize(
    "policy",
    [
        constant(0.5, 0.6),
        constant(1.5, -0.5),
        constant(0.5, 0.25, 0.25),
        constant(float("nan"), 1.0),
        lambda arms, rewards: torch.tensor([0.5, 0.5]),
        lambda arms, rewards: torch.full((len(arms) + 1, 2), 0.5),
        lambda arms, rewards: torch.zeros(len(arms), dtype=torch.int64),
    ],
)
def test_what_returns_no_probabilities_is_no_policy(policy):
    with pytest.raises(ValueError, match=r"policy must return probabilities \[1, 2\] that sum to 1"):
        policy_value(policy, n_arms=2, pulls=2)


def test_probabilities_are_checked_at_every_pull():
    def fails_later(arms, rewards):
        return torch.full((len(arms), 2), 0.5 if arms.shape[1] < 2 else 0.7)

    with pytest.raises(ValueError, match=r"policy must return probabilities \[16, 2\] that sum to 1"):
        policy_value(fails_later, n_arms=2, pulls=3)


def test_a_policy_must_speak_of_the_safe_arm():
    with pytest.raises(ValueError, match=r"policy must return probabilities \[1, 3\] that sum to 1"):
        policy_value(constant(0.5, 0.5), n_arms=2, pulls=2, safe=0.5)
