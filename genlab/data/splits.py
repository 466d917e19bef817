"""Splits of images, and the batch at a step.

The batch at a step is a pure function of (seed, step): no iterator has state, so a resumed run
sees what an uninterrupted one would have seen, from device memory or through Grain alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import grain.python as grain
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from genlab.data.sources import Example, Source, open_source
from genlab.errors import UserError
from genlab.parallel import Replicas
from genlab.task import Spec

HELD_OUT = 10  # a set without a validation split lends one example in ten of its training split


@functools.lru_cache(maxsize=4)
def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """i64[n], the order of an epoch: a permutation that every machine and version agrees on."""
    return np.argsort(np.random.Philox(key=[seed, epoch]).random_raw(n), kind="stable")


def batch_rows(seed: int, step: int, batch_size: int, n: int) -> np.ndarray:
    """i64[B]: the examples of a step. Epochs follow one another with no example dropped."""
    places = step * batch_size + np.arange(batch_size)
    epochs = places // n
    rows = np.empty(batch_size, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = order(seed, int(epoch), n)[places[here] % n]
    return rows


@dataclass(frozen=True)
class Split:
    """Examples in their canonical order, each fitted to one shape.

    name: as written to metrics.  parts: the sequences they come from.  rows: i64[N,2], which part
    and which example of it.  size, channels: wanted, 0 for native.  upscale: whether smaller
    images may be enlarged.
    """

    name: str
    parts: tuple[Sequence[Example], ...]
    rows: np.ndarray = field(repr=False)
    size: int
    channels: int
    upscale: bool

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Example:
        part, place = self.rows[row]
        image, label = self.parts[part][place]
        return fit(image, self.size, self.channels, self.upscale), label

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """{"image": u8[...,H,W,C], "label": i32[...]} for rows of any shape."""
        examples = [self[row] for row in rows.ravel()]
        shapes = {image.shape for image, _ in examples}
        if len(shapes) > 1:
            raise UserError(
                f"data.image_size=0 keeps native sizes, but they differ ({sorted(shapes)[0]},"
                f" {sorted(shapes)[-1]}); set data.image_size and data.channels."
            )
        images = np.stack([image for image, _ in examples])
        labels = np.array([label for _, label in examples], np.int32)
        return {
            "image": images.reshape(*rows.shape, *images.shape[1:]),
            "label": labels.reshape(rows.shape),
        }


def fit(image: np.ndarray, size: int, channels: int, upscale: bool) -> np.ndarray:
    """u8[h,w,c] -> u8[H,W,C]: colours converted, shorter side resized, centre cropped."""
    if channels and channels != image.shape[-1]:
        mode = "L" if channels == 1 else "RGB"
        image = np.asarray(
            Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).convert(mode)
        )
        image = image.reshape(*image.shape[:2], channels)
    height, width, depth = image.shape
    if not size or (height == size and width == size):
        return image
    short = min(height, width)
    if short < size and not upscale:
        raise UserError(
            f"an image is {height}x{width}, smaller than data.image_size={size};"
            " ask for less, or set data.upscale."
        )
    left, top = (width - short) // 2, (height - short) // 2
    picture = Image.fromarray(image.squeeze(-1) if depth == 1 else image)
    box = (left, top, left + short, top + short)
    resized = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized).reshape(size, size, depth)


@dataclass(frozen=True)
class Data:
    """The splits of a run, and their shape and classes."""

    train: Split
    valid: Split
    test: Split
    spec: Spec


def load(config: ConfigDict) -> Data:
    """The data of a config's `data` section.

    Where `valid_split` is "" and the set has no split `validation`, one training example in ten,
    the same ones for every seed, is held out of `train_split`.
    """
    if config.batch_size < 1:
        raise UserError(f"data.batch_size={config.batch_size}: take 1 or more.")
    if config.channels not in (0, 1, 3):
        raise UserError(f"data.channels={config.channels}: take 1, 3, or 0 for the set's own.")
    source = open_source(config)
    parts = tuple(source.splits.values())

    def split(name: str, rows: np.ndarray) -> Split:
        return Split(name, parts, rows, config.image_size, config.channels, config.upscale)

    train_rows = _select(source, config.train_split, "train_split")
    if config.valid_split or "validation" in source.splits:
        valid_rows = _select(source, config.valid_split or "validation", "valid_split")
        if set(map(tuple, train_rows)) & set(map(tuple, valid_rows)):
            raise UserError(
                f"data.valid_split={config.valid_split!r} overlaps"
                f" data.train_split={config.train_split!r}; make them disjoint."
            )
    else:
        held_out = np.zeros(len(train_rows), bool)
        held_out[order(0, 0, len(train_rows))[: max(len(train_rows) // HELD_OUT, 1)]] = True
        train_rows, valid_rows = train_rows[~held_out], train_rows[held_out]
    test_rows = _select(source, config.eval_split, "eval_split")
    train = split("train", train_rows)
    return Data(
        train,
        split("valid", valid_rows),
        split(config.eval_split, test_rows),
        Spec(tuple(train[0][0].shape), source.classes),
    )


def _select(source: Source, text: str, key: str) -> np.ndarray:
    """i64[N,2], (part, place) of the examples that a split in TFDS syntax names."""
    import tensorflow_datasets as tfds

    infos = {
        name: tfds.core.SplitInfo(name=name, shard_lengths=[len(examples)], num_bytes=0)
        for name, examples in source.splits.items()
    }
    try:
        slices = tfds.core.ReadInstruction.from_spec(text).to_absolute(infos)
    except (ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"data.{key}={text!r}: {reason}.") from None
    names = list(source.splits)
    rows = [
        (names.index(s.splitname), place)
        for s in slices
        for place in range(len(source.splits[s.splitname]))[s.from_ : s.to]
    ]
    if not rows:
        raise UserError(f"data.{key}={text!r} selects no image.")
    return np.array(rows, np.int64)


class Rows(Sequence[np.ndarray]):
    """Call number -> i64[steps,B], the examples of each of its steps; -1 stands for padding."""

    def __init__(self, calls: int, rows: Callable[[int], np.ndarray]):
        self.calls, self.rows = calls, rows

    def __len__(self) -> int:
        return self.calls

    def __getitem__(self, call: int) -> np.ndarray:
        return self.rows(call)


def training_rows(seed: int, batch_size: int, n: int, start: int, stop: int, scan: int) -> Rows:
    """The calls from step `start` to `stop`, each of `scan` steps."""

    def rows(call: int) -> np.ndarray:
        first = start + call * scan
        return np.stack([batch_rows(seed, first + i, batch_size, n) for i in range(scan)])

    return Rows((stop - start) // scan, rows)


def evaluation_rows(batch_size: int, n: int) -> Rows:
    """Every example once, in order, one batch a call, the last one padded."""

    def rows(call: int) -> np.ndarray:
        found = np.arange(call * batch_size, (call + 1) * batch_size)
        return np.where(found < n, found, -1)[None]

    return Rows(-(-n // batch_size), rows)


@dataclass(frozen=True)
class Feed:
    """A split on its way to the devices.

    shared: what lives on every device.
    calls: rows -> the `split` argument of each call; its "mask" is 1.0 for real examples.
    fetch: (shared, one step's part of that argument) -> the batch, inside the compiled call.
    """

    shared: dict[str, jax.Array]
    calls: Callable[[Rows], Iterator[dict[str, jax.Array]]]
    fetch: Callable[[dict[str, jax.Array], dict[str, jax.Array]], dict[str, jax.Array]]


def feed(split: Split, replicas: Replicas, resident_mb: int) -> Feed:
    """Keeps the split on the devices as u8 if it fits in `resident_mb`, else streams it."""
    resident = len(split) * split[0][0].nbytes <= resident_mb * 2**20
    shared = replicas.replicate(split.read(np.arange(len(split)))) if resident else {}

    def read(rows: np.ndarray) -> dict[str, np.ndarray]:
        rows = replicas.rows(rows)  # i64[local replicas,steps,B/n]
        mask, rows = (rows >= 0).astype(np.float32), np.maximum(rows, 0)
        found = {"row": rows.astype(np.int32)} if resident else split.read(rows)
        return found | {"mask": mask}

    def calls(rows: Rows) -> Iterator[dict[str, jax.Array]]:
        if resident:
            return (replicas.split(read(rows[call])) for call in range(len(rows)))
        stream = grain.MapDataset.source(rows).map(read)
        options = grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)
        return map(replicas.split, stream.to_iter_dataset(options))

    def fetch(shared: dict[str, jax.Array], step: dict[str, jax.Array]) -> dict[str, jax.Array]:
        if resident:
            return {name: jnp.take(x, step["row"], axis=0) for name, x in shared.items()}
        return {"image": step["image"], "label": step["label"]}

    return Feed(shared, calls, fetch)
