"""Which examples make up a step: a pure function of (seed, step), so that no iterator has state.

A resumed run sees what an uninterrupted one would have seen, from device memory or through Grain
alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np


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


class Rows(Sequence[np.ndarray]):
    """Call number -> i64[steps,B], the examples of each of its steps; -1 stands for padding."""

    def __init__(self, calls: int, rows: Callable[[int], np.ndarray]):
        self.calls, self.rows = calls, rows

    def __len__(self) -> int:
        return self.calls

    def __getitem__(self, call: int) -> np.ndarray:  # type: ignore[override]
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
