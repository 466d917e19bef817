"""Compares sets of samples with real images, whatever family drew them.

Every number comes with two others: a floor, for which training images take the place of samples,
and a ceiling, for which uniform noise does. All use one classifier's features and equal counts, and
are comparable with nothing else. The classifier was trained on images like those of the floor, so
that a test of thousands may tell these from test images. Where noise scores well, a score alone
says little.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import data
from genlab.capabilities import Classifies
from genlab.errors import UserError, log
from genlab.metrics import distances, two_sample
from genlab.model import Model, restore
from genlab.pictures import figures

FEWEST = 16  # images; with fewer, neighbours and halves mean nothing
QUERIES = 2000  # samples whose nearest training image is searched, in pixels
TESTED = 4000  # images of each set in the two-sample tests
PART = 4096  # training images read at once
SHOWN = 10  # images in a row

# Title at the terminal, and unit.
METRICS = {
    "frechet": ("Fréchet distance", "squared units of the features, 0 is equal"),
    "kernel": ("kernel distance", "squared MMD, unbiased, 0 is equal"),
    "kernel_deviation": ("  its deviation", "over 100 subsets"),
    "precision": ("precision", "share of samples, k = 3"),
    "recall": ("recall", "share of test images, k = 3"),
    "density": ("density", "1 is equal, k = 5"),
    "coverage": ("coverage", "share of test images, k = 5"),
    "class_score": ("class score", "1 to the number of classes"),
    "label_entropy": ("entropy of labels", "nats"),
    "label_distance": ("distance of labels", "total variation from the test images', 0 to 1"),
    "discriminator": ("trained discriminator", "accuracy, 0.5 is equal"),
    "discriminator_p": ("  its p-value", ""),
    "neighbour": ("1-nearest neighbour", "accuracy, 0.5 is equal"),
    "neighbour_p": ("  its p-value", ""),
}
COPIES = {
    "nearest_training": ("samples to the nearest training image", "median, Euclidean, [0,1]"),
    "nearest_training_of_test": ("test images to it", "median, Euclidean, [0,1]"),
    "memorisation_p": ("  p-value that samples are nearer", ""),
    "nearer_training": ("nearest real image is a training one", "share of samples, 0.5 is fair"),
}


@dataclass(frozen=True)
class Comparison:
    """How samples compare with real images.

    numbers: flat, with `_floor` and `_ceiling` beside each.
    protocol: what they were measured on.
    remarks: what a reader must know.
    pictures: by name.
    """

    numbers: dict[str, float]
    protocol: dict[str, Any]
    remarks: list[str]
    pictures: dict[str, Any]

    def table(self) -> str:
        """The scores with their floors and ceilings, as text for a terminal."""
        taken = self.protocol
        count, name = f"{taken['images']:,}", taken["features"]
        lines = [
            f"\nSamples against {taken['split']}, {name} features, {count} against {count}",
            f"{'':24}{'samples':>12}{'floor':>12}{'ceiling':>12}",
        ]
        for key, (title, unit) in METRICS.items():
            values = (self.numbers[f"{key}{end}"] for end in ("", "_floor", "_ceiling"))
            lines.append(f"{title:24}" + "".join(f"{x:12.4g}" for x in values) + f"  {unit}")
        lines.append(
            f"Copies of training images, {taken['memorisation_images']:,} of each in pixels"
        )
        for key, (title, unit) in COPIES.items():
            lines.append(f"{title:38}{self.numbers[key]:10.4g}  {unit}".rstrip())
        stamp = ", ".join(f"{key} {value}" for key, value in taken.items())
        said = f"(floor: training images; ceiling: uniform noise; {stamp})"
        lines += textwrap.wrap(said, 100, break_on_hyphens=False)
        return "\n".join(line.rstrip() for line in lines)


def extractor(model: Model, config: ConfigDict) -> Model:
    """The classifier of `eval.classifier`. Raises UserError if it does not suit the model."""
    model.function("sample", config.sample.method)  # says which families sample
    classifier = restore(config.eval.classifier)
    if not isinstance(classifier.task, Classifies):
        raise UserError(
            f"eval.classifier={config.eval.classifier}: its task is {classifier.config.task}; take"
            " the workdir of a classifier, such as configs/mnist_classifier.py trains."
        )
    if tuple(classifier.task.shape) != tuple(model.task.shape):
        raise UserError(
            f"eval.classifier={config.eval.classifier}: a classifier of {classifier.task.shape}"
            f" images, but the model's are {model.task.shape}; train one on data of that shape."
        )
    return classifier


def compare_model(
    model: Model, classifier: Model, sets: data.Data, config: ConfigDict
) -> Comparison:
    """Draws `eval.images` samples (fewer, if a split has fewer) and measures them.

    Samples use `sample.seed`; the choice of a split's images, subsets and halves uses `seed`.
    Copies are searched in the whole training split, which is read once.
    """
    count = min(config.eval.images, len(sets.test), len(sets.train))
    if count < FEWEST:
        raise UserError(
            f"eval.images={config.eval.images}, {len(sets.test)} test images and"
            f" {len(sets.train)} training images: {FEWEST} or more of each are needed."
        )
    key = jax.random.key(config.sample.seed)
    samples = model.with_config(config).sample(key, count, progress=True)
    test, train = (
        split.read(data.order(config.seed, 0, len(split))[:count])["image"]
        for split in (sets.test, sets.train)
    )
    noise = np.random.default_rng(config.seed).integers(0, 256, samples.shape, np.uint8)

    log.info("comparing samples, training images and noise with %d test images", count)
    real = _seen(classifier, test)
    seen = {"": samples, "_floor": train, "_ceiling": noise}
    labels = {"test images": distances.label_shares(real[1])}
    numbers: dict[str, float] = {}
    for end, images in seen.items():
        drawn = _seen(classifier, images)
        scores = compare_features(real, drawn, config.seed)
        numbers |= {f"{k}{end}": v for k, v in scores.items()}
        if not end:
            labels["samples"] = distances.label_shares(drawn[1])
    copies, nearest = _copies(samples, test, train, sets.train)
    protocol = {
        "images": count,
        "split": sets.test.name,
        "features": Path(config.eval.classifier).resolve().name,
        "features_step": classifier.step,
        "features_weights": classifier.weights,
        "memorisation_images": min(count, QUERIES),
        "training_images": len(sets.train),
        "two_sample_images": min(count, TESTED),
        "sample_method": config.sample.method,
        "sample_temperature": config.sample.temperature,
        "sample_seed": config.sample.seed,
        "seed": config.seed,
    }
    note = (
        f"As the classifier sees {count:,} of each; total variation"
        f" {numbers['label_distance']:.3f}."
    )
    bars = figures.Shares(labels, classifier.classes, note)
    notes = remarks(samples, test, real[0].shape[1])
    return Comparison(numbers | copies, protocol, notes, {"neighbours": nearest, "labels": bars})


def remarks(samples: np.ndarray, test: np.ndarray, features: int) -> list[str]:
    """What may mislead when these sets u8[N,H,W,C] are compared by that many features."""
    drawn, real = (len(np.unique(images)) for images in (samples, test))
    notes = []
    if drawn <= real // 4:
        notes.append(
            f"samples take {drawn} pixel values and test images {real}; every comparison of the two"
            " sees that as well."
        )
    if len(samples) <= features:
        notes.append(
            f"{len(samples)} images have no full covariance of {features} features: the Fréchet"
            " distance is mostly bias; raise eval.images."
        )
    return notes


def _seen(classifier: Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f32[N,d] features and f32[N,K] probabilities."""
    return classifier.apply("features", images), classifier.apply("classify", images)


