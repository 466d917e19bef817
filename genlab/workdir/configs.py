"""The config of a run on disk, and in which keys another config would make it another run."""

from __future__ import annotations

import json
from typing import Any

from ml_collections import ConfigDict

from genlab.config import at, complete, flat
from genlab.errors import UserError, log
from genlab.task import family
from genlab.workdir import paths, places


def to_json(config: ConfigDict) -> str:
    """The whole config as indented JSON; tuples become lists."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ConfigDict:
    """The config that `to_json` wrote, locked."""

    def restored(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: restored(v) for k, v in value.items()}
        return tuple(restored(v) for v in value) if isinstance(value, list) else value

    return ConfigDict(restored(json.loads(text))).lock()


def copy(config: ConfigDict) -> ConfigDict:
    """An equal config of its own."""
    return from_json(to_json(config))


def put(config: ConfigDict, key: str, value: Any, told: str) -> None:
    """Gives a key that is there a value. Raises UserError, which begins with `told` and the key,
    for one of another type."""
    section, _, name = key.rpartition(".")
    target = at(config, section)
    try:
        target[name] = value
    except TypeError:
        wanted = type(target[name]).__name__
        raise UserError(f"{told}{key}={value!r} is not {wanted}.") from None


def read(workdir: str) -> ConfigDict:
    """The config of a run, completed with today's defaults where an older version wrote it.

    workdir: any name of a model, see `genlab/workdir/places.py`.

    Raises: UserError if the workdir has none.
    """
    path = places.folder(workdir) / "config.json"
    try:
        config = from_json(path.read_text())
    except OSError:
        raise UserError(
            f"{workdir}: no config.json there; name the workdir of a trained run, or train one."
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not a config ({error}).") from None
    added = complete(config)
    if added:
        log.info("%s: of an older version; defaults for %s", path, ", ".join(added))
    return config


# What a resumed run may change: none of it alters the parameters that a step produces.
FREE = (
    "sample.",
    "eval.",
    "sweep.",
    "report.",
    "parallel",
    "data.data_dir",
    "data.resident_mb",
    "data.changed",
)
FREE_IN_TRAIN = ("train.init_from", "train.steps_per_call")  # the only fixed keys of `train`


def identity_differences(old: ConfigDict, new: ConfigDict) -> list[str]:
    """'key: old -> new' for each key that makes `new` another run than `old`.

    `train.steps` may change unless the learning-rate schedule is measured in it.
    """
    was, now = flat(old), flat(new)
    keys = [k for k in sorted(was.keys() | now.keys()) if was.get(k) != now.get(k)]
    schedules = [k.removesuffix("schedule") for k in now if k.endswith(".schedule")]
    bound_to_steps = any(
        now[f"{s}schedule"] != "constant" and not now[f"{s}decay_steps"] for s in schedules
    )
    fixed = [
        k
        for k in keys
        if (not k.startswith(FREE) and (not k.startswith("train.") or k in FREE_IN_TRAIN))
        or (k == "train.steps" and bound_to_steps)
    ]
    return [f"{k}: {was.get(k)!r} -> {now.get(k)!r}" for k in fixed]


# What each mode reads of a config beside the model: all else is what the run was trained as.
READ_BY = {
    "eval": (
        *("eval.", "sample.", "seed", "parallel", "data.source", "data.data_dir", "data.download"),
        *("data.image_size", "data.channels", "data.upscale", "data.on_broken", "data.background"),
        *("data.label", "data.train_split", "data.valid_split", "data.eval_split"),
        "data.resident_mb",
    ),
    "sample": ("eval.step", "eval.weights", "sample.", "parallel"),
    "compress": ("eval.step", "eval.weights", "sample.batch_size", "parallel", "data."),
    "judge": ("eval.images", "sample.seed", "seed", "data."),
    "export": ("eval.step", "eval.weights", "sample.method", "parallel"),
    "decompress": ("eval.step", "eval.weights", "parallel"),
}


def refuse_unread(config: ConfigDict, workdir: str, mode: str) -> None:
    """Raises UserError naming the first key in which a config differs from that of the trained run
    although the mode does not read it: an override is applied or refused, never ignored."""
    config = copy(config)
    complete(config)
    was, now = flat(read(workdir)), flat(config)
    readable = READ_BY[mode] + family(config.task).adjustable
    for key in sorted(was.keys() | now.keys()):
        if was.get(key) != now.get(key) and not key.startswith(readable):
            raise UserError(
                f"config.{key}={now.get(key)}: --mode={mode} does not read it; the run was trained"
                f" with {was.get(key)}. Train another run with it, or leave it out."
            )


def refuse_another_run(config: ConfigDict, workdir: str) -> None:
    """A workdir with checkpoints goes on as the run it is, or not at all."""
    folder = paths.of(workdir)
    if not (folder / "config.json").exists():
        return
    differing = identity_differences(read(workdir), config)
    if differing and any((folder / "checkpoints").glob("[0-9]*")):
        raise UserError(
            f"{workdir} holds another run ({'; '.join(differing)});"
            " take those values or another workdir."
        )
