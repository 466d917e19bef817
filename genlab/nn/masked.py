"""Masked convolutions and the PixelCNN.

A pixel may depend on the pixels before it in raster order only. A masked k x k kernel therefore
sees rows above the pixel whole and its own row up to the middle: read row by row, the weights it
may use are the first few of the kernel. We store just those, so no weight is ever masked away:

    k = 3      mask A: 4 taps      mask B: 5 taps         taps are numbered in raster order
               0 1 2               0 1 2
               3 . .               3 4 .
               . . .               . . .

With several colours the middle tap is shared by colour groups (red before green before blue), and
only that tap needs a mask of zeros and ones; see `colour_mask`.

Source: van den Oord et al., "Pixel Recurrent Neural Networks", arXiv 1601.06759, sections 2-3.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from genlab import noise

Pixel = tuple[Any, Any]  # (row, column) of the one pixel to compute, traced or concrete


def visible_taps(kernel: int, kind: str, colours: int = 1) -> int:
    """How many leading taps (raster order) of a kernel x kernel mask carry weight.

    Mask A of a single colour excludes the middle; with more colours the middle is partly visible.
    """
    before = (kernel // 2) * kernel + kernel // 2
    return before if kind == "A" and colours == 1 else before + 1


def colour_mask(kind: str, features_in: int, features_out: int, colours: int) -> np.ndarray:
    """f32[Cin,Cout] of 0 and 1 for the middle tap: which feature may feed which.

    Feature c of C belongs to colour floor(colours * c / C). Mask A lets a colour see the earlier
    ones only; mask B lets it see itself too.
    """
    colour_in = np.arange(features_in)[:, None] * colours // features_in
    colour_out = np.arange(features_out)[None, :] * colours // features_out
    allowed = colour_in < colour_out if kind == "A" else colour_in <= colour_out
    return allowed.astype(np.float32)  # f32[Cin,Cout]


class MaskedConv(nn.Module):
    """A masked convolution over an image, or at one pixel of it.

    features: output features.  kernel: odd side of the kernel.  kind: mask "A" or "B".
    colours: colour groups in the features (the image's channels).
    patches: compute as patches times a matrix. XLA's CPU convolution is several times slower
      inside a loop (a scan, a sampler) than outside; there, set it.
    """

    features: int
    kernel: int = 3
    kind: str = "B"
    colours: int = 1
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, at: Pixel | None = None) -> jax.Array:
        """Features of every pixel, or of one.

        Args:
          x: f32[B,H,W,Cin] the whole map. With `at` and kind A, the whole map too (the image is
            its own cache); with `at` and kind B, f32[B,1,1,Cin], the features at that pixel.
          at: (row, column); None for the whole map.

        Returns: f32[B,H,W,features], or f32[B,1,1,features] with `at`.
        """
        if self.kernel % 2 == 0:
            raise ValueError(f"a masked kernel needs an odd side, not {self.kernel}")
        rows, side = self.kernel // 2 + 1, self.kernel // 2
        taps, c_in = visible_taps(self.kernel, self.kind, self.colours), x.shape[-1]
        # A matrix: Glorot then counts the weights that exist, and Muon knows what to do with it.
        init = nn.initializers.glorot_uniform()
        matrix = self.param("kernel", init, (taps * c_in, self.features))  # f32[taps*Cin,Cout]
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.colours > 1:
            middle = colour_mask(self.kind, c_in, self.features, self.colours)
            matrix = matrix.at[-c_in:].multiply(middle)
        x, matrix, bias = nn.dtypes.promote_dtype(x, matrix, bias, dtype=self.dtype)

        if at is not None:
            return (self._patch_at(x, at, rows, side)[:, : taps * c_in] @ matrix + bias)[
                :, None, None, :
            ]  # f32[B,1,1,Cout]
        b, h, w, _ = x.shape
        if self.kind == "B" and self.kernel > 1 and self.is_mutable_collection("cache"):
            shape = (b, h + rows - 1, w + 2 * side, c_in)
            self.variable("cache", "map", jnp.zeros, shape, x.dtype)
        if self.kernel == 1:
            out = (x.reshape(-1, c_in) @ matrix).reshape(b, h, w, -1)
        elif self.patches:
            padded = jnp.pad(x, ((0, 0), (rows - 1, 0), (side, side), (0, 0)))
            shifts = [divmod(tap, self.kernel) for tap in range(taps)]
            columns = jnp.concatenate([padded[:, i : i + h, j : j + w] for i, j in shifts], -1)
            out = (columns.reshape(-1, taps * c_in) @ matrix).reshape(b, h, w, -1)
        else:
            block = jnp.pad(matrix, ((0, (rows * self.kernel - taps) * c_in), (0, 0)))
            out = jax.lax.conv_general_dilated(
                x,
                block.reshape(rows, self.kernel, c_in, self.features),
                window_strides=(1, 1),
                padding=((rows - 1, 0), (side, side)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        return out + bias  # f32[B,H,W,Cout]

    def _patch_at(self, x: jax.Array, at: Pixel, rows: int, side: int) -> jax.Array:
        """f32[B,rows*kernel*Cin], the neighbourhood of one pixel in raster order."""
        b, c_in = x.shape[0], x.shape[-1]
        size = (b, rows, self.kernel, c_in)
        if self.kind == "A":
            x = jnp.pad(x, ((0, 0), (rows - 1, 0), (side, side), (0, 0)))
        elif self.kernel > 1:
            if not self.has_variable("cache", "map"):
                raise ValueError("no cache: make one with sampling.empty_cache")
            cache = self.variable("cache", "map", lambda: None)
            # The map is stored with its padding, so that a patch is one slice of it.
            here = (0, at[0] + rows - 1, at[1] + side, 0)
            x = cache.value = jax.lax.dynamic_update_slice(cache.value, x, here)
        else:
            return x.reshape(b, c_in)
        return jax.lax.dynamic_slice(x, (0, at[0], at[1], 0), size).reshape(b, -1)


class ResidualBlock(nn.Module):
    """ReLU, 1x1 to h, ReLU, k x k mask B, ReLU, 1x1 to 2h, added to the input (figure 5 there)."""

    features: int
    kernel: int = 3
    colours: int = 1
    dropout: float = 0.0
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, at: Pixel | None = None, train: bool = False) -> jax.Array:
        """f32[B,H,W,2h] -> f32[B,H,W,2h]."""

        def conv(features: int, kernel: int) -> MaskedConv:
            return MaskedConv(features, kernel, "B", self.colours, self.patches, self.dtype)

        y = conv(self.features, 1)(nn.relu(x), at)  # f32[B,H,W,h]
        y = conv(self.features, self.kernel)(nn.relu(y), at)
        y = noise.Dropout(self.dropout)(nn.relu(y), train)
        return x + conv(x.shape[-1], 1)(y, at)  # f32[B,H,W,2h]


class PixelCNN(nn.Module):
    """PixelCNN: a 7x7 mask A, residual blocks, and a head of two ReLU and 1x1 mask B.

    features: h; the residual stream has 2h.  blocks: residual blocks.  kernel: theirs.
    first_kernel: side of the first layer.  head: maps in the head.  dropout: in every block.
    dtype: of the computation; parameters stay float32.
    outputs: parameters per colour of a pixel, given by the likelihood, not by the config.
    """

    outputs: int
    features: int = 32
    blocks: int = 7
    kernel: int = 3
    first_kernel: int = 7
    head: int = 32
    dropout: float = 0.0
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, at: Pixel | None = None, train: bool = False) -> jax.Array:
        """Parameters of each pixel's distribution given the pixels before it.

        Args:
          x: f32[B,H,W,C] in [-1,1], the whole image, also with `at`.
          at: (row, column) to compute that pixel alone, from and into the `cache` collection;
            every earlier pixel must have been computed before it.
          train: whether dropout is on.

        Returns: f32[B,H,W,C,outputs], or f32[B,1,1,C,outputs] with `at`.
        """
        colours = x.shape[-1]

        def conv(features: int, kernel: int, kind: str = "B") -> MaskedConv:
            return MaskedConv(features, kernel, kind, colours, self.patches, self.dtype)

        y = conv(2 * self.features, self.first_kernel, "A")(x, at)  # f32[B,H,W,2h]
        for _ in range(self.blocks):
            y = ResidualBlock(
                self.features, self.kernel, colours, self.dropout, self.patches, self.dtype
            )(y, at, train)
        y = conv(self.head, 1)(nn.relu(y), at)  # f32[B,H,W,head]
        y = conv(colours * self.outputs, 1)(nn.relu(y), at)
        y = y.astype(jnp.float32)  # likelihoods are computed in full precision
        return y.reshape(*y.shape[:-1], colours, self.outputs)  # f32[B,H,W,C,outputs]
