"""Random search: points drawn from distributions by a seed.

    def sweep(add):
        settings = {"optim.learning_rate": log_uniform(1e-4, 1e-2), "model.code": one_of(2, 8, 32)}
        for point in draw(settings, count=20, seed=0):
            add(point)

A draw depends on the seed, its number and its key alone: a larger count adds points, another key
changes no other's draws, and the same file gives the same sweep on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from genlab.errors import UserError
from genlab.sweeps.points import Point

Distribution = Callable[[np.random.Generator], Any]
DIGITS = 4  # of a drawn float: it names a folder


def draw(settings: Mapping[str, Distribution], count: int, seed: int = 0) -> Iterator[Point]:
    """`count` points, each with a draw for every key."""
    for number in range(count):
        yield {key: how(_generator(seed, number, key)) for key, how in settings.items()}


def _generator(seed: int, number: int, key: str) -> np.random.Generator:
    own = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number, own])))


def uniform(low: float, high: float) -> Distribution:
    """Floats between two."""
    _check(low < high, f"uniform({low}, {high})")
    return lambda random: _rounded(low + (high - low) * random.random())


def log_uniform(low: float, high: float) -> Distribution:
    """Floats between two, whose logarithm is uniform: for rates."""
    _check(0 < low < high, f"log_uniform({low}, {high})")
    return lambda random: _rounded(low * (high / low) ** random.random())


def whole(low: int, high: int) -> Distribution:
    """Whole numbers from `low` to `high`, both among them."""
    _check(low <= high, f"whole({low}, {high})")
    return lambda random: int(random.integers(low, high, endpoint=True))


def one_of(*values: Any) -> Distribution:
    """One of a few values."""
    _check(bool(values), "one_of()")
    return lambda random: values[random.integers(len(values))]


def _check(holds: bool, given: str) -> None:
    if not holds:
        raise UserError(f"the experiment draws from {given}, which holds nothing.")


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
