"""Configs: from a file, completed with every default, and checked in one place.

A config file says only what differs. `complete` adds the fields that it leaves out: those of the
sections that all configs have (`genlab.sections.shared`), of its family and of its networks.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from genlab import optim
from genlab import task as tasks
from genlab.errors import UserError, hint
from genlab.nn import build
from genlab.sections.fields import Field, check, fields_of, spelled
from genlab.sections.shared import SHARED, Limit, Optim
from genlab.sections.sweeping import SWEEPING

WATCH = "train.watch"
POPULATION = "train.population"  # mirrors the config, with a tuple of values for a key
SWEEP = "sweep"  # a section that only configs of experiments have
# Old keys, which are still read: their new names, and what their values mean today.
RENAMED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "eval.features": ("eval.classifier", lambda value: value),
    "train.tensorboard": ("report.writers", lambda on: ("tensorboard",) if on else ()),
}


def base(family: str = "") -> ConfigDict:
    """A config of a family with every default, but without the names of its networks."""
    config = ConfigDict({"task": family})
    for path, section in sections(family).items():
        for name, field in fields_of(section).items():
            target = at(config, path, make=True)
            if name not in target:
                target[name] = field.default
    for path in (WATCH, POPULATION):
        at(config, path, make=True)
    return config


def sections(family: str) -> dict[str, type]:
    """{path: dataclass} of a family's sections; without a family, those of all families."""
    own = tasks.family(family).sections if family else {}
    return {path: cls for path, cls in (SHARED | own).items() if cls is not None}


def _sections(config: ConfigDict) -> dict[str, type]:
    """Those of a config: with `sweep`, where it has that."""
    return sections(config.get("task", "")) | (SWEEPING if SWEEP in config else {})


def networks(family: str) -> dict[str, frozenset[str]]:
    """{path: fields that the task sets} of a family's networks."""
    return tasks.family(family).networks if family else {}


def at(config: ConfigDict, path: str, make: bool = False) -> ConfigDict:
    """The section of that path; `make` creates it where it is missing."""
    for name in path.split(".") if path else ():
        if make and name not in config:
            config[name] = ConfigDict()
        config = config[name]
    return config


def complete(config: ConfigDict) -> list[str]:
    """Fills a config with today's defaults and gives old keys their new names; returns the keys it
    added.

    Raises: UserError for a family or a network that does not exist.
    """
    added = []
    with config.unlocked():
        for old in RENAMED:
            _move(config, old)
        family = config.get("task", "")
        for path, section in _sections(config).items():
            for name, field in fields_of(section).items():
                added += _fill(config, path, name, field)
        for path in (WATCH, POPULATION):
            at(config, path, make=True)
        for path, given in networks(family).items():
            added += build.fill(at(config, path, make=True), path, given)
    return added


def _move(config: ConfigDict, old: str) -> None:
    path, _, name = old.rpartition(".")
    if path in config and name in config[path]:
        new, meaning = RENAMED[old]
        section, _, last = new.rpartition(".")
        at(config, section, make=True)[last] = meaning(config[path][name])
        del config[path][name]


def _fill(config: ConfigDict, path: str, name: str, field: Field) -> list[str]:
    section, key = at(config, path, make=True), f"{path}.{name}".removeprefix(".")
    if name not in section:
        section[name] = field.default
        return [key]
    value = spelled(section[name], field.kind)
    if type(value) is not type(section[name]):
        del section[name]  # a ConfigDict keeps the type of a field
        section[name] = value
    return []


def check_values(config: ConfigDict) -> None:
    """Raises UserError, in one line with the whole key path, for the first field that is unknown,
    of another type or out of its range."""
    family = config.task
    places = {*_sections(config), *networks(family), WATCH, POPULATION}
    for path in places:
        if not all(name in at(config, p) for p, name in _ways(path)):
            raise UserError(f"config.{path}: task={family!r} needs this section.")
    for path, section in _sections(config).items():
        _check_section(at(config, path), path, section, places)
    for metric, limit in config.train.watch.items():
        for name, value in limit.items():
            _check_limit(f"{WATCH}.{metric}.{name}", name, value)
    for path, given in networks(family).items():
        build.check_section(at(config, path), path, given)
    _check_cadences(config.train)


def _ways(path: str) -> Iterator[tuple[str, str]]:
    """("", "train"), ("train", "watch") for "train.watch"."""
    parts = path.split(".") if path else []
    for i, name in enumerate(parts):
        yield ".".join(parts[:i]), name


def _check_section(config: ConfigDict, path: str, section: type, places: set[str]) -> None:
    known = fields_of(section)
    if issubclass(section, Optim):
        known = optim.parameters(config.name, path) | known
    for name, value in config.items():
        key = f"{path}.{name}".removeprefix(".")
        if isinstance(value, ConfigDict) and any(f"{p}.".startswith(f"{key}.") for p in places):
            continue  # a section of its own
        if name not in known:
            raise UserError(f"config.{key}: no such key.{hint(name, known)}")
        check(key, value, known[name].kind)


