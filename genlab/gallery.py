"""The pictures of a run, from a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from genlab import data, figures, report
from genlab.model import Model


def progress(model: Model) -> Iterator[tuple[str, np.ndarray]]:
    """Writes samples/step_N.png, the same noise at every step, and yields (name, u8[h,w,3])."""
    if hasattr(model.task, "sample"):
        key = jax.random.fold_in(jax.random.key(model.config.seed), 3)
        images = model.sample(key, model.config.sample.count)
        path = Path(model.workdir) / "samples" / f"step_{model.step:08d}.png"
        yield "samples", figures.save_grid(path, images)


def finale(model: Model, split: data.Split) -> None:
    """Writes figures/: those of the family, on the first images of a split, and the curves."""
    folder = Path(model.workdir) / "figures"
    if hasattr(model.task, "pictures"):
        images = split.read(np.arange(min(8, len(split))))["image"]
        key = jax.random.fold_in(jax.random.key(model.config.seed), 4)
        for name, (rows, note) in model.task.pictures(model, images, key).items():
            figures.save_rows(folder / f"{name}.png", rows, note)
    lines = report.read_lines(Path(model.workdir) / "metrics.jsonl")
    metric = model.config.train.best_metric or next(iter(model.task.units))
    figures.save_curves(folder / "loss.png", lines, metric, model.task.units.get(metric, metric))
