"""The trackers that a config names, opened together; one that fails ends no training."""

from __future__ import annotations

import importlib.util
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epath

from genlab.errors import UserError, log
from genlab.trackers.contract import Scalars, Tracked, Writer
from genlab.trackers.mlflow import Mlflow
from genlab.trackers.tensorboard import TensorBoard
from genlab.trackers.trackio import Trackio
from genlab.trackers.wandb import Wandb
from genlab.workdir import lines

IDENTITY = "trackers.json"  # in the workdir


@dataclass(frozen=True)
class Kind:
    """needs: the packages that it imports; install: the command that brings them."""

    make: Callable[[Tracked], Writer]
    needs: tuple[str, ...]
    install: str


KINDS = {
    "tensorboard": Kind(
        TensorBoard, ("tensorflow", "tensorboard"), 'pip install "genlab[tensorflow]"'
    ),
    "wandb": Kind(Wandb, ("wandb",), "pip install wandb"),
    "mlflow": Kind(Mlflow, ("mlflow", "sqlalchemy"), "pip install mlflow"),
    "trackio": Kind(Trackio, ("trackio",), "pip install trackio"),
}
BY_DEFAULT = "tensorboard"  # nobody has asked for it: without its package it is left out


def available(names: Sequence[str]) -> list[str]:
    """The named trackers whose packages are here; says once that the default one is off.

    Raises: UserError, before anything is trained, for another whose package is missing.
    """
    found = []
    for name in dict.fromkeys(names):
        missing = [package for package in KINDS[name].needs if not _is_here(package)]
        if not missing:
            found.append(name)
        elif name == BY_DEFAULT:
            log.info("TensorBoard is off: no %s; %s.", missing[0], KINDS[name].install)
        else:
            raise UserError(
                f"report.writers: {name} needs {missing[0]}; {KINDS[name].install}, or leave it"
                " out."
            )
    return found


def refuse_missing(names: Sequence[str]) -> None:
    """Raises UserError for a tracker whose package is missing, before anything is loaded."""
    available([name for name in names if name != BY_DEFAULT])


def _is_here(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module without a spec, such as one that stands for it in a test
        return True


class Writers(Writer):
    """All trackers of a run."""

    def __init__(self, writers: dict[str, Writer]) -> None:
        self._writers = writers

    def scalars(self, step: int, values: Scalars) -> None:
        self._each(lambda writer: writer.scalars(step, values))

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self._each(lambda writer: writer.image(step, name, picture))

    def close(self) -> None:
        self._each(lambda writer: writer.close())

    def _each(self, act: Callable[[Writer], None]) -> None:
        """Leaves out one that fails, and says so once: the workdir has all that it is told."""
        for name, writer in list(self._writers.items()):
            try:
                act(writer)
            except Exception as error:
                told = " ".join(str(error).split())[:200]
                log.warning("%s is off from here on: %s: %s", name, type(error).__name__, told)
                del self._writers[name]


def opened(
    names: Sequence[str], workdir: epath.Path, project: str, config: dict[str, Any]
) -> Writers:
    """Opens the named trackers of a run, each of which `available` has found."""
    identity = _identity(workdir) if set(names) - {BY_DEFAULT} else ""
    run = Tracked(workdir, workdir.name, identity, project, config)
    made: dict[str, Writer] = {}
    for name in names:
        try:
            made[name] = KINDS[name].make(run)
        except UserError:
            raise
        except Exception as error:  # of the tracker: no login, no server
            told = " ".join(str(error).split())[:200]
            raise UserError(f"report.writers: {name} does not start: {told}") from error
    return Writers(made)


def _identity(workdir: epath.Path) -> str:
    """By which trackers know the run when it goes on; it stays in the workdir."""
    path = workdir / IDENTITY
    try:
        return str(json.loads(path.read_text())["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        made = uuid.uuid4().hex[:12]
        lines.write_atomically(path, json.dumps({"identity": made}) + "\n")
        return made
