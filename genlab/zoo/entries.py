"""Entries of the zoo on disk: a folder each, of weights alone.

config.json            of the run
entry.json             what was measured on what, by which commands; digest; `check`
weights.safetensors    parameters and statistics, at 32 bits or, of a larger model, 16; none for a
                       mixture of other entries
check.npz              a few images of the evaluation split, and what the model says of them
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from etils import epath
from safetensors import SafetensorError

from genlab.errors import UserError
from genlab.state import State, digest
from genlab.workdir import places


@dataclass(frozen=True)
class Entry:
    """A trained model, as described by its entry.json."""

    name: str
    about: dict[str, Any]
    folder: epath.Path

    @property
    def members(self) -> list[str]:
        """Names of the entries whose mixture it is; of a single model none."""
        return self.about.get("members", [])

    @property
    def evaluation(self) -> dict[str, Any]:
        """The line of eval.jsonl that was measured of it."""
        return self.about["evaluation"]

    @property
    def number(self) -> str:
        """Its headline metric with unit and, of a mean over images, the 95 % interval."""
        metric, line = self.about["headline"], self.evaluation
        text = f"{metric} {line[metric]:.4g} {self.about['unit']}".rstrip()
        error = line.get("standard_error", {}).get(metric)
        return text + (f" ± {1.96 * error:.2g}" if error else "")

    @property
    def protocol(self) -> str:
        """What the number was measured on."""
        return ", ".join(f"{key} {value}" for key, value in self.evaluation["protocol"].items())

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().length for path in self.folder.iterdir())

    def state(self, target: State) -> State:
        """Its state in the structure of a task's abstract state, which has no optimizer's.

        Raises: UserError if the weights are damaged, or of another version of the model.
        """
        try:
            arrays = safetensors.numpy.load((self.folder / "weights.safetensors").read_bytes())
        except (OSError, SafetensorError) as error:
            raise UserError(f"pretrained:{self.name} is damaged ({error}).") from None
        paths, tree = jax.tree_util.tree_flatten_with_path(target.trained())
        arrays = {name: _widened(x) for name, x in arrays.items()}
        wanted = {jax.tree_util.keystr(path): (x.shape, x.dtype) for path, x in paths}
        if wanted != {name: (x.shape, x.dtype) for name, x in arrays.items()}:
            raise UserError(
                f"pretrained:{self.name}: its weights are of another version of genlab."
            )
        leaves = [arrays[name] for name in wanted]
        found = target.replace(
            **jax.tree.unflatten(tree, leaves),
            step=np.int32(self.about["step"]),
            attempt=np.int32(0),
            opt={},
            ema={},
        )
        if digest(found.trained()) != self.about["sha256"]:
            raise UserError(f"pretrained:{self.name} is damaged (its digest does not match).")
        return found


def read(name: str) -> Entry:
    """The entry of that name. Raises UserError if there is none."""
    folder = places.folder(places.PRETRAINED + name)
    return Entry(name, json.loads((folder / "entry.json").read_text()), folder)


def rounded(state: State) -> State:
    """The state with every f32 at the nearest number of 16 bits, as `write` keeps it by `half`.

    Raises: UserError if a number is too large for 16 bits.
    """
    trained = jax.tree.map(lambda x: _widened(_narrowed(np.asarray(x))), state.trained())
    if not all(np.isfinite(x).all() for x in jax.tree.leaves(trained)):
        raise UserError("a weight is too large for 16 bits; keep them at 32, without --half.")
    return state.replace(**trained)


def _narrowed(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # told by `rounded`
        return x.astype(np.float16) if x.dtype == np.float32 else x


def _widened(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if x.dtype == np.float16 else x


def write(
    folder: epath.Path, config: str, about: dict[str, Any], state: State | None, half: bool = False
) -> None:
    """Writes an entry.

    state: with the weights to keep as its params, None for a mixture.
    half: keeps them at 16 bits; the state is then a `rounded` one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if state is not None:
        host = jax.device_get(state.trained())
        leaves = jax.tree_util.tree_leaves_with_path(host)
        # Not ascontiguousarray: it makes a number a row of one.
        arrays = {jax.tree_util.keystr(path): np.array(x, order="C") for path, x in leaves}
        kept = {name: _narrowed(x) if half else x for name, x in arrays.items()}
        (folder / "weights.safetensors").write_bytes(safetensors.numpy.save(kept))
        about = about | {"sha256": digest(host)}
    (folder / "config.json").write_text(config)
    (folder / "entry.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")


class Entries(tuple[Entry, ...]):
    """All entries; printed, a table of names, numbers, protocols and sizes."""

    def __repr__(self) -> str:
        rows = [(e.name, e.number, f"{e.size / 1e6:.2f} MB", e.protocol) for e in self]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)


def every() -> Entries:
    """Every entry, by name."""
    return Entries(read(name) for name in places.pretrained_names())
