"""Stepping cart-poles, and rollouts over them, against Gymnasium's vector environments, envpool and gymnax.

Every pole is held up by the same hand-written controller on all sides, so that no side saves the work of a
finished or restarted episode. Choosing the actions is not counted in steps, and is in rollouts.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import SyncVectorEnv
from torch import Tensor

from mlearn_utils.rl.policies import Params, choose, mlp
from mlearn_utils.rl.rollout import collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPolePhysics, CartPoleTasks, cartpole_step
from tests.benchmarks import peers
from tests.benchmarks.side_by_side import STEP, Options, Result, Row, Side, compare, far

OURS, VECTOR, SYNC, ENVPOOL, GYMNAX = (
    "BatchedCartPole",
    "CartPoleVectorEnv",
    "SyncVectorEnv",
    "envpool",
    "gymnax",
)
KEEP_UP = np.array([0.5, 1.0, 20.0, 4.0], dtype=np.float32)
HORIZON = 200
ENVS_PER_TASK = 8

Step = Callable[[np.ndarray], Any]


class Stepping:
    """An environment of one kind: how to begin, to step, and to read what it shows."""

    def __init__(
        self, reset: Callable[[], Any], step: Step, seen: Callable[[Any], Any] = lambda out: out[0]
    ) -> None:
        self.reset, self.step, self.seen = reset, step, seen

    def difference(self) -> float:
        """Return how far a few steps are from those of the course's equations of motion."""
        obs, errors = self.reset(), []
        for _ in range(5):
            act = decide(obs)
            expected = cartpole_step(np.asarray(obs, dtype=float), act, CartPolePhysics())
            obs = self.seen(self.step(act))
            errors.append(far({"obs": obs}, {"obs": expected}))
        return max(errors)

    def side(self, steps: int) -> Side:
        """Return what reports the microseconds of a step, a mean over the first `steps` of an episode."""

        def microseconds() -> float:
            obs, spent = self.reset(), 0.0
            for _ in range(steps):
                act = decide(obs)
                begin = time.process_time()
                out = self.step(act)
                spent += time.process_time() - begin
                obs = self.seen(out)
            return 1e6 * spent / steps

        return microseconds


def decide(obs: Any) -> np.ndarray:
    """Return actions that hold a pole up."""
    return (np.asarray(obs) @ KEEP_UP > 0).astype(np.int64)


def ours(num_envs: int) -> Stepping:
    env = BatchedCartPole(
        CartPoleTasks("dirv").sample(num_envs // ENVS_PER_TASK, seed=0), ENVS_PER_TASK, horizon=500
    )
    return Stepping(lambda: env.reset(seed=0), env.step)


def gymnasium_vector(num_envs: int) -> Stepping:
    env = gym.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")
    return Stepping(lambda: env.reset(seed=0)[0], env.step)


def gymnasium_sync(num_envs: int) -> Stepping:
    env = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * num_envs)
    return Stepping(lambda: env.reset(seed=0)[0], env.step)


def in_envpool(num_envs: int) -> Stepping | None:
    envpool = peers.optional("envpool")
    if envpool is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the bounds of its spaces
        env = envpool.make("CartPole-v1", env_type="gymnasium", num_envs=num_envs, num_threads=1, seed=0)
    return Stepping(lambda: env.reset()[0], env.step)


def in_gymnax(num_envs: int) -> Stepping | None:
    """One compiled call a step, from Python, as the others are; its rollouts are compiled whole."""
    gymnax = peers.optional("gymnax")
    if gymnax is None:
        return None
    jax = peers.optional("jax")
    env, constants = gymnax.make("CartPole-v1")
    key = jax.random.key(0)
    keys = jax.random.split(key, num_envs)
    step = jax.jit(jax.vmap(env.step, in_axes=(0, 0, 0, None)))
    reset = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))
    state: list[Any] = [None]

    def begin() -> Any:
        obs, state[0] = reset(keys, constants)
        return obs

    def take(act: np.ndarray) -> Any:
        out = jax.block_until_ready(step(keys, state[0], act, constants))
        state[0] = out[1]
        return out

    return Stepping(begin, take)


