"""`--mode=sample`: images of a trained run, as a picture and as bytes."""

from __future__ import annotations

import time

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab.model import restore
from genlab.pictures import figures
from genlab.workdir import paths


def sample(config: ConfigDict, workdir: str) -> None:
    """`sample.count` images as a PNG grid and as `images` in an .npz, under samples/."""
    model = restore(workdir, config.eval.step, config.eval.weights).with_config(config)
    began = time.monotonic()
    images = model.sample(jax.random.key(config.sample.seed), config.sample.count, progress=True)
    folder, name = paths.of(workdir) / "samples", file_name(config, model.step)
    figures.save_grid(folder / f"{name}.png", images)
    with (folder / f"{name}.npz").open("wb") as file:
        np.savez_compressed(file, images=images)
    seconds = time.monotonic() - began
    print(f"{len(images)} samples in {seconds:.1f} s, compilation included")
    print(f"grid: {folder / name}.png\nu8 array 'images': {folder / name}.npz")


def file_name(config: ConfigDict, step: int) -> str:
    """A name that says what was asked for, so that one request does not overwrite another."""
    asked, parts = config.sample, [f"step_{step:08d}", f"seed_{config.sample.seed}"]
    if asked.method != "auto":
        parts.append(asked.method)
    if asked.temperature != 1.0:
        parts.append(f"temperature_{asked.temperature:g}")
    if config.eval.weights != "ema":
        parts.append(config.eval.weights)
    return "_".join(parts)
