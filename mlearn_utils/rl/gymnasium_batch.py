"""Gymnasium environments as one batch, [task T, environment E], that `rl.rollout.collect` can play."""

import copy
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from mlearn_utils.runtime import check_integer
from mlearn_utils.tasks.cartpole import THETA_LIMIT, X_LIMIT, BatchedCartPole, CartPolePhysics, CartPoleTask
from mlearn_utils.tasks.cartpole_env import CartPoleTaskEnv

DEFAULT_HORIZON = 1000
STANDARD = (TimeLimit, OrderEnforcing, PassiveEnvChecker)
"""Wrappers that change neither observations, actions nor rewards."""


def check_spaces(
    env: gym.Env, *, discrete: bool = False, continuous: bool = False, any_observations: bool = False
) -> tuple[gym.Space, gym.Space]:
    """Return an environment's spaces of observations and actions.

    Args:
        env: the environment.
        discrete: whether Discrete observations will do, beside a Box.
        continuous: whether a Box of actions of one axis will do, beside Discrete ones.
        any_observations: whether any space of observations will do.

    Raises:
        TypeError: if `env` is not a Gymnasium environment, or one of its spaces is of another kind.
    """
    if not isinstance(env, gym.Env):
        raise TypeError(f"env must be a Gymnasium environment, such as gymnasium.make(...), got {env!r}")
    observations, actions = env.observation_space, env.action_space
    kinds = (gym.spaces.Box, gym.spaces.Discrete) if discrete else gym.spaces.Box
    box = continuous and isinstance(actions, gym.spaces.Box) and len(actions.shape) == 1
    if not (isinstance(actions, gym.spaces.Discrete) or box):
        expected = f"Discrete actions{' or a Box of one axis' * continuous}"
        raise TypeError(f"env must have {expected}, got the action space {actions}")
    if not any_observations and not isinstance(observations, kinds):
        raise TypeError(f"env must have {'Discrete or ' * discrete}Box observations, got {observations}")
    return observations, actions


def first_action(env: gym.Env) -> int:
    """Return the number of an environment's first action (a Discrete space need not start at 0)."""
    assert isinstance(env.action_space, gym.spaces.Discrete)
    return int(env.action_space.start)


def batch_of(env: gym.Env, num_envs: int) -> "BatchedCartPole | GymnasiumBatch":
    """Return `num_envs` environments that behave as `env` does, as a batch of one task [1, E].

    A cart-pole of Gymnasium's or of `mlearn/CartPole-v0`, with its physics as it is now and nothing but the
    standard wrappers around it, becomes a `BatchedCartPole`; of every other environment deep copies are made.

    Args:
        env: an environment; it is not stepped.
        num_envs: E >= 1.

    Raises:
        TypeError: if it is no environment, has other spaces, or cannot be copied.
        ValueError: if `num_envs` is not an integer >= 1.
    """
    check_spaces(env, continuous=True)
    check_integer("num_envs", num_envs, minimum=1)
    task, horizon = cartpole_task(env.unwrapped), _standard_horizon(env)
    if task is not None and horizon is not None:
        return BatchedCartPole(task, num_envs, horizon=horizon)
    try:
        return GymnasiumBatch([[copy.deepcopy(env) for _ in range(num_envs)]])
    except (TypeError, NotImplementedError) as error:
        raise TypeError(
            f"env must be an environment that can be copied (one that was rendered often cannot: pass a new "
            f"one), but copying {env} failed: {error}"
        ) from error


def cartpole_task(env: gym.Env) -> CartPoleTask | None:
    """Return the task that an unwrapped cart-pole poses; None for any other environment or other rules."""
    if type(env) is CartPoleTaskEnv:
        return env.task
    if type(env) is not CartPoleEnv:
        return None
    physics = CartPolePhysics(env.gravity, env.masscart, env.masspole, env.length, env.force_mag)
    rules = (env.tau, env.x_threshold, env.theta_threshold_radians, env.kinematics_integrator)
    derived = (env.total_mass, env.polemass_length)
    if rules != (0.02, X_LIMIT, THETA_LIMIT, "euler") or env._sutton_barto_reward:
        return None
    if derived != (physics.total_mass, physics.polemass_length):
        return None
    return CartPoleTask("phys", physics)


def other_wrappers(env: gym.Env) -> list[str]:
    """Return the names of an environment's wrappers beyond the standard ones, which change nothing."""
    return [type(each).__name__ for each in _wrappers(env) if type(each) not in STANDARD]


def time_limit(env: gym.Env) -> int | None:
    """Return the time limit of an environment, of its wrappers or its specification; None if it has none."""
    limits = [each._max_episode_steps for each in _wrappers(env) if isinstance(each, TimeLimit)]
    stated = env.spec.max_episode_steps if env.spec is not None and not limits else None
    return min(limits, default=stated)


def _standard_horizon(env: gym.Env) -> int | None:
    """Return the time limit of an environment in its standard wrappers; None if there are others, or none."""
    return None if other_wrappers(env) else time_limit(env)


def _wrappers(env: gym.Env) -> list[gym.Wrapper]:
    wrappers = []
    while isinstance(env, gym.Wrapper):
        wrappers.append(env)
        env = env.env
    return wrappers