def _check_limit(key: str, name: str, value: Any) -> None:
    known = fields_of(Limit)
    if name not in known:
        raise UserError(f"{key}: no such key.{hint(name, known)}")
    check(key, spelled(value, known[name].kind), known[name].kind)


def _check_cadences(train: ConfigDict) -> None:
    for key in ("steps", "log_every", "eval_every", "checkpoint_every", "sample_every"):
        if train[key] % train.steps_per_call:
            raise UserError(
                f"train.{key}={train[key]} is not a multiple of"
                f" train.steps_per_call={train.steps_per_call}."
            )


def choose(config: ConfigDict, key: str, name: str) -> None:
    """Puts another network or optimizer in a section, so that its fields may be named; other keys
    are left alone."""
    path, _, last = key.rpartition(".")
    given = networks(config.task).get(path)
    if last != "name":
        return
    with config.unlocked():
        if given is not None:
            build.rename(at(config, path), path, name, given)
        elif issubclass(sections(config.task).get(path, object), Optim):
            at(config, path).name = name


def admit(config: ConfigDict, key: str) -> list[str]:
    """Makes room for a key that a config may have and does not: a parameter of its optimizer, a
    field of a limit of `train.watch`. Returns all such keys of that section."""
    path, _, name = key.rpartition(".")
    fields: dict[str, Field] = {}
    if path.startswith(f"{WATCH}.") and path.count(".") == 2:
        fields = fields_of(Limit)
    elif issubclass(sections(config.task).get(path, object), Optim):
        fields = optim.parameters(at(config, path).name, path)
    elif f"{path}.".startswith(f"{POPULATION}."):
        return _admit_varied(config, key.removeprefix(f"{POPULATION}."))
    if name in fields and fields[name].default is not dataclasses.MISSING:
        with config.unlocked():
            section = at(config, path, make=True)
            if name not in section:
                section[name] = fields[name].default
    return [f"{path}.{name}" for name in fields]


def _admit_varied(config: ConfigDict, key: str) -> list[str]:
    """Makes room for the values of a key in a population."""
    known = [k for k in flat(config) if not k.startswith(f"{POPULATION}.")]
    if key in known:
        path, _, name = f"{POPULATION}.{key}".rpartition(".")
        with config.unlocked():
            section = at(config, path, make=True)
            section[name] = section.get(name, ())
    return [f"{POPULATION}.{k}" for k in known]


def flat(config: ConfigDict) -> dict[str, Any]:
    """{'data.batch_size': 16, ...}."""
    return dict(_flat(config, ""))


def _flat(config: ConfigDict, path: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def module(file: str) -> ModuleType:
    """The module of a config file, `path.py` or `path.py:argument`."""
    path = file.partition(":")[0]
    if not Path(path).is_file():
        known = [
            str(p) for p in Path(path).parent.glob("*.py") if p.stem not in ("common", "__init__")
        ]
        near = hint(path, known) if known else ""
        raise UserError(f"--config={path}: no such file.{near}")
    spec = importlib.util.spec_from_file_location("genlab_config", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--config={path}: not a Python file.")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    if not hasattr(loaded, "get_config"):
        raise UserError(f"--config={path}: it has no get_config(arg).")
    return loaded


def load(file: str) -> ConfigDict:
    """The complete, locked config of `path.py` or `path.py:variant,variant`; all have `smoke`."""
    names, rest = file.partition(":")[2].split(","), argument(file)
    loaded = module(file)
    taken = bool(inspect.signature(loaded.get_config).parameters)
    if rest and not taken and not takes_argument(getattr(loaded, SWEEP, None)):
        raise UserError(f"config argument {rest!r} is unknown.{hint(rest, ('smoke',))}")
    config = loaded.get_config(rest) if rest and taken else loaded.get_config()
    complete(config)
    if "smoke" in names:
        smoke(config)
    return config.lock()


def argument(file: str) -> str:
    """What `path.py:argument` says to `get_config` and `sweep`; `smoke` is not for them."""
    names = file.partition(":")[2].split(",")
    return ",".join(name for name in names if name and name != "smoke")


def takes_argument(sweep: Callable[..., None] | None) -> bool:
    """Whether it is `sweep(add, arg)`."""
    return sweep is not None and len(inspect.signature(sweep).parameters) > 1


def admit_sweep(config: ConfigDict) -> None:
    """Gives a config the section of sweeps, at its defaults where the experiment sets none."""
    with config.unlocked():
        at(config, SWEEP, make=True)
    complete(config)


def smoke(config: ConfigDict) -> None:
    """Cuts a whole config down to seconds on one core: real digits resized to its size and
    channels, small networks, few steps."""
    config.data.update(
        source="digits",
        train_split="train[:256]",
        valid_split="train[256:288]",
        eval_split="test[:32]",
        upscale=True,
        batch_size=8,
    )
    call = config.train.steps_per_call
    config.train.update(steps=6 * call, log_every=2 * call, eval_every=3 * call)
    config.train.update(checkpoint_every=3 * call, sample_every=0)
    config.report.writers = ()
    config.eval.update(batch_size=16, images=32)
    config.sample.update(count=4, batch_size=16)
    if config.task:
        tasks.family(config.task).smoke(config)
