"""`--mode=judge`: any sets of images beside a split of real ones, in one table."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ml_collections import ConfigDict

from genlab.data import splits
from genlab.data.select import overlap
from genlab.data.splits import Data
from genlab.errors import UserError
from genlab.judging import classifiers, inputs
from genlab.judging import judge as judging
from genlab.judging.copies import OfSplit, Pool
from genlab.judging.judgement import Judgement
from genlab.model import restore
from genlab.modes.output import Output
from genlab.trained import Model
from genlab.workdir import configs, places


def judge(config: ConfigDict, features: str, samples: str, against: str, output: str) -> None:
    """Prints how sets compare with the split `against` of `config.data`, that of the classifier
    `features` unless overridden; writes a line for each set, and pictures, to `output`.

    samples: the sets, see `genlab.judging.inputs`.

    Raises: UserError for what cannot be read, or does not fit the classifier.
    """
    if not samples:
        raise UserError(
            "--mode=judge needs --samples: workdirs, folders, .npz files, pretrained:NAME or"
            " splits, with commas between."
        )
    configs.refuse_unread(config, features, "judge")
    if output:
        Output("", output).check()
    classifier = restore(features)
    sets = splits.load(_against(config, against).data)
    shape = sets.test.spec.shape
    classifiers.chosen(classifier, shape, "--features")
    given = inputs.named(samples, config)
    inputs.fitting(given, shape, places.name(features))
    found = judged(given, sets, classifier, config)
    print(found)
    if output:
        write(found, Output("", output))


def _against(config: ConfigDict, split: str) -> ConfigDict:
    config = configs.copy(config).unlock()
    config.data.eval_split = split or config.data.eval_split
    return config


def judged(
    given: dict[str, inputs.Given], sets: Data, classifier: Model, config: ConfigDict
) -> Judgement:
    """Reads or draws `eval.images` of every set, or what there is, and judges them."""
    test, wanted = inputs.Read(sets.test.name, sets.test), config.eval.images
    seeds = {inputs.Read: config.seed, inputs.Drawn: config.sample.seed}
    drawn = {
        name: inputs.images(one, one.most(wanted), seeds[type(one)], sets.test.spec.shape)
        for name, one in given.items()
    }
    pool, remarks = _pool(sets)
    real = test.images(test.most(wanted), config.seed)
    found = judging.judged(drawn, real, pool, classifier, config.seed, progress=True)
    protocol: dict[str, Any] = {"source": config.data.source, "split": sets.test.name}
    protocol |= found.protocol | {"sample_seed": config.sample.seed}
    return replace(found, protocol=protocol, remarks=remarks + found.remarks)


def _pool(sets: Data) -> tuple[Pool | None, list[str]]:
    """The training images to search for copies; none, and a remark, if real ones are among them."""
    if not overlap(sets.test.rows, sets.train.rows):
        return OfSplit(sets.train), []
    remark = f"{sets.test.name} holds training images, so no copies are searched for, and no floor."
    return None, [remark]


def write(found: Judgement, output: Output) -> None:
    """Keeps a judgement: a line for each set, and pictures."""
    for name in found.sets:
        output.line("judge.jsonl", found.line(name))
    for name, picture in found.pictures().items():
        file = re.sub(r"[^\w.=-]+", "_", name)
        output.picture(f"figures/{file}.png", picture)
    print(f"{output.folder}: a line for each set in judge.jsonl, pictures in figures/")
