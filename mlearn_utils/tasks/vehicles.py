"""Vehicles that slide differently: highway-env's bicycle model with hidden grip, mass and balance.

The state of a vehicle is (x, y, heading, speed, lateral speed, yaw rate), in m, rad and s; speed and lateral
speed are along and across the vehicle. `drive` is the simulator's own step (fourth-order Runge-Kutta over the
equations of Rajamani's book), for many vehicles at once and without a road.

Reference: E. Leurent, "An Environment for Autonomous Driving Decision-Making" (highway-env), 2018,
https://github.com/Farama-Foundation/HighwayEnv, `vehicle.dynamics.BicycleVehicle`; R. Rajamani, "Vehicle
Dynamics and Control", 2nd edition, 2012, chapter 2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.runtime import check_integer, is_number, make_rng, needs

SIMULATOR = "highway_env.vehicle.dynamics", "highway-env==1.12.1"
DT = 0.1
"""Seconds a step."""
LENGTH, WIDTH, STIFFNESS = 5.0, 2.0, 15.0
"""Of the simulator's vehicle: m, m, and the force (N) of a tyre for each rad of slip, at a mass of 1."""
LOWEST_SPEED = 3.0
"""m/s below which no vehicle is driven here: at 1 the simulator changes to other equations."""
TOP_SPEED = 40.0
"""m/s beyond which the simulator pulls back."""
LARGEST_STEERING, LARGEST_ACCELERATION = 0.3, 3.0
NOISE = (0.1, 0.05, 0.02)
"""Standard deviations of the measured speed (m/s), lateral speed (m/s) and yaw rate (rad/s)."""
LARGEST_YAW_RATE = 2 * np.pi

Range = tuple[float, float]
NAMES = ("grip", "mass", "balance")


@dataclass(frozen=True, eq=False)
class VehicleTask:
    """A batch of T vehicles; `tasks[i]` and `tasks[2:5]` are batches too.

    Attributes:
        grip: float64 [T] stiffness of the tyres, as a share of the simulator's: about 1 on a dry road.
        mass: float64 [T] as a multiple of the simulator's.
        balance: float64 [T] how far behind the front axle the centre of mass lies, as a share of the length.

    Raises:
        ValueError: if grip or mass are not finite numbers above 0, balance not in (0, 1), or shapes differ.
    """

    grip: np.ndarray
    mass: np.ndarray
    balance: np.ndarray

    def __post_init__(self):
        for name in NAMES:
            given = getattr(self, name)
            try:
                value = np.atleast_1d(np.array(given, dtype=float))
            except (TypeError, ValueError):
                raise ValueError(f"{name} must be numbers [T], got {given!r}") from None
            high = 1.0 if name == "balance" else np.inf
            if value.ndim != 1 or not value.size or not ((value > 0) & (value < high)).all():
                kind = "in (0, 1)" if name == "balance" else "above 0"
                raise ValueError(f"{name} must be finite numbers {kind}, [T] with T >= 1, got {given!r}")
            object.__setattr__(self, name, value)
            if len(value) != len(self.grip):
                raise ValueError(f"{name} must hold {len(self.grip)} numbers, got {len(value)}")

    def __len__(self) -> int:
        return len(self.grip)

    def __getitem__(self, index: int | slice | np.ndarray) -> "VehicleTask":
        rows = np.atleast_1d(np.arange(len(self))[index])
        return VehicleTask(self.grip[rows], self.mass[rows], self.balance[rows])


def drive(
    tasks: VehicleTask, state: np.ndarray, steering: np.ndarray, acceleration: np.ndarray
) -> np.ndarray:
    """Return [T, ..., S + 1, 6] the states before and after S steps of `DT`, those before them first.

    Args:
        tasks: T vehicles.
        state: [T, ..., 6] where each begins; further axes are drives of the same vehicle.
        steering: [T, ..., S] rad of the front wheels, constant within a step; or what broadcasts to that.
        acceleration: [T, ..., S] m/s^2, likewise.

    Raises:
        ValueError: if a number is not finite, a speed is below `LOWEST_SPEED` before the last step, or a
            shape does not fit.
    """
    state, steering, acceleration = _checked_drive(tasks, state, steering, acceleration)
    flow = _flow(tasks, state.ndim - 2)
    states = [state]
    for k in range(steering.shape[-1]):
        if (state[..., 3] < LOWEST_SPEED).any():
            raise ValueError(
                f"state: a speed is {state[..., 3].min():.2f} m/s; the model holds from {LOWEST_SPEED} on"
            )
        fast, push = state[..., 3] > TOP_SPEED, acceleration[..., k]
        delta, push = steering[..., k], np.where(fast, np.minimum(push, TOP_SPEED - state[..., 3]), push)
        if (state[..., 3] + DT * push < 1).any():
            raise ValueError(f"acceleration: {push.min():.2f} m/s^2 leads below 1 m/s within a step")
        state = state.copy()
        state[..., 5] = np.clip(state[..., 5], -LARGEST_YAW_RATE, LARGEST_YAW_RATE)
        f1 = flow(state, delta, push)
        f2 = flow(state + f1 * (DT / 2), delta, push)
        f3 = flow(state + f2 * (DT / 2), delta, push)
        f4 = flow(state + f3 * DT, delta, push)
        state = state + (DT / 6) * (f1 + 2 * f2 + 2 * f3 + f4)
        states.append(state)
    return np.stack(states, axis=-2)


