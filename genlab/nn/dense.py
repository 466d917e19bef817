"""Fully connected networks, and what every network with a code shares.

A network with a code has an `encoder` and a `decoder`:

    encode(x f32[B,H,W,C], condition, train)  -> f32[B,code_parameters*codes]
    decode(code f32[B,codes], condition, train) -> f32[B,H,W,C,outputs]

`code_parameters` is 1 where the encoder gives the code itself, 2 where it gives the mean and log
variance of one. `outputs` is how many parameters a value's distribution has. `condition` is
f32[B,K] (a class, one-hot) or None. Kernels start Glorot uniform and biases zero, as in Keras, in
which most of the sources were written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from genlab import noise
from genlab.sections.fields import Count, Dtype, OneOf, Rate

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "none": lambda x: x,
    "relu": nn.relu,
    "tanh": nn.tanh,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
}
Activation = Annotated[str, OneOf(tuple(ACTIVATIONS))]
GLOROT = nn.initializers.glorot_uniform()


def joined(x: jax.Array, condition: jax.Array | None) -> jax.Array:
    """f32[B,N] -> f32[B,N+K]; without a condition, x as it is."""
    return x if condition is None else jnp.concatenate([x, condition], -1)


class CodeNetwork(nn.Module):
    """What the networks with a code have in common; they set `encoder` and `decoder`.

    shape: (H, W, C) of an image.
    code_parameters: 1 for the code itself, 2 for the mean and log variance of one.
    outputs: parameters of a value's distribution.
    dtype: of the computation; parameters, codes and what is decoded stay float32.
    """

    shape: tuple[int, int, int]
    code_parameters: int
    outputs: int
    dtype: Dtype = "float32"

    @property
    def codes(self) -> int:
        """Numbers in a code."""
        raise NotImplementedError

    def encode(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,H,W,C] -> f32[B,code_parameters*codes]."""
        return self.encoder(x, condition, train).astype(jnp.float32)

    def decode(self, code: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,codes] -> f32[B,H,W,C,outputs]."""
        decoded = self.decoder(code, condition, train).astype(jnp.float32)
        return decoded.reshape(-1, *self.shape, self.outputs)

    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """f32[B,H,W,C] -> f32[B,H,W,C,outputs], through the code or its mean.

        Initialisation calls this, because it makes all parameters.
        """
        return self.decode(self.encode(x, condition, False)[:, : self.codes], condition, False)


class Layers(nn.Module):
    """Dense layers with activation and dropout, and a last one with an activation of its own."""

    hidden: tuple[int, ...]
    last: int
    activation: str
    last_activation: str = "none"
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None, train: bool) -> jax.Array:
        """f32[B,...] -> f32[B,last]."""
        x = joined(x.reshape(x.shape[0], -1), condition)  # f32[B,N]
        for features in self.hidden:
            x = nn.Dense(features, dtype=self.dtype, kernel_init=GLOROT)(x)
            x = ACTIVATIONS[self.activation](x)
            x = noise.Dropout(self.dropout)(x, train)
        x = nn.Dense(self.last, dtype=self.dtype, kernel_init=GLOROT)(x)
        return ACTIVATIONS[self.last_activation](x)


class Autoencoder(CodeNetwork):
    """Dense layers down to a code, and the same widths back.

    hidden: widths on the way to the code.
    code: its size.
    activation: of the hidden layers.
    code_activation: of the code itself.
    dropout: after every hidden layer, both ways.
    """

    hidden: tuple[Count, ...] = (128, 64)
    code: Count = 32
    activation: Activation = "relu"
    code_activation: Activation = "none"
    dropout: Rate = 0.0

    @property
    def codes(self) -> int:
        """Numbers in a code."""
        return self.code

    def setup(self) -> None:
        self.encoder = Layers(
            self.hidden,
            self.code_parameters * self.code,
            self.activation,
            self.code_activation,
            self.dropout,
            self.dtype,
        )
        size = math.prod(self.shape) * self.outputs
        self.decoder = Layers(
            self.hidden[::-1], size, self.activation, "none", self.dropout, self.dtype
        )
