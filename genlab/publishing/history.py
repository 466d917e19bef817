"""How a trained model came to be: the commands that make it again, and its validation curve."""

from __future__ import annotations

import re
import shlex

from genlab.errors import UserError
from genlab.workdir import configs, lines, paths, places
from genlab.zoo import entries

OF_THIS_MACHINE = r"--?(workdir|compilation_cache|config\.data\.data_dir|config\.train\.init_from)"
WORKDIR = "--workdir="


def commands(place: str) -> list[str]:
    """What to run, one after another, from the first network on.

    A run that started from another comes after that one's commands. Workdirs are called
    `runs/<name of the folder>`; whatever else is of this machine is left out. Where it started from
    an entry of the zoo, the commands are those of the entry, whose weights are the averaged ones of
    the run that they make.

    Raises: UserError for a run that started from a workdir that is gone.
    """
    if places.is_mixture(place):
        return [f"genlab.mixture([{', '.join(repr(name) for name, _ in places.members(place))}])"]
    if places.is_pretrained(place):
        return entries.read(place.removeprefix(places.PRETRAINED)).about["commands"]
    source, step = places.stepped(configs.read(place).train.init_from)
    if source and not (places.folder(source) / "config.json").exists():
        raise UserError(f"{place} was trained on from {source}, which is gone: no command.")
    earlier = commands(source) if source else []
    starts = lines.read_lines(paths.of(place) / "runs.jsonl")
    words = _portable(starts[0]["command"][1:] if starts else [])
    if earlier:
        began = earlier[-1].rpartition(WORKDIR)[2] + (step and f":{step}")
        words.append(f"--config.train.init_from={began}")
    called = f"{WORKDIR}runs/{paths.of(place).name}"
    return [*earlier, shlex.join(["python", "launch.py", *words, called])]


def _portable(words: list[str]) -> list[str]:
    """Without the flags that are of this machine, written `--flag=value` or `--flag value`."""
    rest, kept = iter(words), []
    for word in rest:
        if re.fullmatch(OF_THIS_MACHINE, word):
            next(rest, None)
        elif not re.match(OF_THIS_MACHINE + "=", word):
            kept.append(word)
    return kept


def curve(place: str, *metrics: str) -> dict[str, list[tuple[float, float]]]:
    """{metric: [(epoch, its mean)]} over the validation split, of the first of the metrics that the
    run measured; of an entry of the zoo, what it keeps of its run."""
    if places.is_pretrained(place):
        return entries.read(place.removeprefix(places.PRETRAINED)).about["curve"]
    found = lines.read_lines(paths.of(place) / "metrics.jsonl")
    measured = [line for line in found if line["split"] == "valid"]
    for metric in metrics:
        if points := [(line["epoch"], line[metric]) for line in measured if metric in line]:
            return {metric: points}
    return {}
