"""Configs: network sections built by name, JSON and back, and the keys in which two differ."""

from __future__ import annotations

import dataclasses
import importlib
import json
import typing
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from genlab.errors import UserError, hint


def build(section: ConfigDict, path: str, **given: Any) -> nn.Module:
    """The network that a config section describes.

    Args:
      section: `name` is `file.Class` in `genlab/nn`; the other keys are fields of the class.
      path: where the section stands in the config, for messages ("model").
      given: fields that the task sets, not the config.

    Raises: UserError naming the key, for an unknown name, an unknown key or a wrong type.
    """
    fields = section.to_dict()
    name = str(fields.pop("name", ""))  # Flax would take it for the module's own name
    file, _, cls = name.partition(".")
    try:
        network = getattr(importlib.import_module(f"genlab.nn.{file}"), cls)
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"{path}.name: no network {name!r}.{hint(name, networks())}") from None
    types = typing.get_type_hints(network)
    own = given
    if nn.Module in types.values():  # a network of networks: these are theirs
        own = {key: value for key, value in given.items() if key in types}
    allowed = {f.name for f in dataclasses.fields(network)} - {"parent", "name", *own}
    for key, value in fields.items():
        if key not in allowed:
            raise UserError(f"{path}.{key}: {name} has no such field.{hint(key, allowed)}")
        if types[key] is nn.Module and isinstance(value, dict):
            fields[key] = build(section[key], f"{path}.{key}", **given)
        elif not _fits(value, types[key]):
            wanted = getattr(types[key], "__name__", types[key])
            raise UserError(f"{path}.{key}: {value!r} is not {wanted}, which {name} needs.")
    for needed in dataclasses.fields(network):
        bare = needed.default is needed.default_factory is dataclasses.MISSING
        if bare and needed.name not in fields | own:
            raise UserError(f"{path}.{needed.name}: {name} needs it.")
    return network(**fields, **own)


def _fits(value: Any, wanted: Any) -> bool:
    wanted = typing.get_origin(wanted) or wanted
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)


def networks() -> list[str]:
    """Every `file.Class` in genlab/nn."""
    found = []
    for file in sorted(p.stem for p in (Path(__file__).parents[1] / "nn").glob("[a-z]*.py")):
        module = importlib.import_module(f"genlab.nn.{file}")
        for name, value in vars(module).items():
            ours = isinstance(value, type) and value.__module__ == module.__name__
            if ours and issubclass(value, nn.Module):
                found.append(f"{file}.{name}")
    return found


def to_json(config: ConfigDict) -> str:
    """The whole config as indented JSON; tuples become lists."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ConfigDict:
    """The config that `to_json` wrote, locked."""

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: restore(v) for k, v in value.items()}
        return tuple(restore(v) for v in value) if isinstance(value, list) else value

    return ConfigDict(restore(json.loads(text))).lock()


def read(workdir: str) -> ConfigDict:
    """The config of a run. Raises UserError if the workdir has none."""
    path = Path(workdir) / "config.json"
    try:
        return from_json(path.read_text())
    except OSError:
        raise UserError(
            f"{workdir}: no config.json there; name the workdir of a trained run, or train one."
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not a config ({error}).") from None


def flat(config: ConfigDict) -> dict[str, Any]:
    """{'data.batch_size': 16, ...}."""
    out = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            out |= {f"{key}.{k}": v for k, v in flat(value).items()}
        else:
            out[key] = value
    return out


# What a resumed run may change: none of it alters the parameters that a step produces.
FREE = ("sample.", "eval.", "parallel", "data.data_dir", "data.resident_mb")
FREE_IN_TRAIN = ("train.init_from", "train.steps_per_call")  # the only fixed keys of `train`


def identity_differences(old: ConfigDict, new: ConfigDict) -> list[str]:
    """'key: old -> new' for each key that makes `new` another run than `old`.

    `train.steps` may change unless the learning-rate schedule is measured in it.
    """
    was, now = flat(old), flat(new)
    keys = [k for k in sorted(was.keys() | now.keys()) if was.get(k) != now.get(k)]
    sections = [s for s in (new.optim, *new.optim.values()) if hasattr(s, "decay_steps")]
    bound_to_steps = any(s.schedule != "constant" and not s.decay_steps for s in sections)
    fixed = [
        k
        for k in keys
        if (not k.startswith(FREE) and (not k.startswith("train.") or k in FREE_IN_TRAIN))
        or (k == "train.steps" and bound_to_steps)
    ]
    return [f"{k}: {was.get(k)!r} -> {now.get(k)!r}" for k in fixed]


def refuse_another_run(config: ConfigDict, workdir: str) -> None:
    """A workdir with checkpoints goes on as the run it is, or not at all."""
    if not (Path(workdir) / "config.json").exists():
        return
    differing = identity_differences(read(workdir), config)
    if differing and any((Path(workdir) / "checkpoints").glob("[0-9]*")):
        raise UserError(
            f"{workdir} holds another run ({'; '.join(differing)});"
            " take those values or another workdir."
        )


def check_train(config: ConfigDict) -> None:
    """Raises UserError for a `train` section that cannot be carried out."""
    train = config.train
    for key in ("steps", "steps_per_call", "log_every", "keep"):
        if train[key] < 1:
            raise UserError(f"train.{key}={train[key]}: take 1 or more.")
    for key in ("steps", "log_every", "eval_every", "checkpoint_every", "sample_every"):
        if train[key] % train.steps_per_call:
            raise UserError(
                f"train.{key}={train[key]} is not a multiple of"
                f" train.steps_per_call={train.steps_per_call}."
            )
    if train.best_mode not in ("min", "max"):
        raise UserError(f"train.best_mode: {train.best_mode!r}?{hint('', ('min', 'max'))}")
    if config.sample.count < 1:
        raise UserError(f"sample.count={config.sample.count}: take 1 or more.")
