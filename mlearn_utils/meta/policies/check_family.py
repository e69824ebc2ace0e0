"""Tries a family of tasks as an agent would, and says in words what is wrong with it.

The environments themselves are tried by Gymnasium's own checker; here is what matters beyond that: that
tasks are drawn anew, repeatably and as many as asked for, that each has environments of its own with the same
spaces, and that the tasks differ.
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from mlearn_utils.meta.policies.tasks import PolicyTasks, draw_tasks, observation_scale
from mlearn_utils.rl.gymnasium_batch import check_spaces, checked_reset, checked_step, time_limit

N_TASKS, N_STEPS = 8, 30


class _Played(NamedTuple):
    obs: np.ndarray
    reward: np.ndarray


def check_family(family: PolicyTasks, *, seed: int = 0) -> list[str]:
    """Return what is wrong with a family of tasks, a sentence for each fault; nothing if it is fit for use.

    Args:
        family: what is to be given to `MAMLAgent`.
        seed: of the tasks that are drawn and the actions that are tried.
    """
    faults: list[str] = []
    try:
        faults.extend(_faults(family, seed))
    except Exception as error:  # whatever a family does wrong is what is asked for
        faults.append(f"{type(error).__name__}: {error}")
    return faults


def _faults(family: Any, seed: int) -> Iterator[str]:
    if isinstance(family, type):
        yield f"it is the class {family.__name__}, not an object of it: write {family.__name__}()"
        return
    missing = [name for name in ("sample", "make_env") if not callable(getattr(family, name, None))]
    if missing:
        yield f"it lacks {' and '.join(missing)}: sample(n_tasks, seed=) and make_env(task) are needed"
        return
    before = _global_state()
    draws = [draw_tasks(family, N_TASKS, seed=s) for s in (seed, seed, seed + 1)]
    draw_tasks(family, 1, seed=seed)
    if before != _global_state():
        yield "sample draws from numpy's global generator: draw from np.random.default_rng(seed)"
    yield from _environment_faults(family, draws[0])
    played = [[_play(family, tasks[k], seed) for k in range(N_TASKS)] for tasks in draws]
    if not all(_same(a, b) for a, b in zip(played[0], played[1], strict=True)):
        yield "sample with the same seed gives tasks that play differently, or episodes are not repeatable"
    if all(_same(a, b) for a, b in zip(played[0], played[2], strict=True)):
        yield "sample with another seed gives the same tasks: its randomness must come from seed"
    if all(_same(played[0][0], other) for other in played[0][1:]):
        yield (
            f"its tasks do not differ: the same {N_STEPS} actions bring the same observations and rewards in "
            f"all of {N_TASKS} tasks; does make_env use the task?"
        )


def _global_state() -> tuple[bytes, int]:
    """Return where numpy's old global generator stands."""
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002
    return np.asarray(keys).tobytes(), int(position)


def _environment_faults(family: Any, tasks: Any) -> Iterator[str]:
    envs = [family.make_env(tasks[k]) for k in (0, 0, 1)]
    try:
        for env in envs:
            check_spaces(env, continuous=True)
        if envs[0] is envs[1] or envs[0] is envs[2]:
            yield "make_env returns the same object twice: every call must make a new environment"
            return
        spaces = [(env.observation_space, env.action_space) for env in envs]
        if spaces[0] != spaces[2]:
            yield f"its tasks have different spaces: {spaces[0]} and {spaces[2]}"
        if time_limit(envs[0]) is None and getattr(family, "horizon", None) is None:
            yield (
                "its episodes have no time limit: give the family an attribute horizon, or wrap its "
                "environments in gymnasium.wrappers.TimeLimit"
            )
        observation_scale(family, int(np.prod(envs[0].observation_space.shape or ())))
        yield from _gymnasium_faults(envs[0])
    finally:
        for env in envs:
            env.close()


def _gymnasium_faults(env: gym.Env) -> Iterator[str]:
    """Return what Gymnasium's checker finds: an error, or warnings about values rather than about style."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            check_env(env.unwrapped, skip_render_check=True, skip_close_check=True)
        except Exception as error:
            yield f"Gymnasium's checker says of its environment: {error}"
    for warning in told:
        text = str(warning.message).split("\x1b[0m")[0]
        if "nan" in text.lower() or "not within" in text:
            yield f"Gymnasium's checker says of its environment: {text}"


def _play(family: Any, task: Any, seed: int) -> _Played:
    """Return what the same actions bring in one task."""
    env = family.make_env(task)
    env.action_space.seed(seed)
    seen, rewards = [np.ravel(checked_reset(env, seed))], []
    for step in range(N_STEPS):  # over several episodes, where they are shorter: luck may hide a difference
        obs, reward, terminated, truncated = checked_step(env, env.action_space.sample())
        seen.append(np.ravel(obs))
        rewards.append(reward)
        if terminated or truncated:
            seen.append(np.ravel(checked_reset(env, seed + step + 1)))
    env.close()
    if not np.isfinite(np.concatenate(seen)).all() or not np.isfinite(rewards).all():
        raise ValueError("an observation or a reward of its environment is not finite")
    return _Played(np.stack(seen), np.array(rewards))


def _same(a: _Played, b: _Played) -> bool:
    return a.obs.shape == b.obs.shape and np.array_equal(a.obs, b.obs) and np.array_equal(a.reward, b.reward)
