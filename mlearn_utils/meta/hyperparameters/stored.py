"""What a saved model holds, checked before anything is made of it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters import tables
from mlearn_utils.meta.hyperparameters.ranges import Space, space_facts, space_from_facts
from mlearn_utils.meta.hyperparameters.space import FloatArray

FACTS, LATER_FACTS = ("space", "seed", "estimator", "scikit-learn"), ("stated", "features")
TENSORS = ("task_features", "hyperparameters", "returns")


class Table(NamedTuple):
    """The runs that a model was fitted on.

    Attributes:
        space: what each hyperparameter may be: as stated, or the box of the values seen.
        stated: which of the two.
        names: of the features; None if they have none.
        features: [N, F].
        codes: [N, H] settings (`space.to_codes`).
        returns: [N].
    """

    space: Space
    stated: bool
    names: list[str] | None
    features: FloatArray
    codes: FloatArray
    returns: FloatArray


def as_stored(table: Table) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the facts of a table, which `from_stored` reads back."""
    tensors = {name: torch.from_numpy(array) for name, array in zip(TENSORS, table[3:], strict=True)}
    return tensors, {"space": space_facts(table.space), "stated": table.stated, "features": table.names}


def from_stored(path: str | Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Table:
    """Return the table that was stored.

    Raises:
        ValueError: if a fact or tensor is missing, unknown, or not what it must be.
    """
    _check_names(path, "facts", facts, FACTS, LATER_FACTS)
    _check_names(path, "tensors", tensors, TENSORS, ())
    wrong = {name: str(tensor.dtype) for name, tensor in tensors.items() if tensor.dtype != torch.float64}
    if wrong:
        raise ValueError(f"path: {path} must hold float64 tensors, got {wrong}")
    x, h, y = (tables.read_numbers(name, tensors[name].numpy(), 2 - (name == "returns")) for name in TENSORS)
    if not h.size:
        raise ValueError(f"path: {path} must hold runs and their settings, got {list(h.shape)}")
    stated = facts["space"] is not None  # files of before "stated" was stored: no space meant the box seen
    space = space_from_facts(facts["space"]) if stated else spaces.box_of(h)
    tables.check_width("hyperparameters", h.shape, len(space))
    spaces.check_inside(space, h)
    names = facts.get("features")
    if names is not None and not (isinstance(names, list) and len(names) == x.shape[1]):
        raise ValueError(f"path: {path} must name each of {x.shape[1]} features, got {names!r}")
    return Table(space, facts.get("stated", stated) is True, names, x, h, y)


def _check_names(
    path: str | Path, what: str, found: Collection[str], needed: Collection[str], known: Collection[str]
) -> None:
    if not isinstance(found, Mapping):
        raise ValueError(f"path: {path} must hold {what} by name, got {found!r}")
    missing = sorted(set(needed) - set(found))
    unknown = sorted(set(found) - set(needed) - set(known))
    if missing or unknown:
        raise ValueError(f"path: {path} has other {what} than expected: missing {missing}, unknown {unknown}")
