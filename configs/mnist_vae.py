"""VAE on MNIST with a 2-d latent, the weighting of its source.

python launch.py --config=configs/mnist_vae.py --workdir=runs/mnist_vae

Measured on 2 CPU cores (AMD EPYC, float32), seed 0, 10,000 test images, after 2,145 steps (5
epochs) of 149 ms: ELBO of 100 draws 156.5 nats (KL 7.4), IWAE bound of 100 draws 154.8 nats, grey
values as probabilities.

`:tpu`, `:gpu`: 2,000 steps of 512 images, 100 steps a call, bfloat16. Planned for four chips of v5e
(estimates, not measured): 0.681 ms a step, 752,000 images/s, 92.8 MB a chip.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import vae


def get_config(arg: str = "") -> ConfigDict:
    config = vae.config("conv.StridedAutoencoder", features=(32, 64, 64, 64), strides=(1, 2, 1, 1))
    config.model.update(hidden=32, code=2, decoder_features=(32,), decoder_strides=(2,))
    config.vae.beta = 5e-4 * 784
    common.mnist(config, batch_size=128, epochs=5)
    return common.variants(config, arg, **common.accelerators(512, 2_000, 100, rate=2e-3))