def _checked_drive(
    tasks: VehicleTask, state: np.ndarray, steering: np.ndarray, acceleration: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return state [T, ..., 6], steering and acceleration [T, ..., S], or raise ValueError."""
    state = np.array(state, dtype=float)
    if state.ndim < 2 or state.shape[0] != len(tasks) or state.shape[-1] != 6:
        raise ValueError(f"state must be [{len(tasks)}, ..., 6], got {list(state.shape)}")
    try:
        steering, acceleration = (
            np.broadcast_to(each, (*state.shape[:-1], np.shape(each)[-1]))
            for each in (steering, acceleration)
        )
    except (ValueError, IndexError):
        raise ValueError(
            f"steering and acceleration must be {[*state.shape[:-1], 'S']}, got {list(np.shape(steering))} "
            f"and {list(np.shape(acceleration))}"
        ) from None
    if steering.shape != acceleration.shape:
        raise ValueError(
            f"acceleration must be {list(steering.shape)}, as steering is, got {list(acceleration.shape)}"
        )
    for name, value in (("state", state), ("steering", steering), ("acceleration", acceleration)):
        if not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite numbers")
    return state, steering, acceleration


def _flow(tasks: VehicleTask, more: int) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return the equations of motion: state [T, ..., 6], steering and acceleration -> its rate of change.

    Args:
        tasks: T vehicles.
        more: how many axes a state has between the vehicles and its six numbers.
    """
    axes = (slice(None), *(None,) * more)
    front, rear = LENGTH * tasks.balance[axes], LENGTH * (1 - tasks.balance[axes])
    mass, tyre = tasks.mass[axes], STIFFNESS * tasks.grip[axes]
    inertia = mass * (LENGTH**2 + WIDTH**2) / 12

    def flow(s: np.ndarray, delta: np.ndarray, push: np.ndarray) -> np.ndarray:
        heading, speed, lateral, yaw = (s[..., k] for k in range(2, 6))
        slip = np.clip(delta, -np.pi / 2, np.pi / 2) - np.arctan2(lateral + front * yaw, speed)
        force_front = 2 * tyre * slip
        force_rear = -2 * tyre * np.arctan2(lateral - rear * yaw, speed)
        cos, sin = np.cos(heading), np.sin(heading)
        return np.stack(
            (
                cos * speed - sin * lateral,
                sin * speed + cos * lateral,
                yaw,
                push,
                (force_front + force_rear) / mass - yaw * speed,
                (front * force_front - rear * force_rear) / inertia,
            ),
            axis=-1,
        )

    return flow


class VehicleTasks:
    """The distribution over vehicles: grip, mass and balance are independent and uniform.

    ## Description
    A vehicle drives on a wide plane beside a line, y = 0, from which it starts 1 m away. It is to come back
    to the line and stay there. The simulator is highway-env's BicycleVehicle, without a road.

    ## Action space
    Box([-3, -0.3], [3, 0.3], float32): acceleration (m/s^2) and steering of the front wheels (rad).

    ## Observation space
    Box(-inf, inf, (5,), float32):

    | | what                            | unit  | error (standard deviation) |
    |-|---------------------------------|-------|----------------------------|
    |0| distance from the line, y       | m     | none                       |
    |1| heading, 0 is along the line    | rad   | none                       |
    |2| speed                           | m/s   | 0.1                        |
    |3| lateral speed                   | m/s   | 0.05                       |
    |4| yaw rate                        | rad/s | 0.02                       |

    ## Hidden
    grip, mass and balance. A single observation shows none of them; the answer to steering does.

    ## Reward
    Minus the distance from the line (m), at most 5, after each step of 0.1 s.

    ## Start and end
    12 m/s along the line, 1 m beside it, on one of its two sides. Terminated below 3 m/s; truncated after
    `horizon` steps.

    ## What the toy leaves out
    Tyres whose force has a limit (here it grows with the slip for ever), wheels that lock, load that shifts
    when braking, slopes, wind, and grip that changes from one metre to the next.

    Args:
        grip, mass, balance: bounds; grip and mass above 0, balance in (0, 1).

    Example:
        >>> vehicles = VehicleTasks().sample(100, seed=0)
        >>> start = np.tile([0.0, 0.0, 0.0, 12.0, 0.0, 0.0], (100, 1))
        >>> states = drive(vehicles, start, np.full(20, 0.05), np.zeros(20))   # [100, 21, 6]

    Raises:
        ValueError: if bounds are not as stated.
    """

    horizon = 50
    observation_scale: tuple[float, ...] = (1.0, 0.2, 10.0, 1.0, 0.3)

    def __init__(self, *, grip: Range = (0.15, 1.2), mass: Range = (0.7, 1.6), balance: Range = (0.4, 0.55)):
        for name, pair in zip(NAMES, (grip, mass, balance), strict=True):
            high = 1.0 if name == "balance" else np.inf
            good = isinstance(pair, tuple) and len(pair) == 2 and all(map(is_number, pair))
            if not good or not 0 < pair[0] <= pair[1] < high:
                kind = "0 < low <= high < 1" if name == "balance" else "0 < low <= high, both finite"
                raise ValueError(f"{name} must be bounds (low, high), {kind}, got {pair!r}")
        self.grip, self.mass, self.balance = grip, mass, balance

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in NAMES)})"

    def sample(self, n_tasks: int, *, seed: int) -> VehicleTask:
        """Draw n vehicles; the same seed gives the same ones.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1)
        uniform = make_rng(seed).uniform(size=(3, n_tasks))
        pairs = (getattr(self, name) for name in NAMES)
        return VehicleTask(*(low + (high - low) * u for (low, high), u in zip(pairs, uniform, strict=True)))

    def make_env(self, task: VehicleTask) -> gym.Env[np.ndarray, np.ndarray]:
        """Return a vehicle of highway-env as a Gymnasium environment.

        Raises:
            TypeError: if `task` is not a VehicleTask.
            ValueError: if it holds several vehicles.
            ImportError: if highway-env is missing; the message says which command installs it.
        """
        if not isinstance(task, VehicleTask):
            raise TypeError(f"task must be a VehicleTask, as {self!r}.sample returns, got {task!r}")
        if len(task) != 1:
            raise ValueError(f"task must hold one vehicle, got {len(task)}; tasks[i] is one")
        return gym.wrappers.TimeLimit(VehicleEnv(task), self.horizon)


def simulator_vehicle(task: VehicleTask, state: np.ndarray) -> Any:
    """Return highway-env's BicycleVehicle with one task's grip, mass and balance, in a state [6].

    Raises:
        ImportError: if highway-env is missing; the message says which command installs it.
    """
    module = needs(*SIMULATOR)
    vehicle = module.BicycleVehicle(None, np.array(state[:2], dtype=float), float(state[2]), float(state[3]))
    grip, mass, balance = (float(getattr(task, name)[0]) for name in NAMES)
    vehicle.MASS, vehicle.INERTIA_Z = mass, mass * (LENGTH**2 + WIDTH**2) / 12
    vehicle.LENGTH_A, vehicle.LENGTH_B = LENGTH * balance, LENGTH * (1 - balance)
    vehicle.FRICTION_FRONT = vehicle.FRICTION_REAR = STIFFNESS * grip
    vehicle.lateral_speed, vehicle.yaw_rate = float(state[4]), float(state[5])
    return vehicle


class VehicleEnv(gym.Env[np.ndarray, np.ndarray]):
    """One vehicle of highway-env; see `VehicleTasks` for actions, observations and rewards."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own form

    def __init__(self, task: VehicleTask):
        self.task = task
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (5,), np.float32)
        bounds = np.array([LARGEST_ACCELERATION, LARGEST_STEERING], dtype=np.float32)
        self._bounds = bounds
        self.action_space = gym.spaces.Box(-bounds, bounds, dtype=np.float32)
        needs(*SIMULATOR)
        self._vehicle: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start beside the line, left or right of it by chance."""
        super().reset(seed=seed)
        side = 1.0 if self.np_random.uniform() < 0.5 else -1.0
        self._vehicle = simulator_vehicle(self.task, np.array([0.0, side, 0.0, 12.0, 0.0, 0.0]))
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Accelerate and steer for 0.1 s; beyond the bounds the action is cut to them.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
            ValueError: if the action is not two finite numbers.
        """
        given = np.asarray(action, dtype=float)
        if given.shape != (2,) or not np.isfinite(given).all():
            raise ValueError(f"action must be two finite numbers, acceleration and steering, got {action!r}")
        if self._vehicle is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        push, steering = np.clip(given, -self._bounds, self._bounds).tolist()
        self._vehicle.act({"acceleration": push, "steering": steering})
        self._vehicle.step(DT)
        reward = -min(abs(float(self._vehicle.position[1])), 5.0)
        return self._seen(), reward, bool(self._vehicle.speed < LOWEST_SPEED), False, {}

    def _seen(self) -> np.ndarray:
        car = self._vehicle
        noise = np.array(NOISE) * self.np_random.normal(size=3)
        exact = [car.position[1], car.heading]
        measured = np.array([car.speed, car.lateral_speed, car.yaw_rate]) + noise
        return np.array([*exact, *measured], dtype=np.float32)
