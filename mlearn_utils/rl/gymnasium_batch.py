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


def check_spaces(
    env: gym.Env, *, discrete: bool = False
) -> tuple[gym.spaces.Box | gym.spaces.Discrete, gym.spaces.Discrete]:
    """Return an environment's space of observations, a Box (or Discrete if that will do), and its actions.

    Raises:
        TypeError: if `env` is not a Gymnasium environment, or one of its spaces is of another kind.
    """
    if not isinstance(env, gym.Env):
        raise TypeError(f"env must be a Gymnasium environment, such as gymnasium.make(...), got {env!r}")
    observations, actions = env.observation_space, env.action_space
    kinds = (gym.spaces.Box, gym.spaces.Discrete) if discrete else gym.spaces.Box
    if not isinstance(actions, gym.spaces.Discrete):
        raise TypeError(f"env must have Discrete actions, got the action space {actions}")
    if not isinstance(observations, kinds):
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
    check_spaces(env)
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


def _standard_horizon(env: gym.Env) -> int | None:
    """Return the time limit of an environment in its standard wrappers; None if there are others, or none."""
    limits = []
    while isinstance(env, gym.Wrapper):
        if type(env) is TimeLimit:
            limits.append(env._max_episode_steps)
        elif type(env) not in (OrderEnforcing, PassiveEnvChecker):
            return None
        env = env.env
    return min(limits, default=None)


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

    def __init__(self, envs: Sequence[Sequence[gym.Env]], *, horizon: int | None = None):
        rows = [list(row) for row in envs]
        self._envs = [env for row in rows for env in row]
        _check_table(rows)
        first = self._envs[0]
        limit = first.spec.max_episode_steps if first.spec is not None else None
        self.horizon = horizon if horizon is not None else limit or DEFAULT_HORIZON
        check_integer("horizon", self.horizon, minimum=1)
        self.num_tasks, self.num_envs = len(rows), len(rows[0])
        assert isinstance(first.action_space, gym.spaces.Discrete)
        self.num_actions, self._first_action = int(first.action_space.n), first_action(first)
        self.num_features = int(np.prod(first.observation_space.shape or ()))
        self.alive = np.zeros((self.num_tasks, self.num_envs), dtype=bool)

    def reset(self, *, seed: int) -> np.ndarray:
        """Start an episode in every environment, each with a seed of its own drawn from `seed`.

        Returns:
            [T, E, F] float32 observations, flattened to one axis.
        """
        seeds = np.random.SeedSequence(seed).generate_state(len(self._envs))
        starts = [env.reset(seed=int(s))[0] for env, s in zip(self._envs, seeds, strict=True)]
        shape = (self.num_tasks, self.num_envs)
        self._obs = np.array(starts, dtype=np.float32).reshape(*shape, self.num_features)
        self._terminated, self._truncated = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        self.alive = np.ones(shape, dtype=bool)
        self.elapsed = 0
        return self._obs.copy()

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take actions [T, E] counted from 0; return observation, reward, terminated, truncated and {}.

        The flags stay true until the next reset.
        """
        reward = np.zeros(self.alive.shape)
        self.elapsed += 1
        for t, e in np.argwhere(self.alive):
            env = self._envs[t * self.num_envs + e]
            obs, reward[t, e], terminated, truncated, _ = env.step(self._first_action + int(action[t, e]))
            self._obs[t, e] = np.ravel(obs)
            self._terminated[t, e] = terminated
            self._truncated[t, e] = truncated or self.elapsed >= self.horizon
        self.alive = ~(self._terminated | self._truncated)
        return self._obs.copy(), reward, self._terminated.copy(), self._truncated.copy(), {}


def _check_table(rows: list[list[gym.Env]]) -> None:
    """Check that the rows are equally long and hold different environments with the same spaces."""
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"envs must be T >= 1 rows of E >= 1 each, got rows of {[len(row) for row in rows]}")
    envs = [env for row in rows for env in row]
    for env in envs:
        check_spaces(env)
        if (env.observation_space, env.action_space) != (envs[0].observation_space, envs[0].action_space):
            raise ValueError(f"envs must have the same spaces, got {envs[0]} and {env}")
    if len({id(env) for env in envs}) != len(envs):
        raise ValueError("envs must be different objects, got the same environment twice")
