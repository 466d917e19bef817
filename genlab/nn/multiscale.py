"""Multi-scale networks: a small image first, then all other pixels given it.

The small image is every `factor`-th pixel of every `factor`-th row. Its own network gives those
pixels their distributions; another network gives the others theirs, given the pixels before them
in raster order and, through an enlarged map of it that all its layers are told, the small image.
So the likelihood of the whole is exact: every pixel is modelled once.

Source: van den Oord et al., "Pixel Recurrent Neural Networks", arXiv 1601.06759, section 3.6.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab.nn.conv import ConvTranspose
from genlab.nn.pixel import Place


class Enlarge(nn.Module):
    """A small image to a map of the large one's size, that says what is known around a pixel."""

    features: int
    factor: int

    @nn.compact
    def __call__(self, x: jax.Array, height: int, width: int) -> jax.Array:
        """f32[B,h,w,C] -> f32[B,height,width,features]."""
        x = nn.relu(nn.Conv(self.features, (3, 3))(x))
        return ConvTranspose(self.features, 2 * self.factor, self.factor)(x)[:, :height, :width]


class MultiScale(nn.Module):
    """small, large: networks of pixels, `small` possibly multi-scale again.  factor: how many times
    smaller.  features: of the enlarged map."""

    small: nn.Module
    large: nn.Module
    factor: int = 2
    features: int = 32

    def setup(self) -> None:
        """The map between both scales."""
        self.enlarge = Enlarge(self.features, self.factor)

    def reduced(self, x: jax.Array) -> jax.Array:
        """[B,H,W,C] -> the small image [B,H/factor,W/factor,C], rounded up."""
        return x[:, :: self.factor, :: self.factor]

    def told(self, small: jax.Array, context: jax.Array | None, shape: tuple) -> jax.Array:
        """The context of `large` for images f32[B,H,W,C] of that shape, given f32[B,h,w,C]."""
        told = self.enlarge(small, *shape[1:3])  # f32[B,H,W,features]
        if context is None:
            return told
        context = jnp.broadcast_to(context, (*told.shape[:3], context.shape[-1]))
        return jnp.concatenate([told, context.astype(told.dtype)], -1)

    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        at: Place | None = None,
        train: bool = False,
    ) -> jax.Array:
        """As of `masked.PixelNetwork`, but for `at`: samplers go through both networks in turn."""
        if at is not None:
            raise ValueError("a multi-scale network is sampled scale by scale")
        small = self.reduced(x)
        first = self.small(small, self.reduced_context(context), train=train)
        params = self.large(x, self.told(small, context, x.shape), train=train)
        return params.at[:, :: self.factor, :: self.factor].set(first)

    def reduced_context(self, context: jax.Array | None) -> jax.Array | None:
        """The context of `small`."""
        mapped = context is not None and context.shape[1:3] != (1, 1)
        return self.reduced(context) if mapped else context
