"""The largest batch that fits: extrapolated from two compilations, and confirmed by a third."""

from __future__ import annotations

import math
from collections.abc import Callable

from genlab.planning.estimate import Estimate

TRIES = 4
MARGIN = 0.97  # of what two points promise


def largest_batch(first: Estimate, size: int, of: Callable[[int], Estimate]) -> int:
    """The largest batch that was seen to fit; 0 if none was.

    Args: first: the estimate at `size`.  of: the estimate at another size.
    """
    chips = first.program.chips
    other = 2 * size if first.fits else max(size // 2 // chips, 1) * chips
    seen = {size: first, other: of(other)}
    for _ in range(TRIES):
        fitting = max((n for n, found in seen.items() if found.fits), default=0)
        wanted = _promised(seen, chips)
        if wanted <= fitting or wanted in seen:
            return fitting
        seen[wanted] = of(wanted)
        if seen[wanted].fits:
            return wanted
    return max((n for n, found in seen.items() if found.fits), default=0)


def _promised(seen: dict[int, Estimate], chips: int) -> int:
    """The size that a line promises to fit: through the largest that fits and the smallest that
    does not, or the outermost. Where it was not said what the latter needs, one between both."""
    fitting = [size for size, found in seen.items() if found.fits]
    refused = [size for size, found in seen.items() if not found.fits]
    low, high = (max(fitting), min(refused)) if fitting and refused else (min(seen), max(seen))
    small, large = seen[low], seen[high]
    peaks = small.peak_bytes, large.peak_bytes
    if fitting and not math.isfinite(peaks[1]):
        return int(math.sqrt(low * high)) // chips * chips
    if low == high or not all(map(math.isfinite, peaks)) or peaks[1] <= peaks[0]:
        return low // 2 // chips * chips
    each = (peaks[1] - peaks[0]) / (high - low)
    limit = low + (small.chip.memory - peaks[0]) / each
    step = 8 * chips if limit * MARGIN >= 16 * chips else chips
    promised = int(limit * MARGIN) // step * step
    return promised if promised > 0 else chips * (limit >= chips)
