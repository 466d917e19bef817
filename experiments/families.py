"""A VAE and a PixelRNN on grey MNIST, to be judged by the same features as the autoencoder, the GAN
and the PixelCNN that come with genlab.

python launch.py --config=experiments/families.py --workdir=runs/families --mode=sweep
ours=runs/families/config=mnist_vae,runs/families/config=mnist_row_lstm
theirs=pretrained:mnist_ae_dense,pretrained:mnist_gan,pretrained:mnist_pixelcnn
python launch.py --mode=judge --samples=$theirs,$ours --output=runs/families/judged

Each is trained as its config says; `experiments/README.md` has the result.
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from genlab.config import base

METRICS = ("nll", "neg_elbo")
FAMILIES = ("mnist_vae", "mnist_row_lstm")


def get_config() -> ConfigDict:
    return base()


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for family in FAMILIES:
        add({"config": family})
