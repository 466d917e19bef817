"""The Gated PixelCNN: two stacks of convolutions, and no blind spot.

The vertical stack sees all rows above a pixel, the horizontal one its own row up to it and, through
a 1x1 link, the vertical stack. The networks are called as `genlab/nn/pixel.py` says; before each
row, the vertical stack is computed.

Source: van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", arXiv
1606.05328, section 2.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab import noise
from genlab.nn.masked import output_layers
from genlab.nn.masked_conv import MaskedConv
from genlab.nn.pixel import (
    AddContext,
    PixelFields,
    Place,
    cached,
    context_at,
    forgetful,
    of_colour,
    windows,
)
from genlab.sections.fields import OddCount


def gate(x: jax.Array) -> jax.Array:
    """f32[...,2p] -> f32[...,p]: tanh of one half times sigmoid of the other."""
    value, opening = jnp.split(x, 2, -1)
    return jnp.tanh(value) * nn.sigmoid(opening)


class VerticalConv(nn.Module):
    """A convolution over the pixel's own row and those above it, `rows` in all, without a mask.

    Its input needs none: row i of the vertical map knows the image above row i only.
    """

    features: int
    kernel: int
    rows: int
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, at: Place | None = None) -> jax.Array:
        """f32[B,H,W,Cin] -> f32[B,H,W,features]; with at=(i, None) of that row, f32[B,1,W,...]."""
        b, height, width, c_in = x.shape
        rows, side = self.rows, self.kernel // 2
        taps = rows * self.kernel
        init = nn.initializers.glorot_uniform()
        matrix = self.param("kernel", init, (taps * c_in, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, matrix, bias = nn.dtypes.promote_dtype(x, matrix, bias, dtype=self.dtype)
        if at is None and self.is_mutable_collection("cache"):
            shape = (b, height + rows - 1, width + 2 * side, c_in)
            self.variable("cache", "map", jnp.zeros, shape, x.dtype)
        if at is None and not self.patches:
            return bias + jax.lax.conv_general_dilated(
                x,
                matrix.reshape(rows, self.kernel, c_in, self.features),
                window_strides=(1, 1),
                padding=((rows - 1, 0), (side, side)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        if at is None:
            padded = jnp.pad(x, ((0, 0), (rows - 1, 0), (side, side), (0, 0)))
        else:
            cache = cached(self, "map")
            here = (0, at[0] + rows - 1, side, 0)
            cache.value = jax.lax.dynamic_update_slice(cache.value, x, here)
            padded = jax.lax.dynamic_slice_in_dim(cache.value, at[0], rows, 1)
        columns = windows(padded, self.kernel, taps, height, width)
        return (columns.reshape(-1, taps * c_in) @ matrix).reshape(b, height, width, -1) + bias


class GatedLayer(nn.Module):
    """One layer of both stacks (figure 2 of the source); only the horizontal one has a residual.

    kind: mask of the horizontal stack; A in the first layer, which has no residual.
    rows: rows of the vertical kernel.
    """

    features: int
    kernel: int = 3
    kind: str = "B"
    rows: int = 2
    colours: int = 1
    dropout: float = 0.0
    residual: bool = True
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        v: jax.Array | None,
        h: jax.Array | None,
        context: jax.Array | None,
        at: Place | None,
        train: bool,
    ) -> tuple[jax.Array | None, jax.Array | None, jax.Array | None]:
        """Both maps f32[B,H,W,...] -> both maps f32[B,H,W,p], and what this layer adds to h.

        With at=(i, None) v is f32[B,1,W,...] and the others are None; of a pixel v is None.
        """
        if v is not None:
            v, link = self._vertical(v, context, at)
        else:
            link = self._link_at(at)
        if h is None:
            return v, None, None
        out = self._horizontal(h, link, context, at, train)
        return v, h + out if self.residual and self.kind == "B" else out, out

    def _vertical(
        self, v: jax.Array, context: jax.Array | None, at: Place | None
    ) -> tuple[jax.Array, jax.Array]:
        """f32[B,H,W,...] -> the vertical map f32[B,H,W,p], and its link f32[B,H,W,2p]."""
        size = 2 * self.features
        gates = VerticalConv(size, self.kernel, self.rows, self.patches, self.dtype)(v, at)
        link = nn.Dense(size, use_bias=False, dtype=self.dtype, name="linked")(gates)
        if at is not None:
            cached(self, "link").value = link
        elif self.is_mutable_collection("cache"):
            shape = (link.shape[0], 1, *link.shape[2:])
            self.variable("cache", "link", jnp.zeros, shape, link.dtype)
        add_context = AddContext(size, dtype=self.dtype, name="told_vertical")
        return gate(add_context(gates, context)), link

    def _link_at(self, at: Place | None) -> jax.Array:
        """f32[B,1,1,2p], the link of a pixel, or its part for a colour, from the cache."""
        assert at is not None  # the vertical map is left out at a pixel only
        link = jax.lax.dynamic_slice_in_dim(cached(self, "link").value, at[1], 1, 2)
        return of_colour(link, self.colours, at, 2)

    def _horizontal(
        self,
        h: jax.Array,
        link: jax.Array,
        context: jax.Array | None,
        at: Place | None,
        train: bool,
    ) -> jax.Array:
        """f32[B,H,W,...] and the link f32[B,H,W,2p] -> f32[B,H,W,p]."""
        size = self.features
        across = MaskedConv(
            2 * size, self.kernel, self.kind, self.colours, 2, 0, self.patches, self.dtype
        )(h, at)
        add_context = AddContext(2 * size, self.colours, 2, self.dtype, name="told_horizontal")
        out = gate(add_context(across + link, context, at))
        out = noise.Dropout(self.dropout)(out, train)
        return MaskedConv(size, 1, "B", self.colours, dtype=self.dtype)(out, at)


def both_maps(x: jax.Array, at: Place | None) -> tuple[jax.Array | None, jax.Array | None]:
    """What the vertical and the horizontal stack start from, None for one that is not needed.

    Row i of the vertical map knows the image f32[B,H,W,C] above row i.
    """
    if at is not None and at[1] is not None:
        return None, x
    above = jnp.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
    if at is None:
        return above, x
    return jax.lax.dynamic_slice_in_dim(above, at[0], 1, 1), None


class GatedPixelCNN(PixelFields):
    """The Gated PixelCNN. A class adds a bias to every gate (section 2.3 of the source).

    features: p of both stacks.
    kernel: side of all convolutions but the first.
    """

    kernel: OddCount = 3

    def outer(self) -> tuple[str, ...]:
        """See `PixelNetwork`."""
        skips = self.layers if self.skip else 0
        return "GatedLayer_0", f"MaskedConv_{skips}", f"MaskedConv_{skips + 1}"

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        at: Place | None = None,
        train: bool = False,
    ) -> jax.Array | None:
        """See `masked.MaskedNetwork`."""
        channels = x.shape[-1]
        colours = channels if self.colour_groups else 1
        context = context_at(context, at)
        v, h = both_maps(x, at)
        skipped: jax.Array | float = 0.0

        def layer(kernel: int, kind: str, rows: int, dropout: float) -> GatedLayer:
            return GatedLayer(
                self.features, kernel, kind, rows, colours, dropout, self.residual,
                self.patches, self.dtype,
            )  # fmt: skip

        half = self.first_kernel // 2
        v, h, _ = layer(self.first_kernel, "A", half, 0.0)(v, h, context, at, train)
        for _ in range(self.layers):
            rows = self.kernel // 2 + 1
            made = layer(self.kernel, "B", rows, self.dropout)
            if self.remat and train:
                v, h, out = forgetful(made, v, h, context)
            else:
                v, h, out = made(v, h, context, at, train)
            if self.skip and out is not None:
                skipped += MaskedConv(self.features, 1, "B", colours, dtype=self.dtype)(out, at)
        if h is None:
            return None
        y = output_layers(h + skipped, at, self.head, colours, channels * self.outputs, self.dtype)
        return y.reshape(*y.shape[:-1], -1, self.outputs)  # f32[B,H,W,C,outputs]
