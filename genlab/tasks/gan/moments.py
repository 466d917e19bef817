"""Moments of generated and real images, which give a distance without keeping whole sets.

They are cheap enough for every validation. The distances for result tables are in
`genlab/metrics/frechet.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genlab.metrics.frechet import frechet_of_gaussians

FEATURES = 48
KERNEL, STRIDE = 5, 2


def random_features(x: jax.Array) -> jax.Array:
    """f32[B,H,W,C] on [0,1] -> f32[B,FEATURES], which need no training and no other data.

    They are the means of a fixed random convolution with ReLU over the upper and the lower half of
    the image.
    """
    kernel = min(KERNEL, *x.shape[1:3])
    shape = (kernel, kernel, x.shape[-1], FEATURES // 2)
    weights = np.random.default_rng(0).normal(size=shape) / np.sqrt(np.prod(shape[:3]))
    maps = jax.lax.conv_general_dilated(
        x - 0.5,
        jnp.asarray(weights, jnp.float32),
        (STRIDE, STRIDE),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    maps = jax.nn.relu(maps)  # f32[B,h,w,FEATURES/2]
    middle = max(maps.shape[1] // 2, 1)
    return jnp.concatenate([maps[:, :middle].mean((1, 2)), maps[:, -middle:].mean((1, 2))], -1)


def of_images(x: jax.Array, name: str) -> dict[str, jax.Array]:
    """First and second moments of pixels and features of f32[B,H,W,C], for each example."""
    features = random_features(x)
    return {
        f"{name}_pixel": x,
        f"{name}_pixel_square": jnp.square(x).sum((1, 2, 3)),
        f"{name}_feature": features,
        f"{name}_feature_square": features[:, :, None] * features[:, None, :],
    }


def distances(means: dict[str, Any]) -> dict[str, Any]:
    """sample_diversity: the total variance of generated pixels over that of real ones.
    feature_distance: the Fréchet distance between Gaussians of the features' moments."""
    spread = {
        name: means[f"{name}_pixel_square"] - np.square(means[f"{name}_pixel"]).sum()
        for name in ("real", "fake")
    }
    gaussians = []
    for name in ("real", "fake"):
        mean = np.asarray(means[f"{name}_feature"])
        gaussians += [mean, np.asarray(means[f"{name}_feature_square"]) - np.outer(mean, mean)]
    return {
        "sample_diversity": spread["fake"] / max(spread["real"], 1e-12),
        "feature_distance": frechet_of_gaussians(*gaussians),
    }
