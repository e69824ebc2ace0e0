"""How the answers of lesson 08 are judged: probes, known mistakes, and what to tell who made them."""

from collections.abc import Callable

import numpy as np

from mlearn_utils.course.grading.trial import Probe, Trial, Wrong

# --- what is known of the arms


def arm_probes() -> list[Probe]:
    """Return arms, rewards and the number of arms: with arms never pulled, always won, and mixed."""
    return [
        (np.array([0, 2, 2, 0, 2]), np.array([1, 0, 1, 1, 0]), 4),
        (np.array([1, 1, 0]), np.array([0, 0, 1]), 2),
        (np.array([3, 0, 3, 3, 1, 3, 0]), np.array([1, 0, 0, 1, 1, 1, 0]), 5),
        (np.array([2, 1, 2]), np.array([1, 0, 0]), 3),
        (np.array([0, 0, 0]), np.array([1, 1, 0]), 1),
    ]


def wrong_means(arms: np.ndarray, rewards: np.ndarray, n_arms: int) -> Wrong:
    """Return what each known mistake gives for the posterior means, with its message."""
    pulls = np.array([(arms == arm).sum() for arm in range(n_arms)])
    wins = np.array([rewards[arms == arm].sum() for arm in range(n_arms)])
    losses = pulls - wins
    share = wins / np.maximum(pulls, 1)
    return [
        (share, "this is the share of wins: the prior counts as one win and one loss more"),
        (np.where(pulls > 0, share, 0.5), "the prior is used for arms that were never pulled only: it counts "
         "as one win and one loss more for every arm"),
        ((wins + 1) / (pulls + 1), "only the win of the prior is counted among the pulls: it has a loss, "
                                   "too"),
        (wins / (pulls + 2), "the win of the prior is missing above the line"),
        ((losses + 1) / (pulls + 2), "this is the mean of the chance to lose: wins belong above the line"),
        ((wins + 1) / (losses + 2), "below the line are all pulls of the arm, wins and losses, and 2"),
        ((wins + 1) / (len(arms) + 2), "each arm is divided by the pulls of all arms: count its own"),
        ((wins + 0.5) / (pulls + 1), "this is the posterior mean from another prior, Beta(1/2, 1/2): the "
         "uniform one is Beta(1, 1)"),
        (np.full(n_arms, (rewards.sum() + 1) / (len(arms) + 2)), "all arms have the same mean: take the "
         "rewards of each arm alone"),
        (wins + 1, "this is the first parameter of Beta(w + 1, l + 1): its mean is (w + 1) / (w + l + 2)"),
    ]  # fmt: skip


POSTERIOR_MEANS = Trial(
    probes=arm_probes,
    mistakes=wrong_means,
    otherwise="not (wins + 1) / (pulls + 2) of each arm",
    praise="Right, for arms that were pulled and for those that nobody tried: 1/2.",
)


# --- the best that anybody can do


def value_probes() -> list[Probe]:
    """Return wins, losses and pulls left: one, two and three arms; no pull, one, and up to four."""
    return [
        (np.array([0, 0]), np.array([0, 0]), 4),
        (np.array([2, 0, 1]), np.array([1, 0, 3]), 3),
        (np.array([1]), np.array([2]), 3),
        (np.array([3, 1]), np.array([3, 0]), 1),
        (np.array([0, 4]), np.array([2, 3]), 2),
        (np.array([1, 1, 0]), np.array([0, 2, 1]), 2),
        (np.array([2, 1]), np.array([0, 1]), 0),
    ]


def _value(
    wins: np.ndarray,
    losses: np.ndarray,
    left: int,
    *,
    choose: Callable[[list[float], np.ndarray], float] = lambda values, means: max(values),
    pays: float = 1.0,
    learns: tuple[bool, bool] = (True, True),
    weigh: Callable[[float], tuple[float, float]] = lambda mean: (mean, 1 - mean),
    frequencies: bool = False,
) -> float:
    """Return the value by the recursion, with one thing changed."""
    if left == 0:
        return 0.0
    pulls = wins + losses
    means = wins / np.maximum(pulls, 1) if frequencies else (wins + 1) / (pulls + 2)
    rest = {
        "choose": choose, "pays": pays, "learns": learns, "weigh": weigh, "frequencies": frequencies
    }  # fmt: skip
    values = []
    for arm, mean in enumerate(means):
        one = (np.arange(len(wins)) == arm).astype(int)
        won = pays + _value(wins + one * learns[1], losses, left - 1, **rest)
        lost = _value(wins, losses + one * learns[0], left - 1, **rest)
        up, down = weigh(mean)
        values.append(up * won + down * lost)
    return choose(values, means)


