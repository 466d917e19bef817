"""`--mode=sample`: draws images from a trained run, saved as a picture and as bytes."""

from __future__ import annotations

import time

import jax
from ml_collections import ConfigDict

from genlab.model import restore_for
from genlab.modes.output import Output


def sample(config: ConfigDict, workdir: str, output: str = "") -> None:
    """`sample.count` images as a PNG grid and as `images` in an .npz, under samples/.

    output: a folder to write to in the workdir's stead.
    """
    model, place = restore_for(config, workdir, "sample"), Output(workdir, output)
    place.check()
    began = time.monotonic()
    images = model.sample(jax.random.key(config.sample.seed), config.sample.count, progress=True)
    name = f"samples/{file_name(config, model.step)}"
    grid, array = place.grid(f"{name}.png", images), place.array(f"{name}.npz", images=images)
    seconds = time.monotonic() - began
    print(f"{len(images)} samples in {seconds:.1f} s, compilation included")
    print(f"grid: {grid}\nu8 array 'images': {array}")


def file_name(config: ConfigDict, step: int) -> str:
    """A name that says what was asked for, so that one request does not overwrite another."""
    asked = config.sample
    parts = [f"step_{step:08d}", f"seed_{asked.seed}", f"count_{asked.count}"]
    if asked.method != "auto":
        parts.append(asked.method)
    if asked.temperature != 1.0:
        parts.append(f"temperature_{asked.temperature:g}")
    if config.eval.weights != "ema":
        parts.append(config.eval.weights)
    return "_".join(parts)
