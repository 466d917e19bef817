"""A split on its way to the devices: resident there as bytes, or streamed from the host."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grain.python as grain
import jax
import jax.numpy as jnp
import numpy as np

from genlab.data.orders import Rows
from genlab.data.split import Split
from genlab.parallel import Replicas

RESIDENT_FILES = 20_000  # more files than that would keep the first step waiting
LANES = 128  # bytes: TPUs copy rows of another length whole before they gather from them
Batch = dict[str, jax.Array]


@dataclass(frozen=True)
class Feed:
    """A split on its way to the devices.

    shared: what lives on every device.
    calls: rows -> the `split` argument of each call; its "mask" is 1.0 for real examples.
    fetch: (shared, one step's part of that argument) -> the batch, inside the compiled call.
    """

    shared: Batch
    calls: Callable[[Rows], Iterator[Batch]]
    fetch: Callable[[Batch, Batch], Batch]


def feed(split: Split, replicas: Replicas, resident_mb: int) -> Feed:
    """Keeps the split on the devices as u8 if it fits in `resident_mb`, else streams it.

    More than RESIDENT_FILES files always stream: they are decoded as they are needed.
    """
    fits = len(split) * math.prod(split.spec.shape) <= resident_mb * 2**20
    few = not split.files or len(split) <= RESIDENT_FILES
    return _resident(split, replicas) if fits and few else _streamed(split, replicas)


def _resident(split: Split, replicas: Replicas) -> Feed:
    batch, own = split.read_marked(np.arange(len(split)))
    shape = batch["image"].shape[1:]
    shared = replicas.replicate({"image": as_rows(batch["image"]), "label": batch["label"]})

    def read(rows: np.ndarray) -> dict[str, np.ndarray]:
        rows = replicas.rows(rows)  # i64[local replicas,steps,B/n]
        places = np.maximum(rows, 0)
        mask = (rows >= 0) & own[places]
        return {"row": places.astype(np.int32), "mask": mask.astype(np.float32)}

    def fetch(shared: Batch, step: Batch) -> Batch:
        images = jnp.take(shared["image"], step["row"], axis=0)  # u8[B,bytes,padded]
        images = images[:, : math.prod(shape)].reshape(-1, *shape)  # u8[B,H,W,C]
        return {"image": images, "label": jnp.take(shared["label"], step["row"], axis=0)}

    def calls(rows: Rows) -> Iterator[Batch]:
        return (replicas.split(read(rows[call])) for call in range(len(rows)))

    return Feed(shared, calls, fetch)


def as_rows(images: np.ndarray) -> np.ndarray:
    """u8[N,H,W,C] -> u8[N,HWC padded to a multiple of LANES]."""
    flat = images.reshape(len(images), -1)
    return np.pad(flat, ((0, 0), (0, -flat.shape[1] % LANES)))


def _streamed(split: Split, replicas: Replicas) -> Feed:
    def read(rows: np.ndarray) -> dict[str, np.ndarray]:
        rows = replicas.rows(rows)  # i64[local replicas,steps,B/n]
        batch, own = split.read_marked(np.maximum(rows, 0))
        return batch | {"mask": ((rows >= 0) & own).astype(np.float32)}

    def calls(rows: Rows) -> Iterator[Batch]:
        stream = grain.MapDataset.source(rows).map(read)
        threads = min(max(os.cpu_count() or 1, 4), 16)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        return map(replicas.split, stream.to_iter_dataset(options))

    def fetch(shared: Batch, step: Batch) -> Batch:
        return {"image": step["image"], "label": step["label"]}

    return Feed({}, calls, fetch)
