"""How the answers of lesson 05 are judged: probes, known mistakes, and what to tell who made them.

`baseline` does the same for `fair_baseline`, which needs a family of tasks and two trials, and `positions`
for `five_positions`, which measures.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlearn_utils.course.grading.compare import expect
from mlearn_utils.course.grading.exercise import NotYet
from mlearn_utils.course.grading.trial import RESULT, Parts, Probe, Trial, Wrong, derivatives

Weights = dict[str, Tensor]
Data = tuple[Tensor, Tensor]


def numbers(*values: float) -> Tensor:
    """Return a float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


# --- Reptile


def reptile_probes() -> list[Probe]:
    """Return theta, adapted and outer_lr: other tasks, parameters and step sizes in each."""
    cases = (
        (3, 0.35, {"weight": (2,), "bias": (1,)}),
        (2, 0.6, {"0.weight": (3, 2), "0.bias": (3,), "1.weight": (1, 3)}),
        (5, 0.15, {"slope": (4,)}),
        (3, 0.8, {"weight": (2,), "bias": (1,)}),
        (1, 0.45, {"weight": (3, 1)}),
    )
    probes = []
    for seed, (n_tasks, outer_lr, shapes) in enumerate(cases):
        random = np.random.default_rng(seed)
        drawn = [
            {name: torch.from_numpy(random.normal(1.0, 1.5, shape)) for name, shape in shapes.items()}
            for _ in range(n_tasks + 1)
        ]
        probes.append((drawn[0], drawn[1:], outer_lr))
    return probes


def wrong_reptile_updates(theta: Weights, adapted: list[Weights], outer_lr: float) -> Wrong:
    """Return what each known mistake gives for Reptile's update, with its message."""

    def each(formula: Callable[[Tensor, Tensor], Tensor]) -> Weights:
        """Apply a formula of theta and of the adapted parameters [T, *] to every parameter."""
        return {
            name: formula(value, torch.stack([end[name] for end in adapted])) for name, value in theta.items()
        }

    in_turn = theta
    for end in adapted:
        in_turn = {name: value + outer_lr * (end[name] - value) for name, value in in_turn.items()}
    n_tasks = len(adapted)
    return [
        (each(lambda start, ends: start - outer_lr * (ends.mean(0) - start)), "this walks away from where "
         "the tasks end: the direction is adapted minus theta, and it is added"),
        (each(lambda start, ends: start + outer_lr * (ends - start).sum(0)), "the moves are summed over "
         "tasks: with more tasks the step would grow. Take their mean"),
        (each(lambda start, ends: start + outer_lr * (ends.sum(0) - start)), "the adapted parameters are "
         "summed over tasks, theta is subtracted once: take the mean of adapted - theta"),
        (each(lambda start, ends: start + outer_lr * (ends - start).mean(0) / n_tasks), "the mean over tasks "
         "is divided by their number once more"),
        (each(lambda start, ends: ends.mean(0)), "this is the mean of the adapted parameters: outer_lr says "
         "how much of the way theta goes"),
        (each(lambda start, ends: start + outer_lr * ends.mean(0)), "outer_lr must multiply adapted - theta, "
         "the move, not the adapted parameters"),
        (each(lambda start, ends: outer_lr * (ends - start).mean(0)), "this is the move alone: add it to "
         "theta"),
        (each(lambda start, ends: (ends - start).mean(0)), "this is the mean move alone: theta plus outer_lr "
         "times it is asked for"),
        (each(lambda start, ends: outer_lr * start + (1 - outer_lr) * ends.mean(0)), "theta goes 1 - "
         "outer_lr of the way: it should go outer_lr of it"),
        (each(lambda start, ends: start + outer_lr * (ends[-1] - start)), "only the last task counts: "
         "average over all of them"),
        (each(lambda start, ends: start + outer_lr * (ends[0] - start)), "only the first task counts: "
         "average over all"),
        (each(lambda start, ends: start + outer_lr * (ends[1:] - start).mean(0)), "the first task is left "
         "out: average over all"),
        (each(lambda start, ends: start + outer_lr * (ends[:-1] - start).mean(0)), "the last task is left "
         "out: average over all"),
        (each(lambda start, ends: start + outer_lr * (ends - start).sum(0) / len(theta)), "the moves are "
         "divided by the number of parameters in theta: take their mean over tasks"),
        (each(lambda start, ends: start + outer_lr * (ends[-1] - start) / n_tasks), "only the last task "
         "counts, divided by their number: add up the moves of all"),
        (each(lambda start, ends: start + outer_lr * (ends - start).mean()), "the mean goes over tasks *and* "
         "entries: each entry of a parameter has a mean move of its own, mean(0)"),
        (each(lambda start, ends: start + outer_lr * (ends - start).median(0).values), "this is the median "
         "of the moves: take their mean"),
        (in_turn, "theta follows the tasks one after the other, each from where the one before left it: take "
         "all moves from the same theta, and their mean"),
        (dict(theta), "theta is returned as it was"),
    ]  # fmt: skip


