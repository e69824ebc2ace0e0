"""How lesson 06's answers about several tasks are judged: their advantages, their targets, later steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import describe, expect, expect_numbers
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong
from mlearn_utils.course.lesson_06.goals import Goal
from mlearn_utils.course.lesson_06.mistakes import episode_mask, tensors
from mlearn_utils.course.lesson_06.results import read_agent, three_steps
from mlearn_utils.rl import returns
from mlearn_utils.tasks.cartpole import CartPoleTask

OWN, COMMON = (1, 2), (0, 1, 2)
"""Axes of [T, S, E]: the steps and episodes of a task, and those of all tasks."""

AFTER_END = "The result after the end of an episode"

N_TASKS = 200
NOISE = 1.0  # by how much the mean return of the checker's tasks may differ by luck
LATER_GAIN = 2.5  # what the second and third step must add to the mean return there


# --- advantages of several tasks


def make_tasks(lengths: tuple[tuple[int, ...], ...], n_features: int) -> tuple[Tensor, ...]:
    """Return reward [T, S, E], features [T, S, E, K] and mask of tasks with episodes of these lengths [T, E].

    The tasks go from easy to hard. Rewards depend on the features, otherwise in each task, and hold junk
    after the end.
    """
    random, mask = np.random.default_rng(np.array(lengths).ravel()), episode_mask(lengths)
    level, slope = (np.array(values[: len(mask)])[:, None, None] for values in ((4, 0.5, 2), (1, -0.5, 2)))
    x = random.normal(size=(*mask.shape, n_features))
    x[..., 0] = 1.0
    reward = level + slope * x[..., 1] + 0.5 * random.normal(size=mask.shape)
    return tensors(np.where(mask == 1, reward, 7 * random.normal(size=mask.shape)), x, mask)


def advantage_probes() -> list[Probe]:
    """Return reward, x, mask, gamma and lam: two tasks, three, and one; gamma and lam may be 0."""
    two, other_two = ((6, 3, 6, 2), (2, 6, 4, 6)), ((3, 6, 5, 6), (6, 4, 6, 2))
    three = ((5, 2, 5), (3, 5, 5), (5, 5, 4))
    one = ((3, 5, 2),)
    cases = (
        (two, 3, 0.9, 0.6), (other_two, 3, 0.8, 0.3), (two, 3, 0.85, 0.0), (other_two, 3, 0.0, 0.5),
        (three, 2, 0.75, 0.45), (one, 2, 0.85, 0.7),
    )  # fmt: skip
    return [(*make_tasks(lengths, n_features), *factors) for lengths, n_features, *factors in cases]


def advantage_parts(
    function: Any, reward: Tensor, x: Tensor, mask: Tensor, gamma: float, lam: float
) -> Parts:
    """Return the advantages on the steps taken, and those after the end."""
    return _split(function(reward, x, mask, gamma, lam), mask)


def _split(adv: Any, mask: Tensor) -> Parts:
    nothing = torch.zeros_like(mask)
    if not isinstance(adv, Tensor) or adv.shape != mask.shape or adv.layout != torch.strided:
        return Parts({RESULT: adv, AFTER_END: nothing})
    return Parts({RESULT: torch.where(mask == 1, adv, 0), AFTER_END: torch.where(mask == 1, 0, adv) + 0})


def wrong_advantages(reward: Tensor, x: Tensor, mask: Tensor, gamma: float, lam: float) -> Wrong:
    """Return what each known mistake gives for the advantages of several tasks, with its message."""
    nothing, ones = torch.zeros_like(mask), torch.ones_like(mask)
    to_go = returns.returns_to_go(reward, mask, gamma=gamma)

    def fitted(targets: Tensor, steps: Tensor = mask) -> Tensor:
        return returns.baseline_values(returns.fit_ridge(x, targets, steps), x)

    def gae(values: Tensor, gamma: float = gamma, lam: float = lam) -> Tensor:
        return returns.gae(reward, values, mask, gamma=gamma, lam=lam)

    one_task = (torch.cat(list(array), dim=1) for array in (x, to_go, mask))  # [T, S, E] -> [S, T E]
    pooled = gae(returns.baseline_values(returns.fit_ridge(*one_task), x))
    values, swapped = fitted(to_go), "gamma and lam are exchanged"
    credits = [
        (pooled, "one baseline is fitted to the episodes of all tasks: it predicts their average, and is "
         "wrong for each. Each task needs its own"),
        (gae(nothing), "the baseline is not used: its values belong into GAE"),
        (gae(fitted(reward)), "the baseline is fitted to the rewards: it predicts the return to go"),
        (gae(fitted(returns.returns_to_go(reward, mask, gamma=1.0))), "the baseline is fitted to the sums of "
         "rewards without discount: the return to go uses gamma, too"),
        (gae(fitted(returns.returns_to_go(reward, ones, gamma=gamma))), "rewards after the end of an episode "
         "are in the return to go: it takes the mask"),
        (gae(fitted(to_go, ones)), "the baseline is fitted to the entries after the end of an episode, too: "
         "it takes the mask"),
        (gae(values, lam=1.0), "lam is not used: this is the return to go less the baseline"),
        (gae(values, lam=0.0), "lam is not used: these are the advantages with lam = 0"),
        (gae(values, gamma=1.0), "GAE is computed without a discount: it uses gamma, too"),
        (gae(values, lam, gamma), swapped),
        (gae(fitted(returns.returns_to_go(reward, mask, gamma=lam)), lam, gamma), swapped),
        (returns.gae(to_go, values, mask, gamma=gamma, lam=lam), "GAE takes the rewards, not the returns to "
         "go"),
        (to_go, "these are the returns to go, normalized: neither the baseline nor GAE is in them"),
        (returns.gae(reward, values, ones, gamma=gamma, lam=lam), "GAE goes on after the end of an episode: "
         "it takes the mask"),
    ]  # fmt: skip
    table = [(returns.normalise(adv, mask), message) for adv, message in credits]
    table += _wrong_scales(gae(values), mask)
    table.append((_wrong_scales(pooled, mask)[0][0], "all tasks are thrown into one pot: the baseline, the "
                  "mean and the deviation must all be each task's own"))  # fmt: skip
    return [(_split(adv, mask), message) for adv, message in table]


def _wrong_scales(adv: Tensor, mask: Tensor) -> Wrong:
    """Return what each known mistake makes of advantages [T, S, E] that are to be normalized."""

    def mean(of: Tensor, over: tuple[int, ...] = OWN) -> Tensor:
        return (of * mask).sum(over, keepdim=True) / mask.sum(over, keepdim=True).clamp(min=1)

    def deviation(of: Tensor, over: tuple[int, ...] = OWN) -> Tensor:
        return mean(of**2, over).sqrt() + 1e-8

    def scaled(over: tuple[int, ...]) -> Tensor:
        return (adv - mean(adv, over)) * mask / deviation(adv - mean(adv, over), over)

    own, common, padded = adv - mean(adv), adv - mean(adv, COMMON), adv - adv.mean(OWN, keepdim=True)
    n, size, ones = mask.sum(OWN, keepdim=True), mask[0].numel(), torch.ones_like(mask)
    whole = [adv.std(OWN, correction=k, keepdim=True) for k in (0, 1)]  # over the entries after the end, too
    by_size, by_steps = ((c**2).sum(OWN, keepdim=True) for c in (own * mask, own))
    return [
        *((advantages, "normalized across tasks: one mean and one deviation for all of them. The deviation "
           "sets the scale: a task whose advantages vary more than those of others then takes a larger inner "
           "step. Each task needs its own")
          for advantages in (scaled(COMMON), common * mask / adv[mask == 1].std(), *(
              (adv - adv.mean()) / adv.std(correction=k) * kept for k in (0, 1) for kept in (mask, ones)))),
        (own * mask / deviation(own, COMMON), "each task has its own mean, but one deviation serves all: "
         "then a task whose advantages vary more than those of others takes a larger inner step"),
        (common * mask / deviation(own), "one mean is subtracted from all tasks: each has its own"),
        (adv, "these advantages are not normalized: the inner step would be as large as the rewards are"),
        (own * mask, "the mean is subtracted, the division by the deviation is missing"),
        *((adv / deviation(c), "the mean is not subtracted") for c in (own, adv)),
        (own * mask / deviation(own) ** 2, "this divides by the variance: the deviation is its root"),
        (scaled((1,)), "each episode has its own mean: then a good episode looks no better than a bad one. "
         "Average over the steps and episodes of a task"),
        (scaled((2,)), "each step number has its own mean: average over the steps and episodes of a task"),
        *((scaled(over), "the mean runs over axis 0, that of the tasks: average over axes 1 and 2, the steps "
           "and episodes of a task") for over in ((0,), (0, 1), (0, 2))),
        (own * mask / deviation(own) * ((n - 1) / n).sqrt(), "almost: this deviation divides by n - 1 "
         "(torch.std does); here it is the root of the mean square, which divides by n"),
        *((padded / spread * kept, "the mean counts entries after the end of an episode, where A is 0: "
           "divide by mask.sum(), not by the size of the array")
          for spread in (*whole, (padded * mask).square().mean(OWN, keepdim=True).sqrt(), deviation(padded))
          for kept in (mask, ones)),
        *((own / spread * kept, "the mean is right, the deviation counts entries after the end of an "
           "episode: sum the squares over the steps taken and divide by mask.sum()")
          for spread in (*whole, (by_size / size).sqrt(), (by_steps / n).sqrt()) for kept in (mask, ones)),
    ]  # fmt: skip


TASK_ADVANTAGES = Trial(
    probes=advantage_probes,
    mistakes=wrong_advantages,
    observe=advantage_parts,
    otherwise={
        RESULT: "not GAE over each task's own baseline, normalized within each task",
        AFTER_END: "right where a step was taken, but not 0 after the end of an episode: use the mask",
    },
    praise="Right for two tasks and for three: what one of them earns changes nothing in the others.",
    tol=1e-4,  # 1e-5 or 1e-8 beside the deviation is a matter of taste
)


# --- the planted bug


def check_sample_tasks(answer: Callable) -> str:
    """Look at the targets of many tasks: kind, spread, range, and what they depend on."""
    rng = np.random.default_rng(0)
    target = _targets(answer, N_TASKS, rng)
    if np.ptp(target) == 0:
        raise NotYet(_why_all_are_equal(target[0], rng))
    _check_speeds(target)
    _check_directions(target)
    other = _targets(answer, N_TASKS, np.random.default_rng(1))
    is_same = {
        "directions": np.array_equal(target > 0, other > 0),
        "speeds": np.array_equal(abs(target), abs(other)),
    }
    for name, other_name in (("directions", "speeds"), ("speeds", "directions")):
        expect(
            is_same[other_name] or not is_same[name],
            f"the {name} are the same whatever state the generator `rng` is in: draw them from it, too",
        )
    trend = np.corrcoef(np.arange(N_TASKS), abs(target))[0, 1]
    expect(
        abs(trend) < 0.3,
        f"the speeds {'rise' if trend > 0 else 'fall'} from the first task to the last: each is drawn on its "
        "own and stays where it was drawn",
    )
    _targets(answer, 60, np.random.default_rng(2))
    return (
        f"{N_TASKS} tasks have {N_TASKS} different targets. A value that follows from others is computed "
        "when needed."
    )


def _targets(answer: Callable, n_tasks: int, rng: np.random.Generator) -> np.ndarray:
    tasks = answer(n_tasks, rng)
    expect(
        isinstance(tasks, CartPoleTask) and tasks.family == "dirv",
        "the result should be a CartPoleTask of family dirv, as before: only the targets are wrong",
    )
    target = tasks.target
    expect(
        isinstance(target, np.ndarray) and target.dtype.kind == "f" and target.ndim == 1,
        f"the target of the tasks should be an array, one number for each of them, got {describe(target)}",
    )
    expect(len(tasks) == n_tasks, f"{n_tasks} tasks were asked for, there are {len(tasks)}")
    expect(np.isfinite(target).all(), "some targets are not finite")
    return target


def _why_all_are_equal(target: float, rng: np.random.Generator) -> str:
    """Return what to say of tasks that do not differ, from how far the generator was moved on."""
    twin = np.random.default_rng(0).bit_generator
    states = [(twin.state["state"], twin.random_raw())[0] for _ in range(N_TASKS // 2)]
    if rng.bit_generator.state["state"] == states[0]:
        return f"every task has the target {target:.2f} m/s, and nothing is drawn from `rng`"
    if target == Goal().target:
        return (
            f"every task still has the target {target:.2f} m/s: what is drawn does not reach it. `target` is "
            "computed once, when a goal is made, and does not follow what is set afterwards"
        )
    if rng.bit_generator.state["state"] in states:
        return (
            f"every task has the target {target:.2f} m/s: one draw serves all of them. Each task needs a "
            "draw of its own, inside the loop"
        )
    return (
        f"every task has the target {target:.2f} m/s, although there are draws enough for all. Is one "
        "and the same goal shared by all of them, which holds the last draw in the end? Or is the target "
        "computed only once?"
    )


def _check_speeds(target: np.ndarray) -> None:
    """Raise NotYet unless the sizes of the targets are all different and cover the range."""
    size = abs(target)
    speeds = np.unique(np.round(size, 9))
    expect(
        len(speeds) > 1,
        f"both directions are there, but only the speed {speeds[0]:.2f} m/s: each task needs a speed of its "
        "own, drawn and used",
    )
    expect((target != 0).all(), "some tasks have the target 0: a direction is -1 or 1, and a speed is not 0")
    expect(
        len(speeds) == N_TASKS,
        f"{N_TASKS} tasks have only {len(speeds)} different speeds: draw one for each task, from all between "
        "0.5 and 1 m/s, and neither round nor clip it",
    )
    expect(
        target[0] != Goal().target,
        "the first task has the target of a goal that nobody drew: compute it after the draw, not before",
    )
    expect(
        size.min() >= 0.5 and size.max() <= 1.0,
        f"speeds lie between 0.5 and 1 m/s; yours reach from {size.min():.2f} to {size.max():.2f}",
    )
    expect(
        size.min() < 0.55 and size.max() > 0.95,
        f"speeds lie anywhere between 0.5 and 1 m/s; yours only from {size.min():.2f} to {size.max():.2f}",
    )


def _check_directions(target: np.ndarray) -> None:
    """Raise NotYet unless the signs of the targets look drawn, each on its own."""
    is_left = target < 0
    expect(0 < is_left.sum() < N_TASKS, "the speeds differ, but all drive the same way")
    expect(0.35 < is_left.mean() < 0.65, f"{is_left.mean():.0%} of the tasks drive left, half of them should")
    for words, chosen in (("left", is_left), ("right", ~is_left)):
        low, high = abs(target[chosen]).min(), abs(target[chosen]).max()
        expect(
            low < 0.6 and high > 0.9,
            f"tasks that drive {words} have speeds from {low:.2f} to {high:.2f} m/s only: direction and "
            "speed must not depend on each other",
        )
    changes = (is_left[1:] != is_left[:-1]).mean()
    expect(
        0.3 < changes < 0.7,
        f"from one task to the next the direction changes in {changes:.0%} of the cases, which would be "
        "about half if each were drawn on its own",
    )


# --- the step sizes


def check_step_sizes(answer: Callable) -> str:
    """Evaluate the sizes with the stored policy, on tasks that no one tunes on."""
    second, third = expect_numbers(answer(), 2)
    expect(min(second, third) > 0, "both sizes must be above 0: without a step there is nothing to gain")
    found = three_steps(second, third)
    told = "with steps of {:g}, {:g} and {:g} it earns {:.1f} before, then {:.1f}, {:.1f}, {:.1f}".format(
        read_agent("dir").config.inner_lr, second, third, *found
    )
    expect(
        found[2] > found[1] - NOISE,
        f"the second step makes the policy worse on new tasks: {told}. Try a smaller one",
    )
    expect(
        found[3] > found[2] - NOISE,
        f"the third step makes the policy worse on new tasks: {told}. Try a smaller one",
    )
    expect(
        found[3] > found[1] + LATER_GAIN,
        f"nothing breaks, but the later steps gain little: {told}. Try other sizes, larger ones or smaller",
    )
    return f"On {N_TASKS} tasks that you have not tuned on: {told}."
