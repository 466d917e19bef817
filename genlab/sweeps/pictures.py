"""Figures of a sweep: metrics against a swept key, against steps, and samples side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from genlab.capabilities import Samples
from genlab.model import restore
from genlab.pictures import figures, files
from genlab.sweeps.points import Point, name
from genlab.sweeps.table import Result, grouped, moments, shown
from genlab.workdir import lines as json_lines

SHOWN = 10  # samples of each run
Lines = dict[str, list[tuple[Any, float, float]]]  # {line: [(x, mean, deviation)]}


def draw_metrics(workdir: epath.Path, results: Sequence[Result], metrics: tuple[str, ...]) -> None:
    """figures/sweep.png: the first swept key along x; a line for each setting of the others."""
    groups, names = _told_apart(results), shown(results, metrics)
    seeds_only = not groups[0][0]
    points: dict[str, Lines] = {m: {} for m in names}
    x = "seed" if seeds_only else next(iter(groups[0][0]))
    for point, members in groups:
        line = ", ".join(f"{k}={v}" for k, v in point.items() if k != x)
        for metric in names:
            good = [r for r in members if metric in r.metrics]
            if seeds_only:
                found = [(r.point["seed"], r.metrics[metric], 0.0) for r in good]
            else:
                found = [(point[x], *moments([r.metrics[metric] for r in good]))] if good else []
            points[metric].setdefault(line, []).extend(found)
    _compare(points, x, workdir / "figures" / "sweep.png")


def draw_curves(workdir: epath.Path, results: Sequence[Result], metrics: tuple[str, ...]) -> None:
    """figures/curves.png: over the steps, of the validation split, for the first run of each
    setting; of the metrics that training measures."""
    points: dict[str, Lines] = {m: {} for m in metrics}
    for point, members in _told_apart(results):
        lines = json_lines.read_lines(workdir / name(members[0].point) / "metrics.jsonl")
        title = ", ".join(map(str, point.values()))
        for metric in metrics:
            points[metric][title] = [
                (x["step"], x[metric], 0.0) for x in lines if x["split"] == "valid" and metric in x
            ]
    measured = {m: lines for m, lines in points.items() if any(lines.values())}
    _compare(measured, "step", workdir / "figures" / "curves.png")


def _compare(points: dict[str, Lines], x: str, path: epath.Path) -> None:
    if any(spots for lines in points.values() for spots in lines.values()):
        files.save(path, figures.Comparison(points, x, {}))


def draw_samples(workdir: epath.Path, results: Sequence[Result]) -> None:
    """figures/samples.png: samples of the first run of each setting, where it samples, by the same
    noise where networks allow; and what else their tasks put side by side."""
    sheets: dict[str, list[tuple[str, np.ndarray]]] = {}
    notes = {"samples": "Samples of each, as drawn: none was chosen."}
    for point, members in _told_apart(results):
        good = [r for r in members if not r.failure]
        if not good:
            continue
        model = restore(str(workdir / name(good[0].point)))
        title = "\n".join(_short(point)) or "run"
        if isinstance(model.task, Samples):
            images = model.sample(jax.random.key(0), SHOWN)
            sheets.setdefault("samples", []).append((title, images))
        for sheet, (images, note) in model.task.side_by_side(model.state).items():
            sheets.setdefault(sheet, []).append((title, images))
            notes[sheet] = note
    for sheet, rows in sheets.items():
        if len({images.shape for _, images in rows}) == 1 and jax.process_index() == 0:
            picture = figures.ImageRows(rows, notes[sheet])
            files.save(workdir / "figures" / f"{sheet}.png", picture)


def _told_apart(results: Sequence[Result]) -> list[tuple[Point, list[Result]]]:
    """As `grouped`, each point without what is the same in all of several."""
    groups = grouped(results)
    if len(groups) == 1:
        return groups
    first, *others = (point for point, _ in groups)
    same = {key for key, value in first.items() if all(other[key] == value for other in others)}
    return [({k: v for k, v in p.items() if k not in same}, members) for p, members in groups]


def _short(point: Point) -> list[str]:
    """What tells a run from the others, for a picture: its value, or last names and values."""
    if len(point) == 1:
        return [str(*point.values())]
    return [f"{key.split('.')[-1]} = {value}" for key, value in point.items()]
