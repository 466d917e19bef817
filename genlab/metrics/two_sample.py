"""Tests whether two sets come from one distribution, and whether samples are copies.

A p-value is the chance of a result at least as extreme if the distributions were equal. With
thousands of images even the smallest difference is significant; the accuracy tells its size.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import stats


def discriminator_test(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """f[n,d], f[n,d] -> (accuracy, p-value) of a small network that is trained to tell a from b.

    It sees a random half of each set and is tested on the other half; an accuracy of 0.5 is
    chance. Lopez-Paz and Oquab, arXiv 1610.06545, section 3.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier((64,), alpha=1e-2, max_iter=30, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 30 epochs are enough here
        return _held_out_test(make_pipeline(StandardScaler(), network), a, b, seed)


def nearest_neighbour_test(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """f[n,d], f[n,d] -> (accuracy, p-value) of the 1-nearest-neighbour classifier of a and b.

    Each point of one random half gets the set of its nearest point in the other half. Lopez-Paz
    and Oquab, arXiv 1610.06545, section 3, with k = 1. Leave-one-out answers depend on one
    another, so that their p-value would be wrong; those of held-out points do not.
    """
    from sklearn.neighbors import KNeighborsClassifier

    return _held_out_test(KNeighborsClassifier(1, algorithm="brute"), a, b, seed)


def _held_out_test(classifier: Any, a: np.ndarray, b: np.ndarray, seed: int) -> tuple[float, float]:
    rng, n = np.random.default_rng(seed), min(len(a), len(b))  # equal counts: chance is 0.5
    orders = [rng.permutation(len(x))[:n] for x in (a, b)]
    half = n // 2
    halves = []
    for part in (slice(half), slice(half, 2 * half)):
        points = np.concatenate([x[order[part]] for x, order in zip((a, b), orders, strict=True)])
        halves.append((points, np.repeat([0, 1], half)))
    (points, sets), (others, answers) = halves
    right = int((classifier.fit(points, sets).predict(others) == answers).sum())
    # Given the first halves, answers are independent and the variance is at most the binomial's.
    p = stats.binomtest(right, 2 * half, 0.5, alternative="greater").pvalue
    return right / (2 * half), float(p)


class Nearest:
    """The nearest of many points to each of a few; the many are shown in parts.

    queries: f32[N,d], the few.
    far: f64[N], Euclidean distances to the nearest so far, exactly 0 for a copy.
    place: i64[N], the places of the nearest in the order in which they were shown.
    """

    def __init__(self, queries: np.ndarray) -> None:
        self.queries, self.seen = queries, 0
        self.far, self.place = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)

    def see(self, others: np.ndarray) -> Nearest:
        """Looks at f32[M,d] more points, and returns itself."""
        far = np.square(others).sum(1) - 2.0 * (self.queries @ others.T)  # less each query's square
        closest = far.argmin(1)
        exact = np.linalg.norm(self.queries - others[closest], axis=1)
        nearer = exact < self.far
        self.far[nearer], self.place[nearer] = exact[nearer], self.seen + closest[nearer]
        self.seen += len(others)
        return self


def flat(images: np.ndarray) -> np.ndarray:
    """u8[N,H,W,C] -> f32[N,HWC] on [0,1]: pixels as points."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255.0)


def memorisation_test(samples: np.ndarray, held_out: np.ndarray) -> float:
    """Tests whether samples are nearer to the training images than held-out real images are.

    Args:
        samples: f[N], distances of samples to their nearest training image.
        held_out: f[M], the same of held-out real images.

    Returns:
        The p-value of a one-sided Mann-Whitney U test (Meehan et al., arXiv 2004.05675, section 3).

    In pixels, smooth samples are near to every image. So count, too, how many samples are nearer
    to a training image than to any of as many held-out ones.
    """
    return float(stats.mannwhitneyu(samples, held_out, alternative="less").pvalue)
