"""Normal distributions over buckets of equal mass under N(0, 1), in integers.

A latent is coded as the number of its bucket. Under the prior all buckets are equally likely;
under a posterior a bucket has the mass between its edges, from a table of the normal distribution
function that is made and interpolated by integers alone. Edges are floats, but those are only
subtracted, divided and truncated, which every machine does alike and which keeps their order; so
the starts of the intervals increase strictly, whatever the mean and deviation.

Source: Townsend et al., "Practical lossless compression with latent variables using bits back
coding", arXiv 1901.04866, section 2.5.1 (buckets of equal prior mass).
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from typing import Any

import numpy as np

from genlab.coding.rans import Stack

BUCKETS = 14  # bits of a bucket's number
BITS = 28  # of slots, so that the slot that each bucket is sure of takes 2**-14 of them all
REACH = 8  # deviations either way, beyond which nothing is left
STEPS = 2**14  # of the table in a deviation; a bucket in the middle is 2.5 of them
PARTS = 14  # bits of a place between two steps, so that buckets keep equal masses
SCALE = 32  # bits of the table's values
SPREAD = (1 << BITS) - (1 << BUCKETS)  # the slots that follow the density
LAST = (2 * REACH * STEPS << PARTS) - 1  # the last place
FIXED = 160  # bits behind the point while the table is made


def _exponential(halves: int) -> int:
    """exp(-halves / (2 * STEPS**2)) as an integer of FIXED bits behind the point."""
    term = total = 1 << FIXED
    for n in range(1, 30):
        term = -term * halves // (2 * STEPS**2 * n)
        total += term
    return total


@functools.cache
def table() -> np.ndarray:
    """i64[2*REACH*STEPS+1]: 2**SCALE times the distribution function from -REACH to REACH.

    Its densities follow from one another, exp(-(k+1)**2 h) = exp(-k**2 h) exp(-(2k+1) h).
    """
    density, ratio, square = 1 << FIXED, _exponential(1), _exponential(2)
    one_side = []
    for _ in range(REACH * STEPS + 1):
        one_side.append(density >> (FIXED - SCALE))
        density = density * ratio >> FIXED
        ratio = ratio * square >> FIXED
    half = np.array(one_side, np.int64)
    both = np.concatenate([half[:0:-1], half])  # at the edges of the steps
    mass = np.concatenate([[0], np.cumsum(both[1:] + both[:-1])])  # trapezoids
    return np.array([(int(m) << SCALE) // int(mass[-1]) for m in mass], np.int64)


def _quantiles(masses: np.ndarray) -> np.ndarray:
    """f64[N]: where the distribution function is i64[N] of 2**SCALE."""
    above = np.searchsorted(table(), masses)
    low, high = table()[above - 1], table()[above]
    return (above - 1 + (masses - low) / (high - low)) / STEPS - REACH


@functools.cache
def edges() -> np.ndarray:
    """f64[2**BUCKETS+1]: where the buckets begin and end; the first and last are open."""
    inner = _quantiles(np.arange(1, 1 << BUCKETS) << (SCALE - BUCKETS))
    return np.concatenate([[-2.0 * REACH], inner, [2.0 * REACH]])


@functools.cache
def centres() -> np.ndarray:
    """f32[2**BUCKETS]: the median of each bucket, which is what the decoder is given."""
    return _quantiles((2 * np.arange(1 << BUCKETS) + 1) << (SCALE - BUCKETS - 1)).astype(np.float32)


def _mass(masses: Any, place: Any) -> Any:
    """Of places i64[N] or one place, between two entries of the table, or of its memory."""
    low, high = masses[place >> PARTS], masses[(place >> PARTS) + 1]
    return low + ((high - low) * (place & ((1 << PARTS) - 1)) >> PARTS)


def starts(bucket: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """i64[N]: where the intervals of buckets i64[N] start, for f64[N] means and deviations; of
    bucket 2**BUCKETS, where the last one ends."""
    away = np.clip((edges()[bucket] - mean) / deviation, -REACH, REACH)
    place = np.minimum(((away + REACH) * (STEPS << PARTS)).astype(np.int64), LAST)
    found = bucket + (_mass(table(), place) * SPREAD >> SCALE)
    found = np.where(bucket == 0, 0, found)  # however far the mean is
    return np.where(bucket == 1 << BUCKETS, 1 << BITS, found)


def intervals(
    bucket: np.ndarray, mean: np.ndarray, deviation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The start and width of each bucket i64[N], i64[N] each, of 2**BITS slots."""
    given = mean.astype(np.float64), deviation.astype(np.float64)
    first = starts(bucket, *given)
    return first, starts(bucket + 1, *given) - first


def pop(stack: Stack, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Pops a bucket for each mean and deviation f32[N]: i64[N]."""
    lines, masses, last = edges().tolist(), table().data, 1 << BUCKETS
    found = []
    for m, s in zip(mean.tolist(), deviation.tolist(), strict=True):

        def start(bucket: int, m: float = m, s: float = s) -> int:  # as `starts`, of one
            if bucket == last:
                return 1 << BITS
            away = min(max((lines[bucket] - m) / s, -REACH), REACH)
            place = min(int((away + REACH) * (STEPS << PARTS)), LAST)
            return bucket + (_mass(masses, place) * SPREAD >> SCALE)

        bucket = bisect_right(range(1, last), stack.slot(BITS), key=start)
        first = start(bucket) if bucket else 0
        stack.drop(first, start(bucket + 1) - first, BITS)
        found.append(bucket)
    return np.array(found, np.int64)
