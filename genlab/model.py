"""A trained model for scripts: `genlab.restore(workdir)`."""

from __future__ import annotations

import copyreg
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab import task as tasks
from genlab.capabilities import Mixes
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.state import digest
from genlab.trained import Model
from genlab.workdir import configs, places
from genlab.workdir.checkpoint import Checkpoints
from genlab.zoo import entries


def restore(workdir: str, step: str | int = "latest", weights: str = "ema") -> Model:
    """The model that a run has trained; needs nothing but its workdir.

    Args:
      workdir: or pretrained:NAME, or a mixture, see `genlab/workdir/places.py`.
      step: "latest", "best" (by config.train.best_metric) or the number of a kept checkpoint.
      weights: "ema" (averaged where the run keeps an average) or "raw".

    Raises: UserError if there is no such checkpoint, or it is damaged.
    """
    if weights not in ("ema", "raw"):
        raise UserError(f"weights={weights!r}: take 'ema' or 'raw'.")
    return _restored(configs.read(workdir), workdir, step, weights)


def restore_for(config: ConfigDict, workdir: str, mode: str) -> Model:
    """The model of a run for a mode of `launch.py`, with what the config asks for otherwise than
    training.

    Raises: UserError for what `restore` refuses, and for a key that the mode does not read.
    """
    configs.refuse_unread(config, workdir, mode)
    return _restored(config, workdir, config.eval.step, config.eval.weights)


def _mixed(config: ConfigDict, place: str, step: str | int, weights: str) -> Model:
    """The model of a mixture; its config is that of the first member."""
    models = [restore(name, own or step, weights) for name, own in places.members(place)]
    first = models[0]
    first.function("mix")  # says which families mix
    assert isinstance(first.task, Mixes)
    names = [m.workdir if places.is_pretrained(m.workdir) else f"{m.workdir}:{m.step}"
             for m in models]  # fmt: skip
    if len(set(names)) < len(names):
        raise UserError(f"mixture: {', '.join(names)}: take each model once.")
    parts = {name: (m.task, m.state) for name, m in zip(names, models, strict=True)}
    task, state = first.task.mix(parts)
    used = " ".join(dict.fromkeys(m.weights for m in models))
    place = places.MIXTURE + ",".join(names)
    return Model(config, first.step, used, task, first.spec, state, place)


def _restored(config: ConfigDict, workdir: str, step: str | int, weights: str) -> Model:
    if places.is_mixture(workdir):
        return _mixed(config, workdir, step, weights)
    if places.is_pretrained(workdir):
        return _pretrained(config, workdir, step, weights)
    checkpoints = Checkpoints(workdir, config.train.best_metric, config.train.best_mode)
    try:
        chosen = checkpoints.choose(step)
        about = checkpoints.about(chosen)
        attributes = tuple(about.get("attributes", ()))  # runs of before had none
        spec = Spec(tuple(about["shape"]), tuple(about["classes"]), attributes)
        task = tasks.load(config, spec)
        state = checkpoints.restore(chosen, tasks.abstract_state(task, spec))
    finally:
        checkpoints.close()
    used = weights if state.ema else "raw"
    state = jax.tree.map(jnp.asarray, state.with_weights(used))
    return Model(config, chosen, used, task, spec, state, workdir)


def _pretrained(config: ConfigDict, place: str, step: str | int, weights: str) -> Model:
    entry = entries.read(place.removeprefix(places.PRETRAINED))
    if entry.members:
        named = places.MIXTURE + ",".join(f"{places.PRETRAINED}{name}" for name in entry.members)
        return dataclasses.replace(_mixed(config, named, step, weights), workdir=place)
    about = entry.about
    if str(step) not in ("latest", "best", str(about["step"])):
        raise UserError(f"{place}: step {step} asked for; it is of step {about['step']}.")
    if weights not in ("ema", about["weights"]):
        raise UserError(f"{place}: {weights} weights asked for; it holds the averaged ones alone.")
    spec = Spec(*(tuple(about[name]) for name in ("shape", "classes", "attributes")))
    task = tasks.load(config, spec)
    state = jax.tree.map(jnp.asarray, entry.state(tasks.abstract_state(task, spec)))
    return Model(config, about["step"], about["weights"], task, spec, state, place)


def _pickled(model: Model) -> tuple[Any, ...]:
    """A model as its place on disk, with a digest: for multiprocessing."""
    sha256 = digest(jax.device_get(model.state))
    place = (str(model.workdir), model.step, model.weights)
    return _restore_same, (*place, configs.to_json(model.config), sha256)


def _restore_same(workdir: str, step: int, weights: str, config: str, sha256: str) -> Model:
    """A pickled model, which is its place on disk. Raises UserError if it is another by now."""
    model = restore(workdir, step, weights)
    if digest(jax.device_get(model.state)) != sha256:
        raise UserError(f"{workdir}: step {step} is no longer the model that was pickled.")
    return model.with_config(configs.from_json(config))


copyreg.pickle(Model, _pickled)
