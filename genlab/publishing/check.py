"""What an entry is checked by: a few images, what the model says of them, and its samples."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import jax
import numpy as np
from etils import epath

from genlab import parallel
from genlab.capabilities import HasLogProb, Samples
from genlab.model import Model

IMAGES, SAMPLES = 8, 16
FILE = "check.npz"


def measured(model: Model, images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """{metric: f32[N]} that the task evaluates of images u8[N,H,W,C], labels i32[N]."""
    run = parallel.on_one_device(model.task.evaluate)
    found = run(model.state, {"image": images, "label": labels}, jax.random.key(0))
    return {name: np.asarray(x) for name, x in found.items() if x.ndim == 1}


def sampled(model: Model) -> tuple[np.ndarray | None, dict[str, Any]]:
    """u8[16,H,W,C] by key 0, none chosen, where the family samples; with their digest, and a number
    that other versions of JAX find again though single pixels may differ."""
    if not isinstance(model.task, Samples):
        return None, {}
    images = model.sample(jax.random.key(0), SAMPLES)
    metric = {"mean_grey": float(images.mean())}
    if isinstance(model.task, HasLogProb) and not model.task.condition:
        metric = {"log_prob": float(model.log_prob(images).mean())}
    sha256 = hashlib.sha256(images.tobytes()).hexdigest()
    return images, {"count": SAMPLES, "key": 0, "sha256": sha256, **metric}


def write(folder: epath.Path, model: Model, images: np.ndarray, labels: np.ndarray) -> None:
    """Keeps images with what the model says of each."""
    packed = io.BytesIO()
    of_images = {f"metric/{name}": x for name, x in measured(model, images, labels).items()}
    np.savez_compressed(packed, images=images, labels=labels, **of_images)  # type: ignore[arg-type]
    (folder / FILE).write_bytes(packed.getvalue())


def differences(folder: epath.Path, model: Model) -> dict[str, float]:
    """{metric: the largest difference from what was kept, over the larger of 1 and its size}."""
    with np.load(io.BytesIO((folder / FILE).read_bytes())) as kept:
        found = measured(model, kept["images"], kept["labels"])
        wanted = {name: kept[f"metric/{name}"] for name in found}
    return {
        name: float(np.max(np.abs(x - wanted[name]) / np.maximum(1.0, np.abs(wanted[name]))))
        for name, x in found.items()
    }
