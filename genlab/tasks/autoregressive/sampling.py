"""Samplers for every autoregressive network, all equal.

    naive         a forward pass over the whole image for every value
    cached        features and states are kept; a step computes one value alone
    fixed_point   the noise is frozen and the whole image drawn again and again until it stays as it
                  is: exact, as each pass settles at least the next value, and parallel over pixels

How networks are called is said in `genlab/nn/pixel.py`. The noise of value t (raster order,
colours innermost) of image i is drawn from `fold_in(fold_in(key, i), t)`, so that every sampler
sees the same noise. Values are drawn by adding Gumbel noise to logits: cached and full logits
differ in their last bits, which an argmax with Gumbel noise hides far better than an inverse
distribution function would. `differences` counts what it does not hide.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from genlab.errors import UserError, hint
from genlab.likelihoods.choose import Likelihood
from genlab.likelihoods.levels import centre
from genlab.nn.multiscale import MultiScale
from genlab.state import Tree
from genlab.tasks.autoregressive.stepping import Cached, Naive

METHODS = ("naive", "cached", "fixed_point")
MARGIN = 1e-5  # of a decision, times max(1, |logit|): what rounding may turn over


def prepare(network: nn.Module, method: str) -> tuple[nn.Module, str]:
    """The network as samplers run it (float32; patches, since CPU loops slow convolutions), and
    the method meant by "auto". Raises UserError for a method that does not exist."""
    if method not in (*METHODS, "auto"):
        raise UserError(f"sample.method: no sampler {method!r}.{hint(method, (*METHODS, 'auto'))}")
    return _as_sampled(network), "cached" if method == "auto" else method


def _as_sampled(network: nn.Module) -> nn.Module:
    if isinstance(network, MultiScale):
        small, large = _as_sampled(network.small), _as_sampled(network.large)
        return network.clone(small=small, large=large)
    return network.clone(dtype="float32", patches=jax.default_backend() == "cpu")


def gumbel(keys: jax.Array, places: jax.Array, levels: int) -> jax.Array:
    """key[B], i32[...] numbers of values -> f32[B,...,levels]."""

    def draw(key: jax.Array, place: jax.Array) -> jax.Array:
        return jax.random.gumbel(jax.random.fold_in(key, place), (levels,))

    found = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(keys, places.ravel())
    return found.reshape(keys.shape[0], *places.shape, levels)


def numbered(shape: tuple[int, ...]) -> jax.Array:
    """i32[H,W,C]: the values of images [B,H,W,C] of that shape, in raster order."""
    return jnp.arange(np.prod(shape[1:])).reshape(shape[1:])


def draw(
    network: nn.Module,
    params: Tree,
    likelihood: Likelihood,
    keys: jax.Array,
    given: jax.Array,
    known: jax.Array,
    context: jax.Array | None = None,
    method: str = "cached",
    temperature: float | jax.Array = 1.0,
    places: jax.Array | None = None,
) -> jax.Array:
    """Draws images, keeping what is known; to be called under jit.

    Args:
      keys: key[B], one for each image.
      given: i32[B,H,W,C] levels, read where known.
      known: bool[B,H,W,C]; all False draws from scratch.
      context: f32[B,1,1,K] or f32[B,H,W,K], what the network is told of every image; or None.
      temperature: divides the logits.
      places: i32[H,W,C], the number of each value, if the images are parts of larger ones.

    Returns: i32[B,H,W,C] levels.
    """
    places = numbered(given.shape) if places is None else places
    rest = (context, method, temperature)
    with jax.default_matmul_precision("highest"):
        if isinstance(network, MultiScale):
            parts = (network.reduced(x) for x in (given, known, places[None]))
            small_given, small_known, small_places = parts
            below = (network.reduced_context(context), *rest[1:])
            small = draw(network.small, params["small"], likelihood, keys, small_given,
                         small_known, *below, small_places[0])  # fmt: skip
            told = network.apply(
                {"params": params}, centre(small, likelihood.levels), context, given.shape,
                method="told",
            )  # fmt: skip
            inside = (slice(None), *(slice(None, None, network.factor),) * 2)
            given, known = given.at[inside].set(small), known.at[inside].set(True)
            return draw(network.large, params["large"], likelihood, keys, given, known,
                        told, *rest[1:], places)  # fmt: skip
        what = (network, params, likelihood, keys, given, known, context, temperature, places)
        return _fixed_point(*what) if method == "fixed_point" else _in_order(*what, method)


def _in_order(
    network: nn.Module,
    params: Tree,
    likelihood: Likelihood,
    keys: jax.Array,
    given: jax.Array,
    known: jax.Array,
    context: jax.Array | None,
    temperature: float | jax.Array,
    places: jax.Array,
    method: str,
) -> jax.Array:
    """Value after value."""
    _, height, width, colours = given.shape
    stepper = {"naive": Naive, "cached": Cached}[method](network, params, context, given.shape)

    def row(i: jax.Array, loop: Any) -> Any:
        # A whole row's noise at once: the generator is faster in bulk.
        noise = gumbel(keys, places[i], likelihood.levels)  # f32[B,W,C,levels]
        kept, values = loop
        kept = stepper.row(kept, centre(values, likelihood.levels), i)

        def column(j: jax.Array, loop: Any) -> Any:
            kept, values = loop
            found = jnp.zeros((len(values), colours, likelihood.outputs))
            for colour in range(colours):
                x = centre(values, likelihood.levels)
                found, kept = stepper.value(kept, x, found, i, j, colour)
                logits = likelihood.conditional(found, values[:, i, j], colour) / temperature
                new = jnp.argmax(logits + noise[:, j, colour], axis=-1)
                new = jnp.where(known[:, i, j, colour], given[:, i, j, colour], new)
                values = values.at[:, i, j, colour].set(new)
            return kept, values

        return jax.lax.fori_loop(0, width, column, (kept, values))

    # What is known is shown from the start: no network reads it before its turn.
    start = stepper.start(), jnp.where(known, given, 0)
    return jax.lax.fori_loop(0, height, row, start)[1]


def _fixed_point(
    network: nn.Module,
    params: Tree,
    likelihood: Likelihood,
    keys: jax.Array,
    given: jax.Array,
    known: jax.Array,
    context: jax.Array | None,
    temperature: float | jax.Array,
    places: jax.Array,
) -> jax.Array:
    """All values at once, given those of the last pass, until none changes."""
    noise = gumbel(keys, places, likelihood.levels)  # f32[B,H,W,C,levels]

    def again(loop: tuple) -> tuple:
        values, _ = loop
        found = network.apply({"params": params}, centre(values, likelihood.levels), context)
        drawn = jnp.stack(
            [
                jnp.argmax(
                    likelihood.conditional(found, values, colour) / temperature
                    + noise[..., colour, :],
                    axis=-1,
                )
                for colour in range(values.shape[-1])
            ],
            -1,
        )
        new = jnp.where(known, given, drawn).astype(values.dtype)
        return new, jnp.any(new != values)

    start = jnp.where(known, given, 0)
    return jax.lax.while_loop(lambda loop: loop[1], again, (start, jnp.bool_(True)))[0]


def order(network: nn.Module, places: np.ndarray) -> np.ndarray:
    """The numbers of all values [H,W,C] in the order in which the network models them."""
    if not isinstance(network, MultiScale):
        return places.ravel()
    small = network.reduced(places[None])[0]
    rest = places[~np.isin(places, small)]
    return np.concatenate([order(network.small, small), rest.ravel()])


def differences(
    network: nn.Module,
    params: Tree,
    likelihood: Likelihood,
    keys: jax.Array,
    first: np.ndarray,
    second: np.ndarray,
    context: jax.Array | None = None,
) -> tuple[int, int]:
    """How many images of two sets, i32[B,H,W,C] levels by the same keys, differ; and how many of
    them not by rounding: the first differing value was decided by more than MARGIN."""
    places = order(network, np.asarray(numbered(first.shape)))
    flat = [np.asarray(x).reshape(len(x), -1)[:, places] for x in (first, second)]
    differ = np.flatnonzero((flat[0] != flat[1]).any(1))
    beyond = 0
    for i in differ:
        t = int(places[np.argmax(flat[0][i] != flat[1][i])])
        row, column, colour = np.unravel_index(t, first.shape[1:])
        values = jnp.asarray(first[i : i + 1])
        told = None if context is None else context[i : i + 1]
        with jax.default_matmul_precision("highest"):
            found = network.apply({"params": params}, centre(values, likelihood.levels), told)
        logits = likelihood.conditional(found[:, row, column], values[:, row, column], int(colour))
        scores = logits[0] + gumbel(keys[i : i + 1], jnp.array([t]), likelihood.levels)[0, 0]
        best, next_best = np.sort(np.asarray(scores))[[-1, -2]]
        beyond += bool(best - next_best > MARGIN * max(1.0, float(jnp.abs(logits).max())))
    return len(differ), beyond
