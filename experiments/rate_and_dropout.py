"""Which rate and dropout does a small PixelCNN want in 400 steps? Optuna suggests, two at a time.

pip install "genlab[optuna]"
python launch.py --config=experiments/rate_and_dropout.py --workdir=runs/rate --mode=sweep

The network of `digits_pixelcnn`; the search looks at the NLL of the validation split.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import digits_pixelcnn

METRICS = ("nll", "bits_per_dim")


def get_config() -> ConfigDict:
    config = digits_pixelcnn.get_config()
    config.train.update(steps=400, eval_every=0, checkpoint_every=200, sample_every=0)
    config.report.writers = ()
    config.sweep = ConfigDict({"trials": 16, "trials_at_once": 2, "parallel": 2, "metric": "nll"})
    return config


def suggest(trial: Any) -> dict[str, Any]:
    rate = trial.suggest_float("rate", 3e-4, 3e-2, log=True)
    return {
        "optim.learning_rate": float(f"{rate:.3g}"),
        "model.dropout": trial.suggest_float("dropout", 0.0, 0.4, step=0.1),
    }
