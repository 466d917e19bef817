"""Curves of metrics, thinned to what a page can hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from genlab.pages.record import Record

POINTS = 100_000  # of all curves of a page: about 1.5 MB
FEWEST, MOST = 40, 1000  # points of one curve
SPLITS = ("train", "valid")
MARKED = ("resume", "watch", "rollback", "preempted", "not_finite")  # events drawn into curves


def curves(records: Sequence[Record]) -> dict[str, Any]:
    """For JSON: {"first": metric, "runs": [{name, epochs, marks}],
    "curves": [{run, metric, split, x, y, thinned}]}.

    epochs: in a step.
    x: steps.
    """
    found = [
        (number, metric, split, points)
        for number, record in enumerate(records)
        for (metric, split), points in _series(record).items()
    ]
    share = min(max(POINTS // max(len(found), 1), FEWEST), MOST)
    runs = [{"name": r.name, "epochs": _epochs(r), "marks": _marks(r)} for r in records]
    return {
        "first": _first(records),
        "runs": runs,
        "curves": [_curve(*each, share) for each in found],
    }


def _series(record: Record) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """{(metric, split): [(step, value)]} of the metrics that are finite numbers."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for line in record.metrics:
        for name, value in line.items():
            if name in ("step", "epoch", "split") or not isinstance(value, (int, float)):
                continue
            if math.isfinite(value):
                key = name, str(line.get("split", "train"))
                found.setdefault(key, []).append((line["step"], value))
    return found


def _curve(
    number: int, metric: str, split: str, points: list[tuple[int, float]], share: int
) -> dict[str, Any]:
    kept = thinned(points, share)
    x, y = zip(*kept, strict=True)
    return {
        "run": number, "metric": metric, "split": split, "x": x,
        "y": [float(f"{value:.6g}") for value in y], "thinned": len(kept) < len(points),
    }  # fmt: skip


def thinned(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most so many points: the lowest and the highest of each stretch, and both ends, so that no
    spike is lost."""
    if len(points) <= most:
        return points
    values, kept = np.array([y for _, y in points]), {0, len(points) - 1}
    for part in np.array_split(np.arange(len(points)), (most - 2) // 2):
        kept |= {int(part[values[part].argmin()]), int(part[values[part].argmax()])}
    return [points[i] for i in sorted(kept)]


def _epochs(record: Record) -> float | None:
    last = record.metrics[-1] if record.metrics else {}
    return last["epoch"] / last["step"] if last.get("step") and last.get("epoch") else None


def _marks(record: Record) -> list[list[Any]]:
    """[step, event] of what befell the run."""
    return [[x["step"], x["event"]] for x in record.events if x["event"] in MARKED]


def _first(records: Sequence[Record]) -> str:
    """The metric that a page shows first: the headline of most runs, "" without one."""
    named = Counter(name for record in records if (name := record.headline))
    return named.most_common(1)[0][0] if named else ""
