"""Multi-scale PixelRNN on the fixed binarised MNIST: a Diagonal BiLSTM, then a Gated PixelCNN.

The first draws 7x7 pixels, the second the others of 28x28, as in `mnist_multiscale`.

python launch.py --config=configs/binarized_mnist_multiscale.py --workdir=runs/binarized_multiscale

Measured on one core of an AMD EPYC (float32, shared), seed 0: 84.84 nats of the test file, EMA
weights at 16 bits, exact NLL, after 5,000 steps (1.6 epochs, 46 minutes). No result for such a
network on this set is known to us.

`:tpu`, `:gpu`: 10,000 steps of 256 images, 20 steps a call, bfloat16. They were not planned; the
header of `mnist_multiscale` has estimates for the same networks at 256 levels.
"""

from ml_collections import ConfigDict

from configs import common, mnist_multiscale


def get_config(arg: str = "") -> ConfigDict:
    config = mnist_multiscale.get_config()
    common.binarized_mnist(config, steps=5000)
    config.optim.learning_rate = 5e-3
    return common.variants(config, arg, **common.accelerators(256, 10_000, 20))
