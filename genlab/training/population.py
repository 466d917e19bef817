"""Runs that share one program: `train.population` says in which settings they differ.

    train.population.seed = (0, 1, 2, 3)
    train.population.optim.learning_rate = (1e-3, 3e-3)

Each is a run of its own, in a workdir of its own, and its `config.json` is that of a run that was
trained alone. Their steps are computed together, by `vmap` over their states and over what differs.
That may be the seed, and numbers that take part in the computation; what decides what is compiled
(sizes, names, whether something is done at all) cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import config as settings
from genlab import parallel
from genlab import task as tasks
from genlab.condition import Spec
from genlab.errors import UserError, hint
from genlab.workdir import configs, paths

Numbers = dict[str, jax.Array]  # {key: f32[], or f32[runs]}
SEED = "seed"
ALONE = ("data.", "train.", "eval.", "sample.")  # sections that are the same for all


@dataclass(frozen=True)
class Member:
    """A run: its config, without a population, and its workdir."""

    config: ConfigDict
    workdir: str


@dataclass(frozen=True)
class Population:
    """The configs of runs that share a program, and the keys in which they differ."""

    configs: tuple[ConfigDict, ...]
    keys: tuple[str, ...]

    @property
    def numbers(self) -> Numbers:
        """What differs beside the seed, f32[runs] each."""
        flat = [settings.flat(config) for config in self.configs]
        keys = [key for key in self.keys if key != SEED]
        return {key: jnp.float32([each[key] for each in flat]) for key in keys}


def members(config: ConfigDict, workdir: str) -> list[Member]:
    """The runs of a config: itself, or those of its population, in folders of the workdir.

    Raises: UserError for a population whose keys or numbers of values do not fit.
    """
    values = settings.flat(config.train.population)
    if not values:
        return [Member(config, workdir)]
    alone = configs.copy(config).unlock()
    alone.train.population = ConfigDict()
    known, count = settings.flat(alone), _count(values)
    for key in values:
        if key not in known:
            raise UserError(f"train.population.{key}: no such key.{hint(key, known)}")
        if key.startswith(ALONE) or type(known[key]) not in (int, float):
            raise _refused(key)
    points = [{key: each[i] for key, each in values.items()} for i in range(count)]
    names = [paths.point_name(point) for point in points]
    if len(set(names)) < count:
        raise UserError(f"train.population: {names} are not all different.")
    folder = paths.of(workdir)
    return [
        Member(_with(alone, point), str(folder / name))
        for point, name in zip(points, names, strict=True)
    ]


def _count(values: dict[str, Any]) -> int:
    for key, each in values.items():
        if not isinstance(each, tuple) or not each:
            raise UserError(f"train.population.{key}={each!r}: take a tuple of values.")
    counts = {key: len(each) for key, each in values.items()}
    if len(set(counts.values())) > 1:
        raise UserError(f"train.population: as many values of each key, not {counts}.")
    return next(iter(counts.values()))


def _with(config: ConfigDict, point: dict[str, Any]) -> ConfigDict:
    own = configs.copy(config).unlock()
    for key, value in point.items():
        configs.put(own, key, value, "train.population.")
    settings.check_values(own)
    return own.lock()


def population(runs: Sequence[Member], spec: Spec) -> Population:
    """The runs as one program. Raises UserError for what cannot differ within it."""
    flat = [settings.flat(run.config) for run in runs]
    keys = tuple(key for key in flat[0] if any(each.get(key) != flat[0][key] for each in flat))
    found = Population(tuple(run.config for run in runs), keys)
    _check_loop(found)
    for key in keys:
        if not can_differ(found.configs[0], spec, key):
            raise _refused(key)
    return found


def can_differ(config: ConfigDict, spec: Spec, key: str) -> bool:
    """Whether runs of one program may differ in a key: whether a step can be traced without knowing
    its value."""
    if key == SEED:
        return True
    value, size = settings.flat(config).get(key), config.data.batch_size
    if key.startswith(ALONE) or not isinstance(value, float):
        return False

    def step(number: jax.Array) -> Any:
        task = tasks.load(with_numbers(config, {key: number}), spec)
        shapes = tasks.abstract_state(task, spec), tasks.abstract_batch(spec, size)
        state, batch = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return task.step(state, batch, jax.random.key(0))

    try:
        jax.eval_shape(parallel.on_one_device(step), np.float32(value))
    except (jax.errors.JAXTypeError, TypeError, ValueError, UserError):
        return False
    return True


def with_numbers(config: ConfigDict, numbers: Numbers) -> ConfigDict:
    """The config with numbers that are known to the program alone."""
    own = configs.copy(config).unlock()
    with own.ignore_type():
        for key, number in numbers.items():
            section, _, name = key.rpartition(".")
            settings.at(own, section)[name] = number
    return own


def _check_loop(found: Population) -> None:
    if jax.process_count() > 1:
        raise UserError("train.population: its runs share one process; take one without --process.")
    if found.configs[0].parallel != "jit":
        raise UserError("train.population: config.parallel=pmap does not map over runs; take jit.")


def _refused(key: str) -> UserError:
    return UserError(
        f"train.population.{key}: it decides what is compiled or how the loop goes, so it cannot"
        " differ between runs of one program; take --mode=sweep, or other keys: seed,"
        " optim.learning_rate."
    )
