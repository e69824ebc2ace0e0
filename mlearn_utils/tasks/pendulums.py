"""Inverted pendulums on MuJoCo whose motor and pole are hidden: to each robot an action means another thing.

A robot is Gymnasium's InvertedPendulum-v5: a cart on a rail, a pole on a hinge. Hidden are the gear of the
motor, which also may be wired the wrong way round, and the mass of the pole. Half of the robots move left
where the others move right, so that what is right on average is right for none.

What many robots do is recorded in `mlearn_utils.tasks.pendulum_runs`.

Reference: Barto, Sutton & Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning
control problems" (the cart and the pole); Todorov, Erez & Tassa 2012, "MuJoCo" (the simulator).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from mlearn_utils.runtime import check_integer, is_number, make_rng, needs

ENV_ID = "InvertedPendulum-v5"
SIMULATOR = "mujoco", "mujoco==4.0.0"
IMAGES = "imageio", "imageio==2.38.1"
"""What Gymnasium's MuJoCo environments import, though nothing is rendered here."""

Range = tuple[float, float]
Array = Any  # numpy array


@dataclass(frozen=True, eq=False)
class PendulumTask:
    """A batch of T robots; `tasks[i]` and `tasks[2:5]` are batches too.

    Attributes:
        gear: float64 [T] the force (N) of the motor for an action of 1; below 0 it pulls where it is to push.
        pole_mass: float64 [T] mass of the pole (kg).

    Raises:
        ValueError: if a gear is 0 or not finite, a mass not a finite number above 0, or their shapes differ.
    """

    gear: Array
    pole_mass: Array

    def __post_init__(self):
        for name, good in (("gear", "other than 0"), ("pole_mass", "above 0")):
            given = getattr(self, name)
            try:
                value = np.atleast_1d(np.array(given, dtype=float))
            except (TypeError, ValueError):
                raise ValueError(f"{name} must be numbers [T], got {given!r}") from None
            right = (value != 0) if name == "gear" else (value > 0)
            if value.ndim != 1 or not value.size or not (right & np.isfinite(value)).all():
                raise ValueError(f"{name} must be finite numbers {good}, [T] with T >= 1, got {given!r}")
            object.__setattr__(self, name, value)
        if len(self.gear) != len(self.pole_mass):
            raise ValueError(
                f"pole_mass must hold a mass for each of {len(self.gear)} gears, got {len(self.pole_mass)}"
            )

    def __len__(self) -> int:
        return len(self.gear)

    def __getitem__(self, index: int | slice | np.ndarray) -> "PendulumTask":
        rows = np.atleast_1d(np.arange(len(self))[index])
        return PendulumTask(self.gear[rows], self.pole_mass[rows])


