"""Writes an entry of the zoo from a trained run, and the page of all of them.

python -m genlab.publishing.add <workdir> <name> --what="..." --time="..."
python -m genlab.publishing.add mixture:pretrained:a,pretrained:b <name> --what="..."

The run is evaluated here and now, by this code, as its config says. An evaluation that asks for
more (a classifier, more draws of a bound) is one of `--mode=eval --output=<folder>`, handed over by
--evaluated=<folder>; --metric then names its number. With --half the weights are rounded to 16
bits first, and all that is measured is of these: for such an evaluation add the entry, evaluate
--pretrained=<name>, and add it once more.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from genlab import cli
from genlab.data import splits
from genlab.errors import UserError, hint
from genlab.model import Model, restore
from genlab.modes import evaluate
from genlab.pictures import files
from genlab.publishing import cards, check, history
from genlab.workdir import configs, lines, paths, places, runs
from genlab.zoo import entries

SMALL = 1e6  # bytes: what an entry should stay below


def add(
    place: str,
    name: str,
    what: str,
    time: str,
    step: str = "latest",
    evaluated: str = "",
    metric: str = "",
    half: bool = False,
) -> None:
    """Writes genlab/zoo/models/<name>, docs/zoo.md and its picture.

    Args:
      place: a workdir, or a mixture of pretrained models.
      what: the model in a sentence.
      time: hardware and time of its training.
      evaluated: a folder whose eval.jsonl ends with the evaluation to show; "" evaluates here.
      metric: the number of its card; "" is the task's headline.
      half: keeps the weights at 16 bits, as they are then measured.

    Raises: UserError for a name that no folder should have, members that are not in the zoo, or
      weights that 16 bits do not hold.
    """
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise UserError(f"{name!r}: name it with small letters, digits and underscores.")
    if half and places.is_mixture(place):
        raise UserError("a mixture keeps no weights of its own: give --half to its members.")
    model = restore(place, step)
    if half:
        model = dataclasses.replace(model, state=entries.rounded(model.state))
    config, folder = model.config, places.ENTRIES / name
    sets = splits.load(config.data)
    split = evaluate.fitting(sets.test, model)
    if evaluated:
        line = _line(evaluated, model)
    else:
        line = evaluate.measure(model, sets, split, config).line()
    line.pop("values", None)  # of a workdir, which an entry is not
    about = _about(model, config, what, time, metric or model.task.headline)
    about |= {"bits": 16 if half else 32, "evaluation": line}
    if about["headline"] not in line:
        raise UserError(f"--metric={metric}: the evaluation has none.{hint(metric, line)}")
    images, about["samples"] = check.sampled(model)
    state = None if places.is_mixture(place) else model.state
    entries.write(folder, configs.to_json(_portable(config)), about, state, half)
    batch = split.read(np.arange(min(check.IMAGES, len(split))))
    check.write(folder, model, batch["image"], batch["label"])
    if cards.DOCS.exists():
        if images is not None:
            files.save_grid(paths.of(cards.DOCS / cards.FIGURES / f"{name}.png"), images)
        cards.write()
    _tell(entries.read(name))


def _line(evaluated: str, model: Model) -> dict[str, Any]:
    """The last evaluation of a folder. Raises UserError if it is not of the model's step."""
    found = lines.read_lines(paths.of(evaluated) / "eval.jsonl")
    if not found or found[-1]["step"] != model.step:
        raise UserError(f"--evaluated={evaluated}: no evaluation of step {model.step} there.")
    return found[-1]


def _about(model: Model, config: ConfigDict, what: str, time: str, metric: str) -> dict[str, Any]:
    sizes = runs.counts(model.state.params, {})
    return {
        "what": what,
        "time": time,
        "commands": history.commands(model.workdir),
        "data": config.data.source.removeprefix("tfds:"),
        "shape": list(model.spec.shape),
        "classes": list(model.spec.classes),
        "attributes": list(model.spec.attributes),
        "step": model.step,
        "weights": model.weights,
        "headline": metric,
        "unit": model.task.units.get(metric, ""),
        "parameters": sum(size["total"] for size in sizes.values()),
        "versions": runs.versions(),
        "members": _members(model),
        "curve": history.curve(model.workdir, metric, model.config.train.best_metric),
    }


def _members(model: Model) -> list[str]:
    if not places.is_mixture(model.workdir):
        return []
    found = [name for name, _ in places.members(model.workdir)]
    if not all(places.is_pretrained(name) for name in found):
        raise UserError("a mixture in the zoo is one of pretrained models; add its members first.")
    return [name.removeprefix(places.PRETRAINED) for name in found]


def _portable(config: ConfigDict) -> ConfigDict:
    """The config without what is of one machine or start."""
    found = configs.copy(config)
    with found.unlocked():
        found.data.data_dir = ""
        found.train.init_from = ""
    return found


def _tell(entry: entries.Entry) -> None:
    print(f"{entry.name}: {entry.number} ({entry.size / 1e6:.2f} MB)")
    if entry.size > SMALL:
        print("Note: a small model's entry should stay below 1 MB.")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", metavar="workdir")
    parser.add_argument("name")
    parser.add_argument("--what", required=True, help="the model in a sentence")
    parser.add_argument("--time", default="", help="hardware and time of its training")
    parser.add_argument("--step", default="latest", help="latest, best or a number")
    parser.add_argument("--evaluated", default="", help="a folder with its eval.jsonl")
    parser.add_argument("--metric", default="", help="the number of its card")
    parser.add_argument("--half", action="store_true", help="weights at 16 bits")
    cli.in_one_line(lambda: add(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
