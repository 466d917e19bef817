"""Prints digests of what small models give for 37 images, five at a time: run by test_memory."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np

from genlab import config as configs
from genlab import parallel
from genlab import task as tasks
from genlab.condition import Spec
from genlab.model import Model
from genlab.tasks import autoencoder, autoregressive, classifier, vae

SPEC = Spec((4, 4, 1), ("a", "b"))
IMAGES = np.random.default_rng(0).integers(0, 256, (37, 4, 4, 1)).astype(np.uint8)


def model(config) -> Model:
    configs.complete(config)
    config.sample.batch_size = 5
    task = tasks.load(config, SPEC)
    batch = {"image": jnp.zeros((1, *SPEC.shape), jnp.uint8), "label": jnp.zeros(1, jnp.int32)}
    state = parallel.on_one_device(task.init)(jax.random.key(0), batch)
    return Model(config, 0, "raw", task, SPEC, state, "")


def values() -> dict[str, np.ndarray]:
    """By the name of the method."""
    config = autoregressive.config("masked.PixelCNN", features=4, layers=1, first_kernel=3, head=4)
    config.likelihood.update(name="bernoulli", levels=2, binarisation="stochastic")
    pixels = model(config)
    codes = model(vae.config("dense.Autoencoder", hidden=(7,), code=3))
    denoiser = model(autoencoder.config("dense.Autoencoder", hidden=(7,), code=3))
    judge = model(classifier.config("classifier.ConvClassifier", features=(4,), kernels=(3,)))
    known = np.zeros(IMAGES.shape, bool)
    known[:, :2] = True
    key = jax.random.key(3)
    return {
        "sample": pixels.sample(key, 37),
        "fixed_point": pixels.sample(jax.random.key(4), 37, "fixed_point"),
        "complete": pixels.complete(key, IMAGES, known),
        "log_prob": pixels.log_prob(IMAGES, key),
        "encode": codes.encode(IMAGES),
        "decode": codes.decode(codes.encode(IMAGES)),
        "bound": codes.log_prob(IMAGES, key),
        "denoise": denoiser.denoise(IMAGES),
        "score": denoiser.score(IMAGES),
        "features": judge.apply("features", IMAGES),
    }


def digests() -> dict[str, str]:
    """SHA-256 of the bytes of each."""
    hashed = {name: hashlib.sha256(np.asarray(x).tobytes()) for name, x in values().items()}
    return {name: sha.hexdigest() for name, sha in hashed.items()}


def run() -> None:
    print(json.dumps({"devices": jax.device_count()} | digests()))
