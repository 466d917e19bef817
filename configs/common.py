"""What configs share: data sets, lengths of training, and their arguments.

What the configs of one family share is in `genlab/tasks/<family>/defaults.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from ml_collections import ConfigDict

from genlab.errors import UserError, hint
from genlab.tasks.autoregressive import likelihood_training


def variants(config: ConfigDict, arg: str, **known: Callable[[ConfigDict], None]) -> ConfigDict:
    """Applies the variants that a config's argument names, `a` or `a,b`. The variant `smoke`, which
    every config has, is not among them.

    Raises: UserError for a name that the config does not have.
    """
    for name in [name for name in arg.split(",") if name]:
        if name not in known:
            raise UserError(f"config argument {name!r} is unknown.{hint(name, [*known, 'smoke'])}")
        known[name](config)
    return config


def in_epochs(config: ConfigDict, steps_per_epoch: int, epochs: int, every: int = 1) -> None:
    """Sets the steps for that many epochs, and measures, saves and draws after every `every`."""
    config.train.update(steps=epochs * steps_per_epoch, log_every=steps_per_epoch // 4 or 1)
    config.train.eval_every = config.train.checkpoint_every = every * steps_per_epoch
    config.train.sample_every = every * steps_per_epoch


def mnist(config: ConfigDict, batch_size: int, epochs: int) -> None:
    """MNIST, with 5,000 training images held out for validation; measures, saves and draws after
    each epoch."""
    config.data.update(source="tfds:mnist", image_size=28, channels=1, batch_size=batch_size)
    config.data.update(train_split="train[:55000]", valid_split="train[55000:]")
    in_epochs(config, 55_000 // batch_size, epochs)


def grey_mnist(config: ConfigDict, steps: int) -> None:
    """MNIST at 256 levels for likelihoods, with 10,000 training images held out."""
    config.data.update(source="tfds:mnist", image_size=28, channels=1, batch_size=16)
    config.data.update(train_split="train[:50000]", valid_split="train[50000:]")
    likelihood_training(config, steps)


def binarized_mnist(config: ConfigDict, steps: int) -> None:
    """The fixed binarised MNIST (Larochelle's files) for likelihoods."""
    config.data.update(source="tfds:binarized_mnist", image_size=28, channels=1, batch_size=16)
    config.likelihood.update(name="bernoulli", levels=2)
    likelihood_training(config, steps)


def cifar10(config: ConfigDict, steps: int) -> None:
    """CIFAR-10 at 256 levels for likelihoods."""
    config.data.update(source="tfds:cifar10", image_size=32, channels=3, batch_size=16)
    likelihood_training(config, steps)
    config.eval.batch_size = 64
    config.sample.update(count=16, batch_size=16)


def flat_folder(config: ConfigDict) -> None:
    """For `--config.data.source=folder:<path>` of images without splits: one in ten is for
    evaluation."""
    config.data.update(train_split="train[:90%]", valid_split="", eval_split="train[90%:]")
