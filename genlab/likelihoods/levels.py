"""Conversions between bytes, the levels that likelihoods model, and the inputs of networks."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Images = TypeVar("Images", jax.Array, np.ndarray)


def quantise(images: Images, levels: int) -> Images:
    """u8 0..255 -> i32 levels, in bins of equal width; 2 levels split between 127 and 128."""
    return images.astype(jnp.int32) * levels // 256


def dequantise(values: jax.Array | np.ndarray, levels: int) -> jax.Array:
    """i32 levels -> u8, evenly from 0 to 255 but within their bins, so `quantise` inverts it."""
    first, beyond = (-(-(values + i) * 256 // levels) for i in (0, 1))
    even = jnp.round(values * (255.0 / (levels - 1)))
    return jnp.clip(even, first, beyond - 1).astype(jnp.uint8)


def centre(values: jax.Array, levels: int) -> jax.Array:
    """i32 levels -> f32 in [-1,1], as networks see them."""
    return values * (2.0 / (levels - 1)) - 1.0


def from_centred(x: jax.Array, levels: int) -> jax.Array:
    """f32 in [-1,1] -> i32 levels: undoes `centre`."""
    return jnp.round((x + 1.0) * ((levels - 1) / 2.0)).astype(jnp.int32)
