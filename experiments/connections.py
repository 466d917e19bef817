"""What residual and skip connections do for a deep PixelRNN: 8 Row LSTM layers on 8x8 digits.

python launch.py --config=experiments/connections.py --workdir=runs/connections --mode=sweep
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from configs import digits_pixelcnn

METRICS = ("nll", "bits_per_dim")


def get_config() -> ConfigDict:
    config = digits_pixelcnn.get_config()
    config.model = {"name": "recurrent.RowLSTM", "features": 16, "layers": 8, "first_kernel": 5}
    config.train.update(steps=1000, eval_every=250, checkpoint_every=500, sample_every=0)
    return config


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for residual in (False, True):
        for skip in (False, True):
            for seed in (0, 1):
                add({"model.residual": residual, "model.skip": skip, "seed": seed})
