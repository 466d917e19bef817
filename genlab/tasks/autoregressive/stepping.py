"""Networks of pixels value after value: with a pass over all pixels for each, or from a cache."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from genlab.nn.pixel import PixelFields
from genlab.state import Tree


class Naive:
    """Steps through an image value by value, each by a pass over all pixels."""

    def __init__(
        self, network: PixelFields, params: Tree, context: jax.Array | None, shape: tuple[int, ...]
    ) -> None:
        self.network, self.params, self.context, self.shape = network, params, context, shape
        # Where the colours of a pixel do not see each other, the first finds them all.
        self.by_colour = network.colour_groups and shape[-1] > 1

    def start(self) -> Tree:
        """What is kept from value to value: nothing."""
        return ()

    def row(self, kept: Tree, x: jax.Array, i: jax.Array) -> Tree:
        """What is kept, before the pixels of row i."""
        return kept

    def value(
        self, kept: Tree, x: jax.Array, found: jax.Array, i: jax.Array, j: jax.Array, colour: int
    ) -> tuple[jax.Array, Tree]:
        """What is found of pixel (i, j), f32[B,C,outputs], with that colour; and what is kept.

        x: f32[B,H,W,C] so far.  found: of the colours before it.
        """
        if colour and not self.by_colour:
            return found, kept
        return self.network.apply({"params": self.params}, x, self.context)[:, i, j], kept


class Cached(Naive):
    """Computes the value alone, from features and states of those before it."""

    def start(self) -> Tree:
        """The cache, all zeros."""

        def call(params: Tree, x: jax.Array) -> Tree:
            out = self.network.apply({"params": params}, x, self.context, mutable=["cache"])
            return out[1]["cache"]

        blank = jax.ShapeDtypeStruct(self.shape, jnp.float32)
        made = jax.eval_shape(call, self.params, blank)
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), made)

    def row(self, kept: Tree, x: jax.Array, i: jax.Array) -> Tree:
        """The cache with what all pixels of the row share."""
        return self._apply(kept, x, (i, None))[1]

    def value(
        self, kept: Tree, x: jax.Array, found: jax.Array, i: jax.Array, j: jax.Array, colour: int
    ) -> tuple[jax.Array, Tree]:
        """See `Naive`."""
        if self.by_colour:
            new, kept = self._apply(kept, x, (i, j, colour))
            return found.at[:, colour].set(new[:, 0, 0, 0]), kept
        if colour:
            return found, kept
        new, kept = self._apply(kept, x, (i, j))
        return new[:, 0, 0], kept

    def _apply(self, kept: Tree, x: jax.Array, at: Any) -> tuple[Any, Tree]:
        variables = {"params": self.params, "cache": kept}
        out, changed = self.network.apply(variables, x, self.context, at=at, mutable=["cache"])
        return out, changed.get("cache", kept)


def cached_params(
    network: PixelFields, params: Tree, x: jax.Array, context: jax.Array | None = None
) -> jax.Array:
    """The cached sampler's outputs on a given image, pixel by pixel (teacher forcing).

    f32[B,H,W,C] in [-1,1] -> f32[B,H,W,C,outputs]; the full pass gives the same up to rounding.
    """
    stepper = Cached(network, params, context, x.shape)

    def row(kept: Tree, i: jax.Array) -> tuple[Tree, jax.Array]:
        def pixel(kept: Tree, j: jax.Array) -> tuple[Tree, jax.Array]:
            found = jnp.zeros((len(x), x.shape[-1], network.outputs))
            for colour in range(x.shape[-1]):
                found, kept = stepper.value(kept, x, found, i, j, colour)
            return kept, found

        return jax.lax.scan(pixel, stepper.row(kept, x, i), jnp.arange(x.shape[2]))

    with jax.default_matmul_precision("highest"):
        out = jax.lax.scan(row, stepper.start(), jnp.arange(x.shape[1]))[1]  # f32[H,W,B,C,outputs]
    return jnp.moveaxis(out, 2, 0)
