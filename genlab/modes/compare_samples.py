"""Samples of a run beside the images of its evaluation split, for `--mode=eval`."""

from __future__ import annotations

from dataclasses import replace

import jax
from ml_collections import ConfigDict

from genlab import data
from genlab.errors import UserError
from genlab.judging import classifiers, judge
from genlab.judging.copies import OfSplit
from genlab.judging.judgement import Judgement
from genlab.trained import Model

NAME = "samples"  # of the set that is judged


def extractor(model: Model, config: ConfigDict) -> Model:
    """The classifier of `eval.classifier`. Raises UserError if it does not suit the model."""
    model.function("sample", config.sample.method)  # says which families sample
    return classifiers.chosen(config.eval.classifier, model.task.shape, "eval.classifier")


def compare_model(
    model: Model, classifier: Model, sets: data.Data, config: ConfigDict
) -> Judgement:
    """Draws `eval.images` samples (fewer, if a split has fewer) and judges them.

    Samples use `sample.seed`; the choice of a split's images, subsets and halves uses `seed`.
    Copies are searched in the whole training split, which is read once.
    """
    count = min(config.eval.images, len(sets.test), len(sets.train))
    if count < judge.FEWEST:
        raise UserError(
            f"eval.images={config.eval.images}, {len(sets.test)} test images and"
            f" {len(sets.train)} training images: {judge.FEWEST} or more of each are needed."
        )
    key = jax.random.key(config.sample.seed)
    samples = model.with_config(config).sample(key, count, progress=True)
    rows = data.order(config.seed, 0, len(sets.test))[:count]
    real = sets.test.read(rows)["image"]
    pool = OfSplit(sets.train)
    found = judge.judged({NAME: samples}, real, pool, classifier, config.seed, progress=True)
    drawn = {
        "split": sets.test.name,
        "sample_method": config.sample.method,
        "sample_temperature": config.sample.temperature,
        "sample_seed": config.sample.seed,
    }
    return replace(found, protocol=found.protocol | drawn)
