"""The splits of a run."""

from __future__ import annotations

import functools

import numpy as np
from ml_collections import ConfigDict

from genlab.condition import Spec
from genlab.data.examples import Source
from genlab.data.fit import Fit
from genlab.data.select import hold_out, overlap, select
from genlab.data.sources import open_source
from genlab.data.split import Broken, Split
from genlab.errors import UserError
from genlab.sections.fields import check, fields_of
from genlab.sections.shared import Data as Fields


class Data:
    """The splits of a run, each listed when it is first asked for; none is decoded before.

    Where `valid_split` is "" and the source has no split for it, one training example in ten is
    held out of `train_split`.
    """

    def __init__(self, config: ConfigDict, source: Source):
        self.config, self.source = config, source
        self.broken = Broken(stop=config.on_broken == "stop")

    @functools.cached_property
    def train(self) -> Split:
        """What a run learns from."""
        return self._split("train", self._train_and_valid[0])

    @functools.cached_property
    def valid(self) -> Split:
        """What it is judged by on the way."""
        return self._split("valid", self._train_and_valid[1])

    @functools.cached_property
    def test(self) -> Split:
        """`data.eval_split`, what a trained model is measured on."""
        text = self.config.eval_split
        return self._split(text, select(self.source, text, "eval_split"))

    @property
    def spec(self) -> Spec:
        """The shape and the classes of a run that trains on this."""
        return self.train.spec

    def check(self) -> None:
        """Lists every split. Raises UserError for one that is not there or holds nothing."""
        _ = self.train, self.valid, self.test

    @functools.cached_property
    def _train_and_valid(self) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        train = select(self.source, config.train_split, "train_split")
        text = config.valid_split or self.source.validation
        if not text:
            return hold_out(self.source, train, config.train_split)
        valid = select(self.source, text, "valid_split")
        if overlap(train, valid):
            raise UserError(
                f"data.valid_split={text!r} overlaps data.train_split={config.train_split!r};"
                " make them disjoint."
            )
        return train, valid

    def _split(self, name: str, rows: np.ndarray) -> Split:
        config = self.config
        fit = Fit(config.image_size, config.channels, config.upscale)
        return Split(name, self.source, rows, fit, self.broken, self.source.classes)


def load(config: ConfigDict) -> Data:
    """The data of a config's `data` section.

    Raises: UserError for a field out of its range, and for a source that is not there.
    """
    for name, field in fields_of(Fields).items():
        if name in config:
            check(f"data.{name}", config[name], field.kind)
    if config.channels == 2:
        raise UserError("data.channels=2: take 1, 3, or 0 for the set's own.")
    return Data(config, open_source(config))