def wrong_values(wins: np.ndarray, losses: np.ndarray, left: int) -> Wrong:
    """Return what each known mistake gives for the value of the best player, with its message."""
    given = (wins, losses, left)
    means = (wins + 1) / (wins + losses + 2)
    return [
        (_value(*given, choose=lambda values, means: float(np.mean(values))), "this is the value of pulling "
         "arms at random: the best player takes the largest"),
        (_value(*given, choose=lambda values, means: min(values)), "this takes the smallest value: the best "
         "player takes the largest"),
        (_value(*given, choose=lambda values, means: values[int(np.argmax(means))]), "this is the greedy "
         "player, who takes the arm with the largest mean: compare what the arms are worth, with all that "
         "follows"),
        (_value(*given, learns=(False, False)), "the counts never change: what a pull shows is not used "
         "later"),
        (_value(*given, learns=(False, True)), "a loss is not counted: it tells as much as a win"),
        (_value(*given, learns=(True, False)), "a win is not counted: it tells as much as a loss"),
        (_value(*given, weigh=lambda mean: (0.5, 0.5)), "a pull wins with the arm's posterior mean, not with "
         "1/2"),
        (_value(*given, weigh=lambda mean: (1 - mean, mean)), "win and loss are exchanged: a pull wins with "
         "the posterior mean"),
        (_value(*given, frequencies=True), "this takes the share of wins for the chance: the prior counts as "
         "one win and one loss more"),
        (_value(wins, losses, max(left - 1, 0)), "one pull too few: the last one counts. End at left == 0"),
        (_value(wins, losses, left + 1), "one pull too many: end at left == 0"),
        (float(means.max()), "this is the value of the next pull alone: add what follows it"),
        (_value(*given) - float(means.max()), "what the next pull pays is missing: a win adds 1"),
    ]  # fmt: skip


BEST_VALUE = Trial(
    probes=value_probes,
    mistakes=wrong_values,
    otherwise="not the largest, over the arms, of m (1 + V after a win) + (1 - m) V after a loss",
    praise="Right for one, two and three arms. Two new arms and four pulls are worth {:.4f}.".format,
)


# --- what the network sees


def input_probes() -> list[Probe]:
    """Return observations, actions, rewards, ends and the number of actions: two trials, three, and one."""
    return [
        (np.array([[0.3, -1.2], [2.04, 0.7]]), np.array([2, 0]), np.array([0.6, -0.4]), np.array([0.0, 1.0]),
        3), (np.array([[1.5], [-0.2], [0.9]]), np.array([1, 1, 0]), np.array([1.0, 0.0, 0.37]),
         np.array([1.0, 0.0, 0.0]), 2),
        (np.array([[0.1, 0.2, -0.8]]), np.array([3]), np.array([-2.5]), np.array([1.0]), 6),
        (np.array([[-0.6, 0.9], [1.1, -0.05]]), np.array([1, 2]), np.array([0.15, 1.4]), np.array([1.0, 0.0]),
         3),
    ]  # fmt: skip


def wrong_inputs(
    obs: np.ndarray, action: np.ndarray, reward: np.ndarray, ended: np.ndarray, n_actions: int
) -> Wrong:
    """Return what each known mistake gives for the network's input, with its message."""
    one_hot, paid, end = np.eye(n_actions)[action], reward[:, None], ended[:, None]

    def beside(*parts: np.ndarray) -> np.ndarray:
        return np.concatenate(parts, axis=1)

    return [
        (beside(obs, one_hot, end), "the reward is not among the inputs: a hidden reward is then never seen"),
        (beside(obs, one_hot, paid), "the end of the episode is not among the inputs: a new start looks like "
         "a jump"),
        (beside(obs, paid, end), "the action is not among the inputs: a reward says little without what it "
         "was paid for"),
        (beside(one_hot, paid, end), "the observation is not among the inputs"),
        (beside(obs, action[:, None], paid, end), "the action enters as its number: then action 2 is twice "
         "action 1. Use a 1 at the action taken and 0 elsewhere"),
        (beside(obs, one_hot, end, paid), "right parts in another order: reward, then end"),
        (beside(obs, paid, one_hot, end), "right parts in another order: action, then reward"),
        (beside(one_hot, obs, paid, end), "right parts in another order: observation, then action"),
        (beside(obs, one_hot, paid, 1 - end), "the end is turned round: it is 1 where the step before ended "
         "an episode"),
        (beside(obs, 1 - one_hot, paid, end), "the action is turned round: 1 at the action taken"),
        (beside(obs, np.eye(action.max() + 1)[action], paid, end), "the action has as many numbers as its "
         "largest value asks for: A = n_actions, whichever were taken"),
        (beside(obs, one_hot, one_hot * paid, end), "the reward is multiplied into the action: it is an "
         "input of its own here"),
    ]  # fmt: skip


