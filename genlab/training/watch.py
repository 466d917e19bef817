"""Metrics watched during training, and what happens when one leaves its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any

from ml_collections import ConfigDict

from genlab.errors import UserError, hint

ACTIONS = ("warn", "stop", "rollback")  # mildest first


@dataclass(frozen=True)
class Bound:
    """A metric of a split that should stay from `low` to `high`; `action` is taken when it has not
    for `patience` lines on end."""

    metric: str
    low: float = -math.inf
    high: float = math.inf
    patience: int = 1
    action: str = "warn"
    split: str = "valid"

    def told(self, value: float, step: int) -> str:
        """What happened, in words."""
        far = f"below {self.low:g}" if value < self.low else f"above {self.high:g}"
        lines = f" for {self.patience} lines on end" if self.patience > 1 else ""
        return f"{self.metric} of {self.split} is {value:.4g} at step {step}, {far}{lines}"


def bounds(train: ConfigDict, known: dict[str, Callable[[], Collection[str]]]) -> tuple[Bound, ...]:
    """The bounds of `train.watch`; known: for each split, a function that names its metrics.

    Raises: UserError for a metric, a field or an action that does not exist.
    """
    found, names = [], [f.name for f in fields(Bound)]
    for metric, section in train.watch.items():
        for key in section:
            if key not in names[1:]:
                near = hint(key, names[1:])
                raise UserError(f"train.watch.{metric}.{key}: no such key.{near}")
        bound = Bound(metric, **section)
        for key, value, among in (
            ("split", bound.split, known),
            ("action", bound.action, ACTIONS),
        ):
            if value not in among:
                near = hint(value, among)
                raise UserError(f"train.watch.{metric}.{key}: {value!r}?{near}")
        names_there = known[bound.split]()
        if metric not in names_there:
            near = hint(metric, names_there)
            raise UserError(f"train.watch: no metric {metric!r} of {bound.split}.{near}")
        if bound.patience < 1:
            raise UserError(f"train.watch.{metric}.patience={bound.patience}: take 1 or more.")
        if bound.action == "rollback" and not train.best_metric:
            raise UserError(f"train.watch.{metric}: rollback needs train.best_metric to go back to")
        found.append(bound)
    return tuple(found)


@dataclass
class Watch:
    """outside: for how many lines on end each metric has been out of its bounds; saved with every
    checkpoint, so that a resumed run acts as an uninterrupted one would have."""

    bounds: tuple[Bound, ...]
    outside: dict[str, int]

    def left(self, split: str, found: dict[str, Any] | None) -> list[tuple[Bound, float]]:
        """The bounds whose patience ended with these numbers, what outweighs the others last."""
        ended = []
        for bound in self.bounds:
            if not found or bound.split != split:
                continue
            value = float(found[bound.metric])
            inside = bound.low <= value <= bound.high
            count = 0 if inside else self.outside.get(bound.metric, 0) + 1
            self.outside[bound.metric] = count
            if count == bound.patience or (count > bound.patience and bound.action != "warn"):
                ended.append((bound, value))
        return sorted(ended, key=lambda each: ACTIONS.index(each[0].action))
