"""Judges sets of images beside real ones: the one way in which `--mode=eval`, `--mode=judge` and
scripts do it.

Every number has two others beside it: a floor, for which training images take the place of the
set, and a ceiling, for which uniform noise does. All use one classifier's features and equal
counts, and are comparable with nothing else. The classifier was trained on images like those of the
floor, so that a test of thousands may tell these from held-out images. Where noise scores well, a
score alone says little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from genlab import data
from genlab.data import gate
from genlab.errors import UserError
from genlab.judging import classifiers, copies, scores
from genlab.judging.copies import Copies, OfArray, Pool
from genlab.judging.judgement import CEILING, FLOOR, REAL, Judged, Judgement
from genlab.judging.scores import Seen
from genlab.metrics import distances, neighbours
from genlab.trained import Model
from genlab.workdir import places

FEWEST = 16  # images; with fewer, neighbours and halves mean nothing


def judge(
    sets: Mapping[str, np.ndarray],
    real: np.ndarray,
    training: np.ndarray | None = None,
    classifier: Model | str = "",
    seed: int = 0,
    intervals: bool = True,
    progress: bool = False,
) -> Judgement:
    """How sets of images compare with real ones; printed, a table.

    Args:
        sets: u8[N,H,W,C] by name.
        real: u8[M,H,W,C], held-out images of what the sets should be like.
        training: u8[T,H,W,C], the images that the sets' models learned from; with them there is a
            floor, and copies are searched for.
        classifier: a model, a workdir, or pretrained:NAME; by default one that comes with genlab,
            if there is one for images of this shape.
        intervals: whether standard errors are estimated, which takes most of the time.

    Raises: UserError for images that do not fit, or fewer than 16 of a set.
    """
    if not sets:
        raise UserError("judge: no set given; give u8[N,H,W,C] by name.")
    taken = {REAL, FLOOR, CEILING} & set(sets)
    if taken:
        raise UserError(f"judge: no set may be called {taken.pop()!r}; give it another name.")
    model = classifiers.chosen(classifier, np.shape(next(iter(sets.values())))[1:])
    shape = model.task.shape
    checked = {name: gate.images(images, shape, name) for name, images in sets.items()}
    pool = None if training is None else OfArray(gate.images(training, shape, "training"))
    real = gate.images(real, shape, "real")
    return judged(checked, real, pool, model, seed, intervals, progress)


def judged(
    sets: Mapping[str, np.ndarray],
    real: np.ndarray,
    pool: Pool | None,
    classifier: Model,
    seed: int,
    intervals: bool = True,
    progress: bool = False,
) -> Judgement:
    """The same of images that are known to fit, with training images that are read when needed."""
    sizes = {name: len(images) for name, images in sets.items()} | {"real images": len(real)}
    sizes |= {} if pool is None else {"training images": len(pool)}
    count = _count(sizes)
    sets = {name: images[_some(seed, len(images), count)] for name, images in sets.items()}
    real = real[_some(seed, len(real), count)]
    some = None if pool is None else pool.images(_some(seed, len(pool), count))
    noise = np.random.default_rng(seed).integers(0, 256, real.shape, np.uint8)
    ends = ({} if some is None else {FLOOR: some}) | {CEILING: noise}
    with_errors = [*sets, FLOOR] if intervals else []
    seen = {n: Seen.by(classifier, x, progress) for n, x in {REAL: real, **sets, **ends}.items()}
    found = _scored(seen, seed, with_errors, progress)
    each: dict[str, Copies] = {}
    if pool is not None and some is not None:
        embed = lambda images: classifier.apply("features", images)  # noqa: E731
        each = copies.search(sets, real, pool, some, embed, progress)
    return Judgement(
        sets={name: Judged(*found[name], images, each.get(name)) for name, images in sets.items()},
        ends={name: Judged(*found[name], images) for name, images in ends.items()},
        shares={name: distances.label_shares(x.probabilities) for name, x in seen.items()},
        classes=classifier.classes,
        protocol=_protocol(count, pool, classifier, seed),
        remarks=_remarks(sets, real, sizes, seen[REAL].features.shape[1]),
        pool=pool,
    )


def _count(sizes: Mapping[str, int]) -> int:
    """Images of each set: as many as the smallest has. Raises UserError for too few."""
    fewest = min(sizes, key=lambda name: sizes[name])
    if sizes[fewest] < FEWEST:
        raise UserError(
            f"{fewest}: {sizes[fewest]} images; {FEWEST} or more of each are needed to judge."
        )
    return sizes[fewest]


def _some(seed: int, have: int, count: int) -> np.ndarray:
    """i64[count] in random order: sets may lie sorted by class, and some numbers are of the first
    few thousand."""
    return data.order(seed, 0, have)[:count]


def _scored(
    seen: Mapping[str, Seen], seed: int, with_errors: Sequence[str], progress: bool
) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """(numbers, standard errors) of each set but the real one."""
    names = [name for name in seen if name != REAL]
    found = {}
    with threadpool_limits(1):  # for matrices this small, threads wait more than they compute
        reference = neighbours.Reference.of(seen[REAL].features)
        for name in tqdm(names, desc="judging", unit="set", disable=None if progress else True):
            numbers = scores.scores(seen[REAL], seen[name], seed, reference)
            wanted = name in with_errors
            error = scores.errors(seen[REAL], seen[name], numbers, seed) if wanted else {}
            found[name] = numbers, error
    return found


def _protocol(count: int, pool: Pool | None, classifier: Model, seed: int) -> dict[str, Any]:
    found = {
        "images": count,
        "features": places.name(classifier.workdir),
        "features_step": classifier.step,
        "features_weights": classifier.weights,
        "two_sample_images": min(count, scores.TESTED),
        "seed": seed,
    }
    if pool is not None:
        found |= {"memorisation_images": min(count, copies.QUERIES), "training_images": len(pool)}
    return found


def _remarks(
    sets: Mapping[str, np.ndarray], real: np.ndarray, sizes: Mapping[str, int], features: int
) -> list[str]:
    """What may mislead when these sets u8[N,H,W,C] are judged by that many features."""
    levels, notes = len(np.unique(real)), []
    for name, images in sets.items():
        drawn = len(np.unique(images))
        if drawn <= levels // 4:
            notes.append(
                f"{name}: {drawn} pixel values, real images {levels}; every comparison of the two"
                " sees that as well."
            )
    count = len(real)
    if any(sizes[name] > count for name in sets):
        fewest = min(sizes, key=lambda name: sizes[name])
        notes.append(f"{count:,} images of each set are compared: {fewest} has no more.")
    if count <= features:
        notes.append(
            f"{count} images have no full covariance of {features} features: the Fréchet distance"
            " is mostly bias; take more images."
        )
    return notes
