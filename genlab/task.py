"""What a task is, and how it is found by name.

A task is a frozen dataclass in its own file in `genlab/tasks`, made by that file's
`make(config, spec)`. It has

    init      (key, batch) -> State
    step      (state, batch, key) -> (state, {name: f32[]})
    evaluate  (state, batch, key) -> {name: f32[B,...]}   reduced by a masked mean over a split
    protocol  {name: str}                               what a likelihood was measured on
    headline  str                                       the metric of the loss curve
    units     {name: str}

and, where the family has them, the methods of CAPABILITIES:

    sample                     (state, key[B], labels, method, temperature) -> u8[B,H,W,C]
    complete                   (state, key[B], labels, images, known, method, temperature) -> same
    decode                     (state, codes, labels) -> u8[B,H,W,C]
    log_prob, encode, reconstruct, denoise, score, features        (state, batch, key) -> [B,...]
    classify                   (state, batch, key) -> f32[B,classes], probabilities

All that is optional:

    summarise(means)           the numbers to report, derived from the means of `evaluate`
    for_tables(state, config.eval) -> (task, state)     what `--mode=eval` measures instead
    remarks(found)             lines that a reader of an evaluation must be told
    finish(state, data)        the state with what is fitted after training, before it is saved
    progress(model, batch, key)     u8[N,H,W,C], the progress sheet; samples by default
    pictures(model, split, key)     {name: picture of `figures`}, drawn at the end
    compared(state)                 {name: (u8[N,H,W,C], note)}, rows that a sweep puts side by side
    differences(state, keys, labels, first, second)     how many images of two samplers differ, and
                               how many of those by more than rounding
    check_sample(state, method)     raises UserError where sampling would mislead
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab.errors import UserError, hint
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
    "classify",
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
    return sorted(p.parent.name for p in (Path(__file__).parent / "tasks").glob("*/task.py"))


def load(config: ConfigDict, spec: Spec) -> Any:
    """The task that `config.task` names. Raises UserError if there is none of that name."""
    if config.task not in names():
        raise UserError(f"config.task: no task {config.task!r}.{hint(config.task, names())}")
    return importlib.import_module(f"genlab.tasks.{config.task}.task").make(config, spec)


def families_with(capability: str) -> list[str]:
    """The tasks that have a method of that name."""
    modules = {name: importlib.import_module(f"genlab.tasks.{name}.task") for name in names()}
    return [name for name, module in modules.items() if hasattr(module.Task, capability)]