MEMORY_INPUT = Trial(
    probes=input_probes,
    mistakes=wrong_inputs,
    otherwise="not observation, action (one-hot), reward and end, side by side",
    praise="Right for two trials, for three and for one. With this the past can be known.",
)


# --- when to forget


def state_probes() -> list[Probe]:
    """Return states, ends of episodes and changes of task: neither, an end alone, both."""
    return [
        (np.array([[0.5, -0.3], [0.81, 0.2], [-0.7, 0.4]]), np.array([False, True, True]),
         np.array([False, False, True])),
        (np.array([[0.9, 0.1, -0.6], [0.25, -0.45, 0.3]]), np.array([True, True]), np.array([True, False])),
        (np.array([[-0.2], [0.6], [0.35], [0.7]]), np.array([True, False, True, False]),
         np.array([False, False, False, False])),
        (np.array([[0.15, -0.55]]), np.array([True]), np.array([True])),
        (np.array([[-0.4, 0.65], [0.1, 0.75], [0.35, -0.9]]), np.array([True, True, False]),
         np.array([True, False, False])),
    ]  # fmt: skip


def wrong_states(state: np.ndarray, episode_ended: np.ndarray, task_changed: np.ndarray) -> Wrong:
    """Return what each known mistake gives for the state to go on with, with its message."""
    return [
        (np.where(episode_ended[:, None], 0.0, state), "the memory is wiped at every end of an episode: what "
         "the first episode showed is lost for the second, in the same task"),
        (state, "the memory is kept from one task to the next: it then tells of a task that is over"),
        (np.where((episode_ended & ~task_changed)[:, None], 0.0, state), "it is turned round: kept where the "
         "task changed, wiped where only an episode ended"),
        (np.where(task_changed[:, None], state, 0.0), "it is turned round: zero belongs where the task "
         "changed"),
        (state * (1 - task_changed.any()), "one trial's new task wipes all memories: each trial has its own"),
        (np.zeros_like(state), "nothing is remembered at all"),
        (np.where(task_changed[:, None], 1.0, state), "a new task starts from zeros, not from ones"),
    ]  # fmt: skip


NEXT_STATE = Trial(
    probes=state_probes,
    mistakes=wrong_states,
    otherwise="not zero where the task changed, and the state elsewhere",
    praise="Right: kept over the ends of episodes, zero for a new task.",
)


# --- what a step was worth


def error_probes() -> list[Probe]:
    """Return rewards, values, ends of episodes and of trials, and gamma: two trials, and one."""
    return [
        (np.array([0.5, 1.0, 0.3, 0.84, -0.2, 0.7]), np.array([1.2, 0.9, 2.0, 0.4, 1.7, 0.6]),
         np.array([0, 1, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 0, 1]), 0.9),
        (np.array([1.0, -0.5, 0.25]), np.array([0.8, 1.5, -0.7]), np.array([1, 0, 1]), np.array([0, 0, 1]),
         0.6),
        (np.array([0.4, 0.0, 1.3, 0.9]), np.array([-1.1, 0.35, 0.75, 1.9]), np.array([0, 1, 0, 1]),
         np.array([0, 1, 0, 1]), 0.85),
        (np.array([-0.3, 0.8, 0.45]), np.array([1.05, -0.2, 0.65]), np.array([1, 1, 1]), np.array([1, 0, 1]),
         0.75),
        (np.array([0.55]), np.array([1.25]), np.array([1]), np.array([1]), 0.4),
        (np.array([0.2, 0.6]), np.array([1.4, 0.5]), np.array([1, 1]), np.array([0, 1]), 0.0),
    ]  # fmt: skip


