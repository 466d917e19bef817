"""The likelihood of a config, the values that images have for it, and the stamp of its results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab import noise
from genlab.errors import UserError
from genlab.likelihoods.categorical import Bernoulli, Categorical
from genlab.likelihoods.contract import Outputs
from genlab.likelihoods.gaussian import Gaussian
from genlab.likelihoods.grey_value import GreyValue
from genlab.likelihoods.levels import quantise
from genlab.likelihoods.logistic import Logistic, LogisticMixture
from genlab.sections.fields import Count, NonNegative, OneOf, Range

NAMES = ("categorical", "bernoulli", "grey_value", "logistic", "logistic_mixture", "gaussian")
BINARISATIONS = ("fixed", "stochastic", "expected")


@dataclass(frozen=True)
class Section:
    """`config.likelihood`."""

    name: Annotated[str, OneOf(NAMES)] = "categorical"
    levels: Annotated[int, Range(2, 256)] = 256
    binarisation: Annotated[str, OneOf(BINARISATIONS)] = "fixed"  # to two levels, see `observe`
    components: Count = 10  # of a logistic_mixture
    deviation: NonNegative = 0.1  # of a gaussian; 0 learns one for each value


def likelihood_of(config: ConfigDict, colours: int) -> Outputs:
    """The likelihood of a `likelihood` section, for images of that many colours.

    Raises: UserError naming the key at fault.
    """
    if config.name == "bernoulli" and config.levels != 2:
        raise UserError(f"likelihood.levels={config.levels}: bernoulli has 2; or take categorical.")
    if config.binarisation != "fixed" and config.levels != 2:
        raise UserError(f"likelihood.binarisation={config.binarisation} needs likelihood.levels=2.")
    if config.binarisation == "expected" and config.name != "bernoulli":
        raise UserError("likelihood.binarisation=expected needs likelihood.name=bernoulli.")
    known: dict[str, Outputs] = {
        "categorical": Categorical(config.levels),
        "bernoulli": Bernoulli(config.levels),
        "grey_value": GreyValue(config.levels),
        "logistic": Logistic(config.levels),
        "logistic_mixture": LogisticMixture(config.levels, config.components, colours),
        "gaussian": Gaussian(config.levels, config.deviation),
    }
    return known[config.name]


def observe(likelihood: Outputs, binarisation: str, images: jax.Array, key: jax.Array) -> jax.Array:
    """u8[B,H,W,C] -> the values whose likelihood is measured: i32 levels, or f32 on [0,1].

    Args:
      binarisation: how images become two levels. "fixed" splits them between 127 and 128;
        "stochastic" draws them, with the grey value as probability; "expected" keeps the grey
        values (see `Bernoulli`).
    """
    if isinstance(likelihood, Gaussian):
        uniform = noise.uniform(key, images.shape)
        return (quantise(images, likelihood.levels) + uniform) / likelihood.levels
    if binarisation == "stochastic":
        return (noise.uniform(key, images.shape) < images / 255.0).astype(jnp.int32)
    if binarisation == "expected":
        return images / 255.0
    return quantise(images, likelihood.levels)


def protocol(likelihood: Outputs, binarisation: str) -> dict[str, Any]:
    """What values a likelihood was measured on, for the stamp of a result."""
    stamp: dict[str, Any] = {"likelihood": type(likelihood).__name__, "levels": likelihood.levels}
    if likelihood.levels == 2:
        meant = " (grey values as probabilities)" if binarisation == "expected" else ""
        stamp["binarisation"] = binarisation + meant
    if isinstance(likelihood, Gaussian):
        stamp["dequantisation"] = "uniform"
    return stamp


def bits_per_dim(nats_per_image: Any, shape: tuple[int, ...]) -> Any:
    """Nats per image -> bits per dimension, for images of that (H, W, C)."""
    return nats_per_image / (math.prod(shape) * math.log(2.0))
