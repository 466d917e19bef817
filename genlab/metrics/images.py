"""How far an image is from another, per example, on [0,1]."""

from __future__ import annotations

import dm_pix
import jax
import jax.numpy as jnp

from genlab.likelihoods.categorical import Bernoulli

UNITS = {
    "mse": "squared error per pixel on [0,1]",
    "bce": "binary cross-entropy, nats per pixel",
    "psnr": "dB",
    "ssim": "structural similarity, 1 is equal",
}


def bce(logits: jax.Array, target: jax.Array) -> jax.Array:
    """f32[B,H,W,C] both -> f32[B], mean over pixels; a grey target is a probability."""
    return -Bernoulli().log_prob(logits[..., None], target).mean((1, 2, 3))


def compare(found: jax.Array, target: jax.Array, prefix: str = "") -> dict[str, jax.Array]:
    """f32[B,H,W,C] both -> {"mse", "psnr", "ssim": f32[B]}, the prefix before each name.

    SSIM is that of Wang et al. 2004 (11x11 Gaussian window, less on smaller images, deviation 1.5),
    the mean over colours. PSNR stops at 100 dB.
    """
    mse = jnp.square(found - target).mean((1, 2, 3))
    side = min(11, *found.shape[1:3])
    window = side - (side + 1) % 2  # odd
    return {
        f"{prefix}mse": mse,
        f"{prefix}psnr": -10.0 * jnp.log10(jnp.maximum(mse, 1e-10)),
        f"{prefix}ssim": dm_pix.ssim(found, target, filter_size=window),
    }
