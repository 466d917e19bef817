"""Experiments: many runs of one config, and a table of what they reached.

An experiment file holds `get_config(arg)` and `sweep(add)`, which calls `add({key: value, ...})`
once for each run; keys are those of the config (`model.code`, `seed`). `METRICS`, if it is there,
names what the pictures show. The key `config` names a file of `configs/` to start from, so that one
table compares families; what a resumed run may change (`eval.`, `sample.`) then comes from the
experiment's own config, and so from the command line. Runs go one after another, each in its own
workdir under the sweep's; a finished run is not repeated, so the same command goes on after a kill.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import statistics
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from genlab.capabilities import Samples
from genlab.errors import RunStopped, log
from genlab.metrics.paired import half_width
from genlab.model import restore
from genlab.modes import compare, evaluate
from genlab.modes.points import Point, configured, name
from genlab.pictures import figures, files
from genlab.training import loop as train
from genlab.workdir import configs as run_configs
from genlab.workdir import lines as json_lines
from genlab.workdir import paths
from genlab.workdir.checkpoint import Checkpoints

SHOWN = 10  # samples of each run


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
        numbers = {k: v for k, v in line.items() if isinstance(v, (int, float)) and k != "step"}
        count = line.get("protocol", {}).get("images", 0)
        errors = line.get("standard_error", {})
        return cls(point, numbers, "", {k: half_width(x, count) for k, x in errors.items()})


def sweep(config: ConfigDict, workdir: str, runs: list[Point], metrics: tuple[str, ...]) -> None:
    """Trains and evaluates every run that is not finished; rewrites the table after each."""
    prepared = [(point, configured(config, point)) for point in runs]  # mistakes before work
    results: list[Result] = []
    for number, (point, own) in enumerate(prepared, 1):
        log.info("run %d of %d: %s", number, len(runs), name(point))
        folder = str(paths.of(workdir) / name(point))
        try:
            results.append(Result.of(point, _run(own, folder)))
        except RunStopped as error:
            results.append(Result(point, {}, str(error)))
        jax.clear_caches()  # programs of other shapes would pile up
        write(paths.of(workdir), results, metrics)
    _draw_curves(paths.of(workdir), results, metrics)
    _draw_samples(paths.of(workdir), results)
    print((paths.of(workdir) / "table.md").read_text(), end="")


def _run(config: ConfigDict, folder: str) -> dict[str, Any]:
    """The evaluation of a run at its end, trained and evaluated as far as needed.

    Raises: Preempted if a signal stopped it on its way.
    """

    def evaluated(step: int) -> dict[str, Any] | None:
        lines = json_lines.read_lines(paths.of(folder) / "eval.jsonl")
        done = [line for line in lines if line["step"] == step]
        return done[-1] if done else None

    line = evaluated(config.train.steps)
    if line is not None:
        run_configs.refuse_another_run(config, folder)
        return line
    train.train(config, folder)
    end = _end(config, folder)
    if evaluated(end) is None:
        evaluate.evaluate_run(config, folder)
    return evaluated(end) or {}


def _end(config: ConfigDict, folder: str) -> int:
    """The step at which a trained run ended: its last one, if not `train.patience` ended it."""
    if not config.train.patience:
        return config.train.steps
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        return checkpoints.choose("latest")


def grouped(results: list[Result]) -> list[tuple[Point, list[Result]]]:
    """Results by their point without the seed, in the order of the first of each."""
    found: dict[str, tuple[Point, list[Result]]] = {}
    for result in results:
        point = {k: v for k, v in result.point.items() if k != "seed"}
        found.setdefault(repr(point), (point, []))[1].append(result)
    return list(found.values())


def moments(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation (of one value: 0)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def write(workdir: epath.Path, results: list[Result], metrics: tuple[str, ...]) -> None:
    """table.csv (mean and deviation over seeds), table.md of the metrics that the experiment names,
    else of all, and figures/sweep.png."""
    groups = grouped(results)
    names = list(dict.fromkeys(itertools.chain(*(r.metrics for r in results))))
    shown = [m for m in metrics if m in names] or names[:1]
    names = shown + [n for n in names if n not in shown]
    keys = list(groups[0][0])
    rows, lines = [], []
    for point, members in groups:
        good = [r for r in members if not r.failure]
        common = [n for n in names if good and all(n in r.metrics for r in good)]
        found = {n: moments([r.metrics[n] for r in good]) for n in common}
        cells = [
            f"{found[n][0]:.4g}" + _spread(good, n, found[n][1])
            if n in found
            else ("" if good else "stopped")  # a family may lack what another has
            for n in names
        ]
        lines.append([*map(str, point.values()), str(len(good)), *cells])
        flat = [x for n in names for x in found.get(n, ("", ""))]
        rows.append([*point.values(), len(good), *flat])
    head = [*keys, "runs", *names]
    if metrics:  # what the experiment asks for is the table to read; the rest is in the other
        kept = len(keys) + 1 + len(shown)
        head, lines = head[:kept], [line[:kept] for line in lines]
    table = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *lines]]
    notes = [f"- {name(r.point)}: {r.failure}" for r in results if r.failure]
    if any(r.halves for r in results):
        notes.append("- In brackets: half of the 95 % interval of a mean over images.")
    notes += _differences(workdir, groups, shown)
    text = "\n".join(table) + "\n" + ("\n" + "\n".join(notes) + "\n" if notes else "")
    json_lines.write_atomically(workdir / "table.md", text)
    both = [x for n in names for x in (n, f"{n}_deviation")]
    csv.writer(sheet := io.StringIO()).writerows([[*keys, "runs", *both], *rows])
    json_lines.write_atomically(workdir / "table.csv", sheet.getvalue())
    _draw(workdir, groups, shown)


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
        good = [r for r in members if not r.failure]
        if good:
            kept[name(good[0].point)] = str(workdir / name(good[0].point))
    return compare.against_the_first(kept, metrics)


def _draw(workdir: epath.Path, groups: list[tuple[Point, list[Result]]], shown: list[str]) -> None:
    """The first swept key along x; a line for each setting of the others."""
    seeds_only = not groups[0][0]
    points: dict[str, dict[str, list[tuple[Any, float, float]]]] = {m: {} for m in shown}
    x = "seed" if seeds_only else next(iter(groups[0][0]))
    for point, members in groups:
        line = ", ".join(f"{k}={v}" for k, v in point.items() if k != x)
        for metric in shown:
            good = [r for r in members if metric in r.metrics]
            if seeds_only:
                found = [(r.point["seed"], r.metrics[metric], 0.0) for r in good]
            else:
                found = [(point[x], *moments([r.metrics[metric] for r in good]))] if good else []
            points[metric].setdefault(line, []).extend(found)
    _compare(points, x, workdir / "figures" / "sweep.png")


def _draw_curves(workdir: epath.Path, results: list[Result], shown: tuple[str, ...]) -> None:
    """figures/curves.png: over the steps, of the validation split, for the first run of each
    setting; of the metrics that training measures."""
    points: dict[str, dict[str, list[tuple[Any, float, float]]]] = {m: {} for m in shown}
    for point, members in grouped(results):
        lines = json_lines.read_lines(workdir / name(members[0].point) / "metrics.jsonl")
        title = ", ".join(map(str, point.values()))
        for metric in shown:
            found = [
                (x["step"], x[metric], 0.0) for x in lines if x["split"] == "valid" and metric in x
            ]
            points[metric][title] = found
    measured = {m: lines for m, lines in points.items() if any(lines.values())}
    _compare(measured, "step", workdir / "figures" / "curves.png")


def _compare(points: dict[str, Any], x: str, path: epath.Path) -> None:
    if any(spots for lines in points.values() for spots in lines.values()):
        files.save(path, figures.Comparison(points, x, {}))


def _short(point: Point) -> list[str]:
    """What tells a run from the others, for a picture: its value, or last names and values."""
    if len(point) == 1:
        return [str(*point.values())]
    return [f"{key.split('.')[-1]} = {value}" for key, value in point.items()]


def _draw_samples(workdir: epath.Path, results: list[Result]) -> None:
    """figures/samples.png: samples of the first run of each setting, where it samples, by the same
    noise where networks allow; and what else their tasks put side by side."""
    sheets: dict[str, list[tuple[str, np.ndarray]]] = {}
    notes = {"samples": "Samples of each, as drawn: none was chosen."}
    for point, members in grouped(results):
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
        if len({images.shape for _, images in rows}) == 1:
            files.save(workdir / "figures" / f"{sheet}.png", figures.ImageRows(rows, notes[sheet]))
