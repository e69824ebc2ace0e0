"""Rollouts against a replay of every single environment."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mlearn_utils.rl.policies import init_mlp, log_prob, mlp
from mlearn_utils.rl.rollout import Rollout, collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTasks

KEEP_UP = torch.tensor([0.5, 1.0, 20.0, 4.0])


def steady(obs: Tensor) -> Tensor:
    """A hand-written policy that holds the pole up: logits [..., 1]."""
    return 50 * (obs @ KEEP_UP).unsqueeze(-1)


def coin(obs: Tensor) -> Tensor:
    return torch.zeros_like(obs[..., :1])


def assert_is_a_replay(rollout: Rollout, env: BatchedCartPole) -> None:
    """Play every episode again, alone in its own environment and from its own first observation."""
    n_tasks, n_steps, n_envs = rollout.act.shape
    for t, e in np.ndindex(n_tasks, n_envs):
        twin = BatchedCartPole(env.tasks[t], horizon=env.horizon)
        twin.reset(seed=0)
        twin._parts = rollout.obs[t, 0, e].numpy()[:, None, None].copy()
        alive = True
        for s in range(n_steps):
            assert rollout.mask[t, s, e].item() == alive
            obs, reward, terminated, _, _ = twin.step(rollout.act[t, s, e].numpy()[None, None])
            following = rollout.obs[t, s + 1, e] if s + 1 < n_steps else rollout.last_obs[t, e]
            np.testing.assert_allclose(following.numpy(), obs[0, 0], atol=1e-6)
            assert rollout.reward[t, s, e].item() == pytest.approx(reward.item(), abs=1e-6)
            assert rollout.terminated[t, s, e].item() == (alive and terminated.item())
            alive = twin.alive.item()


@pytest.mark.parametrize("policy", [coin, steady])
@pytest.mark.parametrize("family", ["dirv", "dir"])
def test_a_rollout_is_one_whole_episode_of_each_environment(policy, family):
    env = BatchedCartPole(CartPoleTasks(family).sample(3, seed=0), 2, horizon=40)
    rollout = collect(env, policy, generator=make_generator(0))
    assert_is_a_replay(rollout, env)
    assert rollout.mask.any(dim=2).any(dim=0).all()  # no step that nobody took


def test_the_mask_includes_the_terminating_step():
    env = BatchedCartPole(None, 50, horizon=200)
    rollout = collect(env, coin, generator=make_generator(0))
    lengths = rollout.mask.sum(dim=1)
    ends = rollout.terminated.argmax(dim=1) + 1
    assert torch.equal(rollout.terminated.sum(dim=1), torch.ones(1, 50))
    assert torch.equal(lengths, ends.float())
    assert torch.equal(rollout.episode_returns(), lengths)  # reward 1 a step
    assert rollout.obs.shape[1] == lengths.max() < 200


def test_a_truncated_episode_has_no_termination_and_keeps_its_last_observation():
    env = BatchedCartPole(None, 4, horizon=30)
    rollout = collect(env, steady, generator=make_generator(0))
    assert rollout.mask.shape == (1, 30, 4)
    assert rollout.mask.all()
    assert not rollout.terminated.any()
    assert not torch.equal(rollout.last_obs, rollout.obs[:, -1])
    torch.testing.assert_close(
        rollout.last_obs[..., 0], (rollout.obs[:, -1, :, 0] + 0.02 * rollout.obs[:, -1, :, 1])
    )


@pytest.mark.parametrize(("n_tasks", "n_envs", "horizon"), [(1, 1, 1), (1, 5, 1), (4, 1, 3)])
def test_small_rollouts_keep_their_axes(n_tasks, n_envs, horizon):
    env = BatchedCartPole(CartPoleTasks("goalv").sample(n_tasks, seed=0), n_envs, horizon=horizon)
    rollout = collect(env, coin, generator=make_generator(0))
    assert rollout.obs.shape == (n_tasks, horizon, n_envs, 4)
    for field in (rollout.act, rollout.reward, rollout.mask, rollout.terminated):
        assert field.shape == (n_tasks, horizon, n_envs)
    assert rollout.last_obs.shape == (n_tasks, n_envs, 4)
    assert rollout.act.dtype == torch.int64
    assert rollout.mask.all()


def test_each_task_acts_by_its_own_parameters():
    sets = [init_mlp((4, 8, 1), generator=make_generator(seed)) for seed in range(2)]
    sets = [{name: 30 * value for name, value in params.items()} for params in sets]
    stacked = {name: torch.stack([params[name] for params in sets]) for name in sets[0]}
    env = BatchedCartPole(CartPoleTasks("dirv").sample(2, seed=0), 300, horizon=10)
    rollout = collect(env, lambda obs: mlp(stacked, obs), generator=make_generator(0))
    for t, params in enumerate(sets):
        taken = rollout.mask[t] > 0
        own = log_prob(mlp(params, rollout.obs[t]), rollout.act[t])[taken].mean()
        other = log_prob(mlp(sets[1 - t], rollout.obs[t]), rollout.act[t])[taken].mean()
        assert own > other + 0.01


def test_the_same_generator_state_gives_the_same_rollout():
    env = BatchedCartPole(CartPoleTasks("dir").sample(2, seed=0), 3, horizon=20)
    first, again, other = (collect(env, coin, generator=make_generator(seed)) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.obs[:, 0], other.obs[:, 0])


def test_torch_and_numpy_engines_play_the_same_episodes():
    tasks = CartPoleTasks("dirv").sample(3, seed=0)
    ours = collect(BatchedCartPole(tasks, 4, horizon=25), steady, generator=make_generator(0))
    twin = collect(BatchedCartPole(tasks, 4, horizon=25, device="cpu"), steady, generator=make_generator(0))
    for a, b in zip(ours, twin, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_rollouts_on_the_gpu_start_as_those_on_the_cpu():
    tasks = CartPoleTasks("phys").sample(3, seed=0)
    ours = collect(BatchedCartPole(tasks, 4, horizon=5), coin, generator=make_generator(0))
    twin = collect(BatchedCartPole(tasks, 4, horizon=5, device="cuda"), coin, generator=make_generator(0))
    for a, b in zip(ours, twin, strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=0, atol=1e-4)


def test_the_deviation_is_that_of_the_steps_taken_and_one_where_nothing_varied():
    env = BatchedCartPole(CartPoleTasks("dirv").sample(3, seed=0), 4, horizon=60)
    rollout = collect(env, coin, generator=make_generator(1))
    rollout.obs[..., 2] = 7.0
    taken = [(t, s, e) for t, s, e in np.ndindex(*rollout.mask.shape) if rollout.mask[t, s, e]]
    seen = np.array([rollout.obs[t, s, e].tolist() for t, s, e in taken])
    assert 0 < len(seen) < rollout.mask.numel()
    assert rollout.deviation().tolist() == pytest.approx([*seen.std(axis=0)[:2], 1.0, seen.std(axis=0)[3]])


def test_greedy_takes_the_most_probable_action():
    env = BatchedCartPole(None, 6, horizon=20)
    rollout = collect(env, lambda obs: obs[..., :1], generator=make_generator(0), greedy=True)
    assert torch.equal(rollout.act, (rollout.obs[..., 0] > 0).long())


class Broken(BatchedCartPole):
    """A cart-pole that returns NaN at its third step, in environment 1 of task 0."""

    def step(self, action):
        outcome = super().step(action)
        if self.elapsed == 3:
            outcome[1][0, 1] = float("nan")
        return outcome


def test_a_reward_that_is_not_finite_is_named_by_its_step():
    with pytest.raises(
        ValueError, match=r"reward must be finite, got nan at step 2 of an episode \(task 0, env"
    ):
        collect(Broken(None, 4, horizon=20), coin, generator=make_generator(0))


def test_a_policy_that_is_none_is_named():
    env = BatchedCartPole(None, 2)
    with pytest.raises(TypeError, match="policy must be callable"):
        collect(env, "greedy", generator=make_generator(0))  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        ValueError, match=r"policy must return logits of shape \(1, 2, 2\) or \(1, 2, 1\), got \(1, 2, 4\)"
    ):
        collect(env, lambda obs: obs, generator=make_generator(0))
    with pytest.raises(ValueError, match=r"policy must return logits .* got int"):
        collect(env, lambda obs: 1, generator=make_generator(0))  # pyright: ignore[reportArgumentType]


def test_features_are_centred_where_their_mean_is_beyond_their_deviation():
    obs = torch.zeros(1, 4, 2, 4)
    obs[..., 0] = 1000 + torch.tensor([[-1.0, 1.0]] * 4)  # large, and varies
    obs[..., 1] = 1.0  # constant
    obs[..., 2] = 1 + 1e-7 * torch.tensor([[-1.0, 1.0]] * 4)  # all but constant
    obs[..., 3] = torch.tensor([[-2.0, 2.1]] * 4)  # around 0
    ones = torch.ones(1, 4, 2)
    rollout = Rollout(obs, ones.long(), ones, ones, 0 * ones, obs[:, -1])
    center, scale = rollout.center_and_scale()
    assert center.tolist() == pytest.approx([1000.0, 1.0, 1.0, 0.0])
    assert scale.tolist() == pytest.approx([1.0, 1.0, 1e-5, 2.05], rel=1e-3)
