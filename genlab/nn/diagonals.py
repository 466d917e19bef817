"""Maps laid out by their diagonals, for the scan of a Diagonal BiLSTM, and back.

Row i is moved right by i, so that a pixel, the one beside it and the one above it stand in columns
that follow one another (van den Oord et al., arXiv 1601.06759, section 3.2). Both directions are
laid out at once: the second is that of the mirrored map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

SHUT = 1e4  # a gate at -SHUT is shut, at SHUT open: its sigmoid is exactly 0 or 1
Context = jax.Array | None  # f32[B,1,1,K] or f32[B,H,W,K], see `genlab/nn/pixel.py`
# (f32[B,H,W,F], context, which of the 8h gates) -> f32[B,H,W,gates], pixel by pixel
Gates = Callable[[jax.Array, Context, slice], jax.Array]


def skew(x: jax.Array, waiting: jax.Array) -> jax.Array:
    """f32[...,H,W,F] -> f32[...,H,H+W-1,F]: row i is moved right by i, columns are diagonals.

    waiting: f32[F], the values where there is no pixel.
    """
    *lead, height, width, size = x.shape
    beyond = jnp.broadcast_to(waiting, (*lead, height, height, size))
    x = jnp.concatenate([x, beyond], -2).reshape(*lead, height * (height + width), size)
    return x[..., : height * (height + width - 1), :].reshape(*lead, height, -1, size)


def unskew(x: jax.Array, width: int) -> jax.Array:
    """The inverse of `skew`."""
    *lead, height, columns, size = x.shape
    x = x.reshape(*lead, height * columns, size)
    x = jnp.pad(x, [(0, 0)] * len(lead) + [(0, height), (0, 0)])
    return x.reshape(*lead, height, columns + 1, size)[..., :width, :]


def waiting_gates(size: int, dtype: jnp.dtype) -> jax.Array:
    """f32[4h]: gates (output, forget, input, content) that keep c, and an h of zero."""
    return jnp.repeat(jnp.array([-SHUT, SHUT, -SHUT, 0.0], dtype), size)


def gates_then_skewed(
    gates: Gates, x: jax.Array, context: Context, beside: jax.Array, above: jax.Array
) -> jax.Array:
    """f32[B,H,W,F] -> f32[2,B,H,H+W-1,4h], the drive of both directions.

    Args:
      gates: what pixels add to them.
      beside, above: f32[2,4h], what the initial state adds to the first column and the first row.
    """
    left, right = jnp.split(gates(x, context, slice(None)), 2, -1)
    drive = jnp.stack([left, right[:, :, ::-1]])
    drive = drive.at[:, :, :, 0].add(beside[:, None, None])
    drive = drive.at[:, :, 0].add(above[:, None, None])
    return skew(drive, waiting_gates(drive.shape[-1] // 4, drive.dtype))


def skewed_then_gates(
    gates: Gates, x: jax.Array, context: Context, beside: jax.Array, above: jax.Array
) -> jax.Array:
    """The same, up to rounding. What is moved is the map, a quarter as large as the gates of both
    directions, twice; the product then goes over twice as many places. On a TPU that is estimated
    to pay, on a CPU it would not."""
    (_, height, width, _), size = x.shape, beside.shape[-1]
    drive = jnp.stack([
        gates(_skewed(x), _skewed(context), slice(0, size)),
        gates(_skewed(_mirrored(x)), _skewed(_mirrored(context)), slice(size, 2 * size)),
    ])  # fmt: skip
    row = jnp.arange(height)[:, None, None]
    column = jnp.arange(height + width - 1)[:, None] - row  # i32[H,H+W-1,1], of the map
    drive += jnp.where(column == 0, beside[:, None, None, None], 0)
    drive += jnp.where(row == 0, above[:, None, None, None], 0)
    inside = (column >= 0) & (column < width)
    return jnp.where(inside, drive, waiting_gates(size // 4, drive.dtype))


def _mirrored(x: Any) -> Any:
    return x if x is None else x[:, :, ::-1]


def _skewed(x: Any) -> Any:
    """A map, or what is the same everywhere, which needs no skewing."""
    if x is None or x.shape[1:3] == (1, 1):
        return x
    return skew(x, jnp.zeros(x.shape[-1], x.dtype))
