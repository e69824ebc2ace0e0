"""What many pendulums do, with the bindings of MuJoCo: recorded steps, true linear models, balancing.

Stepping the environments of `PendulumTasks` gives the same numbers, slower.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlearn_utils.runtime import check_integer, make_rng, needs
from mlearn_utils.tasks.pendulums import SIMULATOR, PendulumTask, build_robot, check_tasks

FRAME_SKIP = 2
"""Steps of the simulator in one step of the robot, which so lasts 0.04 s."""
RESET_NOISE = 0.01
"""How far at most each number of the state is from 0 after a reset."""
FALLEN = 0.2
"""The angle of the pole (rad) beyond which an episode ends."""
MAX_ACTION = 3.0
BENCH = (0.3, 0.15, 1.0, 1.0)
"""How far from 0 the test bench sets a robot: position (m), angle (rad) and their velocities."""


class Transitions(NamedTuple):
    """What was recorded of T robots: K steps of 0.04 s each.

    Attributes:
        state: [T, K, 4] position (m), angle (rad), velocity (m/s), angular velocity (rad/s).
        action: [T, K, 1] in [-3, 3].
        change: [T, K, 4] the next state less the state.
    """

    state: np.ndarray
    action: np.ndarray
    change: np.ndarray


def drive(tasks: PendulumTask, n_steps: int, *, seed: int) -> Transitions:
    """Let each robot drive itself from its reset, with random actions of the whole range; [T, n_steps].

    A robot that falls is reset, as its environment would be, and goes on from there.

    Raises:
        TypeError, ValueError, ImportError: as `record`, and if `n_steps` is not an integer >= 1.
    """
    return _random(tasks, n_steps, (RESET_NOISE,) * 4, None, seed)


def bench(tasks: PendulumTask, n_steps: int, *, seed: int, length: int = 4) -> Transitions:
    """Record robots on the factory's test bench, which sets them up anywhere near upright; [T, n_steps].

    Every `length` steps the bench puts a robot into a new state, uniform within BENCH; a robot on its own
    cannot do that. Actions are random.

    Raises:
        TypeError, ValueError, ImportError: as `record`, and if a count is not an integer >= 1.
    """
    check_integer("length", length, minimum=1)
    return _random(tasks, n_steps, BENCH, length, seed)


def _random(
    tasks: PendulumTask, n_steps: int, spread: tuple[float, ...], length: int | None, seed: int
) -> Transitions:
    check_integer("n_steps", n_steps, minimum=1)
    check_tasks(tasks)
    rng = make_rng(seed)
    start = rng.uniform(-1.0, 1.0, (len(tasks), n_steps, 4)) * spread
    return record(tasks, start, rng.uniform(-MAX_ACTION, MAX_ACTION, (len(tasks), n_steps)), length=length)


def record(
    tasks: PendulumTask, start: np.ndarray, action: np.ndarray, *, length: int | None = None
) -> Transitions:
    """Carry out given actions with the bindings of MuJoCo: what stepping the environments gives, faster.

    Args:
        tasks: T robots.
        start: [T, K, 4] the state in which step k begins if it begins anew: the first step, one after a
            fall, and every `length`-th.
        action: [T, K].
        length: steps after which a robot is set up anew; None for only after a fall.

    Raises:
        TypeError: if `tasks` is not a PendulumTask.
        ValueError: if the arrays are not finite and of these shapes with K >= 1.
        ImportError: if mujoco is missing.
    """
    check_tasks(tasks)
    start, action = np.asarray(start, dtype=float), np.asarray(action, dtype=float)
    shape = (len(tasks), *action.shape[1:])
    if len(shape) != 2 or not action.size or action.shape != shape or not np.isfinite(action).all():
        raise ValueError(f"action must be finite numbers [{len(tasks)}, K], K >= 1, got {action.shape}")
    if start.shape != (*shape, 4) or not np.isfinite(start).all():
        raise ValueError(f"start must be finite numbers {[*shape, 4]}, got {start.shape}")
    mujoco, model, data = _simulator()
    before, after = np.empty_like(start), np.empty_like(start)
    for task in range(len(tasks)):
        build_robot(mujoco, model, data, tasks[task])
        for step in range(shape[1]):
            due = step % length == 0 if length else step == 0
            if due or abs(after[task, step - 1, 1]) > FALLEN:
                _set_state(mujoco, model, data, start[task, step])
            before[task, step] = _state(data)
            data.ctrl[0] = action[task, step]
            mujoco.mj_step(model, data, nstep=FRAME_SKIP)
            after[task, step] = _state(data)
    return Transitions(before, action[..., None], after - before)


def linear_model(tasks: PendulumTask, *, step: float = 1e-5) -> np.ndarray:
    """Return [T, 4, 5] the true linear models at upright: change = model @ (state, action).

    By central differences on the simulator, at most 1e-5 from upright.

    Raises:
        TypeError, ImportError: as `record`.
    """
    check_tasks(tasks)
    nudge = np.concatenate((np.eye(5), -np.eye(5))) * step
    start, action = (np.repeat(part[None], len(tasks), axis=0) for part in (nudge[:, :4], nudge[:, 4]))
    change = record(tasks, start, action, length=1).change
    return np.swapaxes(change[:, :5] - change[:, 5:], 1, 2) / (2 * step)


def balance(tasks: PendulumTask, gains: np.ndarray, *, seed: int, horizon: int = 500) -> np.ndarray:
    """Return [T] how many steps each robot stays up, from its reset, with the action -gains @ state.

    Args:
        tasks: T robots.
        gains: [T, 4], finite; the action is clipped to [-3, 3], which is the motor's own limit.
        seed: of the resets.
        horizon: steps after which a robot is taken to balance.

    Raises:
        TypeError: if `tasks` is not a PendulumTask.
        ValueError: if `gains` are not finite numbers [T, 4], or `horizon` is not an integer >= 1.
        ImportError: if mujoco is missing.
    """
    check_tasks(tasks)
    gains = np.asarray(gains, dtype=float)
    if gains.shape != (len(tasks), 4) or not np.isfinite(gains).all():
        raise ValueError(f"gains must be finite numbers [{len(tasks)}, 4], got {gains!r}")
    check_integer("horizon", horizon, minimum=1)
    start = make_rng(seed).uniform(-RESET_NOISE, RESET_NOISE, (len(tasks), 4))
    mujoco, model, data = _simulator()
    steps = np.zeros(len(tasks), dtype=int)
    for task, (g0, g1, g2, g3) in enumerate(gains.tolist()):
        build_robot(mujoco, model, data, tasks[task])
        _set_state(mujoco, model, data, start[task])
        for _ in range(horizon):
            (x, angle), (x_dot, angle_dot) = data.qpos.tolist(), data.qvel.tolist()
            action = -(g0 * x + g1 * angle + g2 * x_dot + g3 * angle_dot)
            data.ctrl[0] = min(max(action, -MAX_ACTION), MAX_ACTION)
            mujoco.mj_step(model, data, nstep=FRAME_SKIP)
            steps[task] += 1
            if not abs(data.qpos[1]) <= FALLEN:
                break
    return steps


def _simulator() -> tuple[Any, Any, Any]:
    """Return mujoco, and the model and data of Gymnasium's robot; its environments need not be imported."""
    mujoco = needs(*SIMULATOR)
    folder = Path(str(find_spec("gymnasium").origin)).parent  # pyright: ignore[reportOptionalMemberAccess]
    model = mujoco.MjModel.from_xml_path(str(folder / "envs/mujoco/assets/inverted_pendulum.xml"))
    return mujoco, model, mujoco.MjData(model)


def _set_state(mujoco: Any, model: Any, data: Any, state: np.ndarray) -> None:
    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:] = state[:2], state[2:]
    mujoco.mj_forward(model, data)


def _state(data: Any) -> np.ndarray:
    return np.concatenate((data.qpos, data.qvel))
