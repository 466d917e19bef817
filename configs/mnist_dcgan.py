"""Convolutional GAN on MNIST: 25 latent numbers as a 5x5 map.

python launch.py --config=configs/mnist_dcgan.py --workdir=runs/mnist_dcgan
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    config = common.base()
    generator = {"name": "adversarial.ConvGenerator", "features": (256, 128, 64)}
    discriminator = {"name": "adversarial.ConvDiscriminator", "features": (128, 64)}
    common.gan(config, generator, discriminator, learning_rate=1.5e-4, b1=0.5)
    config.model.generator.update(decoder_features=(32, 16), kernel=4, momentum=0.5)
    config.model.generator.output = "sigmoid"
    config.model.discriminator.update(valid_features=(32, 16), hidden=(32,))
    common.mnist(config, batch_size=64, epochs=3)
    config.train.update(eval_every=214, checkpoint_every=214, sample_every=214, log_every=50)
    return common.variants(config, arg, smoke=common.smoke, listing=listing)


def listing(config: ConfigDict) -> None:
    """The discriminator of the source's code: one ReLU unit before the output."""
    config.model.discriminator.hidden = (32, 1)
