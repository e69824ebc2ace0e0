"""Many policy-gradient learners at once: each learns by itself, and its update has a slope by gamma."""

import numpy as np
import pytest
import torch

from mlearn_utils.rl import batched_policy_gradient as batched
from mlearn_utils.rl.batched_policy_gradient import BatchedPolicyGradient
from mlearn_utils.rl.policies import mlp
from mlearn_utils.rl.returns import advantages
from mlearn_utils.rl.surrogates import policy_loss
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import OBSERVATION_SCALE, BatchedCartPole, CartPolePhysics, CartPoleTask


def plain(n_tasks, num_envs=4, horizon=30):
    return BatchedCartPole(
        CartPoleTask("phys", CartPolePhysics(), np.zeros(n_tasks)), num_envs, horizon=horizon
    )


def test_learners_learn_cart_pole():
    learners = BatchedPolicyGradient(plain(4, num_envs=8, horizon=100), seed=0)
    history = learners.train(15, seed=1)
    assert (history[-1]["return"] > history[0]["return"] + 30).all()


def test_a_learner_does_not_look_at_its_neighbors():
    settings = {"learning_rate": torch.tensor([0.05, 0.01]), "gamma": torch.tensor([0.9, 0.99])}
    learners = BatchedPolicyGradient(plain(2), seed=0)
    rollout = learners.play(make_generator(0))
    together, _ = batched.policy_update(
        learners.params,
        learners.moments,
        rollout,
        learning_rate=settings["learning_rate"],
        gamma=settings["gamma"],
        lam=learners.lam,
        scale=learners.scale,
    )
    one = {name: value[:1] for name, value in learners.params.items()}
    alone, _ = batched.policy_update(
        one,
        batched.no_moments(one),
        type(rollout)(*(field[:1] for field in rollout)),
        learning_rate=settings["learning_rate"][:1],
        gamma=settings["gamma"][:1],
        lam=learners.lam[:1],
        scale=learners.scale,
    )
    for name, value in alone.items():
        assert torch.allclose(together[name][:1], value, atol=1e-6)


def test_the_step_is_that_of_torchs_adam():
    learners = BatchedPolicyGradient(plain(1), learning_rate=0.03, seed=0)
    twin = {name: value.clone().requires_grad_() for name, value in learners.params.items()}
    optimizer, generator = torch.optim.Adam(twin.values(), lr=0.03), make_generator(0)
    params, moments = learners.params, learners.moments
    for _ in range(3):
        rollout = learners.play(generator, params)
        params, moments = batched.policy_update(
            params,
            moments,
            rollout,
            learning_rate=learners.learning_rate,
            gamma=learners.gamma,
            lam=learners.lam,
            scale=learners.scale,
        )
        adv = advantages(rollout, gamma=0.99, lam=0.97)
        logits = mlp(twin, (rollout.obs / learners.scale).flatten(1, 2)).unflatten(1, rollout.act.shape[1:])
        optimizer.zero_grad()
        policy_loss(logits, rollout.act, adv, rollout.mask).sum().backward()
        optimizer.step()
    for name, value in params.items():
        assert torch.allclose(value, twin[name], atol=2e-3)  # steps of 0.03
    assert moments.updates == 3


def test_a_further_call_with_the_same_seed_or_none_goes_on_in_its_stream():
    whole, parts = (BatchedPolicyGradient(plain(2), seed=0) for _ in range(2))
    whole.train(4, seed=3)
    for seed in (3, 3, None, None):
        parts.train(1, seed=seed)
    for name, value in parts.params.items():
        assert torch.equal(value, whole.params[name])
    parts.train(1, seed=4)
    whole.train(1)
    assert not torch.equal(parts.history[-1]["return"], whole.history[-1]["return"])


@pytest.mark.parametrize("scale", [(1.0, 1.0, 0.1, 1.0), (0.5, 2.0, 0.1, 4.0)])
def test_observations_are_divided_by_the_scale_for_playing_and_for_learning(scale):
    """A policy with large weights is sure of most of its actions: they are the signs of its logits."""
    learners = BatchedPolicyGradient(plain(1, num_envs=8), scale=scale, seed=0)
    assert torch.equal(learners.scale, torch.tensor(scale))
    learners.params = {
        name: value * (1e5 if name[0] == "2" else 1) for name, value in learners.params.items()
    }
    rollout = learners.play(make_generator(0))
    logits = mlp(learners.params, (rollout.obs / torch.tensor(scale)).flatten(1, 2)).view(rollout.act.shape)
    sure = (logits.abs() > 5) & (rollout.mask > 0)
    assert sure.sum() > 20
    assert torch.equal((logits > 0)[sure], rollout.act.bool()[sure])
    found = batched.policy_logits(learners.params, rollout, learners.scale)
    torch.testing.assert_close(found[..., 0], logits, rtol=1e-4, atol=1e-4)


def test_the_scale_is_the_cart_poles_if_none_is_given():
    assert torch.equal(BatchedPolicyGradient(plain(1)).scale, torch.tensor(OBSERVATION_SCALE))


def test_each_learner_has_its_own_discount():
    rollout = BatchedPolicyGradient(plain(2, num_envs=8), seed=0).play(make_generator(0))
    gamma, lam = torch.tensor([0.9, 0.5]), torch.tensor([0.8, 0.3])
    mine = advantages(rollout, gamma=gamma[:, None, None], lam=lam[:, None, None])
    for k in range(2):
        alone = type(rollout)(*(field[k : k + 1] for field in rollout))
        assert torch.allclose(
            mine[k : k + 1], advantages(alone, gamma=float(gamma[k]), lam=float(lam[k])), atol=1e-3
        )


def test_the_update_is_differentiable_in_gamma_and_lambda():
    learners = BatchedPolicyGradient(plain(2), seed=0)
    rollout = learners.play(make_generator(0))
    rollout = type(rollout)(*(f.double() if f.is_floating_point() else f for f in rollout))
    params = {name: value.double() for name, value in learners.params.items()}

    def weight(gamma, lam):
        new, _ = batched.policy_update(
            params,
            batched.no_moments(params),
            rollout,
            learning_rate=learners.learning_rate.double(),
            gamma=gamma,
            lam=lam,
            scale=learners.scale.double(),
            differentiable=True,
        )
        return torch.cat([value[1].flatten() for value in new.values()]).square().sum()

    at = [
        torch.tensor([0.9, 0.8]).double().requires_grad_(),
        torch.tensor([0.9, 0.7]).double().requires_grad_(),
    ]
    slopes = torch.autograd.grad(weight(*at), at)
    for k, slope in enumerate(slopes):
        h = torch.zeros(2, dtype=torch.float64)
        h[1] = 1e-6
        up, down = ([a.detach() + sign * h * (j == k) for j, a in enumerate(at)] for sign in (1, -1))
        difference = (weight(*up) - weight(*down)) / 2e-6
        assert slope[1].item() == pytest.approx(difference.item(), rel=1e-4)
        assert slope[0] == 0  # the other learner's setting


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.1}, r"gamma must be in \[0, 1\]"),
        ({"lam": -0.1}, r"lam must be in \[0, 1\]"),
        ({"learning_rate": float("nan")}, "learning_rate must be in"),
        ({"gamma": torch.full((3,), 0.9)}, r"gamma must be a number or \[2\], got shape \[3\]"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        BatchedPolicyGradient(plain(2), **settings)
