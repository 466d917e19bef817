"""A grey value predicted by squared error: the classroom's PixelCNN, and no likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class GreyValue:
    """One predicted grey value in [0,1]. A pixel is "drawn" by rounding it to the nearest level."""

    levels: int = 256
    outputs = 1
    estimate = "none"

    def squared_error(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,1], i32[...] -> f32[...], on grey values in [0,1]."""
        return (jax.nn.sigmoid(params[..., 0]) - values / (self.levels - 1)) ** 2

    def conditional(self, params: jax.Array, values: jax.Array, colour: int) -> jax.Array:
        """See `PixelPredictor`."""
        return self.logits(jnp.take(params, colour, -2))

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,levels]: all mass is on the nearest level, so that no noise can move it."""
        distance = jnp.abs(self.mean(params)[..., None] - jnp.arange(self.levels))
        return jnp.where(distance == distance.min(-1, keepdims=True), 0.0, -jnp.inf)

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,1] -> f32[...], the predicted level."""
        return jax.nn.sigmoid(params[..., 0]) * (self.levels - 1)
