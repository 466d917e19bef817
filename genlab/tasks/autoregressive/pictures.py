"""The pictures of the family: receptive fields, one-step predictions, completions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from genlab.likelihoods.levels import dequantise, quantise
from genlab.nn.apply import outputs_of
from genlab.pictures.figures import ImageRows, Picture
from genlab.state import State, Tree
from genlab.task import PLAYER

if TYPE_CHECKING:
    from genlab.data.splits import Split
    from genlab.model import Model
    from genlab.tasks.autoregressive.task import Task

FIELD = "White: read by the yellow pixel. Red: before it, but never read. Black: after it."
SHOWN = 8  # images in a row


def receptive_fields(task: Task, state: State) -> np.ndarray:
    """u8[3,H,W,3]: the pixels on which the distributions of three pixels of the middle row depend.

    They are measured by gradients at random images. White pixels are read, red ones come before and
    are not read, black ones come after. With several orders they are those of the usual one.
    """
    height, width, _ = task.shape
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (4, *task.shape))
    context = task.context(task.condition.no_labels(4))
    order = np.arange(height * width).reshape(height, width, 1)
    rank = np.argsort(task.network.order(order))

    @jax.jit
    def slope(params: Tree, x: jax.Array, row: int, column: int) -> jax.Array:
        def weighted(x: jax.Array) -> jax.Array:
            outputs = outputs_of(task.network, params, x, context)[:, row, column]
            return (outputs * jax.random.normal(keys[1], outputs.shape)).sum()

        return jax.grad(weighted)(x)

    def field(row: int, column: int) -> np.ndarray:
        read = np.abs(slope(state.params[PLAYER], x, row, column)).max((0, 3)) > 0  # bool[H,W]
        picture = np.zeros((height, width, 3), np.uint8)
        picture[(rank < rank[row * width + column]).reshape(height, width)] = (190, 40, 40)
        picture[read] = 255
        picture[row, column] = (250, 200, 0)
        return picture

    fields = np.stack([field(height // 2, width * part // 4) for part in (1, 2, 3)])
    return task.orders.symmetry.undo(fields)


def receptive_field(task: Task, state: State) -> Picture:
    """The fields of three pixels of the middle row."""
    return ImageRows([("receptive\nfield", receptive_fields(task, state))], FIELD)


def of_images(task: Task, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
    """One-step predictions and completions of images of a split."""
    levels = task.predictor.levels
    batch = split.read(np.arange(min(SHOWN, len(split))))
    images = np.asarray(dequantise(quantise(batch["image"], levels), levels))
    return {
        "one_step_prediction": _predictions(model, images, batch["label"]),
        "completions": _completions(task, model, images, batch["label"], key),
    }


def _predictions(model: Model, images: np.ndarray, labels: np.ndarray) -> Picture:
    predicted = model.apply("predict", images, labels)
    return ImageRows(
        [("original", images), ("one-step\nprediction", predicted)],
        "Each pixel's mean given the true pixels before it: prediction, not generation.",
    )


def _completions(
    task: Task, model: Model, images: np.ndarray, labels: np.ndarray, key: jax.Array
) -> Picture:
    height = images.shape[1]
    upper = np.zeros((1, *images.shape[1:]), bool)
    upper[:, : height // 2] = True
    first = task.orders.symmetry.undo(upper)[0]  # bool[H,W,C]: what comes first in the usual order
    rows = [("original", images), ("given", np.where(first, images, 64))]
    for i in range(3):
        drawn = model.complete(jax.random.fold_in(key, i), images, first, labels=labels)
        rows.append((f"completion {i + 1}", drawn))
    half = "upper" if task.orders.usual == "identity" else "first"
    return ImageRows(rows, f"The {half} half is given; the other half is drawn pixel by pixel.")