class GymnasiumBatch:
    """T x E Gymnasium environments in step; a finished one waits, untouched, for the next reset.

    Gymnasium's own vector environments start a finished environment anew. Here it stays finished with reward
    0, as in `BatchedCartPole`, so that each environment plays one episode and tasks stay in step. It is a
    plain loop over the environments: right for any of them, fast for none.

    Args:
        envs: [T][E] environments, every one an object of its own; the same spaces everywhere.
        horizon: steps after which an episode is truncated; None takes the environments' own time limit, or
            1000 where they have none.

    Raises:
        TypeError: if one of `envs` is not a Gymnasium environment, or a space is of the wrong kind.
        ValueError: if spaces or the lengths of rows differ, one object comes twice, or `horizon` < 1.
    """

    part: tuple[slice, int] | None = None
    """Which tasks these are of how many that `reset` draws seeds for; see `rl.rollout.part_of`."""

    def __init__(self, envs: Sequence[Sequence[gym.Env]], *, horizon: int | None = None):
        rows = [list(row) for row in envs]
        self._envs = [env for row in rows for env in row]
        _check_table(rows)
        first = self._envs[0]
        self.horizon = horizon if horizon is not None else time_limit(first) or DEFAULT_HORIZON
        check_integer("horizon", self.horizon, minimum=1)
        self.num_tasks, self.num_envs = len(rows), len(rows[0])
        self._box = first.action_space if isinstance(first.action_space, gym.spaces.Box) else None
        self.action_size = None if self._box is None else self._box.shape[0]
        discrete = first.action_space if isinstance(first.action_space, gym.spaces.Discrete) else None
        self.num_actions = 0 if discrete is None else int(discrete.n)
        self._first_action = 0 if discrete is None else int(discrete.start)
        self.observation_shape = tuple(first.observation_space.shape or ())
        self.num_features = int(np.prod(self.observation_shape))
        self.alive = np.zeros((self.num_tasks, self.num_envs), dtype=bool)
        self._closed = False

    def close(self) -> None:
        """Close every environment; the batch cannot be used after that."""
        self._closed = True
        for env in self._envs:
            env.close()

    def reset(self, *, seed: int) -> np.ndarray:
        """Start an episode in every environment, each with a seed of its own drawn from `seed`.

        Returns:
            [T, E, F] float32 observations, flattened to one axis.
        """
        if self._closed:
            raise RuntimeError("this batch of environments is closed; make a new one")
        tasks, of = self.part or (slice(None), self.num_tasks)
        drawn = np.random.SeedSequence(seed).generate_state(of * self.num_envs)
        seeds = drawn.reshape(of, self.num_envs)[tasks].ravel()
        shape = (self.num_tasks, self.num_envs)
        self._obs = np.zeros((*shape, self.num_features), dtype=np.float32)
        for k, (env, s) in enumerate(zip(self._envs, seeds, strict=True)):
            obs = checked_reset(env, int(s))
            self._obs[divmod(k, self.num_envs)] = self._flat(obs, "reset")
        self._terminated, self._truncated = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        self.alive = np.ones(shape, dtype=bool)
        self.elapsed = 0
        return self._obs.copy()

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take actions [T, E] counted from 0, or [T, E, D] clipped to the Box, as Gymnasium's step does.

        The flags stay true until the next reset.
        """
        reward = np.zeros(self.alive.shape)
        self.elapsed += 1
        for t, e in np.argwhere(self.alive):
            env = self._envs[t * self.num_envs + e]
            obs, reward[t, e], terminated, truncated = checked_step(env, self._action(action[t, e]))
            self._obs[t, e] = self._flat(obs, "step")
            self._terminated[t, e] = terminated
            self._truncated[t, e] = truncated or self.elapsed >= self.horizon
        self.alive = ~(self._terminated | self._truncated)
        return self._obs.copy(), reward, self._terminated.copy(), self._truncated.copy(), {}

    def _action(self, action: np.ndarray) -> Any:
        if self._box is None:
            return self._first_action + int(action)
        return np.clip(action, self._box.low, self._box.high).astype(self._box.dtype)

    def _flat(self, obs: Any, method: str) -> np.ndarray:
        flat = np.ravel(obs)
        if flat.shape != (self.num_features,):
            raise ValueError(
                f"env.{method} returned an observation of shape {np.shape(obs)}, expected that of its space, "
                f"{self.observation_shape}"
            )
        return flat


def checked_reset(env: gym.Env, seed: int | None) -> Any:
    """Return the first observation of an episode; raise TypeError, naming env, where its API is another."""
    try:
        result = env.reset(seed=seed)
    except TypeError as error:
        if "seed" not in str(error):
            raise
        raise TypeError(f"env.reset must take seed=, as Gymnasium's does; of {env} it does not") from error
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"env.reset must return (observation, info), got {type(result).__name__} from {env}")
    return result[0]


def checked_step(env: gym.Env, action: Any) -> tuple[Any, float, bool, bool]:
    """Return observation, reward, terminated and truncated; raise, naming env, where its API is another."""
    result = env.step(action)
    if not isinstance(result, tuple) or len(result) != 5:
        size = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
        raise TypeError(
            f"env.step must return (observation, reward, terminated, truncated, info), got {size} from {env}"
        )
    obs, reward, terminated, truncated, _ = result
    if not isinstance(reward, (float, int)) and np.ndim(reward) != 0:  # pyright: ignore
        raise TypeError(f"env.step must return a number as reward, got {reward!r} from {env}")
    return obs, float(reward), bool(terminated), bool(truncated)


def _check_table(rows: list[list[gym.Env]]) -> None:
    """Check that the rows are equally long and hold different environments with the same spaces."""
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"envs must be T >= 1 rows of E >= 1 each, got rows of {[len(row) for row in rows]}")
    envs = [env for row in rows for env in row]
    for env in envs:
        check_spaces(env, continuous=True)
        if (env.observation_space, env.action_space) != (envs[0].observation_space, envs[0].action_space):
            raise ValueError(f"envs must have the same spaces, got {envs[0]} and {env}")
    if len({id(env) for env in envs}) != len(envs):
        raise ValueError("envs must be different objects, got the same environment twice")
