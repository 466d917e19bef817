"""What each autoregressive network reaches on the fixed binarised MNIST, trained as its config
says, and what it sees of an image.

python launch.py --config=experiments/networks.py --workdir=runs/networks --mode=sweep
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from genlab.config import base

METRICS = ("nll",)
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
        add({"config": f"binarized_mnist_{network}"})
