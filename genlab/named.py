"""Trained models for scripts: mixtures, those that come with genlab, and those trained there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.hosts import stops
from genlab.model import Model, restore
from genlab.training import loop
from genlab.workdir import places
from genlab.zoo import entries
from genlab.zoo.entries import Entries


def train(config: ConfigDict, workdir: str) -> Model:
    """Trains a config, completed with every default, and gives the model; a workdir that has
    trained goes on, or is at its end already.

    Raises: UserError for what the user can mend; RunStopped when a number is no longer finite.
    """
    config = ConfigDict(config)
    configs.complete(config)
    loop.train(config.lock(), workdir)
    stops.answer()  # what came at its last step, which the next training would take for its own
    return restore(workdir)


def mixture(members: Sequence[str], weights: str = "ema") -> Model:
    """Several models as one, exact: the mean of their probabilities at each pixel.

    Models of another order (`autoregressive.orders`) have a mean of their own; whole images are
    then the mixture of these. Each model counts the same.

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
