"""A family of tasks with the bug that lesson 06 has its reader find."""

import numpy as np

from mlearn_utils.course.grading.exercise import find_exercise
from mlearn_utils.course.lesson_06.exercises import EXERCISES
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks


class SomebodysTasks(CartPoleTasks):
    """`dirv` as somebody programmed it: with the sampler that is to be mended in `sample_tasks`."""

    def __init__(self) -> None:
        super().__init__("dirv")
        self._sample = find_exercise(EXERCISES, "sample_tasks").stub()

    def sample(self, n_tasks: int, *, seed: int) -> CartPoleTask:
        """Draw a batch of tasks, or so one would think."""
        return self._sample(n_tasks, np.random.default_rng(seed))
