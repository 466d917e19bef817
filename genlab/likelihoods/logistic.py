"""Logistic distributions over the bins of the levels, one or a mixture, in nats.

Source: Salimans et al., "PixelCNN++", arXiv 1701.05517, sections 2.1 and 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from genlab.likelihoods.levels import centre

LIMIT = 7.0  # of a log scale, either way


def log_bin(values: jax.Array, mean: jax.Array, log_scale: jax.Array, levels: int) -> jax.Array:
    """The log probability of each level's bin; the first and the last bin are open.

    i32[...] levels, f32[...] mean on [-1,1] and log scale -> f32[...], nats. With s the logistic
    function, s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)), which avoids the difference of nearly equal
    numbers.
    """
    precision = jnp.exp(-jnp.clip(log_scale, -LIMIT, LIMIT))
    middle = (centre(values, levels) - mean) * precision
    half = precision / (levels - 1)  # of a bin
    below, above = jax.nn.log_sigmoid(middle + half), jax.nn.log_sigmoid(half - middle)
    inside = below + above + jnp.log(-jnp.expm1(-2.0 * half))
    return jnp.where(values == 0, below, jnp.where(values == levels - 1, above, inside))


def every_bin(mean: jax.Array, log_scale: jax.Array, levels: int) -> jax.Array:
    """f32[...,K] mean and log scale -> f32[...,levels,K], exp(log_bin) of every level.

    A sampler needs all of them for each value it draws, so they are computed with one exponential
    for each edge between two bins, and without logarithms.
    """
    precision = jnp.exp(-jnp.clip(log_scale, -LIMIT, LIMIT))[..., None, :]
    edges = centre(jnp.arange(levels - 1) + 0.5, levels)[:, None]
    x = (edges - mean[..., None, :]) * precision  # f32[...,levels-1,K]
    small = jnp.exp(-jnp.abs(x))
    less, more = small / (1.0 + small), 1.0 / (1.0 + small)
    below, above = jnp.where(x < 0, less, more), jnp.where(x < 0, more, less)
    inside = below[..., 1:, :] * above[..., :-1, :] * -jnp.expm1(-2.0 * precision / (levels - 1))
    return jnp.concatenate([below[..., :1, :], inside, above[..., -1:, :]], -2)


@dataclass(frozen=True)
class Logistic:
    """A logistic distribution with a mean and a scale for each value."""

    levels: int = 256
    outputs = 2
    estimate = "exact"

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,2], i32[...] -> f32[...], nats."""
        return log_bin(values, params[..., 0], params[..., 1], self.levels)

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,2] -> f32[...], the location, as a level."""
        return (jnp.clip(params[..., 0], -1.0, 1.0) + 1.0) * ((self.levels - 1) / 2.0)

    def draw(self, key: jax.Array, params: jax.Array) -> jax.Array:
        """f32[...,2] -> i32[...], a level each."""
        noise = jax.random.logistic(key, params.shape[:-1])
        x = params[..., 0] + noise * jnp.exp(jnp.clip(params[..., 1], -LIMIT, LIMIT))
        levels = jnp.round((x + 1.0) * ((self.levels - 1) / 2.0))
        return jnp.clip(levels, 0, self.levels - 1).astype(jnp.int32)

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,2] -> f32[...,levels], log probabilities."""
        mean, log_scale = params[..., :1], params[..., 1:]
        return log_bin(jnp.arange(self.levels), mean, log_scale, self.levels)


@dataclass(frozen=True)
class LogisticMixture:
    """A mixture of logistics for a whole pixel, whose colours share the component.

    The mean of green depends linearly on red, that of blue on red and green, with coefficients of
    each component. The weights are those of the first colour, because they cannot depend on the
    pixel. The parameters of a value are, for each component, the weight, the mean, the log scale
    and a coefficient for each other colour, of which those of earlier colours are used.
    """

    levels: int = 256
    components: int = 10
    colours: int = 1
    estimate = "exact"

    @property
    def outputs(self) -> int:
        """Parameters per value."""
        return self.components * (self.colours + 2)

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,C,outputs], i32[...,C] -> f32[...,C], nats of each value given the pixel's
        earlier ones."""
        weights, means, scales = self._components(params, values)
        each = log_bin(values[..., None], means, scales, self.levels)  # f32[...,C,K]
        joint = weights[..., None, :] + jnp.cumsum(each, -2)
        total = jax.nn.logsumexp(joint, -1)  # f32[...,C], of all colours up to each
        return jnp.diff(total, axis=-1, prepend=0.0)

    def conditional(self, params: jax.Array, values: jax.Array, colour: int) -> jax.Array:
        """See `PixelPredictor`."""
        weights, means, scales = self._components(params, values)
        earlier = log_bin(values[..., None], means, scales, self.levels)  # f32[...,C,K]
        used = (jnp.arange(self.colours) < colour)[:, None]
        weights = weights + jnp.where(used, earlier, 0.0).sum(-2)  # f32[...,K]
        mean, scale = (jnp.take(x, colour, -2) for x in (means, scales))
        each = every_bin(mean, scale, self.levels)  # f32[...,levels,K]
        total = (jax.nn.softmax(weights)[..., None, :] * each).sum(-1)
        return jnp.log(jnp.maximum(total, jnp.finfo(total.dtype).tiny))  # f32[...,levels]

    def _components(self, params: jax.Array, values: jax.Array) -> tuple[jax.Array, ...]:
        """Log weights f32[...,K], and means and log scales f32[...,C,K] given earlier colours."""
        parts = params.reshape(*params.shape[:-1], self.colours + 2, self.components)
        weights = jax.nn.log_softmax(parts[..., 0, 0, :])
        means, scales = parts[..., 1, :], parts[..., 2, :]
        x = centre(values, self.levels)
        for colour in range(1, self.colours):
            for earlier in range(colour):
                moved = jnp.tanh(parts[..., colour, 3 + earlier, :]) * x[..., earlier, None]
                means = means.at[..., colour, :].add(moved)
        return weights, means, scales
