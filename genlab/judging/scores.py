"""The numbers of one set of images beside real ones, as a classifier sees both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genlab.metrics import distances, frechet, neighbours, resampled, two_sample
from genlab.trained import Model

TESTED = 4000  # images of each set in the two-sample tests
BOOTSTRAPS, SUBSETS = 50, 30  # replicates of a standard error

# Title at the terminal, and unit.
METRICS = {
    "frechet": ("Fréchet distance", "squared units of the features, 0 is equal"),
    "frechet_infinity": ("  of infinitely many", "the same, extrapolated"),
    "kernel": ("kernel distance", "squared MMD, unbiased, 0 is equal"),
    "kernel_deviation": ("  its deviation", "over 100 subsets"),
    "precision": ("precision", "share of the set, k = 3"),
    "recall": ("recall", "share of real images, k = 3"),
    "density": ("density", "1 is equal, k = 5"),
    "coverage": ("coverage", "share of real images, k = 5"),
    "clipped_density": ("clipped density", "0 to 1, the share of good images, k = 5"),
    "clipped_coverage": ("clipped coverage", "0 to 1, the same for coverage, k = 5"),
    "class_score": ("class score", "1 to the number of classes"),
    "label_entropy": ("entropy of labels", "nats"),
    "label_distance": ("distance of labels", "total variation from real ones, 0 to 1"),
    "discriminator": ("trained discriminator", "accuracy, 0.5 is equal"),
    "discriminator_p": ("  its p-value", ""),
    "neighbour": ("1-nearest neighbour", "accuracy, 0.5 is equal"),
    "neighbour_p": ("  its p-value", ""),
}


@dataclass(frozen=True)
class Seen:
    """A set of images as a classifier sees it.

    features: f64[N,d].
    probabilities: f64[N,K], of classes.
    """

    features: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def by(cls, classifier: Model, images: np.ndarray, progress: bool = False) -> Seen:
        """u8[N,H,W,C] as that classifier sees them."""
        both = (
            classifier.apply(name, images, progress=progress) for name in ("features", "classify")
        )
        return cls(*(np.asarray(x, np.float64) for x in both))

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, rows: np.ndarray) -> Seen:
        """Those of some images i[n]."""
        return Seen(self.features[rows], self.probabilities[rows])


def scores(
    real: Seen, drawn: Seen, seed: int, reference: neighbours.Reference | None = None
) -> dict[str, float]:
    """The numbers of METRICS. reference: that of the real features, if it is known."""
    a, b = real.features, drawn.features
    reference = reference or neighbours.Reference.of(a)
    kernel, deviation = distances.kernel_distance(a, b, seed)
    few = a[:TESTED], b[:TESTED]
    discriminator, discriminator_p = two_sample.discriminator_test(*few, seed)
    neighbour, neighbour_p = two_sample.nearest_neighbour_test(*few, seed)
    return {
        **_frechets(a, b, seed),
        "kernel": kernel,
        "kernel_deviation": deviation,
        **neighbours.neighbourhoods(reference, b).metrics(),
        **_labels(real, drawn),
        "discriminator": discriminator,
        "discriminator_p": discriminator_p,
        "neighbour": neighbour,
        "neighbour_p": neighbour_p,
    }


def _frechets(a: np.ndarray, b: np.ndarray, seed: int) -> dict[str, float]:
    return {
        "frechet": frechet.frechet(a, b),
        "frechet_infinity": frechet.frechet_at_infinity(a, b, seed),
    }


def _labels(real: Seen, drawn: Seen) -> dict[str, float]:
    shares = distances.label_shares(drawn.probabilities)
    return {
        "class_score": distances.class_score(drawn.probabilities),
        "label_entropy": distances.entropy(shares),
        "label_distance": distances.total_variation(
            shares, distances.label_shares(real.probabilities)
        ),
    }


def errors(real: Seen, drawn: Seen, found: dict[str, float], seed: int) -> dict[str, float]:
    """Standard errors over both sets, of equal counts, for the numbers that have one.

    found: what `scores` gave. The kernel distance has its deviation, tests their p-values.
    """
    a, b, count = real.features, drawn.features, len(real)

    def of_moments(i: np.ndarray, j: np.ndarray) -> dict[str, float]:
        own = int(i[0]) if len(i) else 0  # other subsets for each extrapolation
        return _frechets(a[i], b[j], own) | _labels(real.rows(i), drawn.rows(j))

    def of_neighbours(i: np.ndarray, j: np.ndarray) -> dict[str, float]:
        return neighbours.neighbourhoods(neighbours.Reference.of(a[i]), b[j]).metrics()

    answers = min(TESTED, count) // 2 * 2
    binomial = {
        name: float(np.sqrt(found[name] * (1 - found[name]) / answers))
        for name in ("discriminator", "neighbour")
    }
    return {
        **resampled.bootstrap(of_moments, count, count, BOOTSTRAPS, seed),
        **resampled.subsets(of_neighbours, count, SUBSETS, seed),
        **binomial,
    }
