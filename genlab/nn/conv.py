"""Convolutional networks with a code: pooled and upsampled, or strided and transposed.

All convolutions are "same" padded. `genlab/nn/dense.py` says what such a network has to offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from genlab.nn.dense import ACTIVATIONS, GLOROT, Activation, CodeNetwork, joined
from genlab.sections.fields import Count, Natural


class ConvTranspose(nn.Module):
    """A transposed convolution, padded "same": the image grows by the stride.

    It is computed as one small convolution without holes for each of the stride x stride phases of
    the output. This equals `jax.lax.conv_transpose`, and is several times faster on CPU, forward
    and backward.
    """

    features: int
    kernel: int = 3
    stride: int = 2
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """f32[B,H,W,Cin] -> f32[B,stride*H,stride*W,features]."""
        k, s, (b, h, w, c_in) = self.kernel, self.stride, x.shape
        kernel = self.param("kernel", GLOROT, (k, k, c_in, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)

        def phase(row: Phase, column: Phase) -> jax.Array:
            if not (row.taps and column.taps):  # a stride beyond the kernel leaves it empty
                return jnp.zeros((b, h, w, self.features), x.dtype)
            return jax.lax.conv_general_dilated(
                x,
                kernel[np.ix_(row.taps, column.taps)],
                window_strides=(1, 1),
                padding=(row.padding, column.padding),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        sides = phases(k, s)
        y = jnp.stack([jnp.stack([phase(r, c) for c in sides], 3) for r in sides], 2)
        return y.reshape(b, s * h, s * w, self.features) + bias  # from f32[B,H,s,W,s,features]


@dataclass(frozen=True)
class Phase:
    """One phase of a transposed kernel along one side.

    taps: those that reach this phase, in the order of the inputs they multiply.
    padding: how far these inputs reach before and after the input at the same place.
    """

    taps: tuple[int, ...]
    padding: tuple[int, int]


def phases(kernel: int, stride: int) -> list[Phase]:
    """The phases p = 0, 1, ... of a kernel: input i has the outputs i * stride + p."""
    before = kernel - 1 if stride > kernel - 1 else -(-(kernel + stride - 2) // 2)  # as in JAX
    first, last = -(before // stride), -(-(kernel - 1 - before) // stride)
    every = []
    for p in range(stride):
        met = {j: stride * j - p + before for j in range(first, last + 1)}  # tap at input i + j
        met = {j: tap for j, tap in met.items() if 0 <= tap < kernel}
        padding = (-min(met), max(met)) if met else (0, 0)
        every.append(Phase(tuple(met.values()), padding))
    return every


def halved(size: int, strides: Sequence[int]) -> list[int]:
    """The sides of an image before and after each "same" strided convolution."""
    sides = [size]
    for stride in strides:
        sides.append(-(-sides[-1] // stride))
    return sides


def max_pool(x: jax.Array) -> jax.Array:
    """f32[B,H,W,C] -> f32[B,H/2,W/2,C], rounded up.

    Its gradient is six times faster on CPU than that of `nn.max_pool`.
    """
    b, h, w, c = x.shape
    x = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), constant_values=-jnp.inf)
    return x.reshape(b, -(-h // 2), 2, -(-w // 2), 2, c).max((2, 4))


def conv(features: int, kernel: int, stride: int = 1, dtype: str = "float32") -> nn.Conv:
    """A "same" convolution that starts as in Keras."""
    return nn.Conv(features, 2 * (kernel,), 2 * (stride,), dtype=dtype, kernel_init=GLOROT)


def strided(x: jax.Array, features: int, kernel: int, dtype: str = "float32") -> jax.Array:
    """f32[B,H,W,Cin] -> f32[B,H/2,W/2,features], rounded up: a "same" convolution of stride 2.

    Where the kernel is larger than the map, XLA exchanges the two; the gradient of 5x5 to 4x4 is
    then 15 times slower on CPU. So the map is padded to have room for the kernel, and cut to size
    afterwards.
    """
    sides = halved(x.shape[1], [2])[1], halved(x.shape[2], [2])[1]
    padding = []
    for side, size in zip(sides, x.shape[1:3], strict=True):
        total = max(2 * (side - 1) + kernel - size, 0)
        padding.append((total // 2, total - total // 2 + 2 * max(kernel - side, 0)))
    layer = nn.Conv(features, 2 * (kernel,), (2, 2), padding, dtype=dtype, kernel_init=GLOROT)
    return layer(x)[:, : sides[0], : sides[1]]


class PooledEncoder(nn.Module):
    """Convolutions, each with ReLU and 2x2 max pooling; the last map is the code."""

    features: tuple[int, ...]
    kernel: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,H,W,C] -> f32[B,h*w*c]."""
        for features in self.features:
            x = max_pool(nn.relu(conv(features, self.kernel, dtype=self.dtype)(x)))
        return joined(x.reshape(x.shape[0], -1), condition)


