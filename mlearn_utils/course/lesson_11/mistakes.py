"""How the answers of lesson 11 are judged: probes, known mistakes, and what to tell who made them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong, derivatives

Data = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Data], Tensor]
Objective = Callable[[np.ndarray], float]
Tasks = list[tuple[Data, Data]]
DERIVATIVE = "Its derivative by theta"


# --- a diagnosis


def diagnose_probes() -> list[Probe]:
    """Return told, one_for_all, after and gradient_error: each line, its border, and returns below 0."""
    cases = [
        ([71.2, 69.4], [31.3, 29.1], [52.4, 51.5, 55.7], 0.0004),  # 5
        ([80.0, 76.3, 72.1], [40.2, 36.4, 44.1, 40.3], [70.4, 41.2, 60.5, 66.1, 39.8], 0.0013),  # 3
        ([60.4, 64.2], [22.1, 26.3], [60.2, 58.4, 30.1], 0.0007),  # 3, and the mean gains more than half
        ([50.0], [45.0, 45.0], [47.5, 47.5, 49.0], 0.0021),  # 5, worth 5 and half of it, exactly
        ([99.9, 99.7], [99.1, 98.6], [99.2, 98.3, 99.0, 99.4], 0.31),  # 0, before the gradient
        ([70.1, 72.4], [30.3, 33.1, 30.2], [35.3, 30.4, 31.1, 38.2], 0.01),  # 4, and no error above 0.01
        ([66.3, 61.9, 64.8], [28.4], [31.2, 60.1], 0.27),  # 1, before the number of trainings
        ([62.8], [20.7, 24.9, 22.2], [55.1, 30.4], 0.0009),  # 2
        ([-0.13, -0.21], [-15.6, -15.4, -15.8], [-0.41, -0.52, -0.33, -0.45], 0.0011),  # 5
        ([74.9, 73.1], [24.6, 25.2], [24.9, 43.3, 38.7], 0.0031),  # 4, and more than a third of it
        ([52.3, 54.1, 50.9], [27.7, 25.8], [24.1], 0.0017),  # 2
        ([48.0, 40.0], [40.0, 43.0], [46.0, 44.5, 45.2], 0.0005),  # 0: one training told is worth more
        ([77.7, 75.3], [30.9, 31.4], [60.2, 62.9, 58.8, 61.0], 0.018),  # 1
        ([58.2, 57.1], [30.6], [58.9, 61.3, 60.7], 0.0006),  # 5, and more than those that are told
        ([49.7, 49.9], [45.3, 45.1], [50.2, 49.8, 51.3], 0.0012),  # 0, worth 4.6
        ([50.04], [45.02], [49.9, 50.2, 50.1], 0.0),  # 5, worth 5.02
        ([49.98], [44.96, 44.96], [44.9, 45.2, 45.1], 0.0043),  # 4, worth 5.02
        ([40.2, 39.8], [20.1, 19.9], [29.96, 29.97, 29.98], 0.0024),  # 4, and rounded they gain half
        ([-10.2, -11.1], [-30.4], [-14.3, -15.2, -13.9], 0.0026),  # 5
        ([-10.4, -11.3], [-30.2, -29.8], [-29.1, -28.4, -30.2], 0.0035),  # 4
        ([80.3, 52.1], [48.3, 50.1], [20.4, 61.2, 62.5], 0.0029),  # 3, worth much for one training alone
        ([50.2], [30.1, 49.3], [51.4, 50.8, 52.2], 0.0033),  # 5
        ([50.6], [49.4, 30.3], [52.3, 51.7, 50.9, 53.1], 0.0018),  # 5
        ([60.1, 63.7], [25.2, 24.1], [24.9, 26.3, 58.8, 23.1, 25.5], 0.0008),  # 3, one good training of five
        ([31.2, 30.1], [52.1, 51.4], [51.3, 52.9, 50.2], 0.0011),  # 0: whoever is told earns less
        ([60.3], [20.1, 20.4, 41.2], [41.5, 42.1, 42.8], 0.0027),  # 4, and 5 by the median of one_for_all
        ([38.4, 71.3, 74.2], [24.8, 26.1], [44.9, 46.2, 45.3], 0.0037),  # 5, and 4 by the median of told
        ([64.2, 61.4, 63.3], [30.2, 31.1], [52.4, 56.1], 0.0014),  # 2, with three that are told
    ]
    return [(*(np.array(values) for values in case[:3]), case[3]) for case in cases]


def _diagnosis(
    told: np.ndarray,
    one: np.ndarray,
    after: np.ndarray,
    error: float,
    *,
    order: str = "012",
    middle: Callable[[np.ndarray], float] = np.mean,
    worth: Callable[[float, float], float] = lambda high, low: high - low,
    gains: Callable[[np.ndarray, float, float], np.ndarray] = lambda after, low, high: after - low,
    least: float = 5.0,
    limit: float = 0.01,
    fewest: int = 3,
    share: float = 0.5,
    some: Callable[[np.ndarray], Any] = np.any,
    whole: Callable[[np.ndarray], Any] = np.all,
    last: tuple[int, int] = (4, 5),
) -> int:
    """Return the diagnosis, with one thing changed."""
    low, high = float(middle(one)), float(middle(told))
    holds = {"0": worth(high, low) < least, "1": error > limit, "2": len(after) < fewest}
    for name in order:
        if holds[name]:
            return int(name)
    good = gains(after, low, high) >= share * worth(high, low)
    if whole(good):
        return last[1]
    return 3 if some(good) else last[0]


def wrong_diagnoses(
    told: np.ndarray, one_for_all: np.ndarray, after: np.ndarray, gradient_error: float
) -> Wrong:
    """Return what each known mistake gives for the diagnosis, with its message."""
    given = (told, one_for_all, after, gradient_error)
    return [
        (_diagnosis(*given, order="102"), "the gradient is looked at before the headroom: where knowing the "
         "task is worth nothing, no gradient helps. Go through the lines from above"),
        (_diagnosis(*given, order="021"), "the number of trainings is looked at before the gradient: more "
         "trainings of a wrong gradient are of no use. Go through the lines from above"),
        (_diagnosis(*given, order="12"), "line 0 is missing: what is knowing the task worth?"),
        (_diagnosis(*given, order="02"), "line 1 is missing: is the meta-gradient right?"),
        (_diagnosis(*given, order="01"), "line 2 is missing, or is asked after the gains: one or two "
         "trainings tell little"),
        (_diagnosis(*given, middle=np.max), "this takes the best training of those that are told and of "
         "those that are not: take the means"),
        (_diagnosis(*given, middle=np.median), "this takes the medians of told and one_for_all: take the "
         "means"),
        (_diagnosis(*given, worth=lambda high, low: abs(high - low)), "where those that are told earn less, "
         "knowing the task is worth less than nothing: no absolute value"),
        (_diagnosis(*given, gains=lambda after, low, high: np.full(len(after), after.mean() - low)), "this "
         "looks at the mean over trainings, which hides those that are stuck: look at each"),
        (_diagnosis(*given, gains=lambda after, low, high: np.full(len(after), np.median(after) - low)),
         "this looks at the training in the middle, which hides those that are stuck: look at each"),
        (_diagnosis(*given, some=lambda good: good.mean() >= 0.5), "a single training that gains enough, "
         "among others that do not, is line 3 already: some"),
        (_diagnosis(*given, whole=lambda good: False), "where every training gains enough, line 5 holds and "
         "line 3 does not"),
        (_diagnosis(*given, gains=lambda after, low, high: after), "these are returns, not gains: take away "
         "the mean of one_for_all"),
        (_diagnosis(*given, gains=lambda after, low, high: after - high), "the gain is over one_for_all, not "
         "over told"),
        (_diagnosis(*given, gains=lambda after, low, high: after - low - low / 2), "half of what knowing the "
         "task is worth is asked for, not half of what those that are told earn"),
        (_diagnosis(*given, share=0.0), "any gain counts here: at least half of what knowing the task is "
         "worth is asked for"),
        (_diagnosis(*given, share=1.0), "this asks for all of what knowing the task is worth: half of it is "
         "enough"),
        (_diagnosis(*given, gains=lambda after, low, high: after - low - 1e-9), "a gain of exactly half is "
         "enough: at least half is asked for"),
        (_diagnosis(*given, least=5 + 1e-9), "worth exactly 5 is not less than 5"),
        (_diagnosis(*given, limit=0.01 - 1e-9), "an error of exactly 0.01 is not more than 0.01"),
        (_diagnosis(*given, last=(5, 4)), "lines 4 and 5 are exchanged"),
        (_diagnosis(*given, fewest=4), "three trainings are enough for line 2 not to hold"),
        (2 if len(told) < 3 and _diagnosis(*given) > 1 else _diagnosis(*given, order="01"), "this counts the "
         "trainings that are told: line 2 asks for those in after"),
    ]  # fmt: skip


DIAGNOSE = Trial(
    probes=diagnose_probes,
    mistakes=wrong_diagnoses,
    otherwise="not the number of the first line that holds",
    praise="Right, on every case. Headroom first, then the gradient, then every training by itself.",
)


# --- the planted bug


def bent(theta: Tensor, data: Data) -> Tensor:
    """Return the mean squared error of sin(theta[0] x) + theta[-1] x on data = (x, y), less 1."""
    x, y = data
    return ((torch.sin(theta[0] * x) + theta[-1] * x - y) ** 2).mean() - 1.0


def bowl(theta: Tensor, data: Data) -> Tensor:
    """Return the mean of exp(x (theta - y)) over the data and the entries of theta."""
    x, y = data
    return torch.exp(x[:, None] * (theta - y[:, None])).mean()


def make_tasks(count: int, scale: float = 1.0) -> Tasks:
    """Return (support, query) pairs in float64; the tasks have different numbers of points."""
    x = torch.tensor([-1.3, -0.4, 0.3, 0.8, 1.6], dtype=torch.float64)
    pairs = []
    for k in (1.0, -0.6, 1.7)[:count]:
        support, query = x[: 3 + (k > 0)] * k + 0.2, x[: 2 + count] - 0.3 * k
        pairs.append(((support, scale * torch.cos(support) + k), (query, scale * torch.cos(query) - 0.5 * k)))
    return pairs


def loss_probes() -> list[Probe]:
    """Return loss, theta, tasks, inner_lr and steps: one to three tasks, no step, one, two and three."""

    def theta(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).requires_grad_()

    return [
        (bent, theta(0.73, -0.46), make_tasks(3), 0.12, 2),
        (bowl, theta(0.43, 0.28, -0.35), make_tasks(2), 0.23, 1),
        (bent, theta(-0.38), make_tasks(1), 0.17, 3),
        (bent, theta(0.91, 0.34), make_tasks(2, 2.5)[::-1], 0.08, 0),
        (bowl, theta(-0.52, 0.61), make_tasks(3, 1.4), 0.31, 3),
    ]


def loss_parts(function: Callable[..., Any], loss: Loss, theta: Tensor, *rest: Any) -> Parts:
    """Return the meta-loss and its derivative."""
    value, derivative = function(loss, theta, *rest), None
    if isinstance(value, Tensor) and value.requires_grad:
        (derivative,) = derivatives(value.sum(), (theta,))
    return Parts({RESULT: value, DERIVATIVE: derivative})


def _meta_loss(
    loss: Loss,
    theta: Tensor,
    tasks: Tasks,
    inner_lr: float,
    steps: int,
    *,
    graph: Callable[[int], bool] = lambda left: True,
    data: Callable[[Data, Data], tuple[Data, Data]] = lambda support, query: (support, query),
    carry: bool = False,
    again: bool = False,
    by_theta: bool = False,
    reduce: Callable[[Tensor], Tensor] = torch.mean,
) -> Tensor:
    """Return the meta-loss with one thing changed; `graph` says which slopes keep theirs."""
    losses, adapted = [], theta
    for pair in tasks:
        support, query = data(*pair)
        adapted = adapted if carry else theta
        for k in range(steps):
            here = theta if again else adapted
            (slope,) = torch.autograd.grad(
                loss(here, support), theta if by_theta else here, create_graph=True
            )
            adapted = here - inner_lr * (slope if graph(steps - 1 - k) else slope.detach())
        losses.append(loss(adapted, query))
    return reduce(torch.stack(losses))


def wrong_losses(_loss: Loss, _theta: Tensor, _tasks: Tasks, _rate: float, number: int) -> Wrong:
    """Return what makes each known mistake in the meta-loss of `number` steps, with its message."""

    def changed(**what: Any) -> Callable[..., Tensor]:
        return lambda *given: _meta_loss(*given, **what)

    return [
        (changed(graph=lambda left: False), "the value is right, its derivative is still that of first "
         "order: create_graph=True makes the slope a function of theta, and then that is cut off"),
        (changed(graph=lambda left: left == 0), "only the slope of the last step can be differentiated: each "
         "step needs it"),
        (changed(graph=lambda left: left > 0), "the slope of the last step is still cut off: each step needs "
         "it"),
        (changed(graph=lambda left: left == number - 1), "only the slope of the first step can be "
         "differentiated: each step needs it"),
        (changed(by_theta=True), "each slope is that of the loss by the parameters that were reached, not by "
         "theta"),
        (changed(data=lambda support, query: (support, support)), "the adapted parameters are judged on the "
         "support set, which rewards memorizing: use the query"),
        (changed(data=lambda support, query: (query, query)), "the steps are taken on the query set: they "
         "use the support set"),
        (changed(carry=True), "the tasks are adapted one after the other: each must start from theta"),
        (changed(again=True), "one step alone is taken, or each starts at theta again: a step must start "
         "where the one before it ended"),
        (changed(reduce=torch.sum), "this is the sum over tasks: return the mean"),
        (lambda *given: _meta_loss(*given).detach(), "the result no longer depends on theta: something cut "
         "the graph"),
        (lambda loss, theta, *rest: _meta_loss(loss, theta.detach().clone().requires_grad_(), *rest), "the "
         "result depends on a copy of theta, not on theta itself"),
        (lambda loss, theta, *rest: _meta_loss(loss, theta if rest[-1] == 0 else theta.detach().clone()
         .requires_grad_(), *rest), "the adapted parameters are cut off from theta: each step must leave a "
         "way back to it"),
        (lambda loss, theta, tasks, lr, steps: _meta_loss(loss, theta, tasks, lr, max(steps - 1, 0)), "one "
         "step too few is taken"),
        (lambda loss, theta, tasks, lr, steps: _meta_loss(loss, theta, tasks, -lr, steps), "the steps go up: "
         "go against the slope"),
    ]  # fmt: skip


META_LOSS = Trial(
    probes=loss_probes,
    mistakes=wrong_losses,
    observe=loss_parts,
    otherwise={
        RESULT: "the loss itself has changed: the bug is only in its derivative",
        DERIVATIVE: "the value is right, its derivative is not: is every slope still a function of theta?",
    },
    praise="Right. The value never changed; only its derivative shows which method this is.",
)


# --- the test of a tool


def cubic(theta: np.ndarray) -> float:
    """Return a number whose central differences are not its derivatives, and whose slopes differ."""
    weight = np.linspace(0.7, 2.3, len(theta))
    return float((weight * theta**3).sum() - theta.sum() ** 2)


def wavy(theta: np.ndarray) -> float:
    """Return another one."""
    return float(5.0 * np.sin(theta * np.arange(1, len(theta) + 1)).sum() + theta[0] * theta[-1])


def error_probes() -> list[Probe]:
    """Return objective, gradient, theta and h: one to four entries, near the truth and far from it."""
    return [
        (cubic, np.array([1.31, -0.72, 4.4]), np.array([0.83, -0.41, 1.27]), 0.32),
        (wavy, np.array([3.9, 5.2]), np.array([0.36, -0.58]), 0.21),
        (cubic, np.array([-1.6]), np.array([-0.92]), 0.45),
        (wavy, np.array([4.1, -2.6, 0.8, 11.3]), np.array([1.14, 0.27, -0.63, 0.49]), 0.13),
        (cubic, np.array([2.7, 0.4]), np.array([-0.75, 1.06]), 0.17),
    ]


def _differences(objective: Objective, theta: np.ndarray, h: float) -> np.ndarray:
    moves = h * np.eye(len(theta))
    return np.array([(objective(theta + move) - objective(theta - move)) / (2 * h) for move in moves])


def wrong_errors(objective: Objective, gradient: np.ndarray, theta: np.ndarray, h: float) -> Wrong:
    """Return what each known mistake gives for the error of a gradient, with its message."""
    right, norm = _differences(objective, theta, h), np.linalg.norm
    here, moves = objective(theta), h * np.eye(len(theta))
    one_sided = np.array([(objective(theta + move) - here) / h for move in moves])
    together = (objective(theta + h) - objective(theta - h)) / (2 * h)

    def off(mine: np.ndarray | float) -> float:
        return float(norm(gradient - mine) / norm(np.broadcast_to(mine, gradient.shape)))

    return [
        (off(one_sided), "these differences are to one side: move theta to both sides, which is far more "
         "exact"),
        (off(2 * right), "the change from theta - h to theta + h is divided by h: the way is 2 h long"),
        (off(right * 2 * h), "the change is not divided by the way, 2 h"),
        (off(together), "all entries of theta are moved at once: move one at a time"),
        (off(-right), "the differences have the wrong sign: the change is that from theta - move to theta + "
         "move"),
        (norm(gradient - right), "this is the distance itself: divide it by the norm of the differences"),
        (norm(gradient - right) / norm(gradient), "this is a share of the gradient that is tested: divide by "
         "the norm of the differences, which are right in any case"),
        (abs(norm(gradient) - norm(right)) / norm(right), "this compares the two norms: a gradient of the "
         "right length that points elsewhere would pass"),
        (norm(gradient - right) ** 2 / norm(right) ** 2, "this is the square of it: a norm has a root"),
        (abs(gradient - right).max() / abs(right).max(), "this takes the largest entries: take the norms"),
    ]  # fmt: skip


GRADIENT_ERROR = Trial(
    probes=error_probes,
    mistakes=wrong_errors,
    otherwise="not norm(gradient - differences) / norm(differences)",
    praise="Right, for one entry up to four. With a small h it tells exact from first order.",
)
