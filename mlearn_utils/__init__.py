"""Helpers of a notebook course on meta-reinforcement learning.

Four rooms, each importing only from those before it: `tasks` (distributions over problems), `rl` (learning
one task), `meta` (learning to learn), `course` (what a student touches; needs Jupyter, never imported here).
"""

from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.tasks.regression import LinearTasks, SineTasks, TaskBatch

__all__ = ["LinearTasks", "MetaLearner", "SineTasks", "TaskBatch"]
