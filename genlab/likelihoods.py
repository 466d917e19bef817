"""Distributions of a pixel given a network's outputs, in nats and bits per dimension.

A likelihood turns `params` f32[...,outputs] into a distribution over integer levels 0..levels-1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab.errors import UserError, nearest


def bits_per_dim(nats_per_image: Any, shape: tuple[int, ...]) -> Any:
    """Nats per image -> bits per dimension, for images of that (H, W, C)."""
    return nats_per_image / (math.prod(shape) * math.log(2.0))


def quantise(images: jax.Array, levels: int) -> jax.Array:
    """u8 0..255 -> i32 levels, in bins of equal width; 2 levels split between 127 and 128."""
    return images.astype(jnp.int32) * levels // 256


def dequantise(values: jax.Array, levels: int) -> jax.Array:
    """i32 levels -> u8, evenly from 0 to 255 but within each level's bin: `quantise` undoes it."""
    first, beyond = (-(-(values + i) * 256 // levels) for i in (0, 1))
    even = jnp.round(values * (255.0 / (levels - 1)))
    return jnp.clip(even, first, beyond - 1).astype(jnp.uint8)


def centre(values: jax.Array, levels: int) -> jax.Array:
    """i32 levels -> f32 in [-1,1], as networks see them."""
    return values * (2.0 / (levels - 1)) - 1.0


@dataclass(frozen=True)
class Categorical:
    """A softmax over the levels (PixelRNN paper, section 3.3)."""

    levels: int = 256
    exact = True

    @property
    def outputs(self) -> int:
        """Parameters per value."""
        return self.levels

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,levels], i32[...] -> f32[...], nats."""
        chosen = jnp.take_along_axis(params, values[..., None], axis=-1)[..., 0]
        return chosen - jax.nn.logsumexp(params, axis=-1)

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...,levels], unnormalised log probabilities."""
        return params

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...], the expected level."""
        return jax.nn.softmax(self.logits(params)) @ jnp.arange(self.levels, dtype=jnp.float32)


@dataclass(frozen=True)
class Bernoulli(Categorical):
    """One logit for two levels; finite at logits of any size."""

    levels: int = 2

    @property
    def outputs(self) -> int:
        """Parameters per value: one logit."""
        return 1

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,1], i32[...] of 0 and 1 -> f32[...], nats."""
        return -jax.nn.softplus(jnp.where(values > 0, -params[..., 0], params[..., 0]))

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,1] -> f32[...,2]."""
        return jnp.concatenate([jnp.zeros_like(params), params], axis=-1)


@dataclass(frozen=True)
class GreyValue:
    """No likelihood: one predicted grey value in [0,1], trained by squared error.

    The classroom's PixelCNN. A pixel is "drawn" by rounding its prediction to the nearest level.
    """

    levels: int = 256
    outputs = 1
    exact = False

    def squared_error(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,1], i32[...] -> f32[...], on grey values in [0,1]."""
        return (jax.nn.sigmoid(params[..., 0]) - values / (self.levels - 1)) ** 2

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,levels]: all mass on the nearest level, so that no noise can move it."""
        distance = jnp.abs(self.mean(params)[..., None] - jnp.arange(self.levels))
        return jnp.where(distance == distance.min(-1, keepdims=True), 0.0, -jnp.inf)

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,1] -> f32[...], the predicted level."""
        return jax.nn.sigmoid(params[..., 0]) * (self.levels - 1)


Likelihood = Categorical | GreyValue
NAMES = {"categorical": Categorical, "bernoulli": Bernoulli, "grey_value": GreyValue}


def make(config: ConfigDict) -> Likelihood:
    """The likelihood of a `likelihood` section. Raises UserError naming the key at fault."""
    if config.name not in NAMES:
        raise UserError(
            f"likelihood.name: no likelihood {config.name!r}.{nearest(config.name, NAMES)}"
        )
    if not 2 <= config.levels <= 256:
        raise UserError(f"likelihood.levels={config.levels}: take 2 to 256.")
    if config.name == "bernoulli" and config.levels != 2:
        raise UserError(f"likelihood.levels={config.levels}: bernoulli has 2; or take categorical.")
    if config.binarisation not in ("fixed", "stochastic"):
        hint = nearest(config.binarisation, ("fixed", "stochastic"))
        raise UserError(f"likelihood.binarisation: {config.binarisation!r}?{hint}")
    if config.binarisation == "stochastic" and config.levels != 2:
        raise UserError("likelihood.binarisation=stochastic needs likelihood.levels=2.")
    return NAMES[config.name](config.levels)
