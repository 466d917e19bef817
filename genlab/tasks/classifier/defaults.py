"""The config of classifiers: their section, and what their configs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.sections.fields import Natural


@dataclass(frozen=True)
class Classifier:
    """`config.classifier`."""

    shift: Natural = 2  # pixels at most, in training


SECTIONS: dict[str, type | None] = {"classifier": Classifier}


def config(network: str, **fields: Any) -> ConfigDict:
    """A config of a classifier, given by its name and the fields not at their default."""
    made = configs.base("classifier")
    made.model = ConfigDict({"name": network} | fields)
    return made
