"""A normal density of grey values, as decoders of VAEs have it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr


@dataclass(frozen=True)
class Gaussian:
    """A normal density of grey values on [0,1].

    Its values are (level + u) / levels, with u uniform on [0,1). Less log(levels) per dimension,
    the mean over u is a lower bound on the log-likelihood of the levels (Theis et al., arXiv
    1511.01844, section 3.1).

    deviation: of all values; 0 if the network gives each value its own.
    """

    levels: int = 256
    deviation: float = 0.1
    estimate = "bound"

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

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...,levels], log masses of the levels' bins, the first and last
        open. Dequantised levels have at most this likelihood (Theis et al., section 3.1)."""
        edges = jnp.arange(1, self.levels) / self.levels
        x = (edges - params[..., :1]) / jnp.expand_dims(self._scale(params), -1)
        below = jnp.pad(ndtr(x), [(0, 0)] * (x.ndim - 1) + [(1, 1)], constant_values=(0, 1))
        return jnp.log(jnp.maximum(jnp.diff(below), jnp.finfo(below.dtype).tiny))

    def _scale(self, params: jax.Array) -> jax.Array:
        if self.deviation:
            return jnp.float32(self.deviation)
        return jnp.exp(jnp.clip(params[..., 1], -7.0, 7.0))
