"""What makes the source of `mnist_dcgan` diverge: a discriminator with one ReLU unit before its
output (`:listing`) against the one without, over the same steps.

python launch.py --config=experiments/dcgan.py --workdir=runs/dcgan --mode=sweep \\
    --config.eval.classifier=pretrained:mnist_classifier
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from genlab.config import base

METRICS = (
    "feature_distance",
    "accuracy_real",
    "accuracy_fake",
    "frechet",
    "coverage",
    "label_entropy",
)


def get_config() -> ConfigDict:
    return base()


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for config in ("mnist_dcgan", "mnist_dcgan:listing"):
        add({"config": config})