def steps_row(num_envs: int) -> Row:
    def measure(options: Options) -> Result:
        makers = {
            VECTOR: gymnasium_vector,
            OURS: ours,
            SYNC: gymnasium_sync,
            ENVPOOL: in_envpool,
            GYMNAX: in_gymnax,
        }
        envs = {name: make(num_envs) for name, make in makers.items()}
        differences = {name: env.difference() for name, env in envs.items() if env is not None}
        few = max(10, 4000 // num_envs)  # of the one that steps its copies one by one
        sides = {
            name: env and env.side(min(few, HORIZON) if name == SYNC else HORIZON)
            for name, env in envs.items()
        }
        return compare(sides, options, VECTOR, unit="us", differences=differences, limit=STEP)

    return Row(f"steps_{num_envs}", f"a step of {num_envs} cart-poles", measure)


# --- rollouts


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


def per_task(num_envs: int) -> Params:
    """Return the controller as parameters of its own for every task."""
    n_tasks = num_envs // ENVS_PER_TASK
    return {name: value.expand(n_tasks, *value.shape).clone() for name, value in controller_network().items()}


def roll_ours(num_envs: int) -> tuple[Callable[[], Any], Callable[[Any], float]]:
    """Rollouts with a policy of its own for each task."""
    tasks, params = CartPoleTasks("dirv").sample(num_envs // ENVS_PER_TASK, seed=0), per_task(num_envs)
    env = BatchedCartPole(tasks, ENVS_PER_TASK, horizon=HORIZON)

    def roll() -> Any:
        return collect(env, lambda obs: mlp(params, obs), generator=make_generator(0))

    return roll, lambda rollout: float(rollout.mask.sum())


def roll_gymnasium(num_envs: int) -> tuple[Callable[[], Any], Callable[[Any], float]]:
    """The same steps in a SyncVectorEnv, one policy for all tasks, the same things recorded."""
    env = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * num_envs)
    params = controller_network()

    @torch.no_grad()
    def roll() -> list[Tensor]:
        generator, steps = make_generator(0), []
        obs, _ = env.reset(seed=0)
        for _ in range(HORIZON):
            seen = torch.from_numpy(obs.copy())
            act = choose(mlp(params, seen), torch.rand(num_envs, generator=generator))
            obs, reward, terminated, _, _ = env.step(act.numpy())
            steps.append((seen, act, torch.from_numpy(reward), torch.from_numpy(terminated)))
        return [torch.stack(values) for values in zip(*steps, strict=True)]

    return roll, lambda stacked: float((~stacked[3]).sum())


def roll_gymnax(num_envs: int) -> tuple[Callable[[], Any], Callable[[Any], float]] | None:
    """The whole rollout as one compiled scan, with a policy of its own for each task."""
    gymnax = peers.optional("gymnax")
    if gymnax is None:
        return None
    jax = peers.optional("jax")
    jnp = jax.numpy
    env, constants = gymnax.make("CartPole-v1")
    shape = num_envs // ENVS_PER_TASK, ENVS_PER_TASK
    params = {name: jnp.asarray(value.numpy()) for name, value in per_task(num_envs).items()}

    def logit(params: Any, obs: Any) -> Any:
        hidden = jnp.tanh(params["0.weight"] @ obs + params["0.bias"])
        return (params["2.weight"] @ hidden + params["2.bias"])[0]

    over_envs = jax.vmap(logit, in_axes=(None, 0))

    @jax.jit
    def play(params: Any, key: Any) -> Any:
        keys = jax.random.split(key, shape)
        begin = jax.vmap(jax.vmap(env.reset, in_axes=(0, None)), in_axes=(0, None))(keys, constants)
        noise = jax.random.uniform(key, (HORIZON, *shape))

        def step(carry: Any, uniform: Any) -> Any:
            obs, state = carry
            act = (uniform < jax.nn.sigmoid(jax.vmap(over_envs)(params, obs))).astype(jnp.int32)
            over = jax.vmap(jax.vmap(env.step, in_axes=(0, 0, 0, None)), in_axes=(0, 0, 0, None))
            after, state, reward, done, *_ = over(keys, state, act, constants)
            return (after, state), (obs, act, reward, done)

        return jax.lax.scan(step, begin, noise)[1]

    def roll() -> Any:
        return jax.block_until_ready(play(params, jax.random.key(0)))

    return roll, lambda out: float((~out[3]).sum())


def rollouts_row(num_envs: int) -> Row:
    """Every side plays `num_envs` episodes of HORIZON steps in which no pole falls: that is checked."""

    def measure(options: Options) -> Result:
        makers = {SYNC: roll_gymnasium, OURS: roll_ours, GYMNAX: roll_gymnax}
        sides, differences = {}, {}
        for name, make in makers.items():
            side = make(num_envs)
            if side is None:
                sides[name] = None
                continue
            roll, steps_played = side
            expected = HORIZON * num_envs
            differences[name] = abs(steps_played(roll()) - expected) / expected
            sides[name] = timed(roll)
        return compare(sides, options, SYNC, differences=differences, limit=STEP)

    return Row(
        f"rollouts_{num_envs}",
        f"{num_envs} episodes of {HORIZON} steps, 8 a task, a policy a task (SyncVectorEnv: one for all)",
        measure,
        long=num_envs > 64,
    )


def timed(work: Callable[[], Any]) -> Side:
    def milliseconds() -> float:
        begin = time.process_time()
        work()
        return 1e3 * (time.process_time() - begin)

    return milliseconds


def rows() -> list[Row]:
    """Return the rows of the cart-pole."""
    return [*map(steps_row, (64, 256, 1024)), *map(rollouts_row, (64, 1024))]
