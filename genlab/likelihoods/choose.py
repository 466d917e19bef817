"""Distributions of a pixel given a network's outputs, in nats and bits per dimension.

A likelihood turns `params` f32[...,outputs] into a distribution over integer levels 0..levels-1,
or, for `Gaussian`, over grey values on [0,1] that uniform noise has filled in between the levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab import noise
from genlab.errors import UserError, hint
from genlab.likelihoods.levels import quantise
from genlab.likelihoods.logistic import Logistic, LogisticMixture


def bits_per_dim(nats_per_image: Any, shape: tuple[int, ...]) -> Any:
    """Nats per image -> bits per dimension, for images of that (H, W, C)."""
    return nats_per_image / (math.prod(shape) * math.log(2.0))


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

    def draw(self, key: jax.Array, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> i32[...], a level each."""
        return jax.random.categorical(key, self.logits(params))

    def conditional(self, params: jax.Array, values: jax.Array, colour: int) -> jax.Array:
        """f32[...,C,outputs] of a pixel, and its i32[...,C], read before the colour -> the logits
        of that colour, f32[...,levels]."""
        return self.logits(jnp.take(params, colour, -2))

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...], the expected level."""
        return jax.nn.softmax(self.logits(params)) @ jnp.arange(self.levels, dtype=jnp.float32)


@dataclass(frozen=True)
class Bernoulli(Categorical):
    """One logit for two levels; finite at logits of any size.

    A value between 0 and 1 stands for the probability of a 1, and gets the expected log-likelihood.
    """

    levels: int = 2

    @property
    def outputs(self) -> int:
        """Parameters per value: one logit."""
        return 1

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,1], values f32 or i32[...] on [0,1] -> f32[...], nats."""
        return values * params[..., 0] - jax.nn.softplus(params[..., 0])

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

    def conditional(self, params: jax.Array, values: jax.Array, colour: int) -> jax.Array:
        """As of `Categorical`."""
        return self.logits(jnp.take(params, colour, -2))

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,levels]: all mass on the nearest level, so that no noise can move it."""
        distance = jnp.abs(self.mean(params)[..., None] - jnp.arange(self.levels))
        return jnp.where(distance == distance.min(-1, keepdims=True), 0.0, -jnp.inf)

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,1] -> f32[...], the predicted level."""
        return jax.nn.sigmoid(params[..., 0]) * (self.levels - 1)


@dataclass(frozen=True)
class Gaussian:
    """A normal density of grey values on [0,1], of one deviation or, if that is 0, of its own for
    each value.

    Its values are (level + u) / levels with u uniform on [0,1): with log(levels) taken off each
    dimension, the mean over u is a lower bound on the log-likelihood of the levels (Theis et al.,
    arXiv 1511.01844, section 3.1).
    """

    levels: int = 256
    deviation: float = 0.1
    exact = False

    @property
    def outputs(self) -> int:
        """Parameters per value."""
        return 1 if self.deviation else 2

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,outputs], f32[...] on [0,1] -> f32[...], nats per level."""
        scale = self._scale(params)
        square = jnp.square((values - params[..., 0]) / scale)
        density = -0.5 * square - jnp.log(scale) - 0.5 * math.log(2.0 * math.pi)
        return density - math.log(self.levels)

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...], the mean, as a level."""
        return jnp.clip(params[..., 0] * self.levels - 0.5, 0.0, self.levels - 1.0)

    def draw(self, key: jax.Array, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> i32[...], a level each."""
        x = params[..., 0] + self._scale(params) * jax.random.normal(key, params.shape[:-1])
        return jnp.clip(jnp.floor(x * self.levels), 0, self.levels - 1).astype(jnp.int32)

    def _scale(self, params: jax.Array) -> jax.Array:
        if self.deviation:
            return jnp.float32(self.deviation)
        return jnp.exp(jnp.clip(params[..., 1], -7.0, 7.0))


Likelihood = Categorical | GreyValue | Logistic | LogisticMixture | Gaussian
NAMES = {"categorical": Categorical, "bernoulli": Bernoulli, "grey_value": GreyValue}
NAMES |= {"logistic": Logistic, "logistic_mixture": LogisticMixture, "gaussian": Gaussian}
BINARISATIONS = ("fixed", "stochastic", "expected")


def observe(
    likelihood: Likelihood, binarisation: str, images: jax.Array, key: jax.Array
) -> jax.Array:
    """u8[B,H,W,C] -> the values that a likelihood is of: i32 levels, or f32 on [0,1].

    Args:
      binarisation: of images for two levels. fixed: split at 127; stochastic: drawn with the grey
        value as probability; expected: the grey values themselves (see `Bernoulli`).
    """
    if isinstance(likelihood, Gaussian):
        uniform = noise.uniform(key, images.shape)
        return (quantise(images, likelihood.levels) + uniform) / likelihood.levels
    if binarisation == "stochastic":
        return (noise.uniform(key, images.shape) < images / 255.0).astype(jnp.int32)
    if binarisation == "expected":
        return images / 255.0
    return quantise(images, likelihood.levels)


def protocol(likelihood: Likelihood, binarisation: str) -> dict[str, Any]:
    """What a likelihood is a likelihood of, for the stamp of a result."""
    kind, seen = type(likelihood).__name__, {"levels": likelihood.levels}
    if likelihood.levels == 2:
        meant = " (grey values as probabilities)" if binarisation == "expected" else ""
        seen["binarisation"] = binarisation + meant
    if isinstance(likelihood, Gaussian):
        seen["dequantisation"] = "uniform"
    return {"likelihood": kind, **seen}


def make(config: ConfigDict, colours: int) -> Likelihood:
    """The likelihood of a `likelihood` section, for images of that many colours.

    Raises: UserError naming the key at fault.
    """
    if config.name not in NAMES:
        raise UserError(
            f"likelihood.name: no likelihood {config.name!r}.{hint(config.name, NAMES)}"
        )
    if not 2 <= config.levels <= 256:
        raise UserError(f"likelihood.levels={config.levels}: take 2 to 256.")
    if config.name == "bernoulli" and config.levels != 2:
        raise UserError(f"likelihood.levels={config.levels}: bernoulli has 2; or take categorical.")
    if config.binarisation not in BINARISATIONS:
        near = hint(config.binarisation, BINARISATIONS)
        raise UserError(f"likelihood.binarisation: {config.binarisation!r}?{near}")
    if config.binarisation != "fixed" and config.levels != 2:
        raise UserError(f"likelihood.binarisation={config.binarisation} needs likelihood.levels=2.")
    if config.binarisation == "expected" and config.name != "bernoulli":
        raise UserError("likelihood.binarisation=expected needs likelihood.name=bernoulli.")
    if config.name == "gaussian":
        return Gaussian(config.levels, config.get("deviation", Gaussian.deviation))
    if config.name == "logistic_mixture":
        components = config.get("components", LogisticMixture.components)
        if components < 1:
            raise UserError(f"likelihood.components={components}: take 1 or more.")
        return LogisticMixture(config.levels, components, colours)
    return NAMES[config.name](config.levels)
