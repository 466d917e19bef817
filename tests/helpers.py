"""What several test files share: small networks with odd sizes, small configs, command lines."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from genlab import cli
from genlab import config as configs
from genlab.nn import gated, masked, multiscale, recurrent
from tests.conftest import ROOT

SMALL = {"features": 7, "layers": 2, "first_kernel": 5, "head": 13}  # no multiples of 3
NETWORKS = {
    "plain": masked.PixelCNN,
    "gated": gated.GatedPixelCNN,
    "row": recurrent.RowLSTM,
    "diagonal": recurrent.DiagonalBiLSTM,
    "multiscale": None,
}


def network(name: str, outputs: int, **fields):
    if name == "multiscale":
        small, large = (network(part, outputs, **fields) for part in ("row", "gated"))
        return multiscale.MultiScale(small, large, factor=2, features=5)
    return NETWORKS[name](outputs, **SMALL | fields)


def weights(net, shape: tuple[int, ...], seed: int = 0, context=None):
    """Parameters as an initialisation has them and noise, for biases and initial states too, so
    that nothing is symmetric; drawn by NumPy, for which no program is compiled."""
    told = None if context is None else context[:1]
    made = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, *shape)), told)["params"]
    noise = np.random.default_rng(seed)

    def drawn(like):
        by_size = 1 / math.prod(like.shape[:-1]) if len(like.shape) > 1 else 0.0
        values = math.sqrt(0.3**2 + by_size) * noise.standard_normal(like.shape)
        return jnp.asarray(values, like.dtype)

    return jax.tree.map(drawn, made)


def outputs(net, params, *inputs, **changes):
    """A network's outputs by one program: op by op, each op would be compiled and kept."""
    return jax.jit(functools.partial(net.apply, **changes))({"params": params}, *inputs)


def measured_field(shape, net, tries: int = 4) -> np.ndarray:
    """bool[out,in]: whether an output's gradient with respect to a value is ever non-zero."""
    n = math.prod(shape)

    def flat(params, x):
        return net.apply({"params": params}, x)[0].reshape(n, -1)

    jacobian = jax.jit(jax.jacobian(flat, argnums=1))
    found = np.zeros((n, n), bool)
    for seed in range(tries):
        x = jax.random.normal(jax.random.key(seed), (1, *shape))
        gradients = np.asarray(jacobian(weights(net, shape, seed), x))
        found |= np.abs(gradients).max(1).reshape(n, n) > 0
    return found


def classifier_config(**train_changes):
    """A few filters on 8x8 digits, at the learning rate that few steps need."""
    config = configs.load(f"{ROOT}/configs/mnist_classifier.py:smoke").unlock()
    config.data.image_size = 8
    config.model.update(features=(8,), kernels=(3,), hidden=16, dropout=0.0)
    config.optim.update(learning_rate=1e-2, warmup_steps=0, ema=0.0)
    config.data.batch_size = 32
    config.classifier.shift = 1
    config.train.update(**train_changes)
    return config.lock()


def code_config(name: str, **sections):
    """A smoke config with a dense network of a few units, on 8x8 digits."""
    config = configs.load(f"{ROOT}/configs/{name}.py:smoke").unlock()
    config.data.image_size = 8
    config.model = type(config)(
        {"name": "dense.Autoencoder", "hidden": (8,), "code": 3, "activation": "tanh"}
    )
    for section, changes in sections.items():
        config[section].update(changes)
    return config.lock()


def parsed(*arguments: str) -> ConfigDict:
    """The config of a command line; absl's flags are as before afterwards."""
    before = set(flags.FLAGS)
    for name in {"workdir", "mode"} - before:
        flags.DEFINE_string(name, "", "As in launch.py.")
    try:
        cli._parse(["launch.py", *arguments])
        return flags.FLAGS.config
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
