"""Which ingredients lower a likelihood? Short pilots, which look at the validation split alone.

python launch.py --config=experiments/ingredients.py --workdir=runs/ingredients --mode=sweep
python launch.py --config=experiments/ingredients.py:digits --workdir=runs/on_digits --mode=sweep
python launch.py --mixture=<a run>,<the same with seed 1> --mode=eval --output=runs/two_seeds
python launch.py --mode=compare --workdir=runs/two_seeds --against=<a run>

The PixelCNN of `binarized_mnist_pixelcnn:wide`, two epochs each; `:digits` is the one of
`digits_pixelcnn` with Muon, 1,000 steps on 8x8 digits.
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from configs import binarized_mnist_pixelcnn, common, digits_pixelcnn

METRICS = ("nll",)
FOUR = ("identity", "transpose", "rotate180", "antitranspose")
PLAIN = {
    "autoregressive.orders": ("identity",),
    "optim.outer": "",
    "optim.matrix_decay": 0.0,
    "seed": 0,
}


def get_config(arg: str = "") -> ConfigDict:
    config = binarized_mnist_pixelcnn.get_config("wide")
    config.data.eval_split = "validation"
    config.train.update(steps=6250, eval_every=0, checkpoint_every=625, sample_every=0)
    config.report.writers = ()
    return common.variants(config, arg, digits=digits)


def digits(config: ConfigDict) -> None:
    """Of the 1,437 digits to train on, 287 are looked at."""
    config.update(digits_pixelcnn.get_config())
    config.data.update(train_split="train[:80%]", eval_split="train[80%:]")
    config.optim.update(name="muon", learning_rate=1e-2)
    config.train.update(steps=1000, eval_every=0, checkpoint_every=250, sample_every=0)


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    add(PLAIN)
    add(PLAIN | {"seed": 1})
    add(PLAIN | {"autoregressive.orders": ("rotate180",)})
    add(PLAIN | {"autoregressive.orders": ("identity", "rotate180")})
    add(PLAIN | {"autoregressive.orders": FOUR})
    add(PLAIN | {"optim.outer": "adam"})
    add(PLAIN | {"optim.matrix_decay": 0.1})
    add(PLAIN | {"optim.matrix_decay": 0.1, "seed": 1})
    add(PLAIN | {"optim.matrix_decay": 0.1, "autoregressive.orders": FOUR})