REPTILE_UPDATE = Trial(
    probes=reptile_probes,
    mistakes=wrong_reptile_updates,
    otherwise="not theta + outer_lr * mean(adapted - theta)",
    praise="No gradient of a gradient anywhere: Reptile only needs to know where each task ended.",
)


# --- ANIL's filter


OUTER = "The outer gradient"


def network_loss(params: Weights, data: Data) -> Tensor:
    """Return the mean squared error of a network with one hidden layer of two tanh units."""
    x, y = data
    hidden = torch.tanh(x[:, None] * params["body.weight"] + params["body.bias"])
    return ((hidden @ params["head.weight"] + params["head.bias"] - y) ** 2).mean()


def wave_loss(params: Weights, data: Data) -> Tensor:
    """Return the mean squared error of one wave with a level."""
    x, y = data
    wave = torch.sin(params["body.slope"] * x + params["body.shift"])
    return ((params["head.scale"] * wave + params["head.level"] - y) ** 2).mean()


def line_loss(params: Weights, data: Data) -> Tensor:
    """Return the mean squared error of a curve whose parameters have names of which one holds the others."""
    x, y = data
    return ((torch.exp(0.3 * params["head"] * x) + params["head.b"] * x**2 + params["b"] - y) ** 2).mean()


def anil_probes() -> list[Probe]:
    """Return loss, params, support, inner_lr and names: in another order than params, and one name alone.

    In some, a name is part of another one, or the names are given in a list.
    """
    networks = {
        "body.weight": (0.8, -0.5),
        "body.bias": (0.1, 0.4),
        "head.weight": (1.2, -0.7),
        "head.bias": (0.3,),
    }
    waves = {"head.scale": (1.3,), "body.slope": (0.7,), "body.shift": (-0.4,), "head.level": (0.6,)}
    four = numbers(-1.5, -0.2, 0.7, 1.9), numbers(1.0, -0.4, 0.3, 2.2)
    three = numbers(-0.9, 0.4, 1.3), numbers(0.2, 0.6, -1.1)
    lines = {"b": (2.4,), "head.b": (-1.6,), "head": (3.1,)}
    cases: tuple[Any, ...] = (
        (network_loss, networks, four, 0.15, ("head.bias", "head.weight")),
        (wave_loss, waves, three, 0.25, ("body.slope", "head.scale")),
        (wave_loss, waves, four, 0.08, ["body.shift"]),
        (line_loss, lines, three, 0.05, ["head"]),
        (line_loss, lines, four, 0.02, ["head", "b"]),
    )
    return [
        (loss, {name: numbers(*values).requires_grad_() for name, values in start.items()}, *rest)
        for loss, start, *rest in cases
    ]


def anil_parts(step: Callable[..., Any], loss: Any, params: Weights, *rest: Any) -> Parts:
    """Return the parameters after a step, and the derivative of their weighed sum by those before it."""
    try:
        result = step(loss, params, *rest)
    except NotYet:
        expect(
            all(value.requires_grad for value in params.values()),
            "requires_grad is switched off for some of params: the outer loop learns these, too. Choose by "
            "whom the gradient is taken instead",
        )
        raise
    total, weight = torch.zeros((), dtype=torch.float64, requires_grad=True), 1.0
    for name in params:
        value = result.get(name) if isinstance(result, Mapping) else None
        if isinstance(value, Tensor) and value.requires_grad and value.is_floating_point():
            weights = weight * torch.linspace(1.0, 1.5, value.numel()).reshape(value.shape)
            total = total + (weights * value).sum()
        weight = -0.7 * weight
    gradients = derivatives(total, params.values())
    return Parts({RESULT: result, OUTER: dict(zip(params, gradients, strict=True))})


def _same(value: Any) -> Any:
    return value


def _detached(value: Tensor) -> Tensor:
    return value.detach()


