"""Bounds on log p(x) from draws of a posterior.

Kingma and Welling, arXiv 1312.6114, appendix B; Burda et al., arXiv 1509.00519, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from genlab import noise

UNROLLED = 4  # chunks up to which a bound is computed without a loop
# terms(eps f32[B,K,d]) -> log p(x|z), log p(z) - log q(z|x), f32[K,B] each
Terms = Callable[[jax.Array], tuple[jax.Array, jax.Array]]


def kl_from_standard_normal(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each dimension, in nats."""
    return 0.5 * (jnp.expm1(log_variance) - log_variance + mean**2)


def importance_weighted(
    terms: Terms, key: jax.Array, shape: tuple[int, int], k: int, chunk: int
) -> tuple[jax.Array, jax.Array]:
    """The K-sample bound, computed `chunk` draws at a time, so that memory does not grow with K.

    Args: shape: (B, d) of the latent.
    Returns: f32[B] each: the mean of log p(x|z) over the draws, and the log mean weight
      p(x|z) p(z) / q(z|x), both in nats.
    """
    batch, codes = shape
    chunks = -(-k // chunk)

    def more(carry: tuple[jax.Array, jax.Array], i: jax.Array) -> tuple[tuple, None]:
        total, log_total = carry
        log_p, ratio = terms(noise.normal(jax.random.fold_in(key, i), (batch, chunk, codes)))
        wanted = (i * chunk + jnp.arange(chunk) < k)[:, None]  # the last chunk may be cut
        weights = jnp.where(wanted, log_p + ratio, -jnp.inf)  # f32[chunk,B]
        log_total = jnp.logaddexp(log_total, jax.nn.logsumexp(weights, axis=0))
        return (total + jnp.where(wanted, log_p, 0.0).sum(0), log_total), None

    start = jnp.zeros(batch), jnp.full(batch, -jnp.inf)
    # Unrolled where short: XLA's CPU convolutions lose their fast path inside a loop.
    unroll = chunks <= UNROLLED
    (total, log_total), _ = jax.lax.scan(more, start, jnp.arange(chunks), unroll=unroll)
    return total / k, log_total - math.log(k)
