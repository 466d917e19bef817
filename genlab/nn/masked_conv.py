"""Masked convolutions.

A pixel may depend on the pixels before it in raster order only. A masked k x k kernel therefore
sees all of the rows above the pixel, and its own row up to the middle: in raster order, these are
the first weights of the kernel. We store just those, so that no weight is masked away:

    k = 3      mask A: 4 taps      mask B: 5 taps         taps are numbered in raster order
               0 1 2               0 1 2
               3 . .               3 4 .
               . . .               . . .

With several colours the middle tap is shared by colour groups (red before green before blue), and
only that tap needs a mask of zeros and ones; see `colour_mask`.

`genlab/nn/pixel.py` says how a network is called.

Source: van den Oord et al., "Pixel Recurrent Neural Networks", arXiv 1601.06759, sections 2-3.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from genlab.nn.pixel import (
    Place,
    cached,
    cut,
    group,
    of_colour,
    windows,
)


def colour_mask(
    kind: str, features_in: int, features_out: int, colours: int, gates: int = 1
) -> np.ndarray:
    """f32[Cin,Cout] of 0 and 1 for the middle tap: which feature may feed which.

    Feature c of C belongs to colour floor(colours * c / C), within each gate. Mask A lets a colour
    see the earlier ones only; mask B lets it see itself too.
    """
    size = features_out // gates
    colour_in = np.arange(features_in)[:, None] * colours // features_in
    colour_out = np.tile(np.arange(size) * colours // size, gates)[None, :]
    allowed = colour_in < colour_out if kind == "A" else colour_in <= colour_out
    return allowed.astype(np.float32)  # f32[Cin,Cout]


class MaskedConv(nn.Module):
    """A masked convolution over an image, or at one pixel of it.

    features: output features.
    kernel: side of the kernel, an odd number.
    kind: mask "A" or "B".
    colours: colour groups in the features, one for each channel of the image.
    gates: equal parts of the output, each with its own colour groups.
    rows: how many rows above the pixel's own it sees; None for half the kernel.
    patches: whether to compute it as patches times a matrix. XLA's CPU convolution is several times
      slower inside a loop (a scan, a sampler) than outside, so set it there.
    """

    features: int
    kernel: int = 3
    kind: str = "B"
    colours: int = 1
    gates: int = 1
    rows: int | None = None
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: jax.Array, at: Place | None = None, part: slice = slice(None)
    ) -> jax.Array:
        """Features of every pixel, or of one.

        Args:
          x: f32[B,H,W,Cin] the whole map. With `at` and kind A, the whole map too (the image is
            its own cache); with `at` and kind B, f32[B,1,1,Cin], the features at that pixel, or of
            the group that `at` names.
          at: the place of a pixel; None for the whole map.
          part: of the features, which to compute of the whole map.

        Returns: f32[B,H,W,features], or with `at` f32[B,1,1,features], or a group of them.
        """
        if self.kernel % 2 == 0:
            raise ValueError(f"a masked kernel needs an odd side, not {self.kernel}")
        side = self.kernel // 2
        above = side if self.rows is None else self.rows
        # Of one colour, mask A excludes the middle; of more, the middle is partly visible.
        taps = above * self.kernel + side + (self.kind == "B" or self.colours > 1)
        # Later pixels or colours read this input again: keep it.
        kept = self.kind == "B" and (self.kernel > 1 or self.colours > 1)
        memory = cached(self, "map") if kept and at is not None else None
        c_in = x.shape[-1] if memory is None else memory.value.shape[-1]
        # A matrix, so that Glorot counts the weights that exist, and Muon orthogonalises it.
        init = nn.initializers.glorot_uniform()
        matrix = self.param("kernel", init, (taps * c_in, self.features))  # f32[taps*Cin,Cout]
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.colours > 1:
            middle = colour_mask(self.kind, c_in, self.features, self.colours, self.gates)
            matrix = matrix.at[-c_in:].multiply(middle)
        x, matrix, bias = nn.dtypes.promote_dtype(x, matrix, bias, dtype=self.dtype)

        def visible(colour: int) -> jax.Array:  # the middle tap's weights to that colour
            mine = group(c_in, self.colours, (0, 0, colour))
            seen = mine.stop if self.kind == "B" else mine.start
            return of_colour(matrix[-c_in:][:seen], self.colours, (0, 0, colour), self.gates)

        own = cut(self, "own", self.colours, at, visible)
        if at is not None:
            patch = self._patch_at(x, at, memory, above, side)[:, : taps * c_in]
            if own is not None:
                out = self._colour_at(patch, at, matrix, bias, own, c_in)
            else:
                out = patch @ matrix + bias
            return out[:, None, None]  # f32[B,1,1,Cout]
        b, h, w, _ = x.shape
        if self.colours > 1 and taps > 1 and self.is_mutable_collection("cache"):
            self.variable("cache", "before", jnp.zeros, (b, self.features), x.dtype)
        if kept and self.is_mutable_collection("cache"):
            # Only its own row, or its own pixel, where no more is read.
            shape = (b, h + above if above else 1, w + 2 * side if side else 1, c_in)
            self.variable("cache", "map", jnp.zeros, shape, x.dtype)
        return self._everywhere(x, matrix[:, part], taps, above) + bias[part]  # f32[B,H,W,Cout]

    def _everywhere(self, x: jax.Array, matrix: jax.Array, taps: int, above: int) -> jax.Array:
        """f32[B,H,W,Cin], f32[taps*Cin,Cout] -> f32[B,H,W,Cout], without the bias."""
        b, h, w, c_in = x.shape
        side = self.kernel // 2
        if self.kernel == 1:
            return (x.reshape(-1, c_in) @ matrix).reshape(b, h, w, -1)
        if self.patches:
            padded = jnp.pad(x, ((0, 0), (above, 0), (side, side), (0, 0)))
            columns = windows(padded, self.kernel, taps, h, w)
            return (columns.reshape(-1, taps * c_in) @ matrix).reshape(b, h, w, -1)
        size = (above + 1) * self.kernel * c_in
        block = jnp.pad(matrix, ((0, size - taps * c_in), (0, 0)))
        return jax.lax.conv_general_dilated(
            x,
            block.reshape(above + 1, self.kernel, c_in, -1),
            window_strides=(1, 1),
            padding=((above, 0), (side, side)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def _patch_at(
        self, x: jax.Array, at: Place, memory: nn.Variable | None, above: int, side: int
    ) -> jax.Array:
        """f32[B,(above+1)*kernel*Cin], the neighbourhood of one pixel in raster order."""
        row, column = at[:2]
        if self.kind == "A":
            x = jnp.pad(x, ((0, 0), (above, 0), (side, side), (0, 0)))
        elif memory is None:
            return x[:, 0, 0]
        else:
            row, column = row if above else 0, column if side else 0
            # The map is stored with its padding, so that a patch is one slice of it.
            first = group(memory.value.shape[-1], self.colours, at).start
            here = (0, row + above, column + side, first)
            x = memory.value = jax.lax.dynamic_update_slice(memory.value, x, here)
        size = (x.shape[0], above + 1, self.kernel, x.shape[-1])
        return jax.lax.dynamic_slice(x, (0, row, column, 0), size).reshape(x.shape[0], -1)

    def _colour_at(
        self,
        patch: jax.Array,
        at: Place,
        matrix: jax.Array,
        bias: jax.Array,
        own: jax.Array,
        c_in: int,
    ) -> jax.Array:
        """f32[B,taps*Cin] -> the features of one group, from the groups that it may see."""
        earlier = bias
        if patch.shape[1] > c_in:
            before = cached(self, "before")  # what earlier pixels add, to all groups at once
            if at[2] == 0:
                before.value = patch[:, :-c_in] @ matrix[:-c_in] + bias
            earlier = before.value
        seen = patch[:, -c_in:][:, : own.shape[0]]
        return of_colour(earlier, self.colours, at, self.gates) + seen @ own
