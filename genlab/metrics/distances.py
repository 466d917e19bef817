"""How far one set of images is from another: by a kernel of features, and by their classes.

Pure NumPy, in float64. Other distances: `frechet`, `neighbours`, `two_sample`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


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


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """f[K], f[K], both of sum 1 -> 0 for equal shares, 1 for such that have no class in common."""
    return float(np.abs(a - b).sum() / 2)


def _double(*sets: np.ndarray) -> Iterator[np.ndarray]:
    return (np.asarray(x, np.float64) for x in sets)
