"""How networks of pixels are called, and what their layers share.

So that a sampler can compute what is new alone, there are four ways:

    network(x, context)                      the parameters of every pixel, f32[B,H,W,C,outputs]
    network(x, context, at=(i, None))        before row i: what all its pixels share, into the cache
    network(x, context, at=(i, j))           of that pixel, f32[B,1,1,C,outputs]
    network(x, context, at=(i, j, AGAIN))    of the same pixel, a colour of which is new

All but the first read and write the `cache` collection, and come in raster order. x is the whole
image, as far as it is known. `context` is what all pixels are told: f32[B,1,1,K] (a class),
f32[B,H,W,K] (a map) or None.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Place = tuple[Any, ...]  # row and column, traced or concrete; or (row, None)
AGAIN = True


def windows(x: jax.Array, kernel: int, taps: int, height: int, width: int) -> jax.Array:
    """Padded f32[B,height+r,width+kernel-1,Cin] -> f32[B,height,width,taps*Cin]: the first taps of
    a kernel, in raster order, as they meet each place."""
    shifts = [divmod(tap, kernel) for tap in range(taps)]
    return jnp.concatenate([x[:, i : i + height, j : j + width] for i, j in shifts], -1)


def cached(module: nn.Module, name: str) -> nn.Variable:
    """A variable of the cache. Raises ValueError where there is none: Flax would make a new one."""
    if not module.has_variable("cache", name):
        raise ValueError("no cache: make one with sampling.empty_cache")
    return module.variable("cache", name, lambda: None)


def context_at(context: jax.Array | None, at: Place | None) -> jax.Array | None:
    """The part of a context that is told to a pixel, f32[B,1,1,K], or a row, f32[B,1,W,K]."""
    if context is None or at is None or context.shape[1:3] == (1, 1):
        return context
    row = jax.lax.dynamic_slice_in_dim(context, at[0], 1, 1)
    return row if at[1] is None else jax.lax.dynamic_slice_in_dim(row, at[1], 1, 2)


class Told(nn.Module):
    """Adds to features what a context says of them: a 1x1 convolution of it, without a mask."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, context: jax.Array | None) -> jax.Array:
        """f32[B,H,W,F] and a context -> f32[B,H,W,F]."""
        if context is None:
            return x
        return x + nn.Dense(x.shape[-1], use_bias=False, dtype=self.dtype)(context)


class PixelFields(nn.Module):
    """The fields that all networks of pixels have.

    outputs: parameters per colour of a pixel, given by the likelihood, not by the config.
    features: width.  layers: how many, after the first convolution.  first_kernel: its side.
    head: maps in the head.  dropout: in every layer.  residual: whether a layer's output is added
    to its input.  skip: whether it is added, by a 1x1, to what the head sees.
    colour_groups: whether a colour sees the earlier ones of its pixel.
    patches: compute convolutions as patches times a matrix, see `masked.MaskedConv`.
    dtype: of the computation; parameters stay float32.
    """

    outputs: int
    features: int = 32
    layers: int = 7
    first_kernel: int = 7
    head: int = 32
    dropout: float = 0.0
    residual: bool = True
    skip: bool = False
    colour_groups: bool = True
    patches: bool = False
    dtype: str = "float32"
