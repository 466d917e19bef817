"""The config of the GAN family: its sections, and what its configs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.sections.fields import Count, NonNegative, OneOf, Rate
from genlab.sections.shared import AveragedOptim, Optim
from genlab.tasks.gan.losses import LOSSES


@dataclass(frozen=True)
class Model:
    """`config.model`, besides a network for each player."""

    prior: Annotated[str, OneOf(("normal", "uniform"))] = "normal"  # uniform is on [-1,1]


@dataclass(frozen=True)
class GAN:
    """`config.gan`."""

    loss: Annotated[str, OneOf(tuple(LOSSES))] = "non_saturating"
    discriminator_steps: Count = 1  # for each of the generator; they share data.batch_size
    label_smoothing: Rate = 0.0  # real images are labelled 1 minus this
    gradient_penalty: NonNegative = 0.0  # weight, 0 is off
    r1: NonNegative = 0.0  # weight, 0 is off
    conditional: bool = False  # on the class


SECTIONS: dict[str, type | None] = {
    "gan": GAN,
    "model": Model,
    "optim": None,
    "optim.generator": AveragedOptim,
    "optim.discriminator": Optim,  # only what draws samples is averaged
}


def config(generator: dict[str, Any], discriminator: dict[str, Any], **optim: Any) -> ConfigDict:
    """A config of two networks, given by their names and the fields that differ from the defaults.

    optim: fields of both optimizers.
    """
    made = configs.base("gan")
    made.model.update(generator=ConfigDict(generator), discriminator=ConfigDict(discriminator))
    for player in ("generator", "discriminator"):
        made.optim[player].update(optim)
    made.train.best_metric = "feature_distance"
    made.train.watch.accuracy_real = {"high": 0.999, "patience": 5}  # the discriminator has won
    made.train.watch.sample_diversity = {"low": 0.2, "patience": 2}  # one image for every latent
    return made


def dcgan() -> ConfigDict:
    """A GAN of strided convolutions."""
    generator = {"name": "gan.ResizeGenerator"}
    return config(generator, {"name": "gan.StridedDiscriminator"}, learning_rate=2e-4, b1=0.5)
