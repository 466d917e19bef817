"""Densities over the codes of an autoencoder, fitted after training, to sample from.

A fitted density is a dict of arrays of fixed shapes, so that it lives in a state. A covariance is
kept as the columns v_i sqrt(lambda_i) of its eigenvectors: dead code units (ReLU codes have them)
make it singular, and then some columns are zero, harmless to both drawing and measuring.
"""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from genlab.errors import log
from genlab.state import Tree

NAMES = ("normal", "gaussian", "mixture")
ITERATIONS = 30  # of EM at most: a second each for 20,000 codes of 128 numbers
NEGLIGIBLE = 1e-6  # an eigenvalue below this share of the largest counts as zero


def empty(codes: int, components: int) -> Tree:
    """A density that is not fitted yet: `step` is -1."""
    zeros = lambda *shape: jnp.zeros(shape, jnp.float32)  # noqa: E731
    return {
        "step": jnp.int32(-1),
        "gaussian": {
            "weights": zeros(1),
            "means": zeros(1, codes),
            "factors": zeros(1, codes, codes),
        },
        "mixture": {
            "weights": zeros(components),
            "means": zeros(components, codes),
            "factors": zeros(components, codes, codes),
        },
    }


def fit(codes: np.ndarray, components: int, step: int) -> Tree:
    """A full-covariance Gaussian and a Gaussian mixture (scikit-learn, EM) for f32[N,d] codes.

    With fewer examples than components, the components in excess have weight zero.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    codes = np.asarray(codes, np.float64)
    covariance = np.atleast_2d(np.cov(codes.T))
    spread = max(float(np.trace(covariance)) / codes.shape[1], 1e-12)
    ridge = NEGLIGIBLE * spread
    log.info("fitting densities to %d codes of %d numbers", *codes.shape)
    settings = {"reg_covar": ridge, "max_iter": ITERATIONS, "random_state": 0}
    mixture = GaussianMixture(min(components, len(codes)), **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last iterations change little
        mixture.fit(codes)
    shifted = mixture.covariances_ - ridge * np.eye(codes.shape[1])  # without the ridge
    more = components - mixture.n_components
    return {
        "step": np.int32(step),
        "gaussian": _pack(np.ones(1), codes.mean(0)[None], covariance[None], 0),
        "mixture": _pack(mixture.weights_, mixture.means_, shifted, more),
    }


def _pack(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, more: int) -> Tree:
    values, vectors = np.linalg.eigh(covariances)  # f64[K,d], f64[K,d,d]
    values = np.where(values > NEGLIGIBLE * values.max(-1, keepdims=True), values, 0.0)
    factors = vectors * np.sqrt(values)[:, None, :]
    parts = {"weights": weights, "means": means, "factors": factors}
    pad = lambda x: np.pad(x, [(0, more)] + [(0, 0)] * (x.ndim - 1))  # noqa: E731
    return {name: pad(x).astype(np.float32) for name, x in parts.items()}


def draw_code(
    density: Tree, name: str, key: jax.Array, temperature: float | jax.Array
) -> jax.Array:
    """f32[d], a code drawn from the density of that name, its deviations times the temperature."""
    choice, normal = jax.random.split(key)
    size = density["gaussian"]["means"].shape[-1]
    noise = temperature * jax.random.normal(normal, (size,))
    if name == "normal":
        return noise
    part = density[name]
    chosen = jax.random.categorical(choice, jnp.log(part["weights"]))
    return part["means"][chosen] + part["factors"][chosen] @ noise


def distance(density: Tree, name: str, codes: jax.Array) -> jax.Array:
    """f32[B,d] -> f32[B]: the squared Mahalanobis distance per dimension.

    It is 1 on average where codes follow the density. For a mixture, it is the distance from the
    nearest component.
    """
    if name == "normal":
        return jnp.square(codes).mean(-1)
    part = density[name]
    values = jnp.square(part["factors"]).sum(1)  # f32[K,d], the eigenvalues
    live = values > 0.0
    along = jnp.einsum("bkd,kde->bke", codes[:, None] - part["means"], part["factors"])
    squares = jnp.where(live, along**2 / jnp.where(live, values, 1.0) ** 2, 0.0)  # f32[B,K,d]
    distances = squares.sum(-1) / jnp.maximum(live.sum(-1), 1)
    return jnp.where(part["weights"] > 0.0, distances, jnp.inf).min(-1)
