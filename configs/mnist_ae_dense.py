"""Dense autoencoder on MNIST: 784-128-64-32 and back, 222,384 parameters.

python launch.py --config=configs/mnist_ae_dense.py --workdir=runs/mnist_ae_dense

Measured, seed 0, 2 CPU cores: 2 min 4 s with figures, beside other work; test split 0.0834 nats
per pixel (BCE), MSE 0.0072, SSIM 0.918.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import autoencoder


def get_config() -> ConfigDict:
    config = autoencoder.config("dense.Autoencoder", code_activation="relu")
    config.optim.update(learning_rate=3e-3, schedule="cosine")
    common.mnist(config, batch_size=256, epochs=50)
    return config
