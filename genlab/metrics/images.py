"""How far each image is from its target, on [0,1]."""

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
    """f32[B,H,W,C] of each -> f32[B], mean over pixels; a grey target is taken as a probability."""
    return -Bernoulli().log_prob(logits[..., None], target).mean((1, 2, 3))


def reconstruction_metrics(
    predicted: jax.Array, target: jax.Array, prefix: str = ""
) -> dict[str, jax.Array]:
    """How close images are to their targets: {"mse", "psnr", "ssim": f32[B]}.

    Args:
        predicted: f32[B,H,W,C] on [0,1].
        target: f32[B,H,W,C] on [0,1].
        prefix: put before each name.

    SSIM is the mean over colours (Wang et al., IEEE Trans. Image Processing 13, 2004): an 11x11
    Gaussian window of deviation 1.5, smaller on smaller images. PSNR is at most 100 dB.
    """
    mse = jnp.square(predicted - target).mean((1, 2, 3))
    side = min(11, *predicted.shape[1:3])
    window = side - (side + 1) % 2  # odd
    return {
        f"{prefix}mse": mse,
        f"{prefix}psnr": -10.0 * jnp.log10(jnp.maximum(mse, 1e-10)),
        f"{prefix}ssim": dm_pix.ssim(predicted, target, filter_size=window),
    }
