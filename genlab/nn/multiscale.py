"""Multi-scale networks: a small image first, then all other pixels given it.

The small image is every `factor`-th pixel of every `factor`-th row. Its own network gives those
pixels their distributions. Another network gives all others theirs: it sees the pixels before them
in raster order and, as the context of all its layers, an enlarged map of the small image. Every
pixel is modelled once, so the likelihood of the whole is exact.

Source: van den Oord et al., "Pixel Recurrent Neural Networks", arXiv 1601.06759, section 3.6.
"""

from __future__ import annotations

from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from genlab.nn.apply import outputs_of
from genlab.nn.conv import ConvTranspose
from genlab.nn.pixel import PixelFields, PixelNetwork, PixelSampler, Place
from genlab.sections.fields import Count, Dtype

Image = TypeVar("Image", jax.Array, np.ndarray)


class Enlarge(nn.Module):
    """Enlarges a small image to a map of what is known around each pixel of the large one."""

    features: int
    factor: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, height: int, width: int) -> jax.Array:
        """f32[B,h,w,C] -> f32[B,height,width,features]."""
        x = nn.relu(nn.Conv(self.features, (3, 3), dtype=self.dtype)(x))
        enlarge = ConvTranspose(self.features, 2 * self.factor, self.factor, self.dtype)
        return enlarge(x)[:, :height, :width]


class MultiScale(PixelNetwork):
    """Two networks of pixels, one for each scale.

    small: the network of the small image, possibly multi-scale again.
    large: the network of all other pixels.
    factor: how many times smaller the small image is.
    features: of the enlarged map.
    dtype: of the computation of that map.
    """

    small: PixelNetwork
    large: PixelFields
    factor: Count = 2
    features: Count = 32
    dtype: Dtype = "float32"

    def setup(self) -> None:
        self.enlarge = Enlarge(self.features, self.factor, self.dtype)

    def reduced(self, x: Image) -> Image:
        """[B,H,W,C] -> the small image [B,H/factor,W/factor,C], rounded up."""
        return x[:, :: self.factor, :: self.factor]

    def reduced_context(self, context: jax.Array | None) -> jax.Array | None:
        """The context of `small`."""
        if context is None or context.shape[1:3] == (1, 1):
            return context
        return self.reduced(context)

    def large_context(
        self, small: jax.Array, context: jax.Array | None, shape: tuple[int, ...]
    ) -> jax.Array:
        """The context of `large` for images f32[B,H,W,C] of that shape, given f32[B,h,w,C]."""
        enlarged = self.enlarge(small, *shape[1:3])  # f32[B,H,W,features]
        if context is None:
            return enlarged
        context = jnp.broadcast_to(context, (*enlarged.shape[:3], context.shape[-1]))
        return jnp.concatenate([enlarged, context.astype(enlarged.dtype)], -1)

    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        at: Place | None = None,
        train: bool = False,
    ) -> jax.Array:
        """See `masked.MaskedNetwork`; without `at`, because samplers take each scale in turn."""
        if at is not None:
            raise ValueError("a multi-scale network is sampled scale by scale")
        small = self.reduced(x)
        first = self.small(small, self.reduced_context(context), train=train)
        params = self.large(x, self.large_context(small, context, x.shape), train=train)
        return params.at[:, :: self.factor, :: self.factor].set(first)

    def as_sampled(self, patches: bool) -> PixelNetwork:
        """See `PixelNetwork`."""
        return self.clone(
            dtype="float32",
            small=self.small.as_sampled(patches),
            large=self.large.as_sampled(patches),
        )

    def outer(self) -> tuple[str, ...]:
        """See `PixelNetwork`: of both networks, and what enlarges the small image."""
        parts = (("small", self.small), ("large", self.large))
        return "enlarge", *(f"{name}/{path}" for name, net in parts for path in net.outer())

    def order(self, places: np.ndarray) -> np.ndarray:
        """See `PixelNetwork`: the small image first."""
        small = self.reduced(places[None])[0]
        rest = places[~np.isin(places, small)]
        return np.concatenate([self.small.order(small), rest.ravel()])

    def draw(
        self,
        sampler: PixelSampler,
        keys: jax.Array,
        given: jax.Array,
        known: jax.Array,
        places: jax.Array,
    ) -> jax.Array:
        """See `PixelNetwork`."""
        return draw_by_scale(self, sampler, keys, given, known, places)


def draw_by_scale(
    network: Any,
    sampler: PixelSampler,
    keys: jax.Array,
    given: jax.Array,
    known: jax.Array,
    places: jax.Array,
) -> jax.Array:
    """`PixelNetwork.draw` of a multi-scale network, or of a mixture of such: the small image is
    drawn, and then known."""
    context = sampler.context
    small = sampler.of_part("small", network.reduced_context(context)).draw(
        keys, network.reduced(given), network.reduced(known), network.reduced(places[None])[0]
    )
    seen = sampler.seen(small)
    large_context = outputs_of(
        network, sampler.params, seen, context, given.shape, method="large_context"
    )
    inside = (slice(None), *(slice(None, None, network.factor),) * 2)
    given, known = given.at[inside].set(small), known.at[inside].set(True)
    return sampler.of_part("large", large_context).draw(keys, given, known, places)
