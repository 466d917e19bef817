"""PixelCNN on scikit-learn's 1,797 real 8x8 digits, at their 17 grey levels.

python launch.py --config=configs/digits_pixelcnn.py --workdir=runs/digits_pixelcnn

Measured on 2 CPU cores (AMD EPYC, float32), seed 0, the 360 test images, EMA weights, exact: 81.07
nats, 1.828 bits/dim, after 2,000 steps. `make demo` runs this, evaluation and sampling in 55 s
beside other work.
"""

from ml_collections import ConfigDict

from genlab.tasks import autoregressive


def get_config() -> ConfigDict:
    config = autoregressive.config("masked.PixelCNN", layers=3, first_kernel=5, dropout=0.1)
    config.likelihood.levels = 17
    config.optim.update(learning_rate=2e-3, schedule="cosine", warmup_steps=50, ema=0.99)
    config.optim.clip_norm = 1.0
    config.train.update(steps=2000, eval_every=200, checkpoint_every=200, sample_every=500)
    return config
