"""table.md and table.csv: what the runs of a sweep reached, over seeds."""

from __future__ import annotations

import csv
import io
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from etils import epath

from genlab.sweeps.points import Point, name
from genlab.workdir import lines as json_lines


@dataclass(frozen=True)
class Result:
    """What a run reached: numbers of its evaluation, or why there are none."""

    point: Point
    metrics: dict[str, float]
    failure: str = ""


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
    spread = len(good) > 1
    return [
        f"{found[n][0]:.4g}" + (f" ± {found[n][1]:.2g}" if spread else "") if n in found else ""
        for n in names
    ]
