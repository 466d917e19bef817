"""The frame that stacks layers between a mask A and an output, and the PixelCNN.

How a network is called is said in `genlab/nn/pixel.py`.

Source: van den Oord et al., "Pixel Recurrent Neural Networks", arXiv 1601.06759, sections 2-3.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab import noise
from genlab.nn.masked_conv import MaskedConv
from genlab.nn.pixel import (
    CONTEXT_NAME,
    AddContext,
    PixelFields,
    Place,
    context_at,
    forgetful,
)
from genlab.sections.fields import OddCount


class MaskedNetwork(PixelFields):
    """A convolution with mask A, layers, and twice ReLU and a 1x1 convolution with mask B.

    A subclass gives its layers: `layer(colours)` is a module
    (f32[B,H,W,2h], context, at, train) -> f32[B,H,W,2h].

    features: h; the maps between layers have 2h features.
    """

    margin = 0  # columns that layers need right of the image; if any, rows are computed in advance

    def conv(self, features: int, kernel: int, kind: str, colours: int) -> MaskedConv:
        """A masked convolution with the settings of the network."""
        return MaskedConv(
            features, kernel, kind, colours, patches=self.patches, dtype=self.dtype
        )  # fmt: skip

    def outer(self) -> tuple[str, ...]:
        """See `PixelNetwork`: the mask A, and two after those of skip connections."""
        skips = self.layers if self.skip else 0
        return tuple(f"MaskedConv_{i}" for i in (0, skips + 1, skips + 2))

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        at: Place | None = None,
        train: bool = False,
    ) -> jax.Array | None:
        """Parameters of each pixel's distribution given the pixels before it.

        Args:
          x: f32[B,H,W,C] in [-1,1], the whole image, also with `at`.
          context: f32[B,1,1,K] or f32[B,H,W,K], given to every pixel; or None.
          at: a place, see `genlab/nn/pixel.py`.
          train: whether dropout is on.

        Returns: f32[B,H,W,C,outputs], or f32[B,1,1,C,outputs] of a pixel.
        """
        if at and at[1] is None and not self.margin:
            return None
        width, channels = x.shape[2:]
        colours = channels if self.colour_groups else 1
        beyond = ((0, 0), (0, 0), (0, self.margin), (0, 0))
        if self.margin:
            x = jnp.pad(x, beyond)
            if context is not None and context.shape[2] > 1:
                context = jnp.pad(context, beyond)
        # Before a row, the pixel right of the last row's end goes through the layers.
        pixel = (at[0] - 1, width) if at and at[1] is None else at
        context = context_at(context, pixel)
        y = self.conv(2 * self.features, self.first_kernel, "A", colours)(x, pixel)
        skipped: jax.Array | float = 0.0
        for _ in range(self.layers):
            layer = self.layer(colours)
            if self.remat and train:
                out = forgetful(layer, y, context)
            else:
                out = layer(y, context, at, train)  # f32[B,H,W,2h]
            if self.skip:
                skipped += self.conv(2 * self.features, 1, "B", colours)(out, pixel)
            y = y + out if self.residual else out
        outputs = channels * self.outputs
        y = output_layers(y + skipped, pixel, self.head, colours, outputs, self.dtype)[:, :, :width]
        return y.reshape(*y.shape[:3], -1, self.outputs)


def output_layers(
    y: jax.Array, at: Place | None, maps: int, colours: int, outputs: int, dtype: str
) -> jax.Array:
    """f32[B,H,W,F] -> f32[B,H,W,outputs]: twice ReLU and 1x1 mask B, in a compact method."""
    y = MaskedConv(maps, 1, "B", colours, dtype=dtype)(nn.relu(y), at)
    y = MaskedConv(outputs, 1, "B", colours, dtype=dtype)(nn.relu(y), at)
    return y.astype(jnp.float32)  # likelihoods are computed in full precision


class ConvLayer(nn.Module):
    """ReLU, 1x1 to h, ReLU, k x k mask B, ReLU, 1x1 to 2h (figure 5 of the source)."""

    features: int
    kernel: int = 3
    colours: int = 1
    dropout: float = 0.0
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: jax.Array, context: jax.Array | None, at: Place | None, train: bool
    ) -> jax.Array:
        """f32[B,H,W,2h] -> f32[B,H,W,2h]."""

        def conv(features: int, kernel: int) -> MaskedConv:
            return MaskedConv(
                features, kernel, "B", self.colours, patches=self.patches, dtype=self.dtype
            )  # fmt: skip

        y = conv(self.features, 1)(nn.relu(x), at)  # f32[B,H,W,h]
        y = conv(self.features, self.kernel)(nn.relu(y), at)
        add_context = AddContext(
            self.features, self.colours, dtype=self.dtype, name=CONTEXT_NAME
        )  # fmt: skip
        y = add_context(y, context, at)
        y = noise.Dropout(self.dropout)(nn.relu(y), train)
        return conv(2 * self.features, 1)(y, at)  # f32[B,H,W,2h]


class PixelCNN(MaskedNetwork):
    """PixelCNN: layers of masked convolutions of side `kernel`."""

    kernel: OddCount = 3

    def layer(self, colours: int) -> nn.Module:
        """See `MaskedNetwork`."""
        return ConvLayer(
            self.features, self.kernel, colours, self.dropout, self.patches, self.dtype
        )  # fmt: skip
