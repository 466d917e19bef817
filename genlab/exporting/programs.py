"""What a model can do, as functions of its state and of plain arrays by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from genlab import parallel
from genlab.capabilities import CAPABILITIES, Decodes
from genlab.errors import UserError
from genlab.model import Model
from genlab.state import State

Inputs = dict[str, jax.Array]
Call = Callable[[State, Inputs], jax.Array]
PIXELS = "bytes of pixels, 0 to 255"
DRAWN = ("sample", "complete")
GIVES = {  # and with which unit
    "sample": PIXELS,
    "complete": PIXELS,
    "log_prob": "nats per image",
    "encode": "codes",
    "decode": PIXELS,
    "reconstruct": PIXELS,
    "denoise": PIXELS,
    "score": "how badly the model explains an image",  # the task says in which unit
    "classify": "probabilities of the classes",
    "features": "features before the last layer",
}
MEANS = {
    "key": "jax.random.key_data(jax.random.key(seed))",
    "numbers": "image i is drawn by the key folded with numbers[i]",
    "temperature": "1 is the model's own distribution",
    "labels": "the class of each image, by its place in `classes`; or which `attributes` it has",
    "images": PIXELS,
    "known": "which pixels of `images` stay",
    "codes": "as `encode` gives them, or latents",
}
DEFAULTS: dict[str, Any] = {"key": [0, 0], "temperature": 1.0}  # the key of seed 0


@dataclass(frozen=True)
class Program:
    """A capability of a model.

    call: (state, {name: array}) -> an array [b,...].
    inputs: the shapes and dtypes of those arrays.
    gives: what comes out, with its unit.
    """

    name: str
    call: Call
    inputs: dict[str, jax.ShapeDtypeStruct]
    gives: str


def programs(model: Model, batch: Any) -> tuple[list[Program], dict[str, str]]:
    """Everything that a model does, for so many images (a number, or a symbolic dimension); and
    why, by name, it does not do what others of its family do."""
    found, refused = [], {}
    for name in GIVES:
        if isinstance(model.task, CAPABILITIES[name]):
            program = _program(model, name, batch)
            try:  # a likelihood of grey values, a density that was not fitted
                if name == "sample":
                    model.task.check_sample(model.state, model.config.sample.method)
                jax.eval_shape(parallel.on_one_device(program.call), model.state, program.inputs)
                found.append(program)
            except UserError as error:
                refused[name] = str(error)
    return found, refused


def _program(model: Model, name: str, batch: Any) -> Program:
    gives = GIVES[name]
    if name in model.task.units:
        gives = f"{gives}: {model.task.units[name]}"
    return Program(name, _call(model, name), _inputs(model, name, batch), gives)


def _inputs(model: Model, name: str, batch: Any) -> dict[str, jax.ShapeDtypeStruct]:
    given = jax.ShapeDtypeStruct
    image, condition = (batch, *model.spec.shape), model.task.condition
    known: dict[str, jax.ShapeDtypeStruct] = {}
    if name != "decode":
        known["key"] = given((2,), jnp.uint32)
    if name in DRAWN:
        known["numbers"] = given((batch,), jnp.int32)
        known["temperature"] = given((), jnp.float32)
    if name not in ("sample", "decode"):
        known["images"] = given(image, jnp.uint8)
    if name == "complete":
        known["known"] = given(image, jnp.bool_)
    if isinstance(model.task, Decodes) and name == "decode":
        known["codes"] = given((batch, model.task.code_size()), jnp.float32)
    if condition:
        blank = condition.no_labels(1)
        known["labels"] = given((batch, *blank.shape[1:]), blank.dtype)
    return known


def _call(model: Model, name: str) -> Call:
    """The capability, drawing as `Model` draws a first chunk of images."""
    method = model.config.sample.method if name in DRAWN else None
    run = model.function(name, method)

    def call(state: State, given: Inputs) -> jax.Array:
        count = next(given[n].shape[0] for n in ("numbers", "images", "codes") if n in given)
        labels = given.get("labels", jnp.full(count, -1, jnp.int32))
        if name == "decode":
            return run(state, given["codes"], labels)
        key = jax.random.wrap_key_data(given["key"], impl="threefry2x32")
        if name not in DRAWN:
            batch = {"image": given["images"], "label": labels}
            return run(state, batch, jax.random.fold_in(key, 0))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, given["numbers"])
        pixels = [given[n] for n in ("images", "known") if n in given]
        return run(state, keys, labels, *pixels, given["temperature"])

    return call
