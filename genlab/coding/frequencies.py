"""Probabilities as integers: floats are rounded once, and integers alone decide from there."""

from __future__ import annotations

import numpy as np

from genlab.errors import UserError

BITS = 24  # a level gets a multiple of 2**-24; 256 levels lose 2e-5 bits of a value


def cumulative(probabilities: np.ndarray) -> np.ndarray:
    """f32[N,K] -> u32[N,K+1], the starts of the K intervals of 2**BITS slots, and their end.

    Every level gets a slot at least; what rounding leaves over goes to the likeliest, or is taken
    from it. Raises UserError for what is no distribution.
    """
    total = 1 << BITS
    scaled = probabilities * np.float32(total)  # exact: a power of two
    if not (scaled >= 0).all() or not (np.abs(scaled.sum(1) / total - 1) < 1e-3).all():
        raise UserError("this model's probabilities do not sum to 1: take another checkpoint.")
    widths = np.maximum(scaled.astype(np.int32), 1)
    rows = np.arange(len(widths))
    widths[rows, widths.argmax(1)] += (total - widths.sum(1)).astype(np.int32)
    starts = np.zeros((len(widths), widths.shape[1] + 1), np.uint32)
    np.cumsum(widths, 1, dtype=np.uint32, out=starts[:, 1:])
    return starts


def intervals(starts: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u32[N,K+1] and i[N] -> the start and width of each value's interval, u32[N] each."""
    rows = np.arange(len(values))
    return starts[rows, values], starts[rows, values + 1] - starts[rows, values]


def uniform(count: int, choices: int) -> np.ndarray:
    """u32[count,choices+1]: `cumulative` of that many equally likely choices."""
    starts = (np.arange(choices + 1, dtype=np.int64) << BITS) // choices
    return np.broadcast_to(starts.astype(np.uint32), (count, choices + 1))
