"""Which ingredients lower a likelihood? Short pilots on the fixed binarised MNIST, which look at its
validation split alone.

python launch.py --config=experiments/ingredients.py --workdir=runs/ingredients --mode=sweep
python launch.py --mode=compare --workdir=runs/ingredients/<run> --against=runs/ingredients/<plain>
python launch.py --mixture=runs/ingredients/<plain>,runs/ingredients/<plain, seed 1> --mode=eval \
    --output=runs/two_seeds

The PixelCNN of `binarized_mnist_pixelcnn:wide`, two epochs each.
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from configs import binarized_mnist_pixelcnn

METRICS = ("nll",)
PLAIN = {
    "autoregressive.orders": ("identity",),
    "optim.outer": "",
    "optim.matrix_decay": 0.0,
    "seed": 0,
}


def get_config() -> ConfigDict:
    config = binarized_mnist_pixelcnn.get_config("wide")
    config.data.eval_split = "validation"
    config.train.update(steps=6250, eval_every=0, checkpoint_every=625, sample_every=0)
    config.report.writers = ()
    return config


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    add(PLAIN)
    add(PLAIN | {"seed": 1})
    add(PLAIN | {"autoregressive.orders": ("rotate180",)})
    add(PLAIN | {"autoregressive.orders": ("identity", "rotate180")})
    add(PLAIN | {"optim.outer": "adam"})
    add(PLAIN | {"optim.matrix_decay": 0.1})
