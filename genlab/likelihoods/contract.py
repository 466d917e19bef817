"""What a likelihood promises: a distribution of pixels, given a network's outputs.

`params` are f32[...,outputs]; values are integer levels 0..levels-1, or, for `Gaussian`, grey
values on [0,1] that uniform noise has dequantised.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import jax


class Outputs(Protocol):
    """What the outputs of a network mean."""

    @property
    def levels(self) -> int:
        """Levels of a value."""

    @property
    def outputs(self) -> int:
        """Outputs of the network for each value."""

    @property
    def estimate(self) -> str:
        """What its log-likelihood is: "exact", a "bound", or "none" for one that has none."""

    def __hash__(self) -> int:
        """Compiled programs are kept by it."""


@runtime_checkable
class Likelihood(Outputs, Protocol):
    """A distribution of values."""

    def log_prob(self, params: jax.Array, values: jax.Array) -> jax.Array:
        """f32[...,outputs], values [...] -> f32[...], nats of each value."""


@runtime_checkable
class PixelPredictor(Outputs, Protocol):
    """Outputs from which samplers draw a pixel, colour after colour."""

    def conditional(self, params: jax.Array, values: jax.Array, colour: int) -> jax.Array:
        """The logits f32[...,levels] of one colour of a pixel, unnormalised log probabilities.

        Args:
          params: f32[...,C,outputs] of the pixel.
          values: i32[...,C] of the pixel; only the colours before this one are read.
        """


@runtime_checkable
class PixelLikelihood(Likelihood, PixelPredictor, Protocol):
    """A likelihood whose colours are drawn one after another: for autoregressive models."""


@runtime_checkable
class ImageLikelihood(Likelihood, Protocol):
    """A likelihood that draws a whole image at once: for decoders."""

    def mean(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...], the expected value, as a level."""

    def draw(self, key: jax.Array, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> i32[...], a level each."""

    def logits(self, params: jax.Array) -> jax.Array:
        """f32[...,outputs] -> f32[...,levels], unnormalised log probabilities of the levels."""
