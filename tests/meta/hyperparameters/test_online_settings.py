"""The meta-gradient of discount and lambda: right by finite differences, and it mends a bad discount."""

import numpy as np
import pytest
import torch

from mlearn_utils.meta.hyperparameters.online_settings import OnlineSettings
from mlearn_utils.rl.batched_policy_gradient import policy_logits, policy_update
from mlearn_utils.rl.returns import advantages
from mlearn_utils.rl.surrogates import policy_loss
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPolePhysics, CartPoleTask


def plain(n_tasks, num_envs=4, horizon=30):
    return BatchedCartPole(
        CartPoleTask("phys", CartPolePhysics(), np.zeros(n_tasks)), num_envs, horizon=horizon
    )


def doubled(rollout):
    return type(rollout)(*(f.double() if f.is_floating_point() else f for f in rollout))


def test_the_gradient_is_that_of_finite_differences():
    learners = OnlineSettings(plain(2), gamma=0.8, lam=0.7, seed=0)
    generator = make_generator(0)
    before, after = (doubled(learners.play(generator)) for _ in range(2))
    params = {name: value.double() for name, value in learners.params.items()}
    learners.scale, learners.learning_rate = learners.scale.double(), learners.learning_rate.double()
    eta = learners.eta.detach().double()
    moments = learners.moments._replace(
        first={name: torch.zeros_like(value) for name, value in params.items()},
        second={name: torch.zeros_like(value) for name, value in params.items()},
    )

    def updated(eta, differentiable):
        gamma, lam = torch.sigmoid(eta)
        settings = {"learning_rate": learners.learning_rate, "gamma": gamma, "lam": lam}
        return policy_update(
            params, moments, before, scale=learners.scale, differentiable=differentiable, **settings
        )[0]

    def judged(eta):
        adv = advantages(after, gamma=1.0, lam=1.0)
        new = updated(eta, differentiable=False)
        return policy_loss(policy_logits(new, after, learners.scale), after.act, adv, after.mask).sum()

    learners.eta = eta.clone().requires_grad_()
    gradient = learners.settings_gradient(updated(learners.eta, differentiable=True), after)
    for k in range(2):
        for task in range(2):
            h = torch.zeros_like(eta)
            h[k, task] = 1e-6
            difference = (judged(eta + h) - judged(eta - h)) / 2e-6
            assert gradient[k, task].item() == pytest.approx(difference.item(), rel=1e-3, abs=1e-8)


def test_a_bad_discount_is_raised_and_training_gains():
    returns = {}
    for meta_lr in (0.0, 0.3):
        learners = OnlineSettings(
            plain(6, num_envs=8, horizon=100), gamma=0.3, lam=0.9, meta_lr=meta_lr, seed=0
        )
        history = learners.train(20, seed=1)
        returns[meta_lr] = torch.stack([row["return"] for row in history]).mean(dim=0)
        moved = history[-1]["gamma"] - history[0]["gamma"]
        assert (moved == 0).all() if meta_lr == 0 else (moved > 0.0).all() and moved.mean() > 0.1
    assert returns[0.3].mean() > returns[0.0].mean()


def test_the_history_has_the_settings_of_each_update():
    learners = OnlineSettings(plain(3), gamma=torch.tensor([0.5, 0.9, 0.99]), seed=0)
    history = learners.train(2, seed=0)
    assert len(history) == 2
    assert torch.allclose(history[0]["gamma"], torch.tensor([0.5, 0.9, 0.99]))
    assert {name: row.shape for name, row in history[0].items()} == dict.fromkeys(
        ("return", "gamma", "lam"), torch.Size([3])
    )


def test_a_further_call_plays_other_episodes():
    learners = OnlineSettings(plain(2, horizon=100), learning_rate=0.0, meta_lr=0.0, seed=0)
    first, second, third = (learners.train(1, seed=seed)[0]["return"] for seed in (5, None, 5))
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)


def test_equal_seeds_give_equal_runs():
    first, second = (OnlineSettings(plain(2), seed=0).train(3, seed=5) for _ in range(2))
    assert torch.equal(first[-1]["gamma"], second[-1]["gamma"])
    assert torch.equal(first[-1]["return"], second[-1]["return"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.0}, r"gamma must lie inside \(0, 1\)"),
        ({"lam": 0.0}, r"lam must lie inside \(0, 1\)"),
        ({"meta_lr": -1.0}, "meta_lr must be finite and >= 0"),
        ({"meta_lr": float("inf")}, "meta_lr must be finite and >= 0"),
        ({"judge_gamma": 1.5}, r"judge_gamma must be in \[0, 1\], got 1.5"),
        ({"judge_lam": float("nan")}, r"judge_lam must be in \[0, 1\], got nan"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        OnlineSettings(plain(2), **settings)


@pytest.mark.parametrize("iterations", [0, -1, 1.5, True])
def test_a_number_of_batches_that_is_none_is_refused(iterations):
    with pytest.raises(ValueError, match="iterations must be an integer >= 1, got"):
        OnlineSettings(plain(2)).train(iterations)
