"""The 2-D point: its moves, its end, its two forms, and what it refuses."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from mlearn_utils.meta.policies.check_family import check_family
from mlearn_utils.tasks.point import BatchedPoint, PointEnv, PointTask, PointTasks


def test_goals_are_uniform_in_the_square_and_repeatable():
    goals = PointTasks().sample(20_000, seed=0).goal
    assert goals.shape == (20_000, 2)
    assert abs(goals).max() <= 0.5
    assert goals.mean(0) == pytest.approx([0, 0], abs=0.01)
    assert (goals**2).sum(1).mean() == pytest.approx(1 / 6, abs=0.002)
    assert np.array_equal(goals[:5], PointTasks().sample(20_000, seed=0).goal[:5])
    assert not np.array_equal(goals[:5], PointTasks().sample(20_000, seed=1).goal[:5])


def test_it_moves_by_a_tenth_of_the_clipped_action_and_pays_the_squared_distance():
    env = BatchedPoint(PointTask([[0.3, 0.0], [0.0, 0.5]]), 1)
    env.reset(seed=0)
    obs, reward, terminated, truncated, _ = env.step(np.array([[[2.0, 0.5]], [[0.0, -3.0]]]))
    assert obs[:, 0] == pytest.approx(np.array([[0.1, 0.05], [0.0, -0.1]]))
    assert reward[:, 0] == pytest.approx([-(0.2**2 + 0.05**2), -(0.6**2)])
    assert not terminated.any()
    assert not truncated.any()


def test_it_ends_at_the_goal_and_stays_there():
    env = BatchedPoint(PointTask([[0.1, 0.0], [0.5, 0.5]]), 2, horizon=3)
    env.reset(seed=0)
    right = np.array([[[1.0, 0.0]] * 2] * 2)
    _, reward, terminated, _, _ = env.step(right)
    assert terminated.tolist() == [[True, True], [False, False]]
    obs, reward, *_ = env.step(right)
    assert obs[0] == pytest.approx(np.array([[0.1, 0.0]] * 2))
    assert reward[0].tolist() == [0.0, 0.0]
    env.step(right)
    assert env._truncated.tolist() == [[False, False], [True, True]]
    assert not env.alive.any()


def test_torch_and_gymnasium_play_the_same():
    tasks, random = PointTasks().sample(3, seed=0), np.random.default_rng(0)
    plain, on_torch = BatchedPoint(tasks, 1), BatchedPoint(tasks, 1, device="cpu")
    envs = [PointTasks().make_env(tasks[k]) for k in range(3)]
    assert torch.equal(on_torch.reset(seed=0), torch.from_numpy(plain.reset(seed=0)))
    for env in envs:
        env.reset(seed=0)
    for _ in range(100):
        action = random.normal(size=(3, 1, 2)).astype(np.float32)
        first, second = plain.step(action), on_torch.step(torch.from_numpy(action))
        for a, b in zip(first[:4], second[:4], strict=True):
            np.testing.assert_allclose(a, b.numpy(), atol=1e-6)
        for k, env in enumerate(envs):
            if plain.elapsed < 100 and not first[2][k, 0]:
                obs, reward, terminated, truncated, _ = env.step(action[k, 0])
                np.testing.assert_allclose(obs, first[0][k, 0])
                assert reward == pytest.approx(float(first[1][k, 0]))
                assert (terminated, truncated) == (False, False)
    assert check_family(PointTasks()) == []


def test_its_picture_shows_the_goal_and_the_point():
    env = PointEnv(PointTask([0.4, 0.4]), render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(np.array([1.0, 0.0], dtype=np.float32))
    after = env.render()
    assert before is not None
    assert after is not None
    assert before.shape == (200, 200, 3)
    assert (before != after).any()
    assert PointEnv().render() is None


@pytest.mark.parametrize("goal", [[], [[0.0, float("nan")]], [1.0, 2.0, 3.0], "here", None])
def test_bad_goals(goal):
    with pytest.raises(ValueError, match="goal must be finite numbers"):
        PointTask(goal)


def test_bad_calls():
    tasks: Any = PointTasks().sample(2, seed=0)
    with pytest.raises(ValueError, match="n_tasks must be an integer >= 1"):
        PointTasks().sample(0, seed=0)
    with pytest.raises(ValueError, match="seed must be an integer >= 0"):
        PointTasks().sample(1, seed=-1)
    with pytest.raises(TypeError, match="tasks must be a PointTask"):
        BatchedPoint([0.1, 0.2])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="num_envs must be an integer >= 1"):
        BatchedPoint(tasks, 0)
    with pytest.raises(ValueError, match="task must hold one goal, got 2"):
        PointEnv(tasks)
    with pytest.raises(ValueError, match="render_mode must be None"):
        PointEnv(render_mode="human")
    env = BatchedPoint(tasks, 1)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        env.step(np.zeros((2, 1, 2)))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must have shape \[2, 1, 2\]"):
        env.step(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="action must be finite"):
        env.step(np.full((2, 1, 2), np.nan))


def test_it_is_registered():
    env = gym.make("mlearn/Point-v0")
    assert env.reset(seed=0)[0].tolist() == [0.0, 0.0]
    env.close()
