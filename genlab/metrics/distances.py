"""How far one set of images is from another, by features f[N,d] of each.

All are pure NumPy, in float64. Neighbours are looked for a chunk of rows at a time, so that memory
grows with N, not with its square: 10,000 against 10,000 take about a second a pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CHUNK = 1024  # rows of distances held at once


def frechet(real: np.ndarray, generated: np.ndarray) -> float:
    """f[N,d], f[M,d]: squared Fréchet distance of the Gaussians of their means and covariances.

    Heusel et al., arXiv 1706.08500, section 3, use Inception features. The unit is that of the
    features, squared. The distance falls as N and M grow, so compare equal counts only.
    """
    moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in _double(real, generated)]
    return frechet_of_gaussians(*moments[0], *moments[1])


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


def kernel_distance(
    real: np.ndarray, generated: np.ndarray, seed: int = 0, subsets: int = 100, size: int = 1000
) -> tuple[float, float]:
    """f[N,d], f[M,d]: mean and deviation, over subsets, of the unbiased squared MMD.

    Bińkowski et al., arXiv 1801.01401, section 4, call it KID on Inception features. The kernel is
    (x.y / d + 1)^3. An unbiased estimate may fall below 0. A subset holds at most half of the
    smaller set, because larger ones would be nearly the same.
    """
    real, generated = _double(real, generated)
    size = max(min(size, len(real) // 2, len(generated) // 2), 2)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(subsets):
        pair = (x[rng.choice(len(x), size, replace=False)] for x in (real, generated))
        values.append(squared_mmd(*pair))
    return float(np.mean(values)), float(np.std(values))


def squared_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """f[n,d], f[m,d]: unbiased squared maximum mean discrepancy by the kernel (x.y / d + 1)^3.

    Gretton et al. 2012, lemma 6.
    """
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1.0) ** 3  # noqa: E731
    own = 0.0
    for x in (a, b):
        gram, n = kernel(x, x), len(x)
        own += (gram.sum() - np.trace(gram)) / (n * (n - 1))
    return float(own - 2.0 * kernel(a, b).mean())


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> tuple[float, float]:
    """f[N,d], f[M,d]: improved precision and recall, shares on [0,1].

    Kynkäänniemi et al., arXiv 1904.06991, section 2. Around each real point lies a ball that
    reaches to its k-th neighbour. Precision is the share of generated points in any of these
    balls; recall is the same with the two sets exchanged.
    """
    real, generated = _double(real, generated)
    real_radii, generated_radii = kth_distances(real, k), kth_distances(generated, k)
    inside, covered = np.zeros(len(generated), bool), np.zeros(len(real), bool)
    for rows, far in squared_distances(real, generated):
        inside |= (far <= real_radii[rows, None]).any(0)
        covered[rows] = (far <= generated_radii).any(1)
    return float(inside.mean()), float(covered.mean())


def density_coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> tuple[float, float]:
    """f[N,d], f[M,d]: density, 1 on average for equal distributions, and coverage on [0,1].

    Naeem et al., arXiv 2002.09797, section 3, with the balls of `precision_recall`. Density is the
    number of balls that a generated point lies in, divided by k; coverage is the share of balls
    with a generated point in them.
    """
    real, generated = _double(real, generated)
    radii = kth_distances(real, k)
    balls, covered = 0, 0
    for rows, far in squared_distances(real, generated):
        within = far < radii[rows, None]  # open balls, as in the authors' code
        balls += int(within.sum())
        covered += int(within.any(1).sum())
    return balls / (k * len(generated)), covered / len(real)


def kth_distances(x: np.ndarray, k: int) -> np.ndarray:
    """f64[N,d] -> f64[N], squared distance to the k-th nearest other point."""
    radii = np.empty(len(x))
    for rows, far in squared_distances(x, x):
        far[np.arange(len(far)), np.arange(rows.start, rows.start + len(far))] = -1.0  # itself
        radii[rows] = np.partition(far, k, axis=1)[:, k]
    return radii


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


def class_score(probabilities: np.ndarray) -> float:
    """f[N,K] -> 1 to K: exp of the mean KL of each image's class probabilities from their mean.

    Salimans et al., arXiv 1606.03498, section 4, use an Inception network and the mean of ten
    splits; this takes any classifier's probabilities, over the whole set.
    """
    p = np.maximum(np.asarray(probabilities, np.float64), 1e-30)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))


def label_shares(probabilities: np.ndarray) -> np.ndarray:
    """f[N,K] -> f64[K], the share of images whose likeliest class it is."""
    count = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
    return count / len(probabilities)


def entropy(shares: np.ndarray) -> float:
    """f[K] that sum to 1 -> nats, log K where all are equal."""
    some = shares[shares > 0.0]
    return float(-(some * np.log(some)).sum())


def _double(*sets: np.ndarray) -> Iterator[np.ndarray]:
    return (np.asarray(x, np.float64) for x in sets)
