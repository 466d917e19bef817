"""Samplers for every autoregressive network; all draw the same images.

    naive         a forward pass over the whole image for every value
    cached        features and states are kept, so that a step computes one value alone
    fixed_point   with its noise fixed, the whole image is drawn again until it no longer changes:
                  exact, as each pass settles at least the next value, and parallel over pixels
    auto          on a CPU, cached. Elsewhere fixed_point, for as many passes as cached takes the
                  time of; images that have not settled by then are drawn again, cached

`genlab/nn/pixel.py` says how networks are called. The noise of value t (raster order,
colours innermost) of image i is drawn from `fold_in(fold_in(key, i), t)`, so that every sampler
sees the same noise. Values are drawn by adding Gumbel noise to logits: cached and full logits
differ in their last bits, which an argmax with Gumbel noise hides far better than an inverse
distribution function would. `Sampler.differences` counts what it does not hide.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genlab import parallel
from genlab.likelihoods.contract import PixelPredictor
from genlab.likelihoods.levels import centre
from genlab.nn.apply import outputs_of
from genlab.nn.mixture import Stepped
from genlab.nn.pixel import PixelNetwork
from genlab.state import Tree
from genlab.tasks.autoregressive.stepping import Cached, Naive

METHODS = ("naive", "cached", "fixed_point")
STEPPERS = {"naive": Naive, "cached": Cached}
Passes = tuple[jax.Array, jax.Array, jax.Array]  # the values, whether any changed, how many
MARGIN = 1e-5  # times max(1, |logit|): rounding may change decisions that are closer than this


def gumbel(keys: jax.Array, places: jax.Array, levels: int) -> jax.Array:
    """key[B], i32[...] numbers of values -> f32[B,...,levels]."""

    def draw(key: jax.Array, place: jax.Array) -> jax.Array:
        return jax.random.gumbel(jax.random.fold_in(key, place), (levels,))

    noise = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(keys, places.ravel())
    return noise.reshape(keys.shape[0], *places.shape, levels)


def numbered(shape: tuple[int, ...]) -> jax.Array:
    """i32[H,W,C]: the numbers, in raster order, of the values of images of shape [B,H,W,C]."""
    return jnp.arange(np.prod(shape[1:])).reshape(shape[1:])


@dataclass(frozen=True)
class Sampler:
    """A network with its parameters, ready to draw; to be used under jit.

    network: as samplers run it, see `PixelNetwork.as_sampled`.
    predictor: what its outputs mean.
    context: f32[B,1,1,K] or f32[B,H,W,K], see `genlab/nn/pixel.py`; or None; or what the members of
      a mixture are told.
    temperature: divides the logits.
    method: one of METHODS, or "auto".
    """

    network: PixelNetwork
    params: Tree
    predictor: PixelPredictor
    context: Any = None
    temperature: float | jax.Array = 1.0
    method: str = "cached"

    def draw(
        self, keys: jax.Array, given: jax.Array, known: jax.Array, places: jax.Array | None = None
    ) -> jax.Array:
        """Draws what is not known of images, i32[B,H,W,C] levels.

        Args:
          keys: key[B], one for each image.
          given: i32[B,H,W,C] levels, read where known.
          known: bool[B,H,W,C]; all False draws from scratch.
          places: i32[H,W,C], the number of each value, if the images are parts of larger ones.
        """
        places = numbered(given.shape) if places is None else places
        return self.network.draw(self, keys, given, known, places)

    def of_part(self, name: str, context: Any) -> Sampler:
        """The sampler of a network within this one, with that context."""
        network, params = self.network.part(name, self.params)
        return dataclasses.replace(self, network=network, params=params, context=context)

    def pixels(
        self, keys: jax.Array, given: jax.Array, known: jax.Array, places: jax.Array
    ) -> jax.Array:
        """`draw` for a network that models all pixels in raster order."""
        if self.method == "fixed_point":
            return self._fixed_point(keys, given, known, places)[0]
        if self.method != "auto":
            return self._in_order(self.method, keys, given, known, places)
        in_order = functools.partial(self._in_order, "cached", keys, given, known, places)
        if parallel.platform() == "cpu":
            return in_order()
        passes = self.network.passes_of_a_cached_draw
        values, settled = self._fixed_point(keys, given, known, places, passes)
        return jax.lax.cond(settled, lambda: values, in_order)

    def seen(self, values: jax.Array) -> jax.Array:
        """i32[B,H,W,C] levels -> f32[B,H,W,C] in [-1,1], as networks see them."""
        return centre(values, self.predictor.levels)

    def outputs(self, values: jax.Array) -> jax.Array:
        """i32[B,H,W,C] levels -> f32[B,H,W,C,outputs], by one pass over all pixels."""
        return outputs_of(self.network, self.params, self.seen(values), self.context)

    def _chosen(
        self, outputs: jax.Array, values: jax.Array, colour: int, noise: jax.Array
    ) -> jax.Array:
        """f32[...,C,outputs], i32[...,C], f32[...,levels] -> i32[...], the level of the colour."""
        logits = self.predictor.conditional(outputs, values, colour) / self.temperature
        return jnp.argmax(logits + noise, axis=-1)

    def _in_order(
        self, method: str, keys: jax.Array, given: jax.Array, known: jax.Array, places: jax.Array
    ) -> jax.Array:
        """Value after value."""
        assert isinstance(self.network, Stepped)  # others draw their parts
        _, height, width, colours = given.shape
        levels = self.predictor.levels
        stepper = STEPPERS[method](self.network, self.params, self.context, given.shape)

        def row(i: jax.Array, loop: Any) -> Any:
            # A whole row's noise at once: the generator is faster in bulk.
            noise = gumbel(keys, places[i], levels)  # f32[B,W,C,levels]
            kept, values = loop
            kept = stepper.row(kept, self.seen(values), i)

            def column(j: jax.Array, loop: Any) -> Any:
                kept, values = loop
                outputs = jnp.zeros((values.shape[0], colours, self.predictor.outputs))
                for colour in range(colours):
                    x = self.seen(values)
                    outputs, kept = stepper.value(kept, x, outputs, i, j, colour)
                    new = self._chosen(outputs, values[:, i, j], colour, noise[:, j, colour])
                    new = jnp.where(known[:, i, j, colour], given[:, i, j, colour], new)
                    values = values.at[:, i, j, colour].set(new)
                return kept, values

            return jax.lax.fori_loop(0, width, column, (kept, values))

        # Known values are there from the start; no network reads them before their turn.
        start = stepper.start(), jnp.where(known, given, 0)
        return jax.lax.fori_loop(0, height, row, start)[1]

    def _fixed_point(
        self,
        keys: jax.Array,
        given: jax.Array,
        known: jax.Array,
        places: jax.Array,
        passes: int = 0,
    ) -> tuple[jax.Array, jax.Array]:
        """All values at once, given those of the last pass, until none changes; and whether none
        does, which is certain without a limit on the passes (0)."""
        noise = gumbel(keys, places, self.predictor.levels)  # f32[B,H,W,C,levels]

        def going(loop: Passes) -> jax.Array:
            _, changed, done = loop
            return changed & (done < passes) if passes else changed

        def again(loop: Passes) -> Passes:
            values, _, done = loop
            outputs = self.outputs(values)
            drawn = [
                self._chosen(outputs, values, colour, noise[..., colour, :])
                for colour in range(values.shape[-1])
            ]
            new = jnp.where(known, given, jnp.stack(drawn, -1)).astype(values.dtype)
            return new, jnp.any(new != values), done + 1

        start = jnp.where(known, given, 0), jnp.bool_(True), jnp.int32(0)
        values, changed, _ = jax.lax.while_loop(going, again, start)
        return values, ~changed

    def differences(
        self, keys: jax.Array, first: np.ndarray, second: np.ndarray
    ) -> tuple[int, int]:
        """Compares two sets of images i32[B,H,W,C] drawn by the same keys.

        Returns: how many differ, and how many of them not by rounding, which is where the first
          differing value was decided by more than MARGIN.
        """
        order = self.network.order(np.asarray(numbered(first.shape)))
        flat = [np.asarray(x).reshape(len(x), -1)[:, order] for x in (first, second)]
        differing = np.flatnonzero((flat[0] != flat[1]).any(1))
        lead = [
            self._lead(keys, first, int(i), int(order[np.argmax(flat[0][i] != flat[1][i])]))
            for i in differing
        ]
        return len(differing), sum(lead)

    def _lead(self, keys: jax.Array, images: np.ndarray, i: int, place: int) -> bool:
        """Whether value `place` of image i was decided by more than MARGIN."""
        row, column, colour = np.unravel_index(place, images.shape[1:])
        values = jnp.asarray(images[i : i + 1])
        context = None if self.context is None else self.context[i : i + 1]
        with jax.default_matmul_precision("highest"):
            outputs = dataclasses.replace(self, context=context).outputs(values)
        pixel = outputs[:, row, column], values[:, row, column]
        logits = self.predictor.conditional(*pixel, int(colour))
        noise = gumbel(keys[i : i + 1], jnp.array([place]), self.predictor.levels)
        best, next_best = np.sort(np.asarray(logits[0] + noise[0, 0]))[[-1, -2]]
        return bool(best - next_best > MARGIN * max(1.0, float(jnp.abs(logits).max())))
