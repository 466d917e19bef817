"""Untrained models that compress, and images for them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import config as configs
from genlab import task
from genlab.coding import glz
from genlab.coding.rans import HEAD_BYTES, Stack
from genlab.likelihoods.levels import dequantise
from genlab.model import Model
from genlab.tasks import autoregressive, vae

SMALL = {"features": 5, "layers": 1, "first_kernel": 3, "head": 5}  # no multiples of 3


def model(config: ConfigDict, channels: int, classes: int = 0, size: int = 6) -> Model:
    """An untrained model whose distributions are not uniform."""
    configs.complete(config)
    spec = task.Spec((size, size, channels), tuple(f"class{i}" for i in range(classes)))
    made = task.load(config, spec)
    batch = {"image": jax.ShapeDtypeStruct((1, *spec.shape), jnp.uint8)}
    shapes = jax.eval_shape(lambda b: made.init(jax.random.key(0), b), batch)
    rng = np.random.default_rng(1)
    state = jax.tree.map(lambda x: jnp.asarray(0.3 * rng.normal(size=x.shape), x.dtype), shapes)
    return Model(config.lock(), 7, "raw", made, spec, state, "")


def pixel_model(network: str, channels: int = 1, classes: int = 0, levels: int = 2, **likelihood):
    fields = dict(SMALL)
    if network == "multiscale.MultiScale":
        parts = ("recurrent.RowLSTM", "gated.GatedPixelCNN")
        small, large = ({"name": name, **SMALL} for name in parts)
        fields = {"factor": 2, "features": 5, "small": small, "large": large}
    config = autoregressive.config(network, **fields)
    config.likelihood.update(levels=levels, **likelihood)
    config.autoregressive.conditional = bool(classes)
    return model(config, channels, classes)


def vae_model(classes: int = 0, **likelihood):
    config = vae.config("dense.Autoencoder", hidden=(8,), code=3, activation="tanh")
    config.likelihood.update(binarisation="fixed", **likelihood)
    config.vae.conditional = bool(classes)
    return model(config, 1, classes)


def drawn(made: Model, count: int, seed: int = 0) -> np.ndarray:
    """u8[count,H,W,C], random levels."""
    levels = made.task.coder(made.state, 1).levels
    values = np.random.default_rng(seed).integers(0, levels, (count, *made.spec.shape))
    return np.asarray(dequantise(jnp.asarray(values), levels))


def sampled(made: Model, count: int, labels: np.ndarray | None) -> np.ndarray:
    """u8[count,H,W,C], drawn by the coder itself, from a stack that nothing was pushed on: images
    as likely as the model says, which no other programs need be compiled for."""
    told = np.full(count, -1) if labels is None else labels
    coder = made.task.coder(made.state, count, 8)
    return coder.pop(Stack(lends=True), told.astype(np.int32))


def message_bits(data: bytes) -> int:
    """The bits of a file without its header, checksums and heads."""
    return sum(8 * (len(stream.data) - HEAD_BYTES) for stream in glz.unpack(data)[1])
