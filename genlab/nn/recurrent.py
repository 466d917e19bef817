"""PixelRNN: the Row LSTM and the Diagonal BiLSTM.

Both compute the input's part of all gates of all pixels at once (input-to-state), and scan over the
states alone, whose own convolution (state-to-state) is a product with patches. Initial states are
learned. `genlab/nn/masked.py` has the frame around the layers.

Source: van den Oord et al., "Pixel Recurrent Neural Networks", arXiv 1601.06759, section 3.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab import noise, parallel
from genlab.nn.diagonals import Gates, gates_then_skewed, skewed_then_gates, unskew
from genlab.nn.lstm import lstm, lstm_scan
from genlab.nn.masked import MaskedNetwork
from genlab.nn.masked_conv import MaskedConv
from genlab.nn.pixel import CONTEXT_NAME, AddContext, Place, cached, cut, group, of_colour

GLOROT = nn.initializers.glorot_uniform()


def beside_above(h: jax.Array) -> jax.Array:
    """f32[...,W,h] of the row above -> f32[...,W,3h], the three states nearest to each place."""
    h = jnp.pad(h, [(0, 0)] * (h.ndim - 2) + [(1, 1), (0, 0)])
    return jnp.concatenate([h[..., :-2, :], h[..., 1:-1, :], h[..., 2:, :]], -1)


class RowLSTMLayer(nn.Module):
    """States pass from row to row; each sees the three above it, so its view is a triangle."""

    features: int
    colours: int = 1
    dropout: float = 0.0
    patches: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: jax.Array, context: jax.Array | None, at: Place | None, train: bool
    ) -> jax.Array:
        """f32[B,H,W,2h] -> f32[B,H,W,2h]."""
        size = self.features
        drive = MaskedConv(
            4 * size, 3, "B", self.colours, 4, rows=0, patches=self.patches, dtype=self.dtype
        )(x, at)  # f32[B,H,W,4h]
        add_context = AddContext(4 * size, self.colours, 4, self.dtype, name=CONTEXT_NAME)
        drive = add_context(drive, context, at)
        kernel = self.param("state_kernel", GLOROT, (3 * size, 4 * size))
        first_h, first_c = self.param("initial", nn.initializers.zeros, (2, size))
        kernel, first_h, first_c = (k.astype(drive.dtype) for k in (kernel, first_h, first_c))
        of = lambda colour: of_colour(kernel, self.colours, (0, 0, colour), 4)  # noqa: E731
        own = cut(self, "state", self.colours, at, of)

        if at is not None:
            own = kernel if own is None else own
            h = self._pixel(drive[:, 0, 0], own, first_h, first_c, at)
        else:
            b, _, width, _ = x.shape
            if self.is_mutable_collection("cache"):  # for two rows, the last even and the last odd
                self.variable("cache", "h", jnp.zeros, (b, 2, width + 2, size), drive.dtype)
                self.variable("cache", "c", jnp.zeros, (b, 2, width, size), drive.dtype)

            first = beside_above(jnp.broadcast_to(first_h, (1, width, size)))[0] @ kernel
            drive = drive.swapaxes(0, 1)[:, None].at[0].add(first)  # f32[H,1,B,W,4h]
            start = jnp.broadcast_to(first_c, (1, b, width, size))
            h = lstm_scan(beside_above, drive, kernel[None], start)
            h = h[:, 0].swapaxes(0, 1)  # f32[B,H,W,h]
        h = noise.Dropout(self.dropout)(h, train)
        return MaskedConv(2 * size, 1, "B", self.colours, dtype=self.dtype)(h, at)

    def _pixel(
        self, drive: jax.Array, kernel: jax.Array, h: jax.Array, c: jax.Array, at: Place
    ) -> jax.Array:
        """f32[B,4h] and the initial state -> f32[B,1,1,h], or a group of it; updates the cache."""
        hs, cs = cached(self, "h"), cached(self, "c")
        b, _, padded, size = hs.value.shape
        i, j = at[:2]
        column = jnp.arange(3) + j
        inside = ((column > 0) & (column < padded - 1))[:, None]  # outside, the border is zero
        above = jax.lax.dynamic_slice(hs.value, (0, (i + 1) % 2, j, 0), (b, 1, 3, size))[:, 0]
        above = jnp.where(i > 0, above, jnp.where(inside, h, 0.0))  # f32[B,3,h]
        c_above = jax.lax.dynamic_slice(cs.value, (0, (i + 1) % 2, j, 0), (b, 1, 1, size))[:, 0, 0]
        mine = group(size, self.colours, at)
        gates = drive + above.reshape(b, -1) @ kernel
        h, c = lstm(gates, jnp.where(i > 0, c_above, c)[:, mine])
        h, c = h[:, None, None], c[:, None, None]
        hs.value = jax.lax.dynamic_update_slice(hs.value, h, (0, i % 2, j + 1, mine.start))
        cs.value = jax.lax.dynamic_update_slice(cs.value, c, (0, i % 2, j, mine.start))
        return h


def own_and_above(h: jax.Array) -> jax.Array:
    """f32[...,H,h] of a diagonal -> f32[...,H,2h]: the states beside and above each place."""
    above = jnp.pad(h, [(0, 0)] * (h.ndim - 2) + [(1, 0), (0, 0)])[..., :-1, :]
    return jnp.concatenate([h, above], -1)


class DiagonalBiLSTMLayer(nn.Module):
    """States pass along diagonals; each sees the one beside it and the one above it.

    From left to right, a pixel sees all that is above and left of it; from right to left, moved
    down by a row, all that is above and right of it. Both directions are computed by one scan.
    """

    features: int
    colours: int = 1
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: jax.Array, context: jax.Array | None, at: Place | None, train: bool
    ) -> jax.Array:
        """f32[B,H,W,2h] -> f32[B,H,W,2h]; x includes the column right of the image.

        With at=(i, None), f32[B,1,1,2h] is the last column of row i-1; the states of that row are
        then computed from right to left.
        """
        b, _, width, _ = x.shape
        size = self.features
        conv = MaskedConv(8 * size, 1, "B", self.colours, 8, dtype=self.dtype)
        add_context = AddContext(8 * size, self.colours, 8, self.dtype, name=CONTEXT_NAME)
        init = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform", batch_axis=(0,))
        kernel = self.param("state_kernel", init, (2, 2 * size, 4 * size))
        initial = self.param("initial", nn.initializers.zeros, (2, 2, size))  # h, c; direction
        kernel, initial = (k.astype(self.dtype) for k in (kernel, initial))
        of = lambda colour: of_colour(kernel[0], self.colours, (0, 0, colour), 4)  # noqa: E731
        own = cut(self, "state", self.colours, at, of)
        if at is not None:
            drive = add_context(conv(x, at), context, at)
            drive = jnp.stack(jnp.split(drive[:, 0, 0], 2, -1))  # f32[2,B,4h]
            own = kernel[0] if own is None else own
            h = self._pixel(drive, kernel, own, initial, at)
        else:
            if self.is_mutable_collection("cache"):
                self.variable("cache", "h", jnp.zeros, (b, 2, width, size), kernel.dtype)
                self.variable("cache", "c", jnp.zeros, (b, 2, width, size), kernel.dtype)
                self.variable("cache", "right", jnp.zeros, (b, width, size), kernel.dtype)
                self.variable("cache", "drive", jnp.zeros, (b, width, 4, size), kernel.dtype)

            def gates(x: jax.Array, context: jax.Array | None, part: slice) -> jax.Array:
                return add_context(conv(x, None, part), context, None, part)

            h = self._scan(gates, x, context, kernel, initial)
        h = noise.Dropout(self.dropout)(h, train)
        return MaskedConv(2 * size, 1, "B", self.colours, dtype=self.dtype)(h, at)

    def _scan(
        self,
        gates: Gates,
        x: jax.Array,
        context: jax.Array | None,
        kernel: jax.Array,
        initial: jax.Array,
    ) -> jax.Array:
        """f32[B,H,W,2h] -> f32[B,H,W,h].

        The initial h acts through the drive of the first column and row. A row that has not begun
        yet keeps the initial c and an h of zero, because its gates are shut or open whatever the
        states are: so no step of the scan has to know which rows those are.
        """
        (b, height, width, _), (h, c) = x.shape, initial
        beside, above = (jnp.einsum("dh,dho->do", h, part) for part in jnp.split(kernel, 2, 1))
        laid_out = gates_then_skewed if parallel.platform() == "cpu" else skewed_then_gates
        drive = laid_out(gates, x, context, beside, above)  # f32[2,B,H,H+W-1,4h]

        start = jnp.zeros((2, b, height, h.shape[-1]), drive.dtype) + c[:, None, None]
        h = lstm_scan(own_and_above, jnp.moveaxis(drive, 3, 0), kernel, start)
        h = jnp.moveaxis(h, 0, 3)
        left, right = unskew(h, width)
        lowered = jnp.pad(right[:, :, ::-1], ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
        return left + lowered  # f32[B,H,W,h]

    def _pixel(
        self, drive: jax.Array, kernel: jax.Array, own: jax.Array, initial: jax.Array, at: Place
    ) -> jax.Array:
        """f32[2,B,4h] -> f32[B,1,1,h], or a group of it; updates the cache, also at a row's end.

        own: what of the first kernel the group needs.
        """
        hs, cs, rights, drives = (cached(self, n) for n in ("h", "c", "right", "drive"))
        b, _, width, size = hs.value.shape
        ends = at[1] is None
        i, j = (at[0] - 1, width - 1) if ends else at[:2]
        mine = group(size, self.colours, at)

        def read(x: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice(x, (0, row % 2, column, 0), (b, 1, 1, size))[:, 0, 0]

        # f32[B,h]: the state beside the pixel, and the one above it.
        h, c = (jnp.where(j > 0, read(x.value, i, j - 1), initial[n, 0])
                for n, x in enumerate((hs, cs)))  # fmt: skip
        above = jnp.where(i > 0, read(hs.value, i + 1, j), initial[0, 0])
        gates = jnp.concatenate([h, above], -1) @ own
        h, c = lstm(drive[0] + gates, c[:, mine])
        here = (0, i % 2, j, mine.start)
        hs.value = jax.lax.dynamic_update_slice(hs.value, h[:, None, None], here)
        cs.value = jax.lax.dynamic_update_slice(cs.value, c[:, None, None], here)
        drive = drive[1].reshape(b, 1, 4, -1)
        drives.value = jax.lax.dynamic_update_slice(drives.value, drive, (0, j, 0, mine.start))
        lowered = jax.lax.dynamic_slice_in_dim(rights.value, j, 1, 1)[:, 0, mine]
        out = h + jnp.where(i > 0, lowered, 0.0)
        if ends:
            drive = drives.value.reshape(b, width, -1)
            rights.value = self._end(drive, rights.value, kernel[1], initial[:, 1], i)
        return out[:, None, None]

    def _end(
        self,
        drive: jax.Array,
        above: jax.Array,
        kernel: jax.Array,
        initial: jax.Array,
        row: jax.Array,
    ) -> jax.Array:
        """f32[B,W,4h] and the states above f32[B,W,h] -> the row's states from right to left."""
        above = jnp.where(row > 0, above, initial[0])

        def column(state: tuple, inputs: tuple) -> tuple:
            h, c = state
            drive, above = inputs
            h, c = lstm(drive + jnp.concatenate([h, above], -1) @ kernel, c)
            return (h, c), h

        start = tuple(jnp.broadcast_to(s, (drive.shape[0], s.shape[-1])) for s in initial)
        inputs = (drive.swapaxes(0, 1), above.swapaxes(0, 1))
        return jax.lax.scan(column, start, inputs, reverse=True)[1].swapaxes(0, 1)


class RowLSTM(MaskedNetwork):
    """PixelRNN of Row LSTM layers."""

    def layer(self, colours: int) -> nn.Module:
        """See `MaskedNetwork`."""
        return RowLSTMLayer(self.features, colours, self.dropout, self.patches, self.dtype)


class DiagonalBiLSTM(MaskedNetwork):
    """PixelRNN of Diagonal BiLSTM layers, which see all pixels before a pixel.

    Layers work on one more column than the image has. Mask A hides a pixel from its own column, so
    the last pixel of a row is first seen one column to its right, where the states from right to
    left begin. Without that column, all but the last few pixels of the next row would miss it.
    """

    margin = 1

    def layer(self, colours: int) -> nn.Module:
        """See `MaskedNetwork`."""
        return DiagonalBiLSTMLayer(self.features, colours, self.dropout, self.dtype)
