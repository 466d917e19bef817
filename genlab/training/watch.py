"""Metrics watched during training, and what happens when one leaves its limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any

from ml_collections import ConfigDict

from genlab.errors import UserError, hint

ACTIONS = ("warn", "stop", "rollback")  # mildest first

Known = dict[str, Callable[[], Collection[str]]]  # for each split, what names its metrics
Outside = dict[str, int]  # for how many lines in a row each metric has been out of its limits


@dataclass(frozen=True)
class Limit:
    """A metric of a split that should stay between `low` and `high`.

    After `patience` lines in a row outside them, `action` is taken.
    """

    metric: str
    low: float = -math.inf
    high: float = math.inf
    patience: int = 1
    action: str = "warn"
    split: str = "valid"

    def told(self, value: float, step: int) -> str:
        """What happened, in words."""
        far = f"below {self.low:g}" if value < self.low else f"above {self.high:g}"
        lines = f" for {self.patience} lines in a row" if self.patience > 1 else ""
        return f"{self.metric} of {self.split} is {value:.4g} at step {step}, {far}{lines}"


Alarm = tuple[Limit, float]  # a limit, and the value that was outside it


def limits(train: ConfigDict, known: Known) -> tuple[Limit, ...]:
    """The limits of `train.watch`.

    Raises: UserError for a metric, a field or an action that does not exist.
    """
    return tuple(_limit(metric, section, train, known) for metric, section in train.watch.items())


def _limit(metric: str, section: ConfigDict, train: ConfigDict, known: Known) -> Limit:
    where, names = f"train.watch.{metric}", [f.name for f in fields(Limit)][1:]
    for key in section:
        if key not in names:
            raise UserError(f"{where}.{key}: no such key.{hint(key, names)}")
    limit = Limit(metric, **section)
    for key, value, among in (("split", limit.split, known), ("action", limit.action, ACTIONS)):
        if value not in among:
            raise UserError(f"{where}.{key}: {value!r}?{hint(value, among)}")
    metrics = known[limit.split]()
    if metric not in metrics:
        near = hint(metric, metrics)
        raise UserError(f"train.watch: no metric {metric!r} of {limit.split}.{near}")
    if limit.patience < 1:
        raise UserError(f"{where}.patience={limit.patience}: take 1 or more.")
    if limit.action == "rollback" and not train.best_metric:
        raise UserError(f"{where}: rollback needs train.best_metric to go back to")
    return limit


def exceeded(
    limits: tuple[Limit, ...], outside: Outside, split: str, numbers: dict[str, Any] | None
) -> tuple[Outside, list[Alarm]]:
    """What a line of metrics does to the counts of `outside`, and the limits whose patience it
    ended, the mildest action first.

    The counts are saved with every checkpoint, so that a resumed run acts as an uninterrupted one
    would have.
    """
    alarms = []
    for limit in limits:
        if not numbers or limit.split != split:
            continue
        value = float(numbers[limit.metric])
        inside = limit.low <= value <= limit.high
        count = 0 if inside else outside.get(limit.metric, 0) + 1
        outside = {**outside, limit.metric: count}
        if count == limit.patience or (count > limit.patience and limit.action != "warn"):
            alarms.append((limit, value))
    return outside, sorted(alarms, key=lambda alarm: ACTIONS.index(alarm[0].action))
