"""Means over images with their intervals, and differences of two models on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

IMAGE = "image"  # the key of what tells images apart


def standard_error(values: np.ndarray) -> float:
    """Of the mean of f[N]; of a single value 0."""
    values = np.asarray(values, np.float64)
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def half_width(error: float, count: int) -> float:
    """Half of the 95 % interval of a mean of `count` values with that standard error (Student)."""
    return float(stats.t.ppf(0.975, max(count - 1, 1)) * error)


@dataclass(frozen=True)
class Difference:
    """A mean difference over images, with its 95 % interval.

    mean: the first model's minus the second's.
    half: half of the interval.
    count: images.
    """

    mean: float
    half: float
    count: int

    @property
    def none(self) -> bool:
        """Whether the interval holds 0: the images do not tell the two apart."""
        return abs(self.mean) <= self.half

    def __str__(self) -> str:
        """For a table or a terminal."""
        low, high = self.mean - self.half, self.mean + self.half
        text = f"{self.mean:+.4g} (95 % interval {low:+.4g} to {high:+.4g}, {self.count:,} images)"
        return f"{text}: no difference" if self.none else text


def difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Of values f[N] of the same images, pair by pair."""
    each = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    half = half_width(standard_error(each), len(each))
    return Difference(float(each.mean()), half, len(each))


def differences(
    first: dict[str, np.ndarray], second: dict[str, np.ndarray]
) -> dict[str, Difference] | None:
    """{metric: first minus second} of values f[N] of each image; None if they are of other images,
    by what `IMAGE` tells of them."""
    if not np.array_equal(first[IMAGE], second[IMAGE]):
        return None
    shared = [name for name in first if name in second and name != IMAGE]
    return {name: difference(first[name], second[name]) for name in shared}
