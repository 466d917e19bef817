"""The pictures of GANs: images along lines between latents, and the curves of both players."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from genlab.pictures import codes
from genlab.pictures.figures import Curves, Picture
from genlab.workdir import lines as json_lines
from genlab.workdir import paths

if TYPE_CHECKING:
    from genlab.model import Model

CURVES = {
    "players": (("discriminator_loss", "generator_loss"), "loss"),
    "accuracy": (("accuracy_real", "accuracy_fake"), "accuracy of the discriminator"),
}


def of_run(model: Model, ends: jax.Array, on_sphere: bool) -> dict[str, Picture]:
    """Images generated between pairs of latents f32[2P,d], and curves of both players."""
    every = json_lines.read_lines(paths.of(model.workdir) / "metrics.jsonl")
    lines = [line for line in every if line["split"] == "train"]
    between = codes.between(model, np.asarray(ends), on_sphere)
    return between | {name: Curves(lines, *what) for name, what in CURVES.items()}
