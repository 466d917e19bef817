"""The runs of an experiment: what each changes, its name, and its config."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from genlab import config as configs
from genlab.errors import UserError, hint
from genlab.workdir import configs as run_configs
from genlab.workdir import paths

BASE = "config"  # the key of a point that names a config to start from
CONFIGS = Path(__file__).parents[2] / "configs"
Point = dict[str, Any]  # {"model.code": 8, "seed": 0}


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    steps: where it ends for now; halving lets it grow up to `config.train.steps`.
    """

    point: Point
    config: ConfigDict
    folder: epath.Path
    steps: int

    @property
    def name(self) -> str:
        """That of its folder."""
        return name(self.point)

    @property
    def whole(self) -> bool:
        """Whether it is to be trained to its end."""
        return self.steps == self.config.train.steps


def points(sweep: Callable[[Callable[[Point], None]], None]) -> list[Point]:
    """What a file's `sweep(add)` adds. Raises UserError for none, or the same twice."""
    found: list[Point] = []
    sweep(found.append)
    if not found:
        raise UserError("the experiment's sweep(add) added no run.")
    names = [name(point) for point in found]
    for point, own in zip(found, names, strict=True):
        if names.count(own) > 1:
            raise UserError(f"the experiment adds {own} twice.")
        if point.keys() != found[0].keys():
            raise UserError(f"the experiment's runs differ in their keys: {own}.")
    return found


name = paths.point_name


def prepared(config: ConfigDict, workdir: epath.PathLike, found: list[Point]) -> list[Run]:
    """The runs of the points.

    Raises: UserError for a config that cannot be, or a folder that holds another run: before any
      run starts.
    """
    runs = []
    for point in found:
        own = configured(config, point)
        folder = paths.of(workdir) / name(point)
        run_configs.refuse_another_run(own, str(folder))
        runs.append(Run(point, own, folder, own.train.steps))
    return runs


def up_to(run: Run, steps: int) -> Run:
    """The run, ending at those steps for now."""
    return dataclasses.replace(run, steps=steps)


def configured(config: ConfigDict, point: Point) -> ConfigDict:
    """The config with a run's values, without the section of sweeps. Raises UserError naming a key
    that is not there."""
    if BASE in point:
        config = _named(point[BASE], config)
    found = run_configs.copy(config).unlock()
    if configs.SWEEP in found:
        del found[configs.SWEEP]
    found.lock()
    if found.task:
        for key, value in point.items():
            configs.choose(found, key, value)
        for key in point:
            configs.admit(found, key)
    known = configs.flat(found)
    for key, value in point.items():
        if key != BASE:
            _set(found, known, key, value)
    if found.task:
        configs.check_values(found)
    return found


def _set(config: ConfigDict, known: dict[str, Any], key: str, value: Any) -> None:
    if key not in known:
        raise UserError(f"sweep: {key}: no such key.{hint(key, known)}")
    run_configs.put(config, key, value, "sweep: ")


def _named(name: str, own: ConfigDict) -> ConfigDict:
    """The config `configs/<name>.py`, or `<name>:<argument>`, with the free keys of `own`."""
    file, _, argument = name.partition(":")
    found = configs.load(f"{CONFIGS / file}.py:{argument}")
    free = {k: v for k, v in configs.flat(own).items() if k.startswith(run_configs.FREE)}
    known = configs.flat(found)
    return configured(found, {key: value for key, value in free.items() if key in known})
