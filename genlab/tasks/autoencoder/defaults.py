"""The config of the autoencoder family: its sections, and what its configs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.sections import shared
from genlab.sections.fields import Count, Natural, NonNegative, OneOf, Share
from genlab.tasks.autoencoder import corruption, densities


@dataclass(frozen=True)
class Run(shared.Run):
    """The keys outside all sections."""

    loss: Annotated[str, OneOf(("bce", "mse"))] = "bce"


@dataclass(frozen=True)
class Corruption:
    """`config.corruption`: the noise that a denoising autoencoder learns to remove."""

    name: Annotated[str, OneOf(corruption.NAMES)] = "none"
    mean: float = 0.0  # of gaussian noise
    deviation: NonNegative = 0.5  # of gaussian noise
    share: Share = 0.3  # of the pixels that salt makes white


@dataclass(frozen=True)
class Density:
    """`config.density`: of the codes, to sample from."""

    name: Annotated[str, OneOf(densities.NAMES)] = "mixture"
    components: Count = 20  # of the mixture
    examples: Natural = 20_000  # to which it is fitted; 0 for all


@dataclass(frozen=True)
class Eval(shared.Eval):
    """`config.eval`."""

    reference: str = ""  # a workdir to compare a denoiser with


SECTIONS: dict[str, type | None] = {
    "": Run,
    "corruption": Corruption,
    "density": Density,
    "eval": Eval,
}


def config(network: str, **fields: Any) -> ConfigDict:
    """A config of a network with a code, given by its name and the fields not at their default."""
    made = configs.base("autoencoder")
    made.model = ConfigDict({"name": network} | fields)
    return made
