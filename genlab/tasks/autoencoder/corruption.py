"""What a denoising autoencoder takes away from its input."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab import noise
from genlab.errors import UserError, hint

NAMES = ("none", "gaussian", "salt")


@dataclass(frozen=True)
class Corruption:
    """none; gaussian: normal noise of that mean and deviation added, clipped to [0,1]; salt: that
    share of the pixels, drawn at random, set to white."""

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
        """Whether anything is taken away."""
        return self.name != "none"


def make(config: ConfigDict) -> Corruption:
    """The corruption of a `corruption` section. Raises UserError naming the key at fault."""
    if config.name not in NAMES:
        raise UserError(f"corruption.name: no {config.name!r}.{hint(config.name, NAMES)}")
    if not 0.0 <= config.share <= 1.0:
        raise UserError(f"corruption.share={config.share}: take a share from 0 to 1.")
    if config.deviation < 0.0:
        raise UserError(f"corruption.deviation={config.deviation}: take 0 or more.")
    return Corruption(**config.to_dict())
