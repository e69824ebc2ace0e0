"""Meta-RL on CartPole.

The exercises of lesson 06; `mistakes` and `task_checks` say how they are judged. They carry no annotations:
their first lines are what a student reads.
"""

import torch

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_06 import mistakes, task_checks
from mlearn_utils.course.lesson_06.goals import Goal
from mlearn_utils.rl import policy_gradient as pg
from mlearn_utils.tasks.cartpole import CartPoleTask

# --- advantages of several tasks


def task_advantages(reward, x, mask, gamma, lam):
    """Return [T, S, E] generalized advantages of T tasks, with mean 0 and deviation 1 within each task.

    reward, mask: [T, S, E]; the result is 0 where the mask is. x: [T, S, E, K], features for a baseline that
    each task has of its own.
    """
    ### BEGIN SOLUTION
    G = pg.returns_to_go(reward, mask, gamma=gamma)
    V = pg.baseline_values(pg.fit_ridge(x, G, mask), x)
    A = pg.gae(reward, V, mask, gamma=gamma, lam=lam)
    count = mask.sum((1, 2), keepdim=True)
    centered = (A - (A * mask).sum((1, 2), keepdim=True) / count) * mask
    return centered / ((centered**2).sum((1, 2), keepdim=True) / count).sqrt()
    ### END SOLUTION


# --- the LVC surrogate


def lvc_surrogate(logp, adv, mask):
    """Return [E] the LVC surrogate of each episode, from log-probabilities, credits and mask [S, E]."""
    ### BEGIN SOLUTION
    return ((logp - logp.detach()).exp() * adv * mask).sum(0)
    ### END SOLUTION


# --- the clipped objective


def clipped_objective(logp, old_logp, adv, mask, clip):
    """Return [E] the PPO objective of each episode, a sum over its steps, to be maximized; inputs [S, E].

    logp, old_logp: log-probabilities of the actions taken, under the new policy and under the one that acted.
    """
    ### BEGIN SOLUTION
    ratio = (logp - old_logp).exp()
    cautious = torch.minimum(ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv)
    return (cautious * mask).sum(0)
    ### END SOLUTION


# --- the planted bug


def sample_tasks(n_tasks, rng):
    """Return n_tasks tasks of `dirv`: each drives left or right, with a speed between 0.5 and 1 m/s."""
    goal, targets = Goal(), []
    for _ in range(n_tasks):
        ### BEGIN SOLUTION
        goal = Goal(direction=rng.choice([-1.0, 1.0]), speed=rng.uniform(0.5, 1.0))
        ### END SOLUTION
        #| goal.direction = rng.choice([-1.0, 1.0])
        #| goal.speed = rng.uniform(0.5, 1.0)
        targets.append(goal.target)
    return CartPoleTask("dirv", target=targets)


# --- the paired interval


def paired_interval(ours, theirs):
    """Return (mean, low, high): 95 % interval over training runs of the gain ours - theirs; arrays [S, T].

    Row s holds the returns of training run (seed) s on T tasks, the same seeds and tasks in both arrays.
    """
    ### BEGIN SOLUTION
    return interval((ours - theirs).mean(axis=1))
    ### END SOLUTION


# --- the step sizes


def step_sizes():
    """Return the sizes of the second and the third inner step on `dir`, both above 0.

    The first step has the size that the agent was trained with, 10; these are sizes like it, not factors.
    """
    ### BEGIN SOLUTION
    return 0.5, 0.3
    ### END SOLUTION


EXERCISES = (
    Exercise(
        reference=task_advantages,
        check=task_checks.TASK_ADVANTAGES,
        title="Advantages, task by task",
        level="core",
        minutes=8,
        points=3,
        hints=(
            "Lesson 03 has the pieces: pg.returns_to_go, pg.fit_ridge, pg.baseline_values, pg.gae. All of "
            "them leave a task axis in front alone, so each task gets its own baseline.",
            "Mean and deviation run over axes 1 and 2 (steps and episodes), with keepdim=True, and count "
            "only where the mask is 1.",
            "count = mask.sum((1, 2), keepdim=True); the mean is (A * mask).sum((1, 2), keepdim=True) / "
            "count. The deviation is the root of the mean square of (A - mean) * mask.",
        ),
    ),
    Exercise(
        reference=lvc_surrogate,
        check=mistakes.LVC_SURROGATE,
        title="The LVC surrogate",
        level="core",
        minutes=6,
        points=2,
        hints=(
            "Take the plain surrogate, (logp * adv * mask).sum(0), and replace logp by exp(l - stop(l)).",
            "stop(l) is logp.detach(): the same number, but a constant for autograd.",
        ),
    ),
    Exercise(
        reference=clipped_objective,
        check=mistakes.CLIPPED_OBJECTIVE,
        title="The clipped objective",
        level="core",
        minutes=6,
        points=2,
        hints=(
            "The ratio of two probabilities is exp of the difference of their logarithms.",
            "ratio.clamp(1 - clip, 1 + clip) clips it; torch.minimum takes the smaller of two tensors.",
            "Multiply the minimum by the mask and sum it over the steps, axis 0.",
        ),
    ),
    Exercise(
        reference=sample_tasks,
        check=task_checks.check_sample_tasks,
        title="Why is the gain zero?",
        level="core",
        minutes=6,
        points=2,
        planted=True,
        hints=(
            "Print a few of the tasks' targets before you read on.",
            "When is goal.target computed, and when do direction and speed change?",
            "Make a new Goal for each task, or compute direction * speed after the draw.",
        ),
    ),
    Exercise(
        reference=paired_interval,
        check=mistakes.PAIRED_INTERVAL,
        title="The paired interval",
        level="core",
        minutes=6,
        points=2,
        hints=(
            "Both methods met the same seeds and tasks: subtract first, so that what they share drops out.",
            "What is drawn anew when somebody repeats the experiment? Average over everything else.",
            "interval(values) returns mean, low and high over axis 0 of [S].",
        ),
    ),
    Exercise(
        reference=step_sizes,
        check=task_checks.check_step_sizes,
        title="Later steps that help",
        level="explore",
        minutes=6,
        points=2,
        hints=(
            "Try them on the validation tasks: put your own sizes into the loop of the cell above.",
            "The first step goes most of the way. How far should the second one reach, from there?",
            "Try a tenth of the first size for the second step.",
        ),
    ),
)
