"""Computes networks of pixels value by value: by a pass over all pixels each, or from a cache."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from genlab.nn.apply import outputs_and_variables, outputs_of
from genlab.nn.mixture import Stepped
from genlab.nn.pixel import Place
from genlab.state import Tree


class Naive:
    """Steps through an image value by value, each by a pass over all pixels."""

    def __init__(
        self, network: Stepped, params: Tree, context: jax.Array | None, shape: tuple[int, ...]
    ) -> None:
        self.network, self.params, self.context, self.shape = network, params, context, shape
        # Where the colours of a pixel do not see each other, one call computes them all.
        self.by_colour = network.colour_groups and shape[-1] > 1

    def start(self) -> Tree:
        """What is kept from value to value: nothing."""
        return ()

    def row(self, kept: Tree, x: jax.Array, i: jax.Array) -> Tree:
        """What is kept, before the pixels of row i."""
        return kept

    def value(
        self, kept: Tree, x: jax.Array, pixel: jax.Array, i: jax.Array, j: jax.Array, colour: int
    ) -> tuple[jax.Array, Tree]:
        """The outputs of pixel (i, j) up to that colour, and what is kept.

        Args:
          x: f32[B,H,W,C], the image so far.
          pixel: f32[B,C,outputs], the pixel's outputs up to the colour before.
        """
        if colour and not self.by_colour:
            return pixel, kept
        return outputs_of(self.network, self.params, x, self.context)[:, i, j], kept


class Cached(Naive):
    """Computes the value alone, from features and states of those before it.

    cut: the weights of each colour, cut once: they depend on the parameters alone, so a compiler
      throws the pass over a blank image away that they come from.
    """

    def __init__(
        self, network: Stepped, params: Tree, context: jax.Array | None, shape: tuple[int, ...]
    ) -> None:
        super().__init__(network, params, context, shape)
        self.cut: Tree = {}
        if self.by_colour:
            blank = jnp.zeros(shape)
            cut = outputs_and_variables(network, params, "cut", {}, blank, context)[1]
            self.cut = {"cut": cut}

    def start(self) -> Tree:
        """The cache, all zeros."""

        def call(params: Tree, x: jax.Array) -> Tree:
            return outputs_and_variables(self.network, params, "cache", {}, x, self.context)[1]

        blank = jax.ShapeDtypeStruct(self.shape, jnp.float32)
        made = jax.eval_shape(call, self.params, blank)
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), made)

    def row(self, kept: Tree, x: jax.Array, i: jax.Array) -> Tree:
        """The cache, updated with what all pixels of the row share."""
        return self._apply(kept, x, (i, None))[1]

    def value(
        self, kept: Tree, x: jax.Array, pixel: jax.Array, i: jax.Array, j: jax.Array, colour: int
    ) -> tuple[jax.Array, Tree]:
        """See `Naive`."""
        if self.by_colour:
            new, kept = self._apply(kept, x, (i, j, colour))
            return pixel.at[:, colour].set(new[:, 0, 0, 0]), kept
        if colour:
            return pixel, kept
        new, kept = self._apply(kept, x, (i, j))
        return new[:, 0, 0], kept

    def _apply(self, kept: Tree, x: jax.Array, at: Place) -> tuple[jax.Array, Tree]:
        return outputs_and_variables(
            self.network, self.params, "cache", kept, x, self.context, fixed=self.cut, at=at
        )  # fmt: skip


def cached_params(
    network: Stepped, params: Tree, x: jax.Array, context: jax.Array | None = None
) -> jax.Array:
    """The cached sampler's outputs on a given image, pixel by pixel (teacher forcing).

    f32[B,H,W,C] in [-1,1] -> f32[B,H,W,C,outputs]; the full pass gives the same up to rounding.
    """
    stepper = Cached(network, params, context, x.shape)

    def row(kept: Tree, i: jax.Array) -> tuple[Tree, jax.Array]:
        def pixel(kept: Tree, j: jax.Array) -> tuple[Tree, jax.Array]:
            outputs = jnp.zeros((len(x), x.shape[-1], network.outputs))
            for colour in range(x.shape[-1]):
                outputs, kept = stepper.value(kept, x, outputs, i, j, colour)
            return kept, outputs

        return jax.lax.scan(pixel, stepper.row(kept, x, i), jnp.arange(x.shape[2]))

    with jax.default_matmul_precision("highest"):
        out = jax.lax.scan(row, stepper.start(), jnp.arange(x.shape[1]))[1]  # f32[H,W,B,C,outputs]
    return jnp.moveaxis(out, 2, 0)
