"""Times the batched cart-pole and rollouts over it against Gymnasium (and envpool, if it is installed).

Every pole is held up by the same hand-written controller on both sides, so that no side saves the work of
a finished or restarted episode. Sides take turns in one run, on one thread each; the figures are medians
over the turns of CPU time, which a busy machine inflates less than the clock on the wall.

    python -m tests.benchmarks.bench_cartpole
"""

import time
from collections.abc import Callable
from statistics import median

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import SyncVectorEnv
from torch import Tensor

from mlearn_utils.rl.policies import Params, choose, mlp
from mlearn_utils.rl.rollout import collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTasks

try:
    import envpool  # pyright: ignore[reportMissingImports]
except ImportError:
    envpool = None

KEEP_UP = np.array([0.5, 1.0, 20.0, 4.0], dtype=np.float32)
STEPS = 200
SIZES = (64, 1024)


def time_steps(step: Callable[[np.ndarray], np.ndarray], obs: np.ndarray) -> float:
    """Return CPU-seconds spent inside `step` over one episode; choosing the actions is not counted."""
    spent = 0.0
    for _ in range(STEPS):
        act = (obs @ KEEP_UP > 0).astype(np.int64)
        begin = time.process_time()
        obs = step(act)
        spent += time.process_time() - begin
    return spent


def step_ours(num_envs: int) -> float:
    tasks = CartPoleTasks("dirv").sample(num_envs // 8, seed=0)
    env = BatchedCartPole(tasks, 8, horizon=500)
    seconds = time_steps(lambda act: env.step(act)[0], env.reset(seed=0))
    assert env.alive.all()
    return seconds


def step_gymnasium(num_envs: int) -> float:
    env = gym.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")
    seconds = time_steps(lambda act: env.step(act)[0], env.reset(seed=0)[0])
    env.close()
    return seconds


def step_envpool(num_envs: int) -> float:
    assert envpool is not None
    env = envpool.make("CartPole-v1", env_type="gymnasium", num_envs=num_envs, num_threads=1, seed=0)
    seconds = time_steps(lambda act: env.step(act)[0], env.reset()[0])
    env.close()
    return seconds


def controller_network() -> Params:
    """Return a 4-32-1 network that holds the pole up: one unit is the controller, the others do nothing."""
    params = {
        "0.weight": torch.zeros(32, 4),
        "0.bias": torch.zeros(32),
        "2.weight": torch.zeros(1, 32),
        "2.bias": torch.zeros(1),
    }
    params["0.weight"][0] = torch.from_numpy(KEEP_UP)
    params["2.weight"][0, 0] = 100.0
    return params


def roll_ours(num_envs: int) -> float:
    """One rollout with a policy of its own for each of `num_envs` / 8 tasks."""
    tasks = CartPoleTasks("dirv").sample(num_envs // 8, seed=0)
    params = {
        name: value.expand(len(tasks), *value.shape).clone() for name, value in controller_network().items()
    }
    env = BatchedCartPole(tasks, 8, horizon=STEPS)
    begin = time.process_time()
    rollout = collect(env, lambda obs: mlp(params, obs), generator=make_generator(0))
    seconds = time.process_time() - begin
    assert rollout.mask.sum() == STEPS * num_envs
    return seconds


def roll_gymnasium(num_envs: int) -> float:
    """The same steps in a SyncVectorEnv, one shared policy, the same things recorded."""
    env = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * num_envs)
    params, generator = controller_network(), make_generator(0)
    begin = time.process_time()
    obs, _ = env.reset(seed=0)
    steps: list[tuple[Tensor, ...]] = []
    with torch.no_grad():
        for _ in range(STEPS):
            seen = torch.from_numpy(obs.copy())
            act = choose(mlp(params, seen), torch.rand(num_envs, generator=generator))
            obs, reward, terminated, _, _ = env.step(act.numpy())
            assert not terminated.any()
            steps.append((seen, act, torch.from_numpy(reward), torch.from_numpy(terminated)))
    for values in zip(*steps, strict=True):
        torch.stack(values)
    seconds = time.process_time() - begin
    env.close()
    return seconds


def compare(label: str, ours: Callable[[int], float], theirs: Callable[[int], float]) -> None:
    for num_envs in SIZES:
        turns = max(5, 1000 // num_envs)
        pairs = [(ours(num_envs), theirs(num_envs)) for _ in range(turns)]
        mine, other = (median(side) for side in zip(*pairs, strict=True))
        ratio = median(b / a for a, b in pairs)
        rate = STEPS * num_envs / mine / 1e6
        print(
            f"{label:<28} {num_envs:>5} {1e6 * mine / STEPS:>9.1f} {1e6 * other / STEPS:>9.1f} "
            f"{rate:>8.2f} {ratio:>7.1f}"
        )


def main() -> None:
    """Print one row for each comparison and number of environments."""
    torch.set_num_threads(1)
    print(
        f"{'both sides, one run':<28} {'envs':>5} {'ours us':>9} {'them us':>9} {'Msteps/s':>8} {'ratio':>7}"
    )
    compare("step / CartPoleVectorEnv", step_ours, step_gymnasium)
    if envpool is None:
        print("step / envpool: not installed, skipped")
    else:
        compare("step / envpool", step_ours, step_envpool)
    compare("rollout / SyncVectorEnv", roll_ours, roll_gymnasium)


if __name__ == "__main__":
    main()
