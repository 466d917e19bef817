"""The Fréchet distance of two sets of features, at their counts and extrapolated to infinite ones.

Pure NumPy, in float64.
"""

from __future__ import annotations

import numpy as np

POINTS = 15  # counts that the extrapolation fits a line to, as its authors do
LEAST = 10  # the smallest of them is one in so many,
PER_FEATURE = 5  # or so many images a feature: with fewer, the bias is no longer linear


def frechet(real: np.ndarray, generated: np.ndarray) -> float:
    """f[N,d], f[M,d]: squared Fréchet distance of the Gaussians of their means and covariances.

    Heusel et al., arXiv 1706.08500, section 3, use Inception features. The unit is that of the
    features, squared. The distance falls as N and M grow, so compare equal counts only.
    """
    return frechet_of_gaussians(*_moments(real), *_moments(generated))


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(x, np.float64)
    mean = x.mean(0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def frechet_of_gaussians(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """f[d], f[d,d] of each: |a - b|^2 + tr(A + B - 2 (A B)^(1/2)); Dowson and Landau 1982.

    It takes the eigenvalues of A^(1/2) B A^(1/2), which stay real when features are dead and
    covariances singular.
    """
    covariance_a, covariance_b = np.atleast_2d(covariance_a), np.atleast_2d(covariance_b)
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance_b @ root), 0.0)).sum()
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * cross
    return float(np.square(mean_a - mean_b).sum() + spread)


def frechet_at_infinity(
    real: np.ndarray, generated: np.ndarray, seed: int = 0, points: int = POINTS
) -> float:
    """f[N,d], f[M,d]: the Fréchet distance of infinitely many images of each, extrapolated.

    Chong and Forsyth, arXiv 1911.07023, section 4: the bias is close to linear in 1/N, so that a
    line through the distances of random subsets of several counts meets 1/N = 0 at the distance
    without it. They let the generated set alone shrink, before a large real one; here both do,
    because a test split is as small as the samples and adds as much bias. The estimate may fall
    below 0. It says little where there are fewer than ten images a feature.
    """
    most, features = min(len(real), len(generated)), real.shape[1]
    least = max(most // LEAST, min(PER_FEATURE * features, most // 2), 2)
    counts = np.linspace(least, most, points).astype(int)
    rng = np.random.default_rng(seed)
    found = [
        frechet(*(x[rng.permutation(len(x))[:count]] for x in (real, generated)))
        for count in counts
    ]
    return float(np.polyfit(1.0 / counts, found, 1)[1])
