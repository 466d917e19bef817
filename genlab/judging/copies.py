"""Whether images are copies of training images: by their pixels, and by a classifier's features.

In pixels a shifted copy is far away and a smooth image near to everything; in features a copy that
was moved or redrawn stays near. Neither finds every copy. So the held-out real images are measured
beside, and a p-value says whether the set is nearer than they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from tqdm import tqdm

from genlab.data.split import Split
from genlab.metrics import two_sample
from genlab.metrics.two_sample import Nearest

QUERIES = 2000  # images of a set whose nearest training image is searched
PART = 4096  # training images read at once

# Title at the terminal, and unit; the same again with `_features`.
COPIES = {
    "nearest_training": ("distance to nearest", "median, Euclidean"),
    "nearest_training_of_test": ("  of held-out images", "median, Euclidean"),
    "memorisation_p": ("  p-value", "of the set being as far as held-out images"),
    "nearer_training": (
        "nearer to training",
        "share of the set, than to held-out images; 0.5 is fair",
    ),
}
SPACES = {"": "pixels on [0,1]", "_features": "features"}


class Pool(Protocol):
    """Training images, read as they are needed."""

    def __len__(self) -> int: ...

    def images(self, rows: np.ndarray) -> np.ndarray:
        """u8[n,H,W,C] of rows i64[n]."""


@dataclass(frozen=True)
class OfSplit:
    """The images of a split."""

    split: Split

    def __len__(self) -> int:
        return len(self.split)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """See `Pool`."""
        return self.split.read(rows)["image"]


@dataclass(frozen=True)
class OfArray:
    """The images of an array u8[N,H,W,C]."""

    array: np.ndarray

    def __len__(self) -> int:
        return len(self.array)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """See `Pool`."""
        return self.array[rows]


@dataclass(frozen=True)
class Found:
    """The nearest training images of a set, in one space.

    far: f64[N], the distances.
    place: i64[N], which they are.
    ratio: f64[N], the distance to training images over that to as many held-out ones: small for
        what is most like a copy.
    won: f64[N], 1 where a training image is nearer than all of as many held-out ones, 0.5 where
        both are as near.
    """

    far: np.ndarray
    place: np.ndarray
    ratio: np.ndarray
    won: np.ndarray


@dataclass(frozen=True)
class Copies:
    """Of one set: numbers, and {space: nearest training images}."""

    numbers: dict[str, float]
    found: dict[str, Found]


Embed = Callable[[np.ndarray], np.ndarray]  # u8[N,H,W,C] -> f32[N,d]


def search(
    sets: Mapping[str, np.ndarray],
    held_out: np.ndarray,
    pool: Pool,
    some: np.ndarray,
    features: Embed,
    progress: bool = False,
) -> dict[str, Copies]:
    """The copies of each set u8[N,H,W,C]; goes through the training images once.

    held_out: u8[M,H,W,C], real images that are not in the pool.
    some: u8[M,H,W,C], as many of the pool, for a fair race with those held out.
    """
    spaces: dict[str, Embed] = {"": two_sample.flat, "_features": features}
    queries = {name: images[:QUERIES] for name, images in sets.items()}
    queries[""] = held_out[:QUERIES]
    seen = {
        space: {name: Nearest(embed(images)) for name, images in queries.items()}
        for space, embed in spaces.items()
    }
    for part in _parts(pool, progress):
        for space, embed in spaces.items():
            embedded = embed(part)
            for nearest in seen[space].values():
                nearest.see(embedded)
    made: dict[str, Copies] = {name: Copies({}, {}) for name in sets}
    for space, embed in spaces.items():
        race = embed(some), embed(held_out)
        for name in sets:
            found = _found(seen[space][name], *race)
            numbers = _numbers(space, found, seen[space][""].far)
            made[name] = Copies(made[name].numbers | numbers, made[name].found | {space: found})
    return made


def _found(nearest: Nearest, some: np.ndarray, held_out: np.ndarray) -> Found:
    """What is known of a set after all training images, with the race of f32[M,d] of each."""
    to_train, to_held_out = (Nearest(nearest.queries).see(x).far for x in (some, held_out))
    won = (to_train < to_held_out) + 0.5 * (to_train == to_held_out)
    ratio = nearest.far / np.maximum(to_held_out, 1e-6)
    return Found(nearest.far, nearest.place, ratio, won)


def _numbers(space: str, found: Found, of_held_out: np.ndarray) -> dict[str, float]:
    numbers = {
        "nearest_training": float(np.median(found.far)),
        "nearest_training_of_test": float(np.median(of_held_out)),
        "memorisation_p": two_sample.memorisation_test(found.far, of_held_out),
        "nearer_training": float(found.won.mean()),
    }
    return {f"{name}{space}": value for name, value in numbers.items()}


def _parts(pool: Pool, progress: bool) -> Iterator[np.ndarray]:
    starts = range(0, len(pool), PART)
    watched = tqdm(
        starts, desc="copies of training images", unit="part", disable=None if progress else True
    )
    for start in watched:
        yield pool.images(np.arange(start, min(start + PART, len(pool))))
