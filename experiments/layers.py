"""Is adding layers always helpful? PixelCNN and Row LSTM of more and more layers on 8x8 digits.

python launch.py --config=experiments/layers.py --workdir=runs/layers --mode=sweep
python launch.py --config=experiments/layers.py:row_lstm --workdir=runs/layers_row --mode=sweep
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from configs import common, digits_pixelcnn

METRICS = ("nll", "bits_per_dim")


def get_config(arg: str = "") -> ConfigDict:
    config = digits_pixelcnn.get_config()
    config.model.dropout = 0.0
    config.train.update(steps=1000, eval_every=250, checkpoint_every=500, sample_every=0)
    return common.variants(config, arg, row_lstm=row_lstm)


def row_lstm(config: ConfigDict) -> None:
    """Row LSTM layers in the place of convolutions."""
    config.model = {"name": "recurrent.RowLSTM", "features": 16, "first_kernel": 5}


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for layers in (1, 2, 4, 8, 12):
        for seed in (0, 1):
            add({"model.layers": layers, "seed": seed})
