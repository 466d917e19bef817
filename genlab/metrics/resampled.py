"""Standard errors of numbers of two sets, by resampling the images of both.

A bootstrap draws as many images as there are, with replacement. Copies among them would be each
other's nearest neighbours, and coverage would fall by a fifth: numbers of neighbours are computed
on smaller random subsets without replacement instead, and their variance is scaled to whole sets
(the delete-d jackknife; Shao and Wu, Annals of Statistics 17, 1989, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

LARGEST = 2500  # images of a subset: more take longer, and tell little more

# Rows of the real set and of the generated one -> numbers by name.
Statistic = Callable[[np.ndarray, np.ndarray], dict[str, float]]


def bootstrap(
    statistic: Statistic, real: int, generated: int, replicates: int, seed: int = 0
) -> dict[str, float]:
    """Standard errors, from sets of that many images drawn with replacement."""
    rng = np.random.default_rng(seed)

    def draw(n: int) -> np.ndarray:
        return rng.integers(0, n, n)

    return _deviations(statistic(draw(real), draw(generated)) for _ in range(replicates))


def subsets(statistic: Statistic, count: int, replicates: int, seed: int = 0) -> dict[str, float]:
    """Standard errors for `count` images of each set, from random subsets of both: halves, or
    less where these are large."""
    rng, size = np.random.default_rng(seed), min(count // 2, LARGEST)
    draw = lambda: rng.permutation(count)[:size]  # noqa: E731
    found = _deviations(statistic(draw(), draw()) for _ in range(replicates))
    scale = float(np.sqrt(size / (count - size)))
    return {name: scale * deviation for name, deviation in found.items()}


def _deviations(found: Iterator[dict[str, float]]) -> dict[str, float]:
    rows = list(found)
    return {name: float(np.std([row[name] for row in rows], ddof=1)) for name in rows[0]}
