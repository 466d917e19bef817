"""A softmax over the levels, and its case of two levels."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Categorical:
    """A softmax over the levels (PixelRNN paper, section 3.3)."""

    levels: int = 256
    estimate = "exact"

    @property
    def outputs(self) -> int:
        """Parameters per value."""
        return self.levels

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,levels], i32[...] -> f32[...], nats."""
        values = jnp.broadcast_to(values, params.shape[:-1])
        chosen = jnp.take_along_axis(params, values[..., None], axis=-1)[..., 0]
        return chosen - jax.nn.logsumexp(params, axis=-1)

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...,levels], unnormalised log probabilities."""
        return params

    def draw(self, key: jax.Array, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> i32[...], a level each."""
        return jax.random.categorical(key, self.logits(params))

    def conditional(self, params: jax.Array, values: jax.Array, colour: int) -> jax.Array:
        """See `PixelPredictor`."""
        return self.logits(jnp.take(params, colour, -2))

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...], the expected level."""
        return jax.nn.softmax(self.logits(params)) @ jnp.arange(self.levels, dtype=jnp.float32)


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """log(1 + exp(x)), finite at any finite x.

    jax.nn.softplus also minds infinite ones, and takes a CPU three times as long.
    """
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


# Not left to autodiff, whose slope at 0 is 0.
softplus.defjvps(lambda slope, _, x: slope * jax.nn.sigmoid(x))


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
        return values * params[..., 0] - softplus(params[..., 0])

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,1] -> f32[...,2]."""
        return jnp.concatenate([jnp.zeros_like(params), params], axis=-1)
