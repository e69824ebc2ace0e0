"""How the answers of lesson 01 are judged: probes, known mistakes, and what to tell who made them.

A rule for the cart-pole and a policy have modules of their own, `balance` and `policies`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mlearn_utils.course.grading.answer import AnswerRaised
from mlearn_utils.course.grading.compare import expect_close
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.grading.trial import Probe, Trial, Wrong
from mlearn_utils.tasks.tabular import BoolArray, FloatArray, absorb

# --- the discounted return


def return_probes() -> list[Probe]:
    """Return rewards and gamma: episodes of several lengths, some rewards twice or 0, both ends of gamma."""
    return [
        ([1.0, -2.0, 4.0, 0.83], 0.7),
        ([-0.6, 2.512, 1.3], 0.85),
        ([2.0, 5.0], 0.0),
        ([2.0, 5.0, -1.5, 0.0, 2.0, 3.0, 2.0], 1.0),
        ([3.0], 0.6),
        ([-1.25, -0.5, -3.0, -0.5], 0.9),
        ([0.0, -0.4, 0.0, 0.0, 2.57], 0.8),
    ]


def right_return(rewards: list[float], gamma: float) -> float:
    """Return the sum of gamma ** t * rewards[t]."""
    return float((gamma ** np.arange(len(rewards)) * rewards).sum())


def wrong_returns(rewards: list[float], gamma: float) -> Wrong:
    """Return what each known mistake gives for the discounted return, with its message."""
    steps, r = np.arange(len(rewards)), np.array(rewards)
    reverse, weights = steps[::-1], gamma**steps
    from_each_step = [right_return(rewards[t:], gamma) for t in steps]
    end = "discounted from the wrong end: the first reward counts in full and the last one least"
    once = "every reward is discounted once too often: the first counts in full, gamma ** 0 = 1"
    first_lost = "the first reward is left out: the return starts with it"
    return [
        ((gamma**reverse * r).sum(), end),
        ((gamma * weights * r).sum(), once),
        ((gamma ** (reverse + 1) * r).sum(), "discounted from the wrong end, and once too often: the first "
         "reward counts in full"),
        (r.sum(), "this is the undiscounted sum: gamma is not used"),
        (r.mean(), "this is the mean of the rewards: a return is their sum, with weights gamma ** t"),
        ((weights * r).mean(), "this is a mean: a return is a sum"),
        ((1 - gamma) * (weights * r).sum(), "this is multiplied by 1 - gamma: a return is the plain weighted "
         "sum"),
        ((weights * r).sum() / weights.sum(), "this is a weighted mean: a return is a sum, and not divided "
         "by the weights"),
        ((gamma * steps * r).sum(), "step t weighs gamma to the power of t, gamma ** t, not gamma * t"),
        ((steps**gamma * r).sum(), "step t weighs gamma to the power of t, gamma ** t, not t ** gamma"),
        (gamma * r.sum(), "every reward is multiplied by gamma once: step t needs gamma ** t"),
        (r[0] + gamma * r[1:].sum(), "all later rewards are multiplied by gamma once: step t needs gamma "
         "** t"),
        ((weights * r)[:-1].sum(), "the last reward is left out: every step counts, the last one too"),
        ((weights * r)[1:].sum(), first_lost),
        ((gamma ** steps[:-1] * r[1:]).sum(), first_lost),
        (r[0], "only the first reward counts: does the loop `return` too early?"),
        (r[-1], "only the last reward counts: is `total` set anew in every step, or does the loop `return` "
         "too early?"),
        (weights * r, "these are the discounted rewards, one a step: the return is their sum"),
        (from_each_step, "these are the returns from every step on: asked for is the first, G_0"),
        (from_each_step[::-1], "these are the returns from every step on, the last step first: asked for is "
         "the one from the first step, G_0"),
    ]  # fmt: skip


DISCOUNTED_RETURN = Trial(
    reference=right_return,
    probes=return_probes,
    mistakes=wrong_returns,
    otherwise="not the sum of gamma ** t * rewards[t]",
    praise="Right for episodes of no step to seven, and for the extremes gamma = 0 and gamma = 1.",
)


def check_discounted_return(answer: Callable[..., Any]) -> str:
    """Compare on episodes, and only then on an empty one, on which most mistakes raise."""
    praise, empty = DISCOUNTED_RETURN(answer), "an episode may have no step at all: for rewards = [] return 0"
    try:
        expect_close(answer([], 0.7), 0.0, empty)
    except AnswerRaised as raised:
        raise NotYet(f"{empty} (yours raises {type(raised.error).__name__})") from raised
    return praise


# --- truncation is not termination


class Step(NamedTuple):
    """One recorded step of an episode.

    Attributes:
        state: where it began.
        reward: what it paid.
        next_state: where it ended.
        terminated: the task itself ended the episode there.
        truncated: the episode was cut off there, by a time limit.
    """

    state: int
    reward: float
    next_state: int
    terminated: bool
    truncated: bool


def target_probes() -> list[Probe]:
    """Return steps, V and gamma: all four combinations of the flags in different orders, and plain steps.

    Some steps pay nothing, one episode ends by itself with its last step, and once the future does not count.
    """
    steps = [
        Step(0, -0.5, 1, False, False),
        Step(1, 1.0, 2, False, True),
        Step(2, 2.0, 3, True, False),
        Step(1, -1.0, 4, True, True),
        Step(3, 0.25, 0, False, False),
    ]
    plain = [Step(2, 0.5, 0, False, False), Step(0, -0.3, 2, False, False)]
    ends = [Step(3, 0.75, 2, False, False), Step(2, 0.0, 1, False, False), Step(1, 1.6, 0, True, False)]
    return [
        (steps, np.array([1.0, 2.512, 4.0, 8.0, -6.0]), 0.6),
        ([*steps[2:0:-1], Step(3, 0.75, 2, False, False)], np.array([3.0, -1.5, 2.0, 0.7]), 0.85),
        (plain, np.array([1.2, 9.0, -0.8]), 0.7),
        (ends, np.array([-2.0, 0.62, 5.137, 0.4]), 0.9),
        (plain, np.array([1.2, 9.0, -0.8]), 0.0),
    ]


def wrong_targets(steps: list[Step], V: FloatArray, gamma: float) -> Wrong:
    """Return what each known mistake gives for the targets, with its message."""
    states, rewards, after, ended, cut = map(np.array, zip(*steps, strict=True))

    def targets(goes_on: BoolArray | bool = ~ended, ahead: FloatArray = gamma * V[after]) -> FloatArray:
        return rewards + np.where(goes_on, ahead, 0.0)

    right = targets()
    missing = "every step has a target, the last one too: here are fewer targets than steps"
    return [
        (targets(~ended & ~cut), "truncation is still treated as termination: a step that the time limit cut "
         "off would have gone on, so the value of its next state counts"),
        (targets(True), "bootstrapped past a terminal state: after a step that terminated nothing follows"),
        (targets(cut | ~ended), "one step was terminated and truncated at once: it is terminated all the "
         "same"),
        (targets(~ended | ~cut), "a step that terminated, but was not cut off, still gets a next value: one "
         "flag decides alone"),
        (targets(~cut), "the two flags are mixed up: bootstrap unless the step *terminated*"),
        (targets(ended), "the wrong way round: where the episode terminated there is no next value"),
        (targets(cut), "only truncated steps get a next value: all that did not terminate need one"),
        (targets(ended | cut), "the wrong way round: only steps that end an episode get a next value here"),
        (targets(False), "the next state's value is missing everywhere"),
        (targets(ahead=V[after]), "gamma is missing"),
        (targets(ahead=gamma * V[states]), "the value of the state the step started in is used: take that of "
         "the next state"),
        (targets(ahead=-gamma * V[after]), "the next value is subtracted: it is added to the reward"),
        (targets(ahead=gamma ** (1 + np.arange(len(steps))) * V[after]), "the discount grows from step to "
         "step: a target looks one step ahead, so it is gamma for all"),
        (targets(True, ahead=gamma * V[after] * (-1 - ended)), "~ turns Python's False into -1 and True into "
         "-2: write `not step.terminated`, or 1 - step.terminated"),
        (targets(ahead=gamma * V.max()), "the largest value of all is used: a step says where it led, "
         "next_state"),
        (np.where(ended, rewards, gamma * V[after]), "the reward is missing where a next value is added: += "
         "adds to it, = replaces it"),
        (right - rewards, "the reward is missing"),
        (np.where(ended, 0.0, right), "the reward of a step that terminated is lost: only what follows it "
         "counts as 0"),
        (np.where(ended, rewards, gamma * (rewards + V[after])), "the reward is discounted as well: it is "
         "paid now, only the next value comes a step later"),
        (right - V[states], "the value of the step's own state is subtracted, which makes it a TD error: the "
         "target is what it is compared with"),
        (right[:-1], missing),
        (right[:1], missing + ". Does the loop `return` too early?"),
        (right[~ended], missing + ". Those that terminated are left out"),
        (right[~cut], missing + ". Those that were truncated are left out"),
        (right[~ended & ~cut], missing + ". Those that end an episode are left out"),
        (right[::-1], "the targets are in the reverse order"),
        (right.sum(), "this is the sum of the targets: return all of them, in a list"),
        (right.mean(), "this is the mean of the targets: return all of them, in a list"),
        (right[-1], "this is the target of the last step alone: collect all of them in the list"),
    ]  # fmt: skip


STEP_TARGETS = Trial(
    probes=target_probes,
    mistakes=wrong_targets,
    otherwise="not reward + gamma * V[next_state]",
    praise="A step that the time limit cut off keeps its future; a step that terminated has none.",
)


# --- one Bellman backup


@functools.cache  # nobody writes to them: an answer gets copies
def backup_probes() -> list[Probe]:
    """Return P, rewards, V, gamma, terminal and state of random MDPs: misleading V where they end.

    The best action is the first, the last or one between; one state is terminal itself, and worth 0.
    """
    cases = (
        (0, 5, 3, [4], 0.85, 0, 0.0),
        (1, 5, 3, [1, 3], 0.6, 2, 0.0),
        (2, 4, 2, [0], 0.7, 3, -300.0),  # whatever is done here costs
        (10, 6, 4, [2], 0.9, 5, 0.0),
        (4, 4, 3, [1], 0.8, 1, 0.0),
        (5, 4, 3, [2], 0.0, 0, 0.0),
    )
    return [random_backup(*case) for case in cases]


def random_backup(
    seed: int, n_states: int, n_actions: int, ends: list[int], gamma: float, state: int, level: float
) -> Probe:
    """Return the arguments of one backup of an MDP in which every move is possible, rewards near `level`."""
    random, shape = np.random.default_rng(seed), (n_states, n_actions, n_states)
    terminal = np.isin(np.arange(n_states), ends)
    chances = random.dirichlet(np.ones(n_states), size=shape[:2])
    P, rewards = absorb(chances, random.normal(level, 1.0, shape), terminal)
    return P, rewards, random.normal(size=n_states) + 7.0 * terminal, gamma, terminal, state


def wrong_backups(
    P: FloatArray, rewards: FloatArray, V: FloatArray, gamma: float, terminal: BoolArray, state: int
) -> Wrong:
    """Return what each known mistake gives for one backup of `state`, with its message."""
    after = np.where(terminal, 0.0, V)
    everywhere = (P * (rewards + gamma * after)).sum(axis=2)
    p, r = P[state], rewards[state]  # [A, S]
    terms, q, reward, ahead = r + gamma * after, everywhere[state], (p * r).sum(axis=1), gamma * p @ after
    likely = np.arange(len(p)), p.argmax(axis=1)
    unweighed = "the rewards are not weighed by P: the sum over next states holds P * (reward + gamma * V)"
    return [
        ((reward + gamma * p @ V).max(), "bootstrapped past a terminal state: nothing follows it, so its V "
         "counts as 0 whatever the array says"),
        ((reward + gamma * p @ V).max() * ~terminal[state], "bootstrapped past a terminal state: not whether "
         "`state` itself is terminal matters, but which of the next states are, terminal[next_state]"),
        ((reward + gamma * p @ (V - after)).max(), "the wrong way round: V counts as 0 where `terminal` is "
         "True, not where it is False"),
        (terms[likely].max(), "only the most likely next state is looked at: take the expectation over all "
         "of them, weighted by P"),
        (terms.max(), "the best next state is picked, as if you could choose it: you choose the action, "
         "chance chooses the next state. Take the expectation over next states, weighted by P"),
        ((p * terms).max(), "the largest single term P * (reward + gamma * V) is taken: first sum over next "
         "states, then max"),
        ((p * terms).max(axis=1).sum(), "max and sum are swapped: sum over next states (chance), max over "
         "actions (your choice)"),
        ((p * terms).max(axis=0).sum(), "max and sum are swapped: the max over actions comes last, since the "
         "action is chosen before chance picks the next state"),
        ((p * terms).sum(axis=0).max(), "summed over axis 0, the actions: sum over next states, axis 1"),
        ((p * terms).mean(axis=1).max(), "a mean over next states after weighting by P: the probabilities "
         "are the weights of a sum"),
        (terms.mean(axis=1).max(), "a plain mean over next states: weight them by their probabilities P"),
        (terms.sum(axis=1).max(), "a plain sum over next states: weight them by their probabilities P"),
        ((p @ terms.T).max(), "the probabilities of one action meet the rewards of another: P @ ....T mixes "
         "the actions. Multiply entry by entry, then sum over next states"),
        (reward.max() + ahead.max(), "the best reward and the best next value may come from two actions: "
         "add them for each action, then take the max"),
        *[((column + ahead).max(), unweighed) for column in (r.mean(axis=1), r.sum(axis=1), r.max(axis=1))],
        (max(q.max(), 0.0), "the search for the best starts at 0, which beats values below 0: start at -inf, "
         "or use max"),
        (q.mean(), "a mean over actions: that is the value of the random policy; the best one takes the max"),
        (q.min(), "this is the worst action: take the max"),
        (q.sum(), "the actions are summed: only one is taken, the best"),
        (q.argmax(), "this is the number of the best action: return its value"),
        (q[0], "this is the value of action 0 alone: does the loop `return` too early?"),
        (q[-1], "this is the value of the last action alone: keep the largest of all"),
        (q[reward.argmax()], "the action is chosen by the reward alone: take the max of reward and next "
         "value together"),
        *[(q[future.argmax()], "the action is chosen by the next value alone: take the max of reward and "
           "next value together") for future in (ahead, p @ after)],
        ((reward + p @ after).max(), "gamma is missing: the next value comes a step later"),
        (gamma * (reward + p @ after).max(), "the reward is discounted as well: it is paid now, only the "
         "next value comes a step later"),
        (ahead.max(), "the reward is missing"),
        (reward.max(), "the next value is missing: this is the best reward"),
        ((reward + gamma * V[state]).max(), "the value of `state` itself is used: what counts is that of the "
         "next states, weighted by P"),
        ((reward - ahead).max(), "the next value is subtracted: it is added to the reward"),
        (q.max() - V[state], "V[state] is subtracted: return the new value, not the change"),
        ((p * terms * ~terminal).sum(axis=1).max(), "the reward of entering a terminal state is lost: the "
         "step that ends an episode is paid too"),
        (q, "these are the values of all actions: take the largest"),
        (everywhere.max(axis=1), "these are the values of all states: pick that of `state`"),
        (everywhere, "these are the values of all states and actions: pick the row of `state`, take its max"),
    ]  # fmt: skip


BELLMAN_BACKUP = Trial(
    probes=backup_probes,
    mistakes=wrong_backups,
    otherwise="not max over actions of sum P * (reward + gamma * V)",
    praise="Right in states of six random MDPs, with a misleading V at their terminal states.",
)
