"""How the answers of lesson 06 about the experiment are judged: its tasks, its intervals, its later steps."""

from collections.abc import Callable

import numpy as np

from mlearn_utils.course.figures.statistics import interval, t_quantile
from mlearn_utils.course.grading.compare import expect, expect_numbers
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.grading.trial import Probe, Trial, Wrong
from mlearn_utils.course.lesson_06.goals import Goal
from mlearn_utils.course.lesson_06.results import load_agent, three_steps
from mlearn_utils.tasks.cartpole import CartPoleTask

N_TASKS = 200
NOISE = 1.0  # by how much the mean return of the checker's tasks may differ by luck
LATER_GAIN = 2.5  # what the second and third step must add to the mean return there


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
    expect(len(tasks) == n_tasks, f"{n_tasks} tasks were asked for, there are {len(tasks)}")
    return tasks.target


def _why_all_are_equal(target: float, rng: np.random.Generator) -> str:
    """Return what to say of tasks that do not differ, from how far the generator was moved on."""
    twin = np.random.default_rng(0).bit_generator
    states = [(twin.state["state"], twin.random_raw())[0] for _ in range(N_TASKS // 2)]
    if rng.bit_generator.state["state"] == states[0]:
        return f"every task has the target {target:.2f} m/s, and nothing is drawn from `rng`"
    if target == Goal().target:
        return (
            f"every task still has the target {target:.2f} m/s. `target` was computed once, when the goal "
            "was made, and does not follow what is drawn afterwards"
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
        "0.5 and 1 m/s",
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


# --- the paired interval


def return_probes() -> list[Probe]:
    """Return two methods' returns [S, T] on the same seeds and tasks: a clear gain, and two losses.

    Both methods have hard tasks and bad seeds, and the order of the seeds is not quite the same.
    """
    random, probes = np.random.default_rng(3), []
    for n_seeds, n_tasks, gain in ((5, 12, 15.0), (4, 7, -3.0), (4, 7, -9.0)):
        shared = 40 + random.normal(0, 9, (n_seeds, 1)) + random.normal(0, 12, (1, n_tasks))
        theirs, ours = (
            shared + random.normal(0, 2.5, (n_seeds, 1)) + random.normal(more, 3, (n_seeds, n_tasks))
            for more in (0.0, gain)
        )
        probes.append((ours, theirs))
    return probes


def wrong_intervals(ours: np.ndarray, theirs: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the paired interval, with its message."""
    from scipy.special import stdtrit

    gain, count = ours - theirs, len(ours)
    runs, (mine, other) = gain.mean(1), (interval(method.mean(1)) for method in (ours, theirs))
    mean, low, high = interval(runs)
    t, deviation = t_quantile(0.975, count - 1), runs.std(ddof=1)
    error = deviation / count**0.5
    squares = [method.mean(1).var(ddof=1) / count for method in (ours, theirs)]
    welch = sum(squares) ** 2 / sum(square**2 / (count - 1) for square in squares)

    def around(half: float) -> tuple[float, float, float]:
        return mean, mean - half, mean + half

    apart = "it ignores that both methods met the same seeds and tasks. Subtract first"
    sorted_ = "the returns are sorted before they are subtracted: then a seed of ours meets another of theirs"
    spread = (
        "this takes the deviation of the runs where the standard error of their mean belongs: that is the "
        "deviation divided by the root of their number"
    )
    return [
        (interval(gain.ravel()), "every task of every seed is counted as an independent run. The tasks of "
         "one seed share one trained policy: average over them first, the runs are the seeds"),
        (interval(gain.mean(0)), "this is an interval over tasks. It says nothing about another training "
         "run: average over tasks, then take the interval over seeds"),
        (tuple(ends.mean() for ends in interval(gain)), "this is the mean of the intervals of single tasks: "
         "average the differences over tasks first, then take one interval"),
        ((mine[0] - other[0], mine[1] - other[2], mine[2] - other[1]), f"these are the ends of two separate "
         f"intervals: {apart}"),
        ((mine[0] - other[0], mine[1] - other[1], mine[2] - other[2]), "two intervals are subtracted end by "
         "end: the difference of their ends is no interval of the difference. Subtract the returns first"),
        *((around(stdtrit(dof, 0.975) * sum(squares) ** 0.5), f"this is the interval of two independent "
           f"samples: {apart}") for dof in (welch, 2 * count - 2)),
        (interval(-runs), "the sign is turned: ours minus theirs"),
        (mine, "this is the interval of ours alone: take that of the difference"),
        (other, "this is the interval of theirs alone: take that of the difference"),
        (interval(runs, level=0.9), "this is the 90 % interval: use 95 %"),
        (interval(runs, level=0.99), "this is the 99 % interval: use 95 %"),
        *((interval(size.mean(-1) if size.ndim > 1 else size), "the sign of the differences is lost: where "
           "theirs earns more, the gain is negative") for size in (abs(gain), abs(runs))),
        *((interval(a - b), sorted_) for a, b in (
            (np.sort(ours.mean(1)), np.sort(theirs.mean(1))),
            (np.sort(ours, 0).mean(1), np.sort(theirs, 0).mean(1)))),
        (interval((gain / theirs).mean(1)), "this is a relative gain: the difference itself is asked for"),
        (around(1.96 * error), "1.96 is the normal distribution's factor: so few runs need Student's t, as "
         "`interval` does"),
        *((around(half), spread) for half in (
            t * deviation, 1.96 * deviation, 1.96 * runs.std(), t * runs.std(), deviation, runs.std())),
        (around(t * runs.std() / count**0.5), "almost: this deviation divides by n (np.std does); that of a "
         "sample divides by n - 1, as `interval` does"),
        (around(1.96 * runs.std() / count**0.5), "1.96 is the normal distribution's factor and np.std "
         "divides by n: so few runs need Student's t and n - 1, as `interval` does"),
        (around(error), "this is one standard error to both sides: multiply it by Student's t"),
        ((mean, *np.percentile(runs, [2.5, 97.5])), "these are percentiles of the runs: they say where "
         "single runs lie, not how sure their mean is"),
        ((low, mean, high), "the order is mean, low, high"),
        ((low, high, mean), "the order is mean, low, high"),
    ]  # fmt: skip


def praise_interval(right: tuple[float, float, float]) -> str:
    """Say what two separate intervals of the first probe would have shown."""
    separate = ("{1:.0f} to {2:.0f}".format(*interval(method.mean(1))) for method in return_probes()[0])
    paired = "{:.1f} ({:.1f} to {:.1f})".format(*right)
    return f"Paired: {paired}. Two separate intervals, {' and '.join(separate)}, overlap and show nothing."


PAIRED_INTERVAL = Trial(
    probes=return_probes,
    mistakes=wrong_intervals,
    otherwise="not the Student-t interval over seeds of the mean difference",
    praise=praise_interval,
)


# --- the step sizes


def check_step_sizes(answer: Callable) -> str:
    """Evaluate the sizes with the stored policy, on tasks that no one tunes on."""
    second, third = expect_numbers(answer(), 2)
    expect(min(second, third) > 0, "both sizes must be above 0: without a step there is nothing to gain")
    found = three_steps(second, third)
    told = "with steps of {:g}, {:g} and {:g} it earns {:.1f} before, then {:.1f}, {:.1f}, {:.1f}".format(
        load_agent("dir").config.inner_lr, second, third, *found
    )
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
    return f"On {N_TASKS} tasks that you have not tuned on: {told}."
