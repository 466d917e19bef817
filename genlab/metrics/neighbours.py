"""How two sets of features lie among each other: precision, recall, density and coverage.

Pure NumPy, in float64. Distances are computed a chunk of rows at a time, so that memory grows with
N, not with its square: 10,000 against 10,000 take about a second a pass.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom

CHUNK = 1024  # rows of distances held at once


@dataclass(frozen=True)
class Reference:
    """A real set, with the neighbours that its points have among themselves.

    points: f64[N,d].
    far: f64[N,K], squared distances to the K nearest other points, ascending.
    place: i64[N,K], which points these are.
    """

    points: np.ndarray
    far: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, real: np.ndarray, balls: int = 5) -> Reference:
        """f[N,d], N above `balls`: how many neighbours a ball reaches to."""
        points = np.asarray(real, np.float64)
        return cls(points, *nearest_others(points, balls))

    @property
    def clipped_radii(self) -> np.ndarray:
        """f64[N], squared: each ball's radius, at most their median."""
        return np.minimum(self.far[:, -1], np.square(np.median(np.sqrt(self.far[:, -1]))))


@dataclass(frozen=True)
class Neighbourhoods:
    """What each image adds to the metrics: all of them are means of it.

    inside: bool[M], whether a generated point lies in the ball of a real one that reaches to its
        k-th neighbour.
    recalled: bool[N], the same with the two sets exchanged.
    balls: f64[M], real balls of K neighbours around a generated point, divided by K.
    covered: bool[N], whether a generated point is in a real ball.
    filled: f64[N], how many are in it, at most K, divided by K.
    clipped_balls: f64[M], as `balls`, but of clipped radii, and at most 1 for each point.
    clipped_balls_of_real: f64[N], the same of each real point, without itself.
    neighbours: K.
    """

    inside: np.ndarray
    recalled: np.ndarray
    balls: np.ndarray
    covered: np.ndarray
    filled: np.ndarray
    clipped_balls: np.ndarray
    clipped_balls_of_real: np.ndarray
    neighbours: int

    def metrics(self) -> dict[str, float]:
        """The metrics.

        precision, recall: shares on [0,1]. Kynkäänniemi et al., arXiv 1904.06991, section 2.
        density: 1 on average for equal distributions; coverage: on [0,1]. Naeem et al., arXiv
            2002.09797, section 3.
        clipped_density, clipped_coverage: on [0,1], calibrated to fall in proportion to the share
            of bad samples. Salvy et al., arXiv 2507.01761, section 3.
        """
        ideal = self.clipped_balls_of_real.mean()
        density = self.clipped_balls.mean() / ideal if ideal else 0.0
        return {
            "precision": float(self.inside.mean()),
            "recall": float(self.recalled.mean()),
            "density": float(self.balls.mean()),
            "coverage": float(self.covered.mean()),
            "clipped_density": float(min(density, 1.0)),
            "clipped_coverage": float(calibrated(float(self.filled.mean()), self._expected)),
        }

    @functools.cached_property
    def _expected(self) -> np.ndarray:
        return expected_filling(len(self.recalled), len(self.inside), self.neighbours)


def neighbourhoods(real: Reference, generated: np.ndarray, k: int = 3) -> Neighbourhoods:
    """f[M,d], M above k: its place among the real points; k neighbours for precision and recall,
    those of the reference for the rest."""
    generated = np.asarray(generated, np.float64)
    own_radii = nearest_others(generated, k)[0][:, -1]
    n, m, balls = len(real.points), len(generated), real.far.shape[1]
    inside, recalled = np.zeros(m, bool), np.zeros(n, bool)
    around, around_clipped = np.zeros(m), np.zeros(m)
    held = np.zeros(n)
    clipped = real.clipped_radii
    for rows, far in squared_distances(real.points, generated):
        inside |= (far <= real.far[rows, k - 1, None]).any(0)
        recalled[rows] = (far <= own_radii).any(1)
        within = far < real.far[rows, -1, None]  # open balls, as in the authors' code
        around += within.sum(0)
        held[rows] = within.sum(1)
        around_clipped += (far <= clipped[rows, None]).sum(0)  # closed ones, as in theirs
    of_real = np.bincount(real.place[real.far <= clipped[:, None]], minlength=n)
    return Neighbourhoods(
        inside=inside,
        recalled=recalled,
        balls=around / balls,
        covered=held > 0,
        filled=np.minimum(held, balls) / balls,
        clipped_balls=np.minimum(around_clipped / balls, 1.0),
        clipped_balls_of_real=np.minimum(of_real / balls, 1.0),
        neighbours=balls,
    )


def expected_filling(real: int, generated: int, balls: int) -> np.ndarray:
    """f64[generated + 1]: the mean of `filled` if m of the generated points are as the real ones
    and all others far away, for m from 0.

    The number of m points in a ball that reaches to the K-th of N - 1 others is beta-binomial
    (m; K, N - K), whatever the distribution; its mean, cut at K, sums the K chances to hold at
    least t. Salvy et al., arXiv 2507.01761, section 3; as in their code, fewer than K give 0.
    """
    m, t = np.arange(generated + 1)[:, None], np.arange(balls)
    exactly = betabinom.pmf(t, m, balls, real - balls)  # f64[generated+1,K], P(J = t)
    more = 1.0 - np.cumsum(exactly, 1)  # P(J > t)
    filled = more.sum(1) / balls
    filled[:balls] = 0.0
    return filled


def calibrated(filled: float, expected: np.ndarray) -> float:
    """The share of good samples at which so much would be filled on average."""
    return np.searchsorted(expected, filled) / len(expected)


def nearest_others(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """f64[N,d] -> f64[N,k], squared distances to the k nearest other points, ascending, and
    i64[N,k], which these are."""
    far_all, place_all = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    for rows, far in squared_distances(x, x):
        far[np.arange(len(far)), np.arange(rows.start, rows.start + len(far))] = np.inf  # itself
        place = np.argpartition(far, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(far, place, 1)
        order = np.argsort(near, axis=1, kind="stable")
        far_all[rows] = np.take_along_axis(near, order, 1)
        place_all[rows] = np.take_along_axis(place, order, 1)
    return far_all, place_all


def squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """f64[N,d], f64[M,d] -> chunks (rows of a, f64[rows,M])."""
    centre = b.mean(0)  # small numbers lose less in the products below
    a, b = a - centre, b - centre
    own = np.square(b).sum(1)
    for start in range(0, len(a), CHUNK):
        part = a[start : start + CHUNK]
        far = part @ b.T
        far *= -2.0
        far += own
        far += np.square(part).sum(1)[:, None]
        yield slice(start, start + len(part)), np.maximum(far, 0.0, out=far)
