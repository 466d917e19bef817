"""What each autoregressive network sees of an image, and what that is worth on the fixed binarised
MNIST after the same short training: 1,500 steps of 16 images. `docs/zoo.md` has long trainings.

python launch.py --config=experiments/networks.py --workdir=runs/networks --mode=sweep
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from genlab.config import base

METRICS = ("nll",)
STEPS = 1500
NETWORKS = (
    "pixelcnn",
    "pixelcnn:wide",
    "gated_pixelcnn",
    "gated_pixelcnn:wide",
    "row_lstm",
    "diagonal_bilstm",
)


def get_config() -> ConfigDict:
    return base()


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for network in NETWORKS:
        add({"config": f"binarized_mnist_{network}", "train.steps": STEPS})
