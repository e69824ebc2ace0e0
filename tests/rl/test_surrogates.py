"""Gradient and Hessian of the surrogates on a three-step MDP, every episode enumerated."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

from mlearn_utils.rl.enumerate_episodes import enumerate_episodes
from mlearn_utils.rl.policies import log_prob
from mlearn_utils.rl.returns import returns_to_go
from mlearn_utils.rl.surrogates import SURROGATES, dice_surrogate, policy_loss

P = np.array([[[0.7, 0.3], [0.5, 0.5]], [[0.5, 0.5], [0.3, 0.7]]])
R = np.array([[0.0, 1.0], [2.0, 0.0]])
START = np.array([0.7, 0.3])
THETA = torch.tensor([[1.0, -1.0], [0.5, -0.5]], dtype=torch.float64)  # [state, action] logits
GAMMA = 0.9
EPISODES = enumerate_episodes(P, R, START, steps=3)
MASK = torch.ones_like(EPISODES.reward)
DISCOUNT = GAMMA ** torch.arange(3, dtype=torch.float64)[:, None]
CREDIT = DISCOUNT * returns_to_go(EPISODES.reward, MASK, gamma=GAMMA)


def logp(theta: Tensor) -> Tensor:
    return log_prob(theta[EPISODES.state], EPISODES.act)


def expected_return(theta: Tensor) -> Tensor:
    return (EPISODES.probability(logp(theta)) * (DISCOUNT * EPISODES.reward).sum(dim=0)).sum()


def expected_surrogate(name: str, credit: Tensor = CREDIT):
    chance = EPISODES.probability(logp(THETA)).detach()  # the episodes that THETA samples, in expectation
    return lambda theta: (chance * SURROGATES[name](logp(theta), credit, MASK)).sum()


def matrix(function) -> Tensor:
    second = hessian(function, THETA)
    assert isinstance(second, Tensor)
    return second.reshape(4, 4)


def test_the_episodes_are_all_there_are():
    assert EPISODES.state.shape == (3, 64)
    assert EPISODES.probability(logp(THETA)).sum().item() == pytest.approx(1, abs=1e-14)


def test_the_expected_return_is_that_of_the_bellman_equation():
    policy, value = torch.softmax(THETA, dim=-1).numpy(), np.zeros(2)
    for _ in range(3):
        value = (policy * (R + GAMMA * P @ value)).sum(axis=-1)
    assert expected_return(THETA).item() == pytest.approx(START @ value, abs=1e-14)


@pytest.mark.parametrize("name", SURROGATES)
def test_every_surrogate_has_the_gradient(name):
    exact, ours = jacobian(expected_return, THETA), jacobian(expected_surrogate(name), THETA)
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", SURROGATES)
def test_a_baseline_changes_no_gradient(name):
    credit = CREDIT - torch.tensor([0.7, -1.3], dtype=torch.float64)[EPISODES.state]
    exact, ours = jacobian(expected_return, THETA), jacobian(expected_surrogate(name, credit), THETA)
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-14)


def test_hessian_errors_are_what_they_are():
    """Relative Frobenius errors: DiCE none, LVC a ninth, plain more than the Hessian itself."""
    exact = matrix(expected_return)
    error = {
        name: ((matrix(expected_surrogate(name)) - exact).norm() / exact.norm()).item() for name in SURROGATES
    }
    assert error["dice"] < 1e-10
    assert error["lvc"] == pytest.approx(0.11, abs=5e-3)
    assert error["plain"] == pytest.approx(1.52, abs=5e-3)


def test_what_lvc_and_plain_lack_are_products_of_scores():
    score = jacobian(logp, THETA)
    assert isinstance(score, Tensor)
    score = score.reshape(3, -1, 4)
    chance = EPISODES.probability(logp(THETA))
    same = torch.einsum("e,te,tei,tej->ij", chance, CREDIT, score, score)
    to_date = score.cumsum(dim=0)
    earlier = to_date - score
    pairs = torch.einsum("tei,tej->teij", to_date, to_date) - torch.einsum("tei,tej->teij", earlier, earlier)
    crossed = torch.einsum("e,te,teij->ij", chance, CREDIT, pairs) - same
    exact = matrix(expected_return)
    torch.testing.assert_close(matrix(expected_surrogate("lvc")) + crossed, exact, rtol=0, atol=1e-13)
    torch.testing.assert_close(
        matrix(expected_surrogate("plain")) + same + crossed, exact, rtol=0, atol=1e-13
    )


def test_dice_with_the_return_to_go_is_foersters_sum_less_a_constant():
    def foerster(theta: Tensor) -> Tensor:
        so_far = logp(theta).cumsum(dim=0)
        return ((so_far - so_far.detach()).exp() * DISCOUNT * EPISODES.reward).sum(dim=0)

    def loaded(theta: Tensor) -> Tensor:
        return dice_surrogate(logp(theta), CREDIT, MASK) + CREDIT[0]

    torch.testing.assert_close(loaded(THETA), foerster(THETA))
    torch.testing.assert_close(jacobian(loaded, THETA), jacobian(foerster, THETA))


@pytest.mark.parametrize("name", SURROGATES)
def test_steps_after_the_end_do_not_count(name):
    theta = THETA.clone().requires_grad_()
    mask = MASK.clone()
    mask[2] = 0
    whole = SURROGATES[name](logp(theta), CREDIT, mask)
    cut = SURROGATES[name](logp(theta)[:2], CREDIT[:2], MASK[:2])
    torch.testing.assert_close(whole, cut)
    ours, theirs = (torch.autograd.grad(value.sum(), theta)[0] for value in (whole, cut))
    torch.testing.assert_close(ours, theirs)


def test_the_policy_loss_is_minus_the_mean_over_steps_taken():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 3, 4, generator=generator)
    act = torch.randint(4, (2, 5, 3), generator=generator)
    adv = torch.randn(2, 5, 3, generator=generator)
    mask = (torch.arange(5)[:, None] < torch.tensor([5, 1, 3])).float().expand(2, 5, 3)
    loss = policy_loss(logits, act, adv, mask)
    for t in range(2):
        terms = [
            torch.log_softmax(logits[t, s, e], dim=0)[act[t, s, e]] * adv[t, s, e]
            for s, e in np.ndindex(5, 3)
            if mask[t, s, e]
        ]
        torch.testing.assert_close(loss[t], -torch.stack(terms).mean())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((P[:, :1], R, START), "P must be"),
        ((P, R.T[:1], START), r"R \[X, A\]"),
        ((P * 0.5, R, START), "sum to 1"),
        ((P, R, START[:1]), "sum to 1"),
    ],
)
def test_bad_tables_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        enumerate_episodes(*arguments, steps=3)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps must be an integer >= 1"):
        enumerate_episodes(P, R, START, steps=0)
