"""Trains a tiny model for ten steps, evaluates it and prints its devices: run by test_parallel."""

import json

import jax
from ml_collections import ConfigDict

from genlab import config as configs
from genlab.hosts import join, place
from genlab.modes import evaluate
from genlab.tasks import autoregressive
from genlab.training import loop as train


def config(mode: str) -> ConfigDict:
    """Dropout, drawn binarisation and plain SGD: a gradient that is n times too large shows."""
    found = autoregressive.config("masked.PixelCNN", kernel=3)
    configs.complete(found)
    configs.smoke(found)
    found.parallel = mode
    found.data.batch_size = 16
    found.model.update(features=4, layers=1, first_kernel=3, head=4, dropout=0.3)
    found.likelihood.update(name="bernoulli", levels=2, binarisation="stochastic")
    found.optim = ConfigDict({**found.optim.to_dict(), "name": "sgd", "learning_rate": 0.5})
    found.optim.ema = 0.9
    found.train.update(steps=10, log_every=1, eval_every=5, checkpoint_every=10)
    return found


def run(mode: str, workdir: str, *hosts: str) -> None:
    """hosts: coordinator, number of processes, which of them this is; none for a single process."""
    if hosts:
        join.join(place.place(hosts[0], int(hosts[1]), int(hosts[2])), {})
    train.train(config(mode), workdir)
    if not hosts:
        evaluate.evaluate_run(config(mode), workdir)
    print(json.dumps({"devices": jax.device_count(), "processes": jax.process_count()}))
