"""An exported model on disk: a folder that a few lines of jax and numpy read.

manifest.json          what each program takes and gives, what it was measured on, digests
weights.safetensors    parameters and statistics
<name>.jaxexport       a program, as StableHLO for CPUs, CUDA and TPUs together
reader.py              a way to read it, with jax and numpy alone
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from etils import epath
from jax import export

from genlab import parallel
from genlab.errors import UserError
from genlab.exporting import reader
from genlab.exporting.programs import DEFAULTS, MEANS, Inputs, Program, programs
from genlab.model import Model
from genlab.state import State, digest
from genlab.workdir import configs, runs

FORMAT = 1
PLATFORMS = ("cpu", "cuda", "tpu")
CHOICE = (
    "One program for all platforms makes the choices of a CPU: `auto` draws by the cached sampler,"
    " and convolutions are products of patches. They run everywhere and draw the same images."
)
Weights = dict[str, jax.Array]


def write(model: Model, folder: epath.Path) -> dict[str, Any]:
    """Writes everything that the model does; returns the manifest.

    Raises: UserError if there is nothing to export.
    """
    (batch,) = export.symbolic_shape("b", constraints=["b >= 1"])
    with parallel.for_every_platform():
        found, refused = programs(model, batch)
        if not found:
            raise UserError(f"{model.workdir}: nothing to export: {' '.join(refused.values())}")
        weights, state_of = weights_of(model.state)
        made = {program.name: _exported(program, weights, state_of) for program in found}
    files = {f"{name}.jaxexport": bytes(one.serialize()) for name, one in made.items()}
    files["weights.safetensors"] = safetensors.numpy.save(weights)
    files["reader.py"] = Path(reader.__file__).read_bytes()
    manifest = _manifest(model, weights) | {
        "programs": {p.name: _told(p, made[p.name]) for p in found},
        "left_out": refused,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    text = json.dumps(manifest, indent=2) + "\n"
    _write_all(folder, files | {"manifest.json": text.encode()})
    return manifest


def _write_all(folder: epath.Path, files: dict[str, bytes]) -> None:
    """Writes the files, the last one where all others are there; nothing reads them before."""
    folder.mkdir(parents=True, exist_ok=True)
    *_, last = files
    (folder / last).unlink(missing_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def weights_of(state: State) -> tuple[dict[str, np.ndarray], Callable[[Weights], State]]:
    """Parameters and statistics by name, and the state with such arrays in their place."""
    paths, tree = jax.tree_util.tree_flatten_with_path(state.trained())
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
    # Not ascontiguousarray: it makes a number a row of one.
    arrays = [np.array(jax.device_get(x), order="C") for _, x in paths]
    step, attempt = int(state.step), int(state.attempt)

    def state_of(weights: Weights) -> State:
        trained = jax.tree.unflatten(tree, [weights[name] for name in names])
        counters = {"step": jnp.int32(step), "attempt": jnp.int32(attempt)}
        return State(**trained, **counters, opt={}, ema={})

    return dict(zip(names, arrays, strict=True)), state_of


def _exported(
    program: Program, weights: dict[str, np.ndarray], state_of: Callable[[Weights], State]
) -> export.Exported:
    """(weights, {input: array}) -> an array, for all platforms."""

    def call(weights: Weights, given: Inputs) -> jax.Array:
        return program.call(state_of(weights), given)

    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), weights)
    lower = export.export(parallel.on_one_device(call), platforms=PLATFORMS)
    return lower(shapes, program.inputs)


def _told(program: Program, exported: export.Exported) -> dict[str, Any]:
    (out,) = exported.out_avals
    defaults = {n: {"default": DEFAULTS[n]} for n in program.inputs if n in DEFAULTS}
    return {
        "file": f"{program.name}.jaxexport",
        "inputs": {
            name: _array(x) | {"is": MEANS[name]} | defaults.get(name, {})
            for name, x in program.inputs.items()
        },
        "output": _array(out) | {"is": program.gives},
    }


def _manifest(model: Model, weights: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model": model.workdir,
        "checkpoint": {
            "step": model.step,
            "weights": model.weights,
            "sha256": digest(jax.device_get(model.state.trained())),
        },
        "protocol": model.task.protocol,
        "precision": f"float32, products {parallel.EXACT}",
        "platforms": list(PLATFORMS),
        "choices": CHOICE,
        "batch": "b is any number from 1",
        "sampler": model.config.sample.method,
        "classes": list(model.classes),
        "attributes": list(model.spec.attributes),
        "config": json.loads(configs.to_json(model.config)),
        "versions": runs.versions(),
        "weights": {name: _array(x) for name, x in weights.items()},
    }


def _array(x: Any) -> dict[str, Any]:
    shape = [n if isinstance(n, int) else str(n) for n in x.shape]
    return {"shape": shape, "dtype": np.dtype(x.dtype).name}
