"""Keys and per-example noise that do not depend on the number of devices.

An example's noise is drawn from `fold_in(key, its row in the global batch)`. Replica d of n holds
rows d, d + n, d + 2n, ..., so its j-th example is row j * n + d. `nn.Dropout` draws one mask for
the whole replica, which breaks that; the Dropout here does not.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

_part: contextvars.ContextVar[int | jax.Array] = contextvars.ContextVar("part", default=0)
AXIS = "data"  # the mapped axis of every step and evaluation


def row_keys(key: jax.Array, size: int) -> jax.Array:
    """key[size]: one key for each example of this replica's batch."""
    rows = (_part.get() * size + jnp.arange(size)) * jax.lax.axis_size(AXIS) + jax.lax.axis_index(
        AXIS
    )
    return jax.vmap(jax.random.fold_in, (None, 0))(key, rows)


@contextlib.contextmanager
def part_of_batch(number: jax.Array) -> Iterator[None]:
    """While traced within, batches are the part of that number of a larger one, in as many rows."""
    before = _part.set(number)
    try:
        yield
    finally:
        _part.reset(before)


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """f32[B,...] in [0,1), example by example."""
    return jax.vmap(lambda k: jax.random.uniform(k, shape[1:]))(row_keys(key, shape[0]))


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """f32[B,...] standard normal, example by example."""
    return jax.vmap(lambda k: jax.random.normal(k, shape[1:]))(row_keys(key, shape[0]))


class Dropout(nn.Module):
    """Dropout whose mask of an example depends on that example's row alone."""

    rate: float

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """f32[B,...] -> f32[B,...], kept values scaled by 1 / (1 - rate); identity off training."""
        if not train or self.rate == 0.0:
            return x
        keep = uniform(self.make_rng("dropout"), x.shape) >= self.rate
        return jnp.where(keep, x / (1.0 - self.rate), 0.0)
