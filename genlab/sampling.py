"""Raster-order samplers for every autoregressive network.

An autoregressive network is called as `network.apply(variables, x)` on a whole image, and as
`network.apply(variables, x, at=(row, column))` for one pixel, with its `cache` collection.

The noise of value t (raster order, colours innermost) of image i is drawn from
`fold_in(fold_in(key, i), t)`, so that every sampler sees the same noise. Values are drawn by
adding Gumbel noise to logits: cached and full logits differ in their last bits, which an argmax
with Gumbel noise hides far better than an inverse distribution function would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab.errors import UserError, nearest
from genlab.likelihoods import Likelihood, centre
from genlab.state import Tree

Pixel = tuple[Any, Any]
# (carry, f32[B,H,W,C] so far, (row, column)) -> (carry, f32[B,C,outputs] there)
ParamsAt = Callable[[Tree, jax.Array, Pixel], tuple[Tree, jax.Array]]


def empty_cache(network: nn.Module, params: Tree, shape: tuple[int, ...]) -> Tree:
    """The `cache` collection for images f32[B,H,W,C] of that shape, all zeros."""
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    made = jax.eval_shape(
        lambda p, x: network.apply({"params": p}, x, mutable=["cache"])[1]["cache"], params, image
    )
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), made)


def naive(network: nn.Module, params: Tree, shape: tuple[int, ...]) -> tuple[Tree, ParamsAt]:
    """A forward pass over the whole image for every value."""

    def params_at(carry: Tree, x: jax.Array, at: Pixel) -> tuple[Tree, jax.Array]:
        everywhere = network.apply({"params": params}, x)  # f32[B,H,W,C,outputs]
        return carry, everywhere[:, at[0], at[1]]

    return (), params_at


def cached(network: nn.Module, params: Tree, shape: tuple[int, ...]) -> tuple[Tree, ParamsAt]:
    """Each layer's features are kept; a step computes one pixel's column through the layers."""

    def params_at(cache: Tree, x: jax.Array, at: Pixel) -> tuple[Tree, jax.Array]:
        variables = {"params": params, "cache": cache}
        out, changed = network.apply(variables, x, at=at, mutable=["cache"])
        return changed["cache"], out[:, 0, 0]

    return empty_cache(network, params, shape), params_at


METHODS = {"naive": naive, "cached": cached}


def prepare(network: nn.Module, method: str) -> tuple[nn.Module, str]:
    """The network as samplers run it (float32; patches, since CPU loops slow convolutions), and
    the method meant by "auto". Raises UserError for a method that does not exist."""
    if method not in (*METHODS, "auto"):
        raise UserError(
            f"sample.method: no sampler {method!r}.{nearest(method, (*METHODS, 'auto'))}"
        )
    patches = jax.default_backend() == "cpu"
    return network.clone(dtype="float32", patches=patches), "cached" if method == "auto" else method


def raster(
    network: nn.Module,
    params: Tree,
    likelihood: Likelihood,
    keys: jax.Array,
    given: jax.Array,
    known: jax.Array,
    method: str = "cached",
    temperature: float | jax.Array = 1.0,
) -> jax.Array:
    """Draws images value by value, keeping what is known; to be called under jit.

    Args:
      keys: key[B], one for each image.
      given: i32[B,H,W,C] levels, read where known.
      known: bool[B,H,W,C]; all False draws from scratch.
      temperature: divides the logits.

    Returns: i32[B,H,W,C] levels.
    """
    shape = given.shape
    _, height, width, colours = shape
    per_row = width * colours
    carry, params_at = METHODS[method](network, params, shape)

    def gumbel(t: jax.Array) -> jax.Array:
        draw = lambda key: jax.random.gumbel(jax.random.fold_in(key, t), (likelihood.levels,))  # noqa: E731
        return jax.vmap(draw)(keys)  # f32[B,levels]

    def row(i: jax.Array, loop: Any) -> Any:
        # A whole row's noise at once: the generator is faster in bulk.
        noise = jax.vmap(gumbel)(i * per_row + jnp.arange(per_row))  # f32[W*C,B,levels]

        def value(place: jax.Array, loop: Any) -> Any:
            carry, values = loop
            j, colour = place // colours, place % colours
            carry, found = params_at(carry, centre(values, likelihood.levels), (i, j))
            logits = likelihood.logits(found[:, colour]) / temperature  # f32[B,levels]
            drawn = jnp.argmax(logits + noise[place], axis=-1)
            here = jnp.where(known[:, i, j, colour], given[:, i, j, colour], drawn)
            return carry, values.at[:, i, j, colour].set(here)

        return jax.lax.fori_loop(0, per_row, value, loop)

    blank = jnp.zeros(shape, jnp.int32)
    with jax.default_matmul_precision("highest"):
        return jax.lax.fori_loop(0, height, row, (carry, blank))[1]


def cached_params(network: nn.Module, params: Tree, x: jax.Array) -> jax.Array:
    """The cached sampler's outputs on a given image, pixel by pixel (teacher forcing).

    f32[B,H,W,C] in [-1,1] -> f32[B,H,W,C,outputs]; the full pass gives the same up to rounding.
    """
    b, height, width, colours = x.shape
    cache, params_at = cached(network, params, x.shape)

    def pixel(cache: Tree, place: jax.Array) -> tuple[Tree, jax.Array]:
        return params_at(cache, x, (place // width, place % width))

    with jax.default_matmul_precision("highest"):
        _, out = jax.lax.scan(pixel, cache, jnp.arange(height * width))  # f32[HW,B,C,outputs]
    return out.swapaxes(0, 1).reshape(b, height, width, colours, -1)