class PooledDecoder(nn.Module):
    """Nearest-neighbour upsampling, each followed by a convolution with ReLU; a last convolution.

    Transposed convolutions would leave checkerboards; upsampling does not.
    """

    features: tuple[int, ...]
    kernel: int
    sides: tuple[tuple[int, int], ...]  # of the maps, from the code to the image
    code_features: int
    outputs: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,h*w*c] -> f32[B,H,W,outputs]."""
        h, w = self.sides[0]
        x = x.reshape(-1, h, w, self.code_features)
        for features, (height, width) in zip(self.features, self.sides[1:], strict=True):
            x = x.repeat(2, 1).repeat(2, 2)[:, :height, :width]
            x = nn.relu(conv(features, self.kernel, dtype=self.dtype)(x))
        return conv(self.outputs, self.kernel, dtype=self.dtype)(x)


class PooledAutoencoder(CodeNetwork):
    """Convolutions and max pooling down to a map, upsampling and convolutions back.

    features: of each convolution on the way down; the last are the code's.
    decoder_features: of each convolution on the way up, as many.
    kernel: side of all kernels.
    """

    features: tuple[Count, ...] = (16, 8, 8)
    decoder_features: tuple[Count, ...] = (8, 8, 16)
    kernel: Count = 3

    @property
    def sides(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of the maps, from the code to the image."""
        twos = [2] * len(self.features)
        height, width = (halved(side, twos)[::-1] for side in self.shape[:2])
        return tuple(zip(height, width, strict=True))

    @property
    def codes(self) -> int:
        """Numbers in a code."""
        return self.sides[0][0] * self.sides[0][1] * self.features[-1]

    def setup(self) -> None:
        self.encoder = PooledEncoder(self.features, self.kernel, self.dtype)
        self.decoder = PooledDecoder(
            self.decoder_features,
            self.kernel,
            self.sides,
            self.features[-1],
            self.shape[2] * self.outputs,
            self.dtype,
        )


class StridedEncoder(nn.Module):
    """Strided convolutions with an activation, then dense layers to the code."""

    features: tuple[int, ...]
    strides: tuple[int, ...]
    kernel: int
    hidden: int
    code: int
    activation: str
    dense_activation: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,H,W,C] -> f32[B,code]."""
        for features, stride in zip(self.features, self.strides, strict=True):
            x = ACTIVATIONS[self.activation](conv(features, self.kernel, stride, self.dtype)(x))
        x = joined(x.reshape(x.shape[0], -1), condition)
        if self.hidden:
            dense = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=GLOROT)
            x = ACTIVATIONS[self.dense_activation](dense(x))
        return nn.Dense(self.code, dtype=self.dtype, kernel_init=GLOROT)(x)


class StridedDecoder(nn.Module):
    """A dense layer to a small map, transposed convolutions, and a last convolution."""

    features: tuple[int, ...]
    strides: tuple[int, ...]
    kernel: int
    start: int
    sides: tuple[tuple[int, int], ...]  # of the maps, from the first to the image
    outputs: int
    activation: str
    dense_activation: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,code] -> f32[B,H,W,outputs]."""
        h, w = self.sides[0]
        x = nn.Dense(h * w * self.start, dtype=self.dtype, kernel_init=GLOROT)(joined(x, condition))
        x = ACTIVATIONS[self.dense_activation](x).reshape(-1, h, w, self.start)
        steps = zip(self.features, self.strides, self.sides[1:], strict=True)
        for features, stride, (height, width) in steps:
            x = ConvTranspose(features, self.kernel, stride, self.dtype)(x)[:, :height, :width]
            x = ACTIVATIONS[self.activation](x)
        return conv(self.outputs, self.kernel, dtype=self.dtype)(x)


class StridedAutoencoder(CodeNetwork):
    """Strided convolutions down to a dense code, transposed convolutions back.

    features: of the convolutions on the way down.
    strides: of the same convolutions.
    hidden: width of a dense layer before the code, 0 for none.
    code: its size.
    start: features of the map that the transposed convolutions start from.
    decoder_features: of the transposed convolutions.
    decoder_strides: of the same.
    kernel: side of all kernels.
    activation: of convolutions.
    dense_activation: of the dense layers on both sides of the code.
    """

    features: tuple[Count, ...] = (32, 64)
    strides: tuple[Count, ...] = (2, 2)
    hidden: Natural = 0
    code: Count = 16
    start: Count = 64
    decoder_features: tuple[Count, ...] = (64, 32)
    decoder_strides: tuple[Count, ...] = (2, 2)
    kernel: Count = 3
    activation: Activation = "relu"
    dense_activation: Activation = "relu"

    @property
    def codes(self) -> int:
        """Numbers in a code."""
        return self.code

    def setup(self) -> None:
        self.encoder = StridedEncoder(
            self.features,
            self.strides,
            self.kernel,
            self.hidden,
            self.code_parameters * self.code,
            self.activation,
            self.dense_activation,
            self.dtype,
        )
        sides = (halved(side, self.decoder_strides[::-1])[::-1] for side in self.shape[:2])
        self.decoder = StridedDecoder(
            self.decoder_features,
            self.decoder_strides,
            self.kernel,
            self.start,
            tuple(zip(*sides, strict=True)),
            self.shape[2] * self.outputs,
            self.activation,
            self.dense_activation,
            self.dtype,
        )
