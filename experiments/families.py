"""One table and one picture: GANs, a VAE, a PixelCNN and PixelRNNs on grey MNIST, judged by the
same features.

python launch.py --config=configs/mnist_classifier.py --workdir=runs/mnist_classifier
python launch.py --config=experiments/families.py --workdir=runs/families --mode=sweep \\
    --config.eval.classifier=runs/mnist_classifier

Each family is trained as its config says; `experiments/README.md` has the result.
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from genlab.config import base

METRICS = ("frechet", "frechet_floor", "kernel", "precision", "recall", "coverage", "label_entropy")
FAMILIES = (
    "mnist_gan",
    "mnist_dcgan_resize",
    "mnist_vae",
    "mnist_pixelcnn",
    "mnist_row_lstm",
    "mnist_diagonal_bilstm",
)


def get_config() -> ConfigDict:
    return base()


def sweep(add: Callable[[dict[str, Any]], None]) -> None:
    for family in FAMILIES:
        add({"config": family})
