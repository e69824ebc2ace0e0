"""Meta-RL on CartPole.

The exercises of lesson 06. Every checker compares the answer with the right value and with the values that
the known mistakes give, so that its message can name the one that was made. The exercises themselves carry no
annotations: their first lines are what a student reads.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lesson_06.goals import Goal, check_sample_tasks
from mlearn_utils.course.lesson_06.mistakes import (
    baselines,
    make_ratios,
    make_returns,
    make_tasks,
    same,
    wrong_clipped,
    wrong_intervals,
    wrong_task_advantages,
)
from mlearn_utils.course.lesson_06.results import three_steps
from mlearn_utils.course.lesson_06.surrogates import (
    World,
    wrong_surrogate_derivatives,
    wrong_surrogate_values,
)
from mlearn_utils.rl import policy_gradient as pg
from mlearn_utils.rl import returns, surrogates
from mlearn_utils.tasks.cartpole import CartPoleTask

TITLE = "Meta-RL on CartPole"
NOISE = 1.0  # by how much the mean return of the checker's tasks may differ by luck
LATER_GAIN = 2.5  # what the second and third step must add to the mean return there

# --- advantages of several tasks


def task_advantages(reward, x, mask, gamma, lam):
    """Return [T, S, E] generalized advantages of T tasks, with mean 0 and deviation 1 within each task.

    reward, mask: [T, S, E]. x: [T, S, E, K], features for a baseline that each task has of its own.
    """
    ### BEGIN SOLUTION
    G = pg.returns_to_go(reward, mask, gamma=gamma)
    V = pg.baseline_values(pg.fit_ridge(x, G, mask), x)
    A = pg.gae(reward, V, mask, gamma=gamma, lam=lam)
    count = mask.sum((1, 2), keepdim=True)
    centered = (A - (A * mask).sum((1, 2), keepdim=True) / count) * mask
    return centered / ((centered**2).sum((1, 2), keepdim=True) / count).sqrt()
    ### END SOLUTION


def check_task_advantages(answer: Callable) -> str:
    """Compare on an easy and a hard task with the right values and those of the mistakes."""
    reward, x, mask = make_tasks()
    gamma, lam = 0.9, 0.6
    result = answer(reward.clone(), x.clone(), mask.clone(), gamma, lam)
    for wrong, message in wrong_task_advantages(reward, x, mask, gamma, lam):
        expect(not same(result, wrong), message)
    adv = returns.gae(reward, baselines(reward, x, mask, gamma), mask, gamma=gamma, lam=lam)
    right = returns.normalise(adv, mask)
    expect_close(result, right, "not GAE over each task's own baseline, normalized within each task")
    alone = answer(reward[:1], x[:1], mask[:1], gamma, lam)
    expect_close(alone, right[:1], "a task's advantages must be the same with and without the other task")
    return "Each task's advantages are the same whether it is computed alone or beside another task."


# --- the LVC surrogate


def lvc_surrogate(logp, adv, mask):
    """Return [E] the LVC surrogate of each episode, from log-probabilities, credits and mask [S, E]."""
    ### BEGIN SOLUTION
    return ((logp - logp.detach()).exp() * adv * mask).sum(0)
    ### END SOLUTION


def check_lvc_surrogate(answer: Callable) -> str:
    """Compare value, gradient and Hessian over all episodes of a three-step world."""
    world = World()
    theta = torch.tensor([0.4, -0.7], dtype=torch.float64, requires_grad=True)
    logp = world.logp(theta)
    result = answer(logp, world.adv, world.mask)
    for wrong, message in wrong_surrogate_values(logp, world.adv, world.mask):
        expect(not same(result, wrong), message)
    right = (world.adv * world.mask).sum(0)
    expect_close(result, right, "its value must be the sum of the credits of the steps taken")
    expect(
        result.requires_grad,
        "the value is right, but nothing is left to differentiate: stop only one of the two logp",
    )
    found = world.derivatives(answer)
    for wrong, message in wrong_surrogate_derivatives(world):
        expect(not _same_derivatives(found, world.derivatives(wrong)), message)
    gradient, hessian = world.derivatives(surrogates.lvc_surrogate)
    expect_close(found[0], gradient, "the value is right, the gradient is not sum_t score_t A_t")
    expect_close(found[1], hessian, "value and gradient are right, the Hessian is not that of LVC")
    return "Value, gradient and Hessian are right, over all episodes of a three-step world."


def _same_derivatives(mine: tuple[Tensor | None, ...], wrong: tuple[Tensor | None, ...]) -> bool:
    return all(
        (a is None and b is None) or (a is not None and b is not None and torch.allclose(a, b))
        for a, b in zip(mine, wrong, strict=True)
    )


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


def check_clipped_objective(answer: Callable) -> str:
    """Compare with the right value and those of the mistakes, then look where the gradient is zero."""
    logp, old_logp, adv, mask = make_ratios()
    logp.requires_grad_()
    result = answer(logp, old_logp, adv, mask, 0.2)
    for wrong, message in wrong_clipped(logp, old_logp, adv, mask, 0.2):
        expect(not same(result, wrong), message)
    right = clipped_objective(logp, old_logp, adv, mask, 0.2)
    expect_close(
        result, right.detach(), "not the sum of min(ratio * adv, clipped ratio * adv) over the steps"
    )
    expect(
        result.requires_grad,
        "the value is right, but nothing is left to differentiate: something was detached",
    )
    found, expected = (torch.autograd.grad(value.sum(), logp)[0] for value in (result, right))
    expect_close(found, expected, "the value is right, its gradient by logp is not")
    idle = ((found == 0) & (mask == 1)).sum().item()
    return f"Right. Of {mask.sum():.0f} steps {idle} have left the clip the good way and push no further."


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


def check_paired_interval(answer: Callable) -> str:
    """Compare with the interval over seeds of the mean difference, and with those of the mistakes."""
    ours, theirs = make_returns()
    result = answer(ours.copy(), theirs.copy())
    for wrong, message in wrong_intervals(ours, theirs):
        expect(not same(result, wrong), message)
    right = interval((ours - theirs).mean(axis=1))
    expect_close(result, right, "not the Student-t interval over seeds of the mean difference")
    mine, other = interval(ours.mean(1)), interval(theirs.mean(1))
    return (
        f"Paired: {right[0]:.1f} ({right[1]:.1f} to {right[2]:.1f}). Two separate intervals, "
        f"{mine[1]:.0f} to {mine[2]:.0f} and {other[1]:.0f} to {other[2]:.0f}, overlap and show nothing."
    )


# --- the step sizes


def step_sizes():
    """Return the sizes of the second and the third inner step on `dir`, both above 0.

    The first step has the size that the agent was trained with.
    """
    ### BEGIN SOLUTION
    return 0.5, 0.3
    ### END SOLUTION


def check_step_sizes(answer: Callable) -> str:
    """Evaluate the sizes with the stored policy, on tasks that no one tunes on."""
    sizes = answer()
    expect_close(sizes, (0.0, 0.0), "return two numbers, the sizes of two steps", tol=float("inf"))
    second, third = (float(size) for size in sizes)
    expect(min(second, third) > 0, "both sizes must be above 0: without a step there is nothing to gain")
    found = three_steps(second, third)
    told = "{:.0f} before, then {:.0f}, {:.0f}, {:.0f}".format(*found)
    expect(
        found[2] > found[1] - NOISE,
        f"the second step makes the policy worse on new tasks: {told}. From where the first step ends, "
        "smaller ones are enough",
    )
    expect(found[3] > found[2] - NOISE, f"the third step makes the policy worse on new tasks: {told}")
    expect(
        found[3] > found[1] + LATER_GAIN,
        f"nothing breaks, but the later steps gain little: {told}. They may be larger than that",
    )
    return f"On 200 tasks that you have not tuned on: {told}."


EXERCISES = (
    Exercise(
        reference=task_advantages,
        check=check_task_advantages,
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
        check=check_lvc_surrogate,
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
        check=check_clipped_objective,
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
        check=check_sample_tasks,
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
        check=check_paired_interval,
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
        check=check_step_sizes,
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
