"""scikit-learn's digits, which need no download."""

from __future__ import annotations

from typing import Any

import numpy as np

from genlab.data.examples import Example, Examples, Source

TRAIN = 1437  # of 1,797


class _Digits(Examples):
    def __init__(self, split: str, images: np.ndarray, labels: np.ndarray):
        self.split, self.images, self.labels = split, images, labels

    def __len__(self) -> int:
        return len(self.images)

    def read(self, place: int) -> Example:
        return self.images[place], int(self.labels[place])

    def name(self, place: int) -> str:
        return f"digits, {self.split} image {place}"

    def identity(self) -> dict[str, Any]:
        return {"count": len(self), "contents": "scikit-learn"}


def open_digits() -> Source:
    """1,797 real 8x8 digits; the set has no split, so 1,437 train and 360 test in a fixed order."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]  # u8[1797,8,8,1]
    order = np.argsort(np.random.Philox(key=[0, 0]).random_raw(len(images)), kind="stable")
    parts = {"train": order[:TRAIN], "test": order[TRAIN:]}
    splits = {name: _Digits(name, images[rows], found.target[rows]) for name, rows in parts.items()}
    return Source(splits, tuple("0123456789"))
