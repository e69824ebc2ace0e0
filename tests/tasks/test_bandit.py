"""Bernoulli bandits: their draws, what a pull pays, their two forms, and what they refuse."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from mlearn_utils.meta.policies.agent import MAMLAgent
from mlearn_utils.meta.policies.check_family import check_family
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.meta.policies.memory_config import bandit_config
from mlearn_utils.tasks.bandit import ENV_ID, LUCK, BanditEnv, BanditTask, BatchedBandit, BernoulliBandits


def rewards_of(env, actions, seed):
    """Play `actions` [H, T, E] in a new episode and return the rewards [H, T, E]."""
    env.reset(seed=seed)
    return np.stack([np.asarray(env.step(action)[1]) for action in actions])


def random_actions(env, steps, seed=0):
    return np.random.default_rng(seed).integers(env.num_actions, size=(steps, env.num_tasks, env.num_envs))


# --- sampling


def test_chances_are_uniform_and_independent():
    chances = BernoulliBandits(3).sample(20_000, seed=0).chances
    assert chances.shape == (20_000, 3)
    assert chances.min() >= 0
    assert chances.max() <= 1
    quarters = [np.histogram(column, bins=4, range=(0, 1))[0] for column in chances.T]
    assert np.stack(quarters) == pytest.approx(np.full((3, 4), 5000), abs=4 * np.sqrt(20_000 * 3 / 16))
    assert np.corrcoef(chances.T) == pytest.approx(np.eye(3), abs=4 / np.sqrt(20_000))


def test_the_same_seed_draws_the_same_bandits():
    first, again, other = (BernoulliBandits(4).sample(6, seed=seed).chances for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_row_is_one_bandit_and_a_table_is_one_a_row():
    assert BanditTask([0.1, 0.2, 0.3]).chances.shape == (1, 3)
    tasks = BanditTask([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], safe=0.7)
    assert (len(tasks), tasks.num_actions) == (3, 3)
    assert BanditTask([[0.1, 0.2]]).num_actions == 2
    assert BernoulliBandits(2, safe=0.4).sample(5, seed=0).safe == 0.4
    assert BernoulliBandits(2).sample(5, seed=0).safe is None


def test_indexing_gives_bandits_again():
    tasks = BanditTask([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], safe=0.7)
    for index, rows in ((-1, [2]), (slice(1, 3), [1, 2]), (np.array([2, 0]), [2, 0])):
        np.testing.assert_array_equal(tasks[index].chances, tasks.chances[rows])
        assert tasks[index].safe == 0.7
    assert [task.chances[0, 0] for task in tasks] == [0.1, 0.3, 0.5]
    with pytest.raises(IndexError):
        tasks[3]


def test_a_task_keeps_its_own_copy():
    chances = np.array([[0.1, 0.2]])
    task = BanditTask(chances)
    chances[:] = 1
    assert task.chances.tolist() == [[0.1, 0.2]]


def test_means_have_the_safe_arm_last():
    assert BanditTask([[0.1, 0.2], [0.3, 0.4]]).means().tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert BanditTask([[0.1, 0.2], [0.3, 0.4]], 0.7).means().tolist() == [[0.1, 0.2, 0.7], [0.3, 0.4, 0.7]]


def test_a_family_says_what_it_is():
    assert repr(BernoulliBandits(3)) == "BernoulliBandits(3)"
    assert repr(BernoulliBandits(3, safe=0.5)) == "BernoulliBandits(3, safe=0.5)"


# --- the batch


def test_the_luck_of_a_seed_is_not_the_chances_of_the_same_seed():
    """Else whoever pulls the first arm first meets its chance as its luck, and always loses."""
    family, won = BernoulliBandits(3), np.zeros(2)
    for seed in range(200):
        task = family.sample(1, seed=seed)
        env, batch = family.make_env(task), family.make_batch(task, 1)
        env.reset(seed=seed)
        batch.reset(seed=seed)
        won += [float(env.step(0)[1]), batch.step(np.array([[0]]))[1].item()]
    assert (abs(won / 200 - 0.5) < 0.15).all()


@pytest.mark.parametrize("safe", [None, 0.37])
@pytest.mark.parametrize("horizon", [1, 3])
def test_a_batch_pays_what_a_plain_loop_with_the_same_luck_pays(safe, horizon):
    tasks = BernoulliBandits(3, safe=safe).sample(4, seed=1)
    env = BatchedBandit(tasks, 50, horizon=horizon)
    actions = random_actions(env, horizon)
    luck = np.random.default_rng([7, LUCK]).uniform(size=(horizon, 4, 50))
    paid = np.zeros((horizon, 4, 50), dtype=np.float32)
    for step, task, player in np.ndindex(*paid.shape):
        arm = actions[step, task, player]
        if arm == 3:
            paid[step, task, player] = safe
        elif luck[step, task, player] < tasks.chances[task, arm]:
            paid[step, task, player] = 1
    rewards = rewards_of(env, actions, seed=7)
    np.testing.assert_array_equal(rewards, paid)
    assert rewards.dtype == np.float32
    assert not np.array_equal(rewards, rewards_of(env, actions, seed=8))


def test_each_arm_pays_as_often_as_its_chance():
    tasks = BanditTask([[0.0, 0.2, 1.0], [0.9, 0.5, 0.3]])
    for arm in range(3):
        paid = rewards_of(BatchedBandit(tasks, 20_000), np.full((1, 2, 20_000), arm), seed=arm)[0].mean(
            axis=1
        )
        chance = tasks.chances[:, arm]
        assert (abs(paid - chance) <= 4 * np.sqrt(chance * (1 - chance) / 20_000)).all()


def test_the_safe_arm_is_the_last_and_pays_exactly():
    env = BernoulliBandits(2, safe=0.37).make_batch(BanditTask([[0.0, 0.0]] * 3, 0.37), 5, horizon=4)
    assert env.num_actions == 3
    assert (rewards_of(env, np.full((4, 3, 5), 2), seed=0) == np.float32(0.37)).all()
    assert not rewards_of(env, np.full((4, 3, 5), 1), seed=0).any()


@pytest.mark.parametrize("horizon", [1, 3])
def test_an_episode_is_cut_after_its_last_pull_and_nothing_is_paid_after_it(horizon):
    env = BatchedBandit(BanditTask([[1.0, 1.0]] * 2, 0.5), 3, horizon=horizon)
    assert not env.alive.any()
    for seed in (0, 1):  # a second episode is as the first
        assert env.reset(seed=seed).tolist() == [[[1.0]] * 3] * 2
        assert env.alive.all()
        for step in range(1, horizon + 3):
            obs, reward, terminated, truncated, info = env.step(np.array([[0, 1, 2]] * 2))
            assert obs.tolist() == [[[1.0]] * 3] * 2
            assert reward.tolist() == [[1.0, 1.0, 0.5] if step <= horizon else [0.0] * 3] * 2
            assert not terminated.any()
            assert truncated.tolist() == [[step >= horizon] * 3] * 2
            assert env.alive.tolist() == (~truncated).tolist()
            assert info == {}


def test_torch_plays_as_numpy_does():
    family = BernoulliBandits(3, safe=0.4)
    tasks = family.sample(4, seed=2)
    plain = family.make_batch(tasks, 6, horizon=3)
    on_torch = family.make_batch(tasks, 6, horizon=3, device=torch.device("cpu"))
    assert torch.equal(on_torch.reset(seed=5), torch.from_numpy(plain.reset(seed=5)))
    for action in random_actions(plain, 4):
        first, second = plain.step(action), on_torch.step(torch.from_numpy(action))
        for a, b in zip(first[:4], second[:4], strict=True):
            assert isinstance(b, torch.Tensor)
            assert b.numpy().dtype == a.dtype
            np.testing.assert_array_equal(a, b.numpy())
        assert plain.alive.tolist() == on_torch.alive.tolist()


# --- Gymnasium and the agents


@pytest.mark.filterwarnings("error")
def test_the_registered_environment_passes_the_checker():
    env = gym.make(ENV_ID)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 1
    check_env(env.unwrapped)
    check_env(BernoulliBandits(2, safe=0.3).make_env(BanditTask([0.5, 0.6], 0.3)).unwrapped)
    env.close()


def test_an_environment_pays_as_often_as_its_arms_chances():
    task = BanditTask([0.1, 0.7], 0.25)
    env = BernoulliBandits(2, safe=0.25).make_env(task, horizon=6000)
    obs, _ = env.reset(seed=0)
    assert obs.tolist() == [1.0]
    played = [env.step(step % 3) for step in range(6000)]
    paid = np.array([reward for _, reward, *_ in played]).reshape(2000, 3)
    for arm, chance in enumerate((0.1, 0.7)):
        assert set(paid[:, arm]) == {0.0, 1.0}
        assert paid[:, arm].mean() == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 2000))
    assert (paid[:, 2] == 0.25).all()
    assert [truncated for *_, truncated, _ in played] == [False] * 5999 + [True]
    assert not any(terminated for _, _, terminated, *_ in played)


def test_the_default_environment_has_five_arms_and_a_repeatable_luck():
    env = gym.make(ENV_ID).unwrapped
    paid = []
    for seed in (0, 0, 1):
        env.reset(seed=seed)
        paid.append([env.step(arm % 5)[1] for arm in range(50)])
    assert paid[0] == paid[1] != paid[2]


def test_the_family_is_fit_for_use():
    assert check_family(BernoulliBandits(5)) == []


@pytest.mark.parametrize("seed", [3, 4])
def test_the_family_is_fit_for_use_whatever_the_seed(seed):
    assert check_family(BernoulliBandits(5), seed=seed) == []


@pytest.mark.parametrize("family", [BernoulliBandits(3), BernoulliBandits(1, safe=0.55)])
def test_agents_take_the_family(family):
    agent = MemoryAgent(family, bandit_config(pulls=4), device="cpu")
    assert agent.family is family
    assert MAMLAgent(family, device="cpu").family is family


# --- what is refused


@pytest.mark.parametrize(
    "chances",
    [
        [],
        [[], []],
        None,
        "here",
        [0.5, 1.1],
        [-0.1],
        [[float("nan")]],
        [[0.1], [0.2, 0.3]],
        np.zeros((1, 1, 1)),
    ],
)
def test_bad_chances(chances):
    with pytest.raises(ValueError, match="chances must be numbers"):
        BanditTask(chances)


@pytest.mark.parametrize("safe", [-0.1, 1.1, float("nan"), "0.5", True])
def test_a_bad_safe_arm(safe):
    for make in (lambda: BanditTask([0.5], safe), lambda: BernoulliBandits(2, safe=safe)):
        with pytest.raises(ValueError, match=r"safe must be in \[0, 1\]"):
            make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BernoulliBandits(0), "n_arms must be an integer >= 1, got 0"),
        (lambda: BernoulliBandits(True), "n_arms must be an integer >= 1, got True"),
        (lambda: BernoulliBandits(2).sample(0, seed=0), "n_tasks must be an integer >= 1, got 0"),
        (lambda: BernoulliBandits(2).sample(1, seed=-1), "seed must be an integer >= 0, got -1"),
        (lambda: BatchedBandit(BanditTask([0.5]), 0), "num_envs must be an integer >= 1, got 0"),
        (lambda: BatchedBandit(BanditTask([0.5]), horizon=0), "horizon must be an integer >= 1, got 0"),
        (
            lambda: BernoulliBandits(1).make_env(BanditTask([0.5]), horizon=0),
            "horizon must be an integer >= 1, got 0",
        ),
        (lambda: BatchedBandit(BanditTask([0.5])).reset(seed=-1), "seed must be an integer >= 0, got -1"),
        (
            lambda: BanditEnv(BanditTask([[0.5], [0.6]])),
            r"task must hold one bandit, got 2; tasks\[i\] is one",
        ),
        (
            lambda: BernoulliBandits(1).make_env(BanditTask([[0.5], [0.6]])),
            r"task must hold one bandit, got 2; tasks\[i\] is one",
        ),
        (
            lambda: BernoulliBandits(2).make_env(BanditTask([0.5])),
            "tasks? must have n_arms=2 and safe=None, got n_arms=1 and safe=None",
        ),
        (
            lambda: BernoulliBandits(1, safe=0.5).make_batch(BanditTask([0.5]), 3),
            "tasks must have n_arms=1 and safe=0.5, got n_arms=1 and safe=None",
        ),
    ],
)
def test_bad_numbers_and_other_arms_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_task_is_refused():
    bad: Any = [0.1, 0.2]
    for call in (BernoulliBandits(2).make_env, lambda tasks: BernoulliBandits(2).make_batch(tasks, 1)):
        with pytest.raises(TypeError, match=r"tasks? must be a BanditTask, as BernoulliBandits\(2\).sample"):
            call(bad)
    with pytest.raises(TypeError, match="tasks must be a BanditTask"):
        BatchedBandit(bad)
    with pytest.raises(TypeError, match="task must be a BanditTask of one bandit, got list"):
        BanditEnv(bad)


@pytest.mark.parametrize("device", [None, "cpu"])
def test_bad_actions_of_a_batch(device):
    env = BatchedBandit(BanditTask([[0.1, 0.2]] * 2, 0.5), 3, device=device)
    put = np.asarray if device is None else torch.from_numpy
    good = np.zeros((2, 3), dtype=np.int64)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        env.step(put(good))
    env.reset(seed=0)
    for bad in (good.T, good[0], good[..., None]):
        with pytest.raises(ValueError, match=r"action must be integers \[2, 3\], got int64"):
            env.step(put(np.ascontiguousarray(bad)))
    for dtype in (np.float32, bool):
        with pytest.raises(ValueError, match=rf"action must be integers \[2, 3\], got {np.dtype(dtype)}"):
            env.step(put(good.astype(dtype)))
    for arm in (-1, 3):
        with pytest.raises(ValueError, match="action must be arms from 0 to 2"):
            env.step(put(np.full((2, 3), arm)))


@pytest.mark.parametrize("action", [3, -1, 0.0, None, "left"])
def test_bad_actions_of_an_environment(action):
    env = BanditEnv(BanditTask([0.1, 0.2], 0.5))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must be an arm from 0 to 2"):
        env.step(action)


def test_an_environment_is_to_be_reset_first():
    env = BernoulliBandits(2).make_env(BanditTask([0.1, 0.2]))
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
