"""How many numbers does a code need to keep a digit? Code sizes 2 to 64 in the dense autoencoder.

python launch.py --config=experiments/latent_size.py --workdir=runs/latent_size --mode=sweep

The network of `mnist_ae_dense` with a linear code (ReLU units of a small code may all die), 15
epochs, cosine rate, two seeds. `experiments/README.md` has the result.
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from configs import mnist_ae_dense

METRICS = ("bce", "mse", "ssim")


def get_config() -> ConfigDict:
    config = mnist_ae_dense.get_config()
    config.train.update(steps=15 * 214, sample_every=0, eval_every=5 * 214)
    config.report.writers = ()
    config.optim.update(learning_rate=3e-3, schedule="cosine")
    config.model.code_activation = "none"
    return config


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for code in (2, 4, 8, 16, 32, 64):
        for seed in (0, 1):
            add({"model.code": code, "seed": seed})
