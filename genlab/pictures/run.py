"""The pictures that a training leaves in its workdir."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from genlab import data
from genlab.model import Model
from genlab.pictures import figures, files
from genlab.task import SHEET
from genlab.workdir import lines as json_lines
from genlab.workdir import paths


def progress(model: Model, split: data.Split) -> Iterator[tuple[str, np.ndarray]]:
    """Writes samples/step_N.png and yields (name, u8[h,w,3]): what `Task.progress` makes of the
    first images of a split, from the same noise at every step."""
    key = jax.random.fold_in(jax.random.key(model.config.seed), 3)
    batch = split.read(np.arange(min(SHEET, len(split))))
    images = model.task.progress(model, batch, key)
    if images is None:
        return
    path = paths.of(model.workdir) / "samples" / f"step_{model.step:08d}.png"
    yield "samples", files.save_grid(path, images)


def finale(model: Model, split: data.Split) -> Iterator[tuple[str, np.ndarray]]:
    """Writes figures/ at the end of a training and yields (name, u8[h,w,3]) of each: the figures of
    the family on images of a split, the loss curves, and a GIF of the progress sheets."""
    workdir = paths.of(model.workdir)
    key = jax.random.fold_in(jax.random.key(model.config.seed), 4)
    pictures = model.task.pictures(model, split, key)
    lines, metric = json_lines.read_lines(workdir / "metrics.jsonl"), model.task.headline
    label = model.task.units.get(metric, "")
    pictures["loss"] = figures.Curves(lines, (metric,), f"{metric} ({label})" if label else metric)
    for name, picture in pictures.items():
        yield f"figures/{name}", files.save(workdir / "figures" / f"{name}.png", picture)
    sheets = sorted((workdir / "samples").glob("step_" + "[0-9]" * 8 + ".png"))
    if len(sheets) > 1:
        files.save_animation(workdir / "figures" / "progress.gif", sheets)
