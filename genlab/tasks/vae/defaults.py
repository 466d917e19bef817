"""The config of the VAE family: its sections, and what its configs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.likelihoods import choose
from genlab.sections import shared
from genlab.sections.fields import Count, Natural, NonNegative, OneOf


@dataclass(frozen=True)
class VAE:
    """`config.vae`."""

    objective: Annotated[str, OneOf(("elbo", "iwae"))] = "elbo"
    samples: Count = 1  # draws of the posterior in a training step
    beta: NonNegative = 1.0  # weight of the KL in training; evaluations report the bound itself
    warmup_steps: Natural = 0  # over which the weight grows to beta
    conditional: bool = False  # on the class


@dataclass(frozen=True)
class Eval(shared.Eval):
    """`config.eval`."""

    samples: Count = 100  # K of the importance-weighted bound in --mode=eval
    chunk: Count = 50  # how many of them are computed at once


SECTIONS: dict[str, type | None] = {"vae": VAE, "likelihood": choose.Section, "eval": Eval}


def config(network: str, **fields: Any) -> ConfigDict:
    """A config of a network with a code, given by its name and the fields not at their default."""
    made = configs.base("vae")
    made.model = ConfigDict({"name": network} | fields)
    made.likelihood.update(name="bernoulli", levels=2, binarisation="expected")
    made.train.best_metric = "neg_elbo"
    return made
