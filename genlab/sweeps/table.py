"""table.md and table.csv: what the runs of a sweep reached, over seeds."""

from __future__ import annotations

import csv
import io
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from etils import epath

from genlab.metrics.paired import half_width
from genlab.modes import compare
from genlab.sweeps.books import numbers
from genlab.sweeps.points import Point, name
from genlab.workdir import lines as json_lines


@dataclass(frozen=True)
class Result:
    """What a run reached: numbers of its evaluation, or why there are none.

    halves: of the 95 % intervals of those that are means over images.
    """

    point: Point
    metrics: dict[str, float]
    failure: str = ""
    halves: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, point: Point, line: dict[str, Any]) -> Result:
        """Of a line of eval.jsonl."""
        count = line.get("protocol", {}).get("images", 0)
        errors = line.get("standard_error", {})
        halves = {name: half_width(error, count) for name, error in errors.items()}
        return cls(point, numbers(line), "", halves)


def grouped(results: Sequence[Result]) -> list[tuple[Point, list[Result]]]:
    """Results by their point without the seed, in the order of the first of each."""
    found: dict[str, tuple[Point, list[Result]]] = {}
    for result in results:
        point = {k: v for k, v in result.point.items() if k != "seed"}
        found.setdefault(repr(point), (point, []))[1].append(result)
    return list(found.values())


def moments(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation (of one value: 0)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def shown(results: Sequence[Result], metrics: tuple[str, ...]) -> list[str]:
    """The metrics of the table and the pictures: those that the experiment names, else the first
    of the evaluation."""
    names = measured(results)
    return [m for m in metrics if m in names] or names[:1]


def measured(results: Sequence[Result]) -> list[str]:
    """All metrics that any of the runs has."""
    return list(dict.fromkeys(itertools.chain(*(r.metrics for r in results))))


def write(workdir: epath.Path, results: Sequence[Result], metrics: tuple[str, ...]) -> None:
    """table.csv (mean and deviation over seeds), and table.md of the metrics that the experiment
    names, else of all."""
    first = shown(results, metrics)
    names = first + [n for n in measured(results) if n not in first]
    table = Table(grouped(results), names)
    text = table.markdown(len(first) if metrics else len(names))
    notes = [f"- {name(r.point)}: {r.failure}" for r in results if r.failure]
    if any(r.halves for r in results):
        notes.append("- In brackets: half of the 95 % interval of a mean over images.")
    notes += _differences(workdir, table.groups, first)
    text += "\n" + "\n".join(notes) + "\n" if notes else ""
    json_lines.write_atomically(workdir / "table.md", text)
    json_lines.write_atomically(workdir / "table.csv", table.sheet())


@dataclass(frozen=True)
class Table:
    """A row for each group of results, a column for each swept key and each metric."""

    groups: list[tuple[Point, list[Result]]]
    names: list[str]

    def markdown(self, count: int) -> str:
        """With the first `count` metrics: what the experiment asks for is the table to read."""
        names = self.names[:count]
        head = [*self.groups[0][0], "runs", *names]
        rows = [
            [*map(str, point.values()), str(len(_good(members))), *_cells(members, names)]
            for point, members in self.groups
        ]
        return "".join("| " + " | ".join(x) + " |\n" for x in [head, ["---"] * len(head), *rows])

    def sheet(self) -> str:
        """With all of them, and their deviations, as CSV."""
        both = [x for n in self.names for x in (n, f"{n}_deviation")]
        rows: list[list[Any]] = [[*self.groups[0][0], "runs", *both]]
        for point, members in self.groups:
            found = _found(members, self.names)
            numbers = [x for n in self.names for x in found.get(n, ("", ""))]
            rows.append([*point.values(), len(_good(members)), *numbers])
        csv.writer(sheet := io.StringIO()).writerows(rows)
        return sheet.getvalue()


def _good(members: list[Result]) -> list[Result]:
    return [r for r in members if not r.failure]


def _found(members: list[Result], names: list[str]) -> dict[str, tuple[float, float]]:
    """Of the metrics that all of a group have; a family may lack what another has."""
    good = _good(members)
    common = [n for n in names if good and all(n in r.metrics for r in good)]
    return {n: moments([r.metrics[n] for r in good]) for n in common}


def _cells(members: list[Result], names: list[str]) -> list[str]:
    good, found = _good(members), _found(members, names)
    if not good:
        return ["stopped"] * len(names)
    return [
        f"{found[n][0]:.4g}{_spread(good, n, found[n][1])}" if n in found else "" for n in names
    ]


def _spread(results: list[Result], metric: str, deviation: float) -> str:
    """Over seeds the deviation; of a single run half of the interval over images, if known."""
    if len(results) > 1:
        return f" ± {deviation:.2g}"
    half = results[0].halves.get(metric)
    return f" (± {half:.2g})" if half else ""


def _differences(
    workdir: epath.Path, groups: list[tuple[Point, list[Result]]], metrics: list[str]
) -> list[str]:
    """The first run of each setting against that of the first, on the same images."""
    kept = {}
    for _, members in groups:
        if good := _good(members):
            kept[name(good[0].point)] = str(workdir / name(good[0].point))
    return compare.against_the_first(kept, metrics)
