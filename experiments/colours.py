"""How should the colours of a pixel depend on each other? Masked groups, linearly, or not at all;
and a softmax against a mixture of logistics. A small PixelCNN on CIFAR-10 at 16x16.

python launch.py --config=experiments/colours.py --workdir=runs/colours --mode=sweep
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoregressive

METRICS = ("bits_per_dim",)


def get_config() -> ConfigDict:
    config = autoregressive.config("masked.PixelCNN", features=48, layers=5)
    common.cifar10(config, steps=1000)
    config.data.image_size = 16
    config.likelihood.components = 5
    config.train.update(eval_every=500, sample_every=0)
    return config


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for name in ("categorical", "logistic_mixture"):
        for groups in (True, False):
            add({"likelihood.name": name, "model.colour_groups": groups})