class PendulumTasks:
    """The distribution over robots: |gear|, its sign and the pole's mass are independent.

    ## Description
    The environment of a robot is InvertedPendulum-v5 with another gear and another mass of the pole, whose
    inertia is scaled alike (the pole's shape stays). Cart 10.5 kg, pole 0.6 m, the hinges damped; the rail
    ends 1 m from its middle.

    ## Action space
    Box(-3, 3, (1,), float32): the motor pushes the cart with gear x action N.

    ## Observation space
    Box(-inf, inf, (4,), float64), the whole state:

    | | what                              | unit  | bounds of the simulator | an episode ends          |
    |-|-----------------------------------|-------|-------------------------|--------------------------|
    |0| position of the cart              | m     | [-1, 1], a soft stop    |                          |
    |1| angle of the pole, upright is 0   | rad   | [-pi/2, pi/2]           | beyond 0.2 either way    |
    |2| velocity of the cart              | m/s   | none                    |                          |
    |3| angular velocity of the pole      | rad/s | none                    |                          |

    ## Hidden
    gear and pole_mass. Neither can be read off a single state; both show in how the state changes.

    ## Reward
    1 for a step that ends with the pole within 0.2 rad, else 0.

    ## Start and end
    Each number of the state is uniform in [-0.01, 0.01]. An episode is terminated when the pole is beyond
    0.2 rad, and truncated after `horizon` steps (20 s with 500; Gymnasium's own limit is 1,000).

    ## What the toy leaves out
    Observations are exact and at once; friction, the pole's length and the sampling time are known and the
    same for all; nothing wears out during an episode; and a real motor's sign is looked up, not learned.

    Args:
        gear: bounds of |gear| (N), 0 < low <= high; 100 is Gymnasium's.
        pole_mass: bounds of the pole's mass (kg), 0 < low <= high; 5.02 is Gymnasium's.
        reversible: whether half of the motors are wired the wrong way round.

    Example:
        >>> robots = PendulumTasks()
        >>> task = robots.sample(40, seed=0)
        >>> env = robots.make_env(task[3])

    Raises:
        ValueError: if bounds are not as stated, or `reversible` is not True or False.
    """

    horizon = 500
    observation_scale: tuple[float, ...] = (0.3, 0.1, 1.0, 1.0)

    def __init__(
        self, *, gear: Range = (50.0, 150.0), pole_mass: Range = (2.0, 10.0), reversible: bool = True
    ):
        self.gear, self.pole_mass = _bounds("gear", gear), _bounds("pole_mass", pole_mass)
        if not isinstance(reversible, bool):
            raise ValueError(f"reversible must be True or False, got {reversible!r}")
        self.reversible = reversible

    def __repr__(self) -> str:
        values = f"gear={self.gear}, pole_mass={self.pole_mass}, reversible={self.reversible}"
        return f"{type(self).__name__}({values})"

    def sample(self, n_tasks: int, *, seed: int) -> PendulumTask:
        """Draw n robots; the same seed gives the same ones.

        Raises:
            ValueError: if `n_tasks` is not an integer >= 1, or `seed` not an integer >= 0.
        """
        check_integer("n_tasks", n_tasks, minimum=1)
        rng = make_rng(seed)
        gear, mass = rng.uniform(*self.gear, n_tasks), rng.uniform(*self.pole_mass, n_tasks)
        sign = rng.choice([-1.0, 1.0], n_tasks)
        return PendulumTask(gear * sign if self.reversible else gear, mass)

    def make_env(self, task: PendulumTask, *, horizon: int = 500) -> gym.Env[np.ndarray, np.ndarray]:
        """Return one robot as a Gymnasium environment with episodes of at most `horizon` steps; not rendered.

        Raises:
            TypeError: if `task` is not a PendulumTask.
            ValueError: if it holds several robots, or `horizon` is not >= 1.
            ImportError: if mujoco, or imageio, which Gymnasium's MuJoCo environments import, is missing.
        """
        check_tasks(task, "task")
        if len(task) != 1:
            raise ValueError(f"task must hold one robot, got {len(task)}; tasks[i] is one")
        check_integer("horizon", horizon, minimum=1)
        mujoco = needs(*SIMULATOR)
        needs(*IMAGES)
        env = gym.make(ENV_ID, max_episode_steps=horizon)
        robot: Any = env.unwrapped
        build_robot(mujoco, robot.model, robot.data, task)
        return env


def build_robot(mujoco: Any, model: Any, data: Any, task: PendulumTask) -> None:
    """Give a model the gear and the pole of a robot, and whatever MuJoCo derives from them."""
    pole = model.body("pole").id
    model.actuator_gear[0, 0] = task.gear[0]
    model.body_inertia[pole] *= task.pole_mass[0] / model.body_mass[pole]
    model.body_mass[pole] = task.pole_mass[0]
    mujoco.mj_setConst(model, data)
    mujoco.mj_resetData(model, data)


def check_tasks(tasks: object, name: str = "tasks") -> None:
    """Raise TypeError unless these are robots."""
    if not isinstance(tasks, PendulumTask):
        raise TypeError(f"{name} must be a PendulumTask, as PendulumTasks().sample returns, got {tasks!r}")


def _bounds(name: str, bounds: Range) -> Range:
    pair = list(bounds) if isinstance(bounds, Iterable) else []
    if len(pair) != 2 or not all(map(is_number, pair)) or not 0 < pair[0] <= pair[1] < np.inf:
        raise ValueError(f"{name} must be finite bounds (low, high) with 0 < low <= high, got {bounds!r}")
    return float(pair[0]), float(pair[1])
