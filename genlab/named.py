"""Trained models by other names than a workdir: mixtures, and those that come with genlab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from genlab.model import Model, restore
from genlab.workdir import places
from genlab.zoo import entries
from genlab.zoo.entries import Entries


def mixture(members: Sequence[str], weights: str = "ema") -> Model:
    """Several models as one: the mean of their probabilities at each pixel, exact.

    Args:
      members: workdirs, each perhaps with a step ("runs/a:500", "runs/a:best"), or pretrained:NAME.

    Raises: UserError for what `restore` refuses, and for models that do not fit together.
    """
    return restore(places.MIXTURE + ",".join(map(str, members)), weights=weights)


@overload
def pretrained(name: None = None) -> Entries: ...
@overload
def pretrained(name: str) -> Model: ...
def pretrained(name: str | None = None) -> Model | Entries:
    """A trained model that comes with genlab; without a name, all of them: names, numbers,
    protocols and sizes.

    Raises: UserError if there is no such model.
    """
    return entries.every() if name is None else restore(places.PRETRAINED + name)
