"""The runs of an experiment: what each changes in a config."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.errors import UserError, hint
from genlab.workdir import configs as run_configs

BASE = "config"  # the key of a point that names a config to start from
Point = dict[str, Any]  # {"model.code": 8, "seed": 0}


def points(sweep: Callable[[Callable[[Point], None]], None]) -> list[Point]:
    """What a file's `sweep(add)` adds. Raises UserError for none, or the same twice."""
    found: list[Point] = []
    sweep(found.append)
    if not found:
        raise UserError("the experiment's sweep(add) added no run.")
    for point in found:
        if found.count(point) > 1:
            raise UserError(f"the experiment adds {name(point)} twice.")
        if point.keys() != found[0].keys():
            raise UserError(f"the experiment's runs differ in their keys: {name(point)}.")
    return found


def name(point: Point) -> str:
    """A readable folder name: 'model.code=8,seed=0'."""
    return ",".join(f"{k}={re.sub(r'[^A-Za-z0-9_.+-]+', '_', str(v))}" for k, v in point.items())


def configured(config: ConfigDict, point: Point) -> ConfigDict:
    """The config with a run's values. Raises UserError naming a key that is not there."""
    if BASE in point:
        config = _named(point[BASE], config)
    found = run_configs.copy(config)
    for key, value in point.items():
        if found.task:
            configs.choose(found, key, value)
    for key in point:
        if found.task:
            configs.admit(found, key)
    known = configs.flat(found)
    for key, value in point.items():
        if key == BASE:
            continue
        if key not in known:
            raise UserError(f"sweep: {key}: no such key.{hint(key, known)}")
        section, _, last = key.rpartition(".")
        target = found
        for part in section.split(".") if section else ():
            target = target[part]
        try:
            target[last] = value
        except TypeError:
            raise UserError(
                f"sweep: {key}={value!r} is not {type(known[key]).__name__}, which it was."
            ) from None
    if found.task:
        configs.check_values(found)
    return found


def _named(name: str, own: ConfigDict) -> ConfigDict:
    """The config `configs/<name>.py`, or `<name>:<argument>`, with the free keys of `own`."""
    file, _, argument = name.partition(":")
    found = configs.load(f"{Path(__file__).parents[2] / 'configs' / file}.py:{argument}")
    free = {k: v for k, v in configs.flat(own).items() if k.startswith(run_configs.FREE)}
    known = configs.flat(found)
    return configured(found, {key: value for key, value in free.items() if key in known})
