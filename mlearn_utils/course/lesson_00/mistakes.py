"""How the answers of lesson 00 are judged: probes, known mistakes, and what to tell who made them."""

import numpy as np

from mlearn_utils.course.grading.trial import Probe, Trial, Wrong
from mlearn_utils.course.lesson_00.cart_rounds import paid


def tent(distance: np.ndarray) -> np.ndarray:
    """Return the reward of the game at this distance from the target."""
    return np.clip(1 - distance, 0, 1)


# --- the hidden reward


def reward_probes() -> list[Probe]:
    """Return velocities and a target: to the right, with the target hit, to the left, at 0, and of one push.

    The first velocity is paid but for one probe, the last one always.
    """
    return [
        (np.array([0.215, -2.0, -0.6, 0.0, -0.252, 0.7, 1.1, 3.0, 0.943]), 0.7),
        (np.array([-0.537, 0.5, -0.8, -1.7, -0.2, 0.9, -1.218]), -0.9),
        (np.array([-1.6, 0.345, 0.0, -0.91, 1.2, 0.08, -0.126]), 0.0),
        (np.array([-0.304]), -0.55),
    ]


def wrong_rewards(velocity: np.ndarray, target: float) -> Wrong:
    """Return what each known mistake gives for the hidden reward, with its message."""
    gap = velocity - target
    distance, speed = np.abs(gap), np.abs(velocity)
    alike = "left and right are paid alike: compare the velocities with their signs"
    too_early = "the absolute value is that of the velocity alone: subtract first, np.abs(velocity - target)"
    too_slow = "too slow is paid more than right: the distance is the absolute value, np.abs"
    too_fast = "too fast is paid more than right: the distance is the absolute value, np.abs"
    return [
        (1 - distance, "far from the target it is negative: it must never be less than 0"),
        (np.clip(distance, 0, 1), "this is the distance itself, largest far away: it is 1 minus that"),
        (distance, "this is the distance alone, largest far away: the reward is 1 minus that, at least 0"),
        (1 - gap, too_slow),
        (np.maximum(0, 1 - gap), too_slow),
        (np.clip(1 - gap, 0, 1), "too slow is paid in full: the distance is the absolute value, np.abs"),
        (1 + gap, too_fast),
        (np.maximum(0, 1 + gap), too_fast),
        (np.clip(1 + gap, 0, 1), "too fast is paid in full: the distance is the absolute value, np.abs"),
        (tent(np.abs(speed - np.abs(target))), alike),
        (tent(np.abs(speed - target)), alike),
        (tent(speed - target), too_early),
        (np.maximum(0, 1 - (speed - target)), too_early),
        (np.abs(1 - gap), "the absolute value belongs to the distance alone: 1 - np.abs(velocity - target)"),
        (tent(np.abs(velocity + target)), "the distance is a difference: velocity minus target, not plus"),
        (tent(gap**2), "the distance is squared: the reward falls evenly, 0.1 for 0.1 m/s"),
        (1 - gap**2, "the distance is squared, and far from the target the result "
         "is negative: the reward falls evenly, and never below 0"),
        (np.minimum(0, 1 - distance), "nothing is more than 0: to replace what is *below* 0, take the larger "
         "of the two, np.maximum"),
        (np.maximum(1, 1 - distance), "every velocity is paid in full: the reward is never below 0, "
         "np.maximum(0, ...)"),
        (distance - 1, "the sign is turned: it is 1 minus the distance, not the distance minus 1"),
        (np.maximum(0, distance - 1), "the sign is turned: it is 1 minus the distance, not the distance "
         "minus 1"),
        (np.zeros_like(velocity), "every reward is 0: are two bounds exchanged? np.clip(values, 0, 1) raises "
         "what is below 0"),
        (np.abs(1 - distance), "far from the target it rises again: what is below 0 must become 0, not "
         "change its sign"),
        (np.where(distance > 1, 1, 1 - distance), "far from the target it is paid in full: what is below 0 "
         "must become 0"),
        (distance < 1, "this only tells whether the reward is above 0: there it is 1 minus the distance"),
        ((1 - distance)[distance < 1], "velocities far from the target are left out: their reward is 0"),
        (1 - distance[0], "this is 1 minus the distance of the first velocity alone: is the `return` inside "
         "of the loop?"),
        (tent(distance)[0], "this is the reward of the first velocity alone: is the `return` inside of the "
         "loop?"),
    ]  # fmt: skip


HIDDEN_REWARD = Trial(
    probes=reward_probes,
    mistakes=wrong_rewards,
    otherwise="not 1 - |velocity - target|, cut off at 0",
    praise="Equal to the reward that the game paid you, for a target on either side.",
)


# --- what to try next


def guess_probes() -> list[Probe]:
    """Return the velocities and rewards of rounds with the target on the left, and on the right.

    The best push is one in the middle, the first, the last, or far from the target.
    """
    rounds = (
        (-0.7, (0.25, 0.5, 0.8, 0.55, 0.2, 0.05, -0.3, -0.45, -0.752, -1.0, -0.9)),
        (0.5, (0.3, 0.6, 0.9, 0.451, 0.1, -0.2, -0.7)),
        (0.9, (0.872, 0.4, 0.65, -0.1, 0.95, 1.2, 0.7)),
        (-0.4, (0.1, 0.35, -0.2, -0.55, -0.85, -0.438)),
        (1.6, (0.2, 0.55, 0.9, 0.925, 0.7, 0.4, 0.15, -0.3)),
    )
    return [(np.array(velocities), paid(np.array(velocities), target)) for target, velocities in rounds]


