"""Generators and discriminators: dense, convolutional, and of the DCGAN kind.

    generator(z f32[B,latent], condition, train)      -> f32[B,H,W,C] within its `output`'s range
    discriminator(x f32[B,H,W,C], condition, train)   -> f32[B], a logit, large for real images

`condition` is f32[B,K] (a class, one-hot) or None: generators see it beside z, discriminators as K
more channels (Mirza and Osindero, arXiv 1411.1784). Kernels start Glorot uniform, biases zero.
Batch normalisation takes its statistics over all replicas; they are in `batch_stats`. `dtype` is
that of the computation; parameters, images and logits stay float32.
"""

from __future__ import annotations

import math
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab import noise
from genlab.errors import UserError
from genlab.nn.conv import ConvTranspose, conv, halved, strided
from genlab.nn.dense import GLOROT, joined
from genlab.sections.fields import Count, Dtype, OneOf, Rate

OUTPUTS = {"tanh": nn.tanh, "sigmoid": nn.sigmoid}
Output = Annotated[str, OneOf(tuple(OUTPUTS))]


def leaky(x: jax.Array) -> jax.Array:
    """LeakyReLU with the slope 0.2 of the sources."""
    return nn.leaky_relu(x, 0.2)


def normalised(momentum: float, train: bool, dtype: str) -> nn.BatchNorm:
    """Batch normalisation over all replicas, with the epsilon of Keras; its statistics are
    float32."""
    return nn.BatchNorm(
        not train, momentum=momentum, epsilon=1e-3, dtype=dtype, axis_name=noise.AXIS
    )


def with_planes(x: jax.Array, condition: jax.Array | None) -> jax.Array:
    """f32[B,H,W,C] -> f32[B,H,W,C+K]: each number of the condition as a plane."""
    if condition is None:
        return x
    planes = jnp.broadcast_to(condition[:, None, None], (*x.shape[:3], condition.shape[-1]))
    return jnp.concatenate([x, planes], -1)


class Generator(nn.Module):
    """What all generators have: the shape (H, W, C) of an image, and the range of its values."""

    shape: tuple[int, int, int]
    output: Output = "tanh"
    dtype: Dtype = "float32"

    @property
    def latent(self) -> int:
        """Numbers in a latent."""
        raise NotImplementedError


class Discriminator(nn.Module):
    """What all discriminators have: the shape (H, W, C) of an image."""

    shape: tuple[int, int, int]


class DenseGenerator(Generator):
    """Dense layers with LeakyReLU, normalised by batch if `normalise`."""

    latent: Count = 100
    hidden: tuple[Count, ...] = (256, 512, 1024)
    normalise: bool = True
    momentum: Rate = 0.8
    output: Output = "tanh"
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, z: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,latent] -> f32[B,H,W,C]."""
        x = joined(z, condition)
        for features in self.hidden:
            x = leaky(nn.Dense(features, dtype=self.dtype, kernel_init=GLOROT)(x))
            if self.normalise:
                x = normalised(self.momentum, train, self.dtype)(x)
        x = nn.Dense(math.prod(self.shape), dtype=self.dtype, kernel_init=GLOROT)(x)
        return OUTPUTS[self.output](x.astype(jnp.float32)).reshape(-1, *self.shape)


class DenseDiscriminator(Discriminator):
    """Dense layers, each with LeakyReLU and dropout."""

    hidden: tuple[Count, ...] = (512, 256)
    dropout: Rate = 0.0
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,H,W,C] -> f32[B]."""
        x = joined(x.reshape(x.shape[0], -1), condition)
        for features in self.hidden:
            x = leaky(nn.Dense(features, dtype=self.dtype, kernel_init=GLOROT)(x))
            x = noise.Dropout(self.dropout)(x, train)
        return nn.Dense(1, dtype=self.dtype, kernel_init=GLOROT)(x)[:, 0].astype(jnp.float32)


