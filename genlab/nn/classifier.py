"""A convolutional network that tells the class of an image, and gives features of it."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab import noise
from genlab.nn.conv import conv, max_pool
from genlab.nn.dense import GLOROT
from genlab.sections.fields import Count, Dtype, Rate


class ConvClassifier(nn.Module):
    """Convolutions, each with ReLU and 2x2 max pooling, one dense layer with ReLU, and the logits.

    outputs: classes, given by the data, not by the config.
    features: of each convolution.
    kernels: sides of the kernels.
    hidden: width of the dense layer, whose values are the features of an image.
    dropout: on those features, in training.
    dtype: of the computation; parameters, features and logits stay float32.
    """

    outputs: int
    features: tuple[Count, ...] = (32, 64, 128)
    kernels: tuple[Count, ...] = (5, 3, 3)
    hidden: Count = 128
    dropout: Rate = 0.5
    dtype: Dtype = "float32"

    def setup(self) -> None:
        sides = zip(self.features, self.kernels, strict=True)
        self.convolutions = [conv(features, kernel, dtype=self.dtype) for features, kernel in sides]
        self.dense = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=GLOROT)
        self.drop = noise.Dropout(self.dropout)
        self.last = nn.Dense(self.outputs, dtype=self.dtype, kernel_init=GLOROT)

    def embed(self, x: jax.Array) -> jax.Array:
        """f32[B,H,W,C] on [0,1] -> f32[B,hidden], the input of the last layer."""
        for layer in self.convolutions:
            x = max_pool(nn.relu(layer(x)))
        return nn.relu(self.dense(x.reshape(x.shape[0], -1))).astype(jnp.float32)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """f32[B,H,W,C] on [0,1] -> f32[B,outputs], logits."""
        return self.last(self.drop(self.embed(x), train)).astype(jnp.float32)
