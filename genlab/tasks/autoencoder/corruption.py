"""The noise that a denoising autoencoder learns to remove."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from genlab import noise

NAMES = ("none", "gaussian", "salt")


@dataclass(frozen=True)
class Corruption:
    """Noise on images.

    name: "none"; "gaussian" adds normal noise and clips to [0,1]; "salt" sets pixels, drawn at
      random, to white.
    mean: of the gaussian noise.
    deviation: of the gaussian noise.
    share: of the pixels that salt sets.
    """

    name: str = "none"
    mean: float = 0.0
    deviation: float = 0.5
    share: float = 0.3

    def __call__(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """f32[B,H,W,C] on [0,1] -> the same, each example with its own noise."""
        if self.name == "gaussian":
            return jnp.clip(x + self.mean + self.deviation * noise.normal(key, x.shape), 0.0, 1.0)
        if self.name == "salt":
            white = noise.uniform(key, (*x.shape[:3], 1)) < self.share  # bool[B,H,W,1]
            return jnp.where(white, 1.0, x)
        return x

    def __bool__(self) -> bool:
        """Whether there is any noise."""
        return self.name != "none"