def wrong_errors(
    reward: np.ndarray, values: np.ndarray, episode_ended: np.ndarray, trial_ended: np.ndarray, gamma: float
) -> Wrong:
    """Return what each known mistake gives for the TD errors of trials, with its message."""
    after = np.append(values[1:], 0.0)
    goes_on = 1 - trial_ended

    def errors(kept: np.ndarray, gamma: float = gamma, after: np.ndarray = after) -> np.ndarray:
        return reward + gamma * kept * after - values

    right = errors(goes_on)
    return [
        (errors(1 - episode_ended), "nothing is taken over from one episode to the next: but the trial goes "
         "on, and what the first episode shows pays in the second"),
        (errors(np.ones_like(reward)), "the value of the next trial is taken over: it is another task, and "
         "nothing of it was earned here"),
        (errors(1 - episode_ended + trial_ended), "it is turned round: the chain is cut at the ends of "
         "episodes, and not at those of trials"),
        (errors(trial_ended), "it is turned round: what comes next counts where the trial goes on"),
        (errors(goes_on, gamma=1.0), "gamma is not used"),
        (reward - values, "what comes next is missing: the error is r + gamma V(next) - V"),
        (right + values, "V of the step itself is missing: the error is r + gamma V(next) - V"),
        (right - reward, "the reward is missing"),
        (-right, "the sign is turned: the error is r + gamma V(next) - V"),
        (errors(goes_on, after=values), "V of the step itself stands where V of the next one belongs"),
        (errors(goes_on, after=np.append(0.0, values[:-1])), "V of the step before stands where V of the "
         "next one belongs"),
        (reward + (gamma * after - values) * goes_on, "at the end of a trial the step's own value is "
         "dropped, too: there the error is r - V"),
    ]  # fmt: skip


TRIAL_ERRORS = Trial(
    probes=error_probes,
    mistakes=wrong_errors,
    otherwise="not r + gamma V(next) - V, with nothing after the end of a trial",
    praise="Right: over the ends of episodes, not over those of trials.",
)


# --- the filter


def filter_probes() -> list[Probe]:
    """Return belief, targets, velocity, reward and width: rewards of 0 and above it, uneven beliefs."""
    even, uneven = np.full(4, 0.25), np.array([0.1, 0.35, 0.05, 0.3, 0.2])
    two, four = np.array([0.6, 0.4]), np.array([0.15, 0.45, 0.3, 0.1])
    return [
        (even, np.array([-0.9, -0.6, 0.6, 0.9]), 0.3, 0.52, 0.2),
        (uneven, np.array([-1.0, -0.7, 0.5, 0.75, 1.0]), 0.85, 0.8, 0.15),
        (two, np.array([-0.8, 0.7]), -0.45, 0.0, 0.5),
        (four, np.array([-0.95, -0.5, 0.55, 0.8]), 0.0, 0.13, 0.3),
        (np.array([1.0]), np.array([0.65]), 0.4, 0.7, 0.25),
    ]


def wrong_beliefs(
    belief: np.ndarray, targets: np.ndarray, velocity: float, reward: float, width: float
) -> Wrong:
    """Return what each known mistake gives for the belief after a step, with its message."""
    far = 1 - abs(velocity - targets)
    expected = np.maximum(0, far)

    def weight(expected: np.ndarray, width: float = width, half: float = 0.5) -> np.ndarray:
        return np.exp(-half * ((reward - expected) / width) ** 2)

    def share(after: np.ndarray) -> np.ndarray:
        return after / after.sum()

    likely = weight(expected)
    return [
        (share(likely), "the belief so far is not used: multiply it by the weights"),
        (belief * likely, "the new belief does not sum to 1: divide it by its sum"),
        (likely, "these are the weights alone: multiply them by the belief, and divide by the sum"),
        (share(belief + likely), "belief and weights are added: Bayes' rule multiplies them"),
        (share(belief * weight(far)), "a target further than 1 away would pay less than nothing: take "
         "max(0, ...)"),
        (share(belief * weight(np.maximum(0, 1 - (velocity - targets)))), "the distance has lost its "
         "absolute value"),
        (share(belief * weight(np.maximum(0, abs(velocity - targets)))), "1 less the distance is paid, not "
         "the distance"),
        (share(belief * weight(np.maximum(0, 1 - abs(targets)))), "the velocity is not used"),
        (share(belief * np.exp(-0.5 * (expected / width) ** 2)), "the reward is not used: compare what each "
         "target would have paid with what was paid"),
        (share(belief * weight(expected, width=1.0)), "width is not used"),
        (share(belief * weight(expected, half=1.0)), "almost: the exponent is -d^2 / 2"),
        (share(belief * weight(expected, half=-0.5)), "the sign of the exponent is turned: what does not fit "
         "must lose weight"),
        (share(belief * np.exp(-0.5 * ((reward - expected) ** 2) / width)), "the width belongs into the "
         "square: d = (reward - expected) / width"),
        (share(belief * np.exp(-0.5 * abs(reward - expected) / width)), "d is not squared"),
        (share(belief * expected), "each target is weighed by what it would have paid: weigh it by how well "
         "that fits what was paid"),
    ]  # fmt: skip


FILTER_STEP = Trial(
    probes=filter_probes,
    mistakes=wrong_beliefs,
    otherwise="not belief x weight, divided by its sum",
    praise="Right: what was paid leaves the targets that would have paid as much.",
)
