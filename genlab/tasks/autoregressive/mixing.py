"""Several trained models as one, exact.

Models of one order of the pixels become one whose probabilities at each pixel are the mean of
theirs. Of several orders, each has such a mean of those who know it, and whole images are the
mixture of these, see `orders`. Each model counts the same: one that knows several orders counts for
each in part.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.errors import UserError
from genlab.likelihoods.categorical import Categorical
from genlab.likelihoods.contract import PixelLikelihood
from genlab.nn.mixture import Mixture
from genlab.state import State
from genlab.task import PLAYER
from genlab.tasks.autoregressive.orders import Orders

if TYPE_CHECKING:
    from genlab.tasks.autoregressive.task import Task


def mix(models: dict[str, tuple[Task, State]]) -> tuple[Task, State]:
    """The task and state of the mixture of models, by their names.

    Raises: UserError for models without a likelihood, or of other images, levels, classes or scales
      than the first.
    """
    (first, (task, state)), *others = models.items()
    for name, (other, _) in models.items():
        if not isinstance(other.predictor, PixelLikelihood):
            raise UserError(f"mixture: {name} has no likelihood; leave it out.")
    for name, (other, _) in others:
        _check(first, _what(task), name, _what(other))
    tasks = [other for other, _ in models.values()]
    levels = task.predictor.levels
    orders = _orders(tasks)
    network = Mixture(tuple(t.network for t in tasks), tuple(t.predictor for t in tasks), levels)
    if orders.several:
        numbers = tuple(tuple(map(orders.place, t.orders.names)) for t in tasks)
        network = network.clone(orders=numbers, all_orders=len(orders.names))
    params = {f"members_{i}": s.params[PLAYER] for i, (_, s) in enumerate(models.values())}
    mixed = dataclasses.replace(
        task,
        network=network,
        predictor=Categorical(levels),
        orders=orders,
        members=tuple(models),
    )
    return mixed, state.replace(params={PLAYER: params}, opt={}, ema={})


def _orders(tasks: list[Task]) -> Orders:
    """All that some model knows; each counts as much as the models that know it."""
    counts: dict[str, float] = {}
    for known in (task.orders for task in tasks):
        for name, weight in zip(known.names, np.asarray(known.weights), strict=True):
            counts[name] = counts.get(name, 0.0) + float(weight)
    return Orders(tuple(counts), tuple(counts.values()) if len(counts) > 1 else ())


def _what(task: Task) -> dict[str, Any]:
    """What members have in common."""
    height, width, colours = task.shape
    places = np.arange(height * width * colours).reshape(task.shape)
    return {
        "images": "x".join(map(str, task.shape)),
        "levels": task.predictor.levels,
        "binarisation": task.binarisation,
        "labels given": task.condition.size,
        "scales": "one" if (task.network.order(places) == places.ravel()).all() else "several",
        "order of pixels": task.network.order(places).tobytes(),
    }


def _check(first: str, wanted: dict[str, Any], name: str, found: dict[str, Any]) -> None:
    for key, value in wanted.items():
        if found[key] != value:
            shown = "" if isinstance(value, bytes) else f" ({value}; {found[key]})"
            raise UserError(f"mixture: {first} and {name} differ in {key}{shown}; mix equal ones.")
