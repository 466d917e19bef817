"""What configs share: data sets, lengths of training, and their arguments.

What the configs of one family share is in `genlab/tasks/<family>/defaults.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.errors import UserError, hint
from genlab.sections.shared import Optim
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


def accelerators(
    batch_size: int, steps: int, steps_per_call: int, rate: float = 0.0, dtype: str = "bfloat16"
) -> dict[str, Callable[[ConfigDict], None]]:
    """The variants `tpu` and `gpu`, which are one training: the peaks of four chips of v5e and of
    one H100 are alike.

    Args:
      batch_size: on all devices together; what 2, 4, 8 and 16 devices divide.
      steps_per_call: so many that a call outlasts its launch.
      rate: of every optimizer; 0 keeps the config's.
      dtype: of what the networks compute.
    """

    def accelerated(config: ConfigDict) -> None:
        share = config.train.steps / steps  # of the old steps in a new one
        for path, section in configs.sections(config.task).items():
            if issubclass(section, Optim):
                _rescale(configs.at(config, path), share, rate)
        for path in configs.networks(config.task):
            _compute_in(configs.at(config, path), dtype)
        config.data.batch_size = batch_size
        config.train.update(steps=steps, steps_per_call=steps_per_call)
        every = max(steps // 8 // steps_per_call, 1) * steps_per_call
        config.train.update(eval_every=every, checkpoint_every=every, sample_every=every)
        config.train.log_every = max(steps // 200 // steps_per_call, 1) * steps_per_call

    return {"tpu": accelerated, "gpu": accelerated}


def _rescale(optim: ConfigDict, share: float, rate: float) -> None:
    """Warm-ups and averages of weights keep their share of the run."""
    optim.learning_rate = rate or optim.learning_rate
    optim.warmup_steps = round(optim.warmup_steps / share)
    if optim.get("ema"):
        optim.ema = round(optim.ema**share, 6)


def _compute_in(network: ConfigDict, dtype: str) -> None:
    network.dtype = dtype
    for part in network.values():
        if isinstance(part, ConfigDict):
            _compute_in(part, dtype)


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
    config.data.update(train_split="train", valid_split="")
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