def compare_features(
    real: tuple[np.ndarray, np.ndarray], drawn: tuple[np.ndarray, np.ndarray], seed: int
) -> dict[str, float]:
    """The numbers of METRICS, of (features f[N,d], probabilities f[N,K]) of both sets."""
    (a, p), (b, q) = real, drawn
    kernel, deviation = distances.kernel_distance(a, b, seed)
    precision, recall = distances.precision_recall(a, b)
    density, coverage = distances.density_coverage(a, b)
    of_real, shares = distances.label_shares(p), distances.label_shares(q)
    few = a[:TESTED], b[:TESTED]
    discriminator, discriminator_p = two_sample.discriminator_test(*few, seed)
    neighbour, neighbour_p = two_sample.nearest_neighbour_test(*few, seed)
    return {
        "frechet": distances.frechet(a, b),
        "kernel": kernel,
        "kernel_deviation": deviation,
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "class_score": distances.class_score(q),
        "label_entropy": distances.entropy(shares),
        "label_distance": float(np.abs(shares - of_real).sum() / 2),
        "discriminator": discriminator,
        "discriminator_p": discriminator_p,
        "neighbour": neighbour,
        "neighbour_p": neighbour_p,
    }


def _copies(
    samples: np.ndarray, test: np.ndarray, train: np.ndarray, split: data.Split
) -> tuple[dict[str, float], figures.ImageRows]:
    """The numbers of COPIES, and samples above their nearest training images.

    test, train: equally many real images of each split; `split` is the whole training split.
    """
    parts = lambda x: (x[i : i + PART] for i in range(0, len(x), PART))  # noqa: E731
    samples, held_out = samples[:QUERIES], test[:QUERIES]
    both = np.concatenate([samples, held_out])  # one pass over the training images
    rows = np.arange(len(split))
    far, place = two_sample.nearest_images(
        both, (split.read(part)["image"] for part in parts(rows))
    )
    own, others = far[: len(samples)], far[len(samples) :]
    to_train = two_sample.nearest_images(samples, parts(train))[0]
    to_test = two_sample.nearest_images(samples, parts(test))[0]
    nearer = (to_train < to_test) + 0.5 * (to_train == to_test)
    numbers = {
        "nearest_training": float(np.median(own)),
        "nearest_training_of_test": float(np.median(others)),
        "memorisation_p": two_sample.memorisation_test(own, others),
        "nearer_training": float(nearer.mean()),
    }
    shown = []
    suspect = np.argsort(own / np.maximum(to_test, 1e-6), kind="stable")[:SHOWN]
    for title, chosen in (("samples", np.arange(SHOWN)), ("most like\ncopies", suspect)):
        real = split.read(place[: len(samples)][chosen])["image"]
        shown += [(title, samples[chosen]), ("nearest in\ntraining", real)]
    note = (
        "Below each sample, the training image nearest in pixels. Most like copies: those nearest"
        " to a training image\nfor their distance to test images. Median distance"
        f" {numbers['nearest_training']:.2f}; of test images"
        f" {numbers['nearest_training_of_test']:.2f}."
    )
    return numbers, figures.ImageRows(shown, note)
