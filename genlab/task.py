"""What a task is, and how it is found by name.

A task is a frozen dataclass in its own file in `genlab/tasks`, made by that file's
`make(config, spec)`. It has

    init      (key, batch) -> State
    step      (state, batch, key) -> (state, {name: f32[]})
    evaluate  (state, batch, key) -> {name: f32[B]}     reduced by a masked mean over a split
    protocol  {name: str}                               what a likelihood was measured on

and, where the family has them, the methods of CAPABILITIES. `summarise(means)` adds numbers
derived from means; `pictures(state, batch, key)` returns figures as {name: [(title, images)]}.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab.errors import UserError, nearest
from genlab.state import State

CAPABILITIES = (
    "sample",
    "log_prob",
    "encode",
    "decode",
    "reconstruct",
    "denoise",
    "complete",
    "score",
    "features",
)


@dataclass(frozen=True)
class Spec:
    """What a task needs to know of its data: (H, W, C), and the names of the classes, if any."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...] = ()


def abstract_batch(spec: Spec, size: int = 1) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of a batch."""
    return {
        "image": jax.ShapeDtypeStruct((size, *spec.shape), jnp.uint8),
        "label": jax.ShapeDtypeStruct((size,), jnp.int32),
    }


def abstract_state(task: Any, spec: Spec) -> State:
    """The shapes and dtypes of a task's state, without computing it."""
    return jax.eval_shape(lambda b: task.init(jax.random.key(0), b), abstract_batch(spec))


def names() -> list[str]:
    """Every task."""
    return sorted(p.stem for p in (Path(__file__).parent / "tasks").glob("[a-z]*.py"))


def load(config: ConfigDict, spec: Spec) -> Any:
    """The task that `config.task` names. Raises UserError if there is none of that name."""
    if config.task not in names():
        raise UserError(f"config.task: no task {config.task!r}.{nearest(config.task, names())}")
    return importlib.import_module(f"genlab.tasks.{config.task}").make(config, spec)


def families_with(capability: str) -> list[str]:
    """The tasks that have a method of that name."""
    modules = {name: importlib.import_module(f"genlab.tasks.{name}") for name in names()}
    return [name for name, module in modules.items() if hasattr(module.Task, capability)]