def wrong_guesses(velocities: np.ndarray, rewards: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the guess, with its message."""
    best = int(rewards.argmax())
    return [
        (best, "this is the number of the push: look up its velocity, velocities[...]"),
        (best + 1, "this is the number of the push, counted from 1: look up its velocity, velocities[...]"),
        (rewards[best], "this is the reward of the best push: return its velocity"),
        (velocities[rewards.argmin()], "this push paid least: argmin looks for the smallest"),
        (-velocities[best], "the sign is turned: return the velocity as it is, negative to the left"),
        (abs(velocities[best]), "the sign is lost: to the left velocities are negative"),
        (velocities.max(), "this is the largest velocity: ask the rewards which push was best"),
        (velocities.min(), "this is the smallest velocity: ask the rewards which push was best"),
        (velocities[np.abs(velocities).argmax()], "this is the fastest push, to either side: ask the rewards "
         "which push was best"),
        (velocities[-1], "this is the velocity of the last push, whatever it paid"),
        (velocities[0], "this is the velocity of the first push, whatever it paid"),
        (velocities[best - 1], "this is the velocity of the push before the best one: np.argmax counts "
         "from 0, as velocities[...] does"),
        (np.roll(velocities, -1)[best], "this is the velocity of the push after the best one: np.argmax "
         "counts from 0, as velocities[...] does"),
        (velocities[rewards > 0][-1], "this is the velocity of the last push that paid anything: compare "
         "with the largest reward so far, and remember that when you find a larger one"),
        (rewards[velocities.argmax()], "this is the reward of the fastest push to the right, as if the two "
         "arrays were exchanged: find the best push in `rewards`, and look it up in `velocities`"),
        (np.sort(velocities)[best], "this looks the push up among sorted velocities: they no longer belong "
         "to their rewards. Leave them in the order of the pushes"),
        (velocities[:-1][rewards[:-1].argmax()], "the last push is left out of the search"),
        (velocities[1:][rewards[1:].argmax()], "the first push is left out of the search"),
        (velocities.mean(), "this is the mean velocity of the round: pick the one push that paid best"),
        (velocities @ rewards / rewards.sum(), "this is a mean of all velocities, weighed by their rewards: "
         "pick the one push that paid best"),
    ]  # fmt: skip


BEST_GUESS = Trial(
    probes=guess_probes,
    mistakes=wrong_guesses,
    otherwise="not the velocity of the push with the largest reward",
    praise="Right for a target on either side: in round 2 this is the velocity to hold.",
)


# --- the round that got lost


def round_probes() -> list[Probe]:
    """Return the rewards of three rounds, then two, four, and three again; some end early."""
    tables = (
        ((0.5, 0.2, 0.913, 0.3), (0.1, 0.4), (1.0, 0.7, 0.6)),
        ((0.8, 0.6, 0.4), (0.2, 0.9, 0.7, 0.3, 0.5)),
        ((0.3, 0.8, 0.9), (0.6,), (0.5, 0.7, 1.0, 0.2), (0.4, 0.9)),
        ((0.74,), (0.2, 0.0, 0.658), (0.9, 0.3)),
    )
    return [([np.array(rewards) for rewards in table],) for table in tables]


def wrong_means(rounds: list[np.ndarray]) -> Wrong:
    """Return what each known mistake gives for the mean return, with its message."""
    returns = np.array([rewards.sum() for rewards in rounds])
    n, total = len(rounds), returns.sum()
    return [
        (returns[1:].sum() / n, "one round is still missing from the total: which k does range(...) begin "
         "with?"),
        (returns[1:].mean(), "the division hides it, but the first round is still lost: mend the loop"),
        (returns[:-1].sum() / n, "now the last round is missing: range(n) already stops before n"),
        (returns[:-1].mean(), "now the last round is missing: range(n) already stops before n"),
        (returns[1:].sum(), "the first round is still lost, and the total is not divided by the number of "
         "rounds any more"),
        (total, "this is the total: divide by the number of rounds"),
        (total / (n - 1), "all rounds are in the total now: divide by their number, not by one less"),
        (total / (n + 1), "the total is right: divide by the number of rounds, not by one more"),
        (total / 3, "the total is divided by 3, also when there are not three rounds: use len(rounds)"),
        ((total + returns[0]) / n, "the first round is counted twice: once is enough"),
        ((total + returns[-1]) / n, "the last round is counted twice: rounds[-1] is the last one"),
        (returns[0] / n, "only the first round is in the total: is the `return` inside of the loop?"),
        (returns[0], "this is the return of the first round alone: add up all of them, then divide"),
        (returns[-1] / n, "only the last round is in the total: add each one to it, total += ..."),
        (returns[-1], "this is the return of the last round alone: add up all of them, then divide"),
        (returns.max(), "this is the best round's return: take the mean of all"),
        (returns.min(), "this is the worst round's return: take the mean of all"),
        (total // n, "the mean is cut down to a whole number: / keeps the fraction, // and int do not"),
        (np.concatenate(rounds).mean(), "this is the mean reward of a push: a return is a sum"),
        (np.mean([rewards.mean() for rewards in rounds]), "a return is the sum of a round's rewards, not a "
         "mean"),
        (sum(rewards.mean() for rewards in rounds), "these are the means of the rounds, added up: add up the "
         "rewards of each, and divide by the number of rounds at the end"),
    ]  # fmt: skip


MEAN_RETURN = Trial(
    probes=round_probes,
    mistakes=wrong_means,
    otherwise="not the mean of the rounds' returns",
    praise="All rounds count, also when one of them ends early.",
)
