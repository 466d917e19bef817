"""Dense GAN on MNIST with batch normalisation in the generator.

python launch.py --config=configs/mnist_gan.py --workdir=runs/mnist_gan

Measured, seed 0: 34,360 steps in 8 min 42 s (10 min 45 s of CPU time) on 2 CPU cores, shared with
evaluations. Fréchet distance 20.1 (mnist_classifier features, 10,000 samples against the 10,000
test images; training images in their place: 0.65), coverage 0.82 (0.95), entropy of labels 2.28
nats (all ten digits; 2.30). Trained again with the code of 2026-11-26: 19.9.
Trained on at a cosine rate with the generator's EMA 0.999 and batch statistics of momentum 0.99
(train.init_from, optim.*.schedule, optim.generator.ema, model.generator.momentum): 12.7 after
20,000 steps (8 minutes, one core, shared), then 8.87 after 30,000 with dropout of 0.3 in the
discriminator (21 minutes), which had begun to know its training images (accuracy on real ones
0.71, on test images 0.50). 25,000 more: 9.4, no difference. `mnist_dcgan_resize` has 5.7.

`:tpu`, `:gpu`: 20,000 steps of 256 images, 200 steps a call, bfloat16. Planned for four chips of
v5e (estimates, not measured): 0.303 ms a step, 846,000 images/s, 96.7 MB a chip. One H100 needs
91.2 MB.
"""

from ml_collections import ConfigDict

from configs import common
from genlab.tasks import gan


def get_config(arg: str = "") -> ConfigDict:
    generator, discriminator = {"name": "gan.DenseGenerator"}, {"name": "gan.DenseDiscriminator"}
    config = gan.config(generator, discriminator, learning_rate=2e-4, b1=0.5)
    common.mnist(config, batch_size=64, epochs=40)
    return common.variants(config, arg, **common.accelerators(256, 20_000, 200))
