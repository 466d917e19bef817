"""Classes and attributes by name: what the labels of one set are in another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genlab.condition import Spec
from genlab.errors import UserError


def numbers_by_name(theirs: Sequence[str], ours: Sequence[str]) -> np.ndarray:
    """i32[len(theirs)]: the number that each of their classes has among ours.

    Raises: UserError, which names those that are not among ours.
    """
    numbers = {name: number for number, name in enumerate(ours)}
    unknown = [name for name in theirs if name not in numbers]
    if unknown:
        raise UserError(
            f"data.source: the model does not know {_some(unknown)}; its classes are {_some(ours)}."
        )
    return np.array([numbers[name] for name in theirs], np.int32)


def columns_by_name(theirs: Sequence[str], ours: Sequence[str]) -> np.ndarray:
    """i64[len(ours)]: the place of each of our attributes among theirs.

    Raises: UserError, which names those that are not among theirs.
    """
    missing = [name for name in ours if name not in theirs]
    if missing:
        raise UserError(
            f"data.source: the model is told {_some(missing)}, which the images do not say; their"
            f" attributes are {_some(theirs) or 'none'}."
        )
    return np.array([theirs.index(name) for name in ours])


def require_labels(spec: Spec, purpose: str) -> None:
    """Raises UserError where examples have no classes: "data.source: accuracy needs labels ..."."""
    if not spec.classes:
        has = f"attributes ({_some(spec.attributes)})" if spec.attributes else "no labels"
        raise UserError(
            f"data.source: {purpose} needs classes, but the images have {has}; take a set with"
            " classes, or name its labels by data.label."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f", ... ({len(names)})" if len(names) > 5 else "")
