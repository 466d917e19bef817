"""Dense GAN on MNIST with batch normalisation in the generator.

python launch.py --config=configs/mnist_gan.py --workdir=runs/mnist_gan
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    generator = {"name": "adversarial.DenseGenerator", "latent": 100, "hidden": (256, 512, 1024)}
    discriminator = {"name": "adversarial.DenseDiscriminator", "hidden": (512, 256)}
    common.gan(config, generator, discriminator, learning_rate=2e-4, b1=0.5)
    config.model.generator.update(normalise=True, momentum=0.8, output="tanh")
    config.model.discriminator.dropout = 0.0
    common.mnist(config, batch_size=64, epochs=40)
    return common.variants(config, arg, smoke=common.smoke)