def _moving(
    names: Sequence[str],
    rate: float,
    *,
    start: Callable[[Tensor], Tensor] = _same,
    kept: Callable[[Tensor], Tensor] = _same,
    inside: Callable[[Tensor], Tensor] = _same,
    slope: Callable[[Tensor], Tensor] = _same,
    given_to: Sequence[str] | None = None,
) -> Callable[..., Weights]:
    """Return an inner step of the parameters in `names`.

    Args:
        names: which parameters move.
        rate: the inner rate.
        start: what a parameter that moves starts from.
        kept: what becomes of one that does not.
        inside: what becomes of one that does not in the inner loss.
        slope: what becomes of the gradient.
        given_to: names of the parameters to which the gradients are given, in order.
    """

    def step(loss: Any, params: Weights, support: Data, *_: Any) -> Weights:
        value = loss({n: v if n in names else inside(v) for n, v in params.items()}, support)
        slopes = torch.autograd.grad(value, [params[name] for name in names], create_graph=True)
        moves = dict(zip(given_to or names, map(slope, slopes), strict=True))
        return {n: start(v) - rate * moves[n] if n in moves else kept(v) for n, v in params.items()}

    return step


def _one_after_the_other(names: Sequence[str], rate: float) -> Callable[..., Weights]:
    def step(loss: Any, params: Weights, support: Data, *_: Any) -> Weights:
        for name in names:
            params = _moving((name,), rate)(loss, params, support)
        return params

    return step


def wrong_anil_steps(
    loss: Any, params: Weights, support: Data, inner_lr: float, names: Sequence[str]
) -> Wrong:
    """Return what makes each known mistake in ANIL's step, with its message."""
    everything, right = tuple(params), _moving(names, inner_lr)
    others = [name for name in params if name not in names]
    heads = [name for name in params if name.startswith("head")]
    return [
        (_moving(everything, inner_lr), "every parameter moved: only those in `names` take the inner step"),
        (_moving(others, inner_lr), "the filter is the wrong way round: `names` are those that move"),
        (_moving(everything[-2:], inner_lr), "the last two of params move, whatever `names` says"),
        (_moving(heads, inner_lr), "the parameters whose names begin with \"head\" move, whatever `names` "
         "says"),
        (_moving(names[:1], inner_lr), "only the first of `names` moves: all of them do"),
        (_moving(names[-1:], inner_lr), "only the last of `names` moves: all of them do"),
        (lambda *given: {name: right(*given)[name] for name in names}, "the result lacks the parameters that "
         "do not move: return all parameters"),
        (lambda loss, params, *_: dict(params), "no parameter moved"),
        (_moving(names, -inner_lr), "the step goes uphill: the gradient is subtracted"),
        (_moving(names, 1.0), "inner_lr is not used: the step is inner_lr times the gradient"),
        (_moving(names, inner_lr / len(names)), "the step is divided by the number of names: each parameter "
         "goes inner_lr times its own gradient"),
        (_moving(names, inner_lr, given_to=[name for name in params if name in names]), "the gradients are "
         "mixed up: they come in the order of `names`, and are given out in that of params"),
        (_one_after_the_other(names, inner_lr), "each parameter moves before the gradient by the next one is "
         "taken: take all gradients at params"),
        (lambda loss, params, *rest: right(loss, right(loss, params, *rest), *rest), "two steps are taken: "
         "one is asked for"),
        (_moving(names, inner_lr, slope=_detached), "the outer gradient is that of first order: keep the "
         "inner gradient's own graph (create_graph=True)"),
        (_moving(names, inner_lr, kept=_detached), "what does not adapt is learned by the outer loop: it "
         "must stay in the graph, as the same tensor (no detach, no clone of its data)"),
        (_moving(names, inner_lr, start=_detached), "the parameters in `names` were detached before they "
         "moved: the outer loop learns where they start, so subtract from the same tensor"),
        (_moving(names, inner_lr, inside=_detached), "detach nothing inside the inner loss: its gradient by "
         "`names` depends on the other parameters as well"),
        (lambda *given: {n: v.detach() if n in names else v for n, v in right(*given).items()}, "what moved "
         "was detached: the outer loop must see through the step, back to params"),
        (lambda *given: {n: v.detach() for n, v in right(*given).items()}, "the numbers are right, but the "
         "outer loop gets no gradient: something cut the graph"),
        (_moving(names, inner_lr, slope=_detached, kept=_detached), "the outer gradient is that of first "
         "order (create_graph=True is missing), and what does not adapt was detached: it must stay in the "
         "graph, too"),
    ]  # fmt: skip


ANIL_STEP = Trial(
    probes=anil_probes,
    mistakes=wrong_anil_steps,
    observe=anil_parts,
    otherwise={
        RESULT: "not value - inner_lr * gradient for the parameters in `names`",
        OUTER: "the numbers are right, the outer gradient is not: is the inner gradient's own graph kept "
        "(create_graph=True), and nothing detached?",
    },
    praise="Those in `names` adapt, the others do not, and the outer gradient reaches both.",
)
