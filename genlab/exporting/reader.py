"""Reads a model that genlab exported: needs jax and numpy alone. A copy lies in every export."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np


def load(folder: str) -> tuple[dict[str, Any], dict[str, Callable[..., jax.Array]]]:
    """(manifest, {name: function}); a function's inputs go by name: log_prob(images=x)."""
    manifest = json.loads(Path(folder, "manifest.json").read_text())
    data = Path(folder, "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")  # names and places end here, arrays begin
    weights = {}
    for name, about in json.loads(data[8:start]).items():
        first, last = (start + offset for offset in about["data_offsets"])
        array = np.frombuffer(data[first:last], manifest["weights"][name]["dtype"])
        weights[name] = jax.device_put(array.reshape(about["shape"]))

    def program(about: dict[str, Any]) -> Callable[..., jax.Array]:
        exported = jax.export.deserialize(bytearray(Path(folder, about["file"]).read_bytes()))
        call, inputs = jax.jit(exported.call), about["inputs"].items()
        typed = lambda n, x, given: np.asarray(given.get(n, x.get("default")), x["dtype"])  # noqa: E731
        return lambda **given: call(weights, {n: typed(n, x, given) for n, x in inputs})

    return manifest, {name: program(about) for name, about in manifest["programs"].items()}
