"""The config of the autoregressive family: its sections, and what its configs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.likelihoods import choose
from genlab.sections.fields import OneOf
from genlab.tasks.autoregressive.orders import NAMES


@dataclass(frozen=True)
class Autoregressive:
    """`config.autoregressive`."""

    conditional: bool = False  # on the class
    orders: tuple[Annotated[str, OneOf(NAMES)], ...] = ("identity",)  # symmetries, see orders.py


SECTIONS: dict[str, type | None] = {
    "autoregressive": Autoregressive,
    "likelihood": choose.Section,
}


def config(network: str, **fields: Any) -> ConfigDict:
    """A config of a network of pixels, given by its name and the fields not at their default."""
    made = configs.base("autoregressive")
    made.model = ConfigDict({"name": network} | fields)
    made.train.best_metric = "nll"
    return made


def likelihood_training(config: ConfigDict, steps: int) -> None:
    """Muon and averaged weights; evaluations and progress sheets four times on the way."""
    config.optim.update(name="muon", learning_rate=1e-2, schedule="cosine", ema=0.999)
    config.train.update(steps=steps, log_every=100, checkpoint_every=500)
    config.train.eval_every = config.train.sample_every = steps // 4


def wide(config: ConfigDict) -> None:
    """A 21x21 first mask: with a 7x7 one, seven 3x3 layers see 10 rows up, half a digit."""
    config.model.first_kernel = 21


def deep(config: ConfigDict, features: int, dropout: float, steps: int) -> None:
    """A 21x21 first mask and ten 3x3 layers see 20 rows up, all of a digit. For a GPU: larger
    batches, and many steps in a call."""
    wide(config)
    config.model.update(layers=10, features=features, dropout=dropout)
    config.optim.update(learning_rate=0.005, matrix_decay=0.1)
    config.data.batch_size = 64
    config.train.update(steps=steps, steps_per_call=50, log_every=500)
    config.train.update(eval_every=1000, checkpoint_every=1000, sample_every=steps // 4)


def smoke(config: ConfigDict) -> None:
    """See `Task.smoke`."""
    config.likelihood.update(components=2, levels=min(config.likelihood.levels, 16))
    for network in (config.model, config.model.get("small"), config.model.get("large")):
        if network and "layers" in network:
            network.update(features=9, layers=1, head=9)