class ConvGenerator(Generator):
    """A square of latent numbers grows by transposed convolutions, and shrinks to the size of the
    image by unpadded convolutions.

    features: of the transposed convolutions, the first unpadded, the others of stride 2.
    decoder_features: of the unpadded convolutions.
    kernel: side of the transposed convolutions.
    """

    features: tuple[Count, ...] = (256, 128, 64)
    decoder_features: tuple[Count, ...] = (32, 16)
    kernel: Count = 4
    momentum: Rate = 0.5
    output: Output = "sigmoid"
    dtype: Dtype = "float32"

    @property
    def side(self) -> int:
        """Side of the latent square. Raises UserError where no square grows to the image."""
        grown, scale = self.shape[0] + 2 * len(self.decoder_features), 2 ** (len(self.features) - 1)
        side = grown // scale - (self.kernel - 1)
        if self.shape[0] != self.shape[1] or grown % scale or side < 1:
            raise UserError(
                f"gan.ConvGenerator cannot make {self.shape[0]}x{self.shape[1]}: take"
                f" square images whose side plus {2 * len(self.decoder_features)} divides by"
                f" {scale}."
            )
        return side

    @property
    def latent(self) -> int:
        """Latent numbers."""
        return self.side**2

    @nn.compact
    def __call__(self, z: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,latent] -> f32[B,H,W,C]."""
        x = with_planes(z.reshape(-1, self.side, self.side, 1), condition)
        k = (self.kernel, self.kernel)
        first = nn.ConvTranspose(
            self.features[0], k, padding="VALID", dtype=self.dtype, kernel_init=GLOROT
        )
        x = leaky(normalised(self.momentum, train, self.dtype)(first(x)))
        for features in self.features[1:]:
            x = ConvTranspose(features, self.kernel, dtype=self.dtype)(x)
            x = leaky(normalised(self.momentum, train, self.dtype)(x))
        for features in self.decoder_features:
            x = nn.Conv(features, (3, 3), padding="VALID", dtype=self.dtype, kernel_init=GLOROT)(x)
            x = leaky(normalised(self.momentum, train, self.dtype)(x))
        x = conv(self.shape[2], 3, dtype=self.dtype)(x)
        return OUTPUTS[self.output](x.astype(jnp.float32))


class ConvDiscriminator(Discriminator):
    """3x3 convolutions with ReLU, of stride 2 and then unpadded, and dense layers with ReLU.

    features: of the strided convolutions.
    valid_features: of the unpadded convolutions.
    hidden: widths of the dense layers. A width of 1 is a single ReLU through which everything
      passes, and which can die.
    """

    features: tuple[Count, ...] = (128, 64)
    valid_features: tuple[Count, ...] = (32, 16)
    hidden: tuple[Count, ...] = (32,)
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,H,W,C] -> f32[B]."""
        x = with_planes(x, condition)
        for features in self.features:
            x = nn.relu(conv(features, 3, 2, self.dtype)(x))
        for features in self.valid_features:
            x = nn.Conv(features, (3, 3), padding="VALID", dtype=self.dtype, kernel_init=GLOROT)(x)
            x = nn.relu(x)
        x = x.reshape(x.shape[0], -1)
        for features in self.hidden:
            x = nn.relu(nn.Dense(features, dtype=self.dtype, kernel_init=GLOROT)(x))
        return nn.Dense(1, dtype=self.dtype, kernel_init=GLOROT)(x)[:, 0].astype(jnp.float32)


class ResizeGenerator(Generator):
    """A dense layer to a small map, then transposed convolutions of stride 2. A map that is too
    large is resized by nearest neighbour (8x8 to 7x7 on the way to 28x28).

    Radford et al., arXiv 1511.06434, use it at 64x64.

    start: features of the small map.
    features: of the transposed convolutions except the last, which makes the image.
    kernel: side of all kernels.
    """

    latent: Count = 100
    start: Count = 512
    features: tuple[Count, ...] = (256, 128)
    kernel: Count = 5
    dropout: Rate = 0.1
    momentum: Rate = 0.99
    output: Output = "tanh"
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, z: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,latent] -> f32[B,H,W,C]."""
        twos = [2] * (len(self.features) + 1)
        heights, widths = (halved(side, twos)[::-1] for side in self.shape[:2])
        size = heights[0] * widths[0] * self.start
        x = nn.Dense(size, dtype=self.dtype, kernel_init=GLOROT)(joined(z, condition))
        x = x.reshape(-1, heights[0], widths[0], self.start)
        for features, height, width in zip(
            (*self.features, self.shape[2]), heights[1:], widths[1:], strict=True
        ):
            x = leaky(normalised(self.momentum, train, self.dtype)(x))
            x = noise.Dropout(self.dropout)(x, train)
            x = ConvTranspose(features, self.kernel, dtype=self.dtype)(x)
            x = resize_nearest(x, height, width)
        return OUTPUTS[self.output](x.astype(jnp.float32))


def resize_nearest(x: jax.Array, height: int, width: int) -> jax.Array:
    """f32[B,H,W,C] -> f32[B,height,width,C], by nearest neighbour."""
    return x if x.shape[1:3] == (height, width) else jax.image.resize(
        x, (x.shape[0], height, width, x.shape[3]), "nearest"
    )  # fmt: skip


class StridedDiscriminator(Discriminator):
    """Convolutions of stride 2, each with LeakyReLU and dropout, all but the first normalised by
    the statistics of the batch it sees, in training and out of it."""

    features: tuple[Count, ...] = (64, 128, 256)
    kernel: Count = 5
    dropout: Rate = 0.1
    momentum: Rate = 0.99
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,H,W,C] -> f32[B]."""
        x = with_planes(x, condition)
        for index, features in enumerate(self.features):
            x = leaky(strided(x, features, self.kernel, self.dtype))
            x = noise.Dropout(self.dropout)(x, train)
            if index:
                x = normalised(self.momentum, True, self.dtype)(x)
        x = x.reshape(x.shape[0], -1)
        return nn.Dense(1, dtype=self.dtype, kernel_init=GLOROT)(x)[:, 0].astype(jnp.float32)
