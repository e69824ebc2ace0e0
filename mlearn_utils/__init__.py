"""Helpers of a notebook course on meta-reinforcement learning.

Four rooms, each importing only from those before it: `tasks` (distributions over problems), `rl` (learning
one task), `meta` (learning to learn), `course` (what a student touches; needs Jupyter, never imported here).
"""

from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.meta.learner import MetaLearner
from mlearn_utils.meta.policies.agent import MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.check_family import check_family
from mlearn_utils.meta.policies.memory_agent import MemoryAgent, MemoryConfig
from mlearn_utils.rl.q_learning import QLearningAgent
from mlearn_utils.tasks.bandit import BernoulliBandits
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTasks
from mlearn_utils.tasks.point import PointTasks
from mlearn_utils.tasks.regression import LinearTasks, SineTasks, TaskBatch

__all__ = [
    "BatchedCartPole",
    "BernoulliBandits",
    "CartPoleTasks",
    "HyperparameterModel",
    "LinearTasks",
    "MAMLAgent",
    "MAMLConfig",
    "MemoryAgent",
    "MemoryConfig",
    "MetaLearner",
    "PointTasks",
    "QLearningAgent",
    "SineTasks",
    "TaskBatch",
    "check_family",
]
