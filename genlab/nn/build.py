"""Builds networks from config sections, which name the class and are filled and checked by it."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import flax.linen as nn
from ml_collections import ConfigDict

from genlab.errors import UserError, hint
from genlab.sections.fields import Field, check, fields_of, spelled

RENAMED = {"adversarial": "gan"}  # old names of files, in configs and workdirs written before
Network = TypeVar("Network", bound=nn.Module)


def networks() -> list[str]:
    """Every `file.Class` in genlab/nn."""
    known = []
    for file in sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py")):
        module = importlib.import_module(f"genlab.nn.{file}")
        for name, value in vars(module).items():
            ours = isinstance(value, type) and value.__module__ == module.__name__
            if ours and issubclass(value, nn.Module):
                known.append(f"{file}.{name}")
    return known


def current(name: str) -> str:
    """The current name of a network that may have an old one."""
    file, dot, cls = name.partition(".")
    return f"{RENAMED.get(file, file)}{dot}{cls}"


def network_class(name: str, path: str) -> type[nn.Module]:
    """The class that a name says: `file.Class` of `genlab/nn`, or `module.Class` of any other
    module. Raises UserError, with a hint, if there is none."""
    check(f"{path}.name", name, str)
    file, _, cls = current(name).rpartition(".")
    ours = (Path(__file__).parent / f"{file}.py").is_file()
    found = getattr(module(f"genlab.nn.{file}" if ours else file), cls, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"{path}.name: no network {name!r}.{hint(name, networks())}")
    return found


def module(name: str) -> ModuleType | None:
    """The module of that dotted name, None if there is none."""
    try:
        return importlib.import_module(name)
    except (ModuleNotFoundError, TypeError, ValueError) as error:
        missing = getattr(error, "name", None) or ""
        if missing and not f"{name}.".startswith(f"{missing}."):
            raise  # it is there, and lacks what it imports
        return None


def _fields(section: ConfigDict, path: str, given: frozenset[str]) -> dict[str, Field]:
    """The fields that the config may set.

    In a network of networks, `given` are fields of the inner ones, so all its own stay in the
    config.
    """
    fields = fields_of(network_class(section.get("name", ""), path))
    if any(_is_network(field) for field in fields.values()):
        return fields
    return {name: field for name, field in fields.items() if name not in given}


def _class_of_kind(section: ConfigDict, path: str, kind: type[Network]) -> type[Network]:
    """The class that a section names. Raises UserError if it is not of that kind."""
    network = network_class(section.get("name", ""), path)
    if not issubclass(network, kind):
        fitting = [name for name in networks() if issubclass(network_class(name, path), kind)]
        raise UserError(
            f"{path}.name: {section.name} is of another kind; take one of {', '.join(fitting)}."
        )
    return network


def _is_network(field: Field) -> bool:
    return isinstance(field.kind, type) and issubclass(field.kind, nn.Module)


def fill(section: ConfigDict, path: str, given: frozenset[str]) -> list[str]:
    """Sets the fields that a section leaves out to the defaults of its class; returns their keys.

    Args:
      section: `name` is `file.Class` in `genlab/nn`; the other keys are fields of the class.
      path: where the section stands in the config, for messages ("model").
      given: fields that the task sets, not the config.
    """
    filled = []
    fields = _fields(section, path, given)
    section.name = current(section.name)
    for name, field in fields.items():
        if _is_network(field) and isinstance(section.get(name), ConfigDict):
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
    """Makes a filled section one of another class; values at the old defaults become the new
    ones."""
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
            raise UserError(
                f"{path}.{key}: {name} has no such field.{hint(key, [*fields, 'name'])}"
            )
        if isinstance(value, ConfigDict) and _is_network(fields[key]):
            _class_of_kind(value, f"{path}.{key}", fields[key].kind)
            check_section(value, f"{path}.{key}", given)
        else:
            check(f"{path}.{key}", value, fields[key].kind, name)
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and key not in section:
            raise UserError(f"{path}.{key}: {name} needs it.")


def build(section: ConfigDict, path: str, kind: type[Network], **given: Any) -> Network:
    """The network that a config section describes.

    Args:
      path: where the section stands in the config, for messages.
      kind: what the network has to be.
      given: the fields that the task sets.

    Raises: UserError naming the key, for an unknown name, a network of another kind, an unknown key
      or a value out of range.
    """
    names = frozenset(given)
    network = _class_of_kind(section, path, kind)
    check_section(section, path, names)
    fields: dict[str, Any] = {}
    for key, field in _fields(section, path, names).items():
        if key in section:
            value = section[key]
            inner = _is_network(field)
            fields[key] = build(value, f"{path}.{key}", field.kind, **given) if inner else value
    own = {key: value for key, value in given.items() if key in fields_of(network)}
    return network(**fields, **own)
