"""A network from its config section: found by name, filled from its class, checked, built."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from genlab.errors import UserError, hint
from genlab.sections.fields import Field, check, fields_of, plain, spelled

RENAMED = {"adversarial": "gan"}  # files that configs and workdirs of before name otherwise


def networks() -> list[str]:
    """Every `file.Class` in genlab/nn."""
    found = []
    for file in sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py")):
        module = importlib.import_module(f"genlab.nn.{file}")
        for name, value in vars(module).items():
            ours = isinstance(value, type) and value.__module__ == module.__name__
            if ours and issubclass(value, nn.Module):
                found.append(f"{file}.{name}")
    return found


def current(name: str) -> str:
    """The name of a network as it is spelled today."""
    file, dot, cls = name.partition(".")
    return f"{RENAMED.get(file, file)}{dot}{cls}"


def network_class(name: str, path: str) -> type[nn.Module]:
    """The class that `file.Class` names. Raises UserError, with a hint, if there is none."""
    file, _, cls = current(name).partition(".")
    try:
        return getattr(importlib.import_module(f"genlab.nn.{file}"), cls)
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"{path}.name: no network {name!r}.{hint(name, networks())}") from None


def _fields(section: ConfigDict, path: str, given: frozenset[str]) -> dict[str, Field]:
    """The fields that the config may set. Of a network of networks, what the task gives are fields
    of the inner ones; its own stay in the config."""
    network = network_class(section.get("name", ""), path)
    fields = fields_of(network)
    if any(field.kind is nn.Module for field in fields.values()):
        return fields
    return {name: field for name, field in fields.items() if name not in given}


def fill(section: ConfigDict, path: str, given: frozenset[str]) -> list[str]:
    """Sets the fields that a section leaves out to the defaults of its class; returns their keys.

    Args:
      section: `name` is `file.Class` in `genlab/nn`; the other keys are fields of the class.
      path: where the section stands in the config, for messages ("model").
      given: fields that the task sets, not the config.
    """
    filled = []
    section.name = current(section.get("name", ""))
    for name, field in _fields(section, path, given).items():
        if field.kind is nn.Module and isinstance(section.get(name), ConfigDict):
            filled += fill(section[name], f"{path}.{name}", given)
        elif name in section:
            value = spelled(section[name], field.kind)
            if type(value) is not type(section[name]):
                del section[name]  # a ConfigDict keeps the type of a field
                section[name] = value
        elif field.default is not dataclasses.MISSING:
            section[name] = field.default
            filled.append(f"{path}.{name}")
    return filled


def rename(section: ConfigDict, path: str, name: str, given: frozenset[str]) -> None:
    """Makes a filled section one of another class: what stood at the old class's default goes to
    the new one's."""
    for key, field in _fields(section, path, given).items():
        if key in section and section[key] == field.default:
            del section[key]
    section.name = name
    fill(section, path, given)


def check_section(section: ConfigDict, path: str, given: frozenset[str]) -> None:
    """Raises UserError naming the key, for an unknown or missing key, or a value out of range."""
    fields = _fields(section, path, given)
    name = section.name
    for key, value in section.items():
        if key == "name":
            continue
        if key not in fields:
            raise UserError(f"{path}.{key}: {name} has no such field.{hint(key, fields)}")
        if isinstance(value, ConfigDict) and fields[key].kind is nn.Module:
            check_section(value, f"{path}.{key}", given)
        else:
            check(f"{path}.{key}", value, fields[key].kind, name)
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and key not in section:
            raise UserError(f"{path}.{key}: {name} needs it.")


def build(section: ConfigDict, path: str, **given: Any) -> nn.Module:
    """The network that a config section describes, `given` what the task sets.

    Raises: UserError naming the key, for an unknown name, an unknown key or a value out of range.
    """
    names = frozenset(given)
    check_section(section, path, names)
    network = network_class(section.name, path)
    fields: dict[str, Any] = {}
    for key, field in _fields(section, path, names).items():
        if key in section:
            inner = plain(field.kind) is nn.Module
            fields[key] = build(section[key], f"{path}.{key}", **given) if inner else section[key]
    own = {key: value for key, value in given.items() if key in fields_of(network)}
    return network(**fields, **own)
