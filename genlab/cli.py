"""The command line: it reads the config and its overrides, and reports a mistake in one line."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from absl import flags
from absl import logging as absl_logging
from ml_collections import ConfigDict, config_flags

from genlab import config as configs
from genlab.errors import UserError, hint, last_words, log
from genlab.judging import classifiers
from genlab.sweeps import points
from genlab.sweeps.search import Search
from genlab.sweeps.source import Listed, Source
from genlab.workdir import configs as run_configs
from genlab.workdir import paths, places

# A workdir that cannot be written to: not a bug, so not a traceback.
DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DISK |= {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}

TAKE_NO_CONFIG = {"report": "shows runs as they are", "compare": "takes evaluations as they are"}
SWITCHED = {"true": True, "false": False, "1": True, "0": False}  # as flags of bools may be given


def parse(argv: Sequence[str]) -> list[str]:
    """Defines `--config` from the file or workdir that argv names, and parses all flags.

    Overrides are --config.key=value. For `app.run(main, flags_parser=parse)`.
    """
    return in_one_line(lambda: _parse(list(argv)))


def _parse(argv: list[str]) -> list[str]:
    if any(arg.lstrip("-") in ("help", "helpfull", "helpshort") for arg in argv[1:]):
        return flags.FLAGS(argv)
    file, argv = _take(argv, "config")
    mode = _take(argv, "mode")[0]
    place = _features(argv, file) if mode == "judge" else _place(argv)
    if not file and not place:
        raise UserError(
            "give --config=configs/<name>.py, --workdir of a trained run, or --pretrained=NAME."
        )
    config = _config(file, place, mode, argv)
    if mode == "sweep":
        configs.admit_sweep(config)
    argv = [_spelled_today(arg) for arg in argv]
    for key, value in _overrides(argv):
        configs.choose(config, key, value)
    for key, _ in _overrides(argv):
        _check_key(key, config)
    config_flags.DEFINE_config_dict("config", config, sys_argv=argv)
    flags.DEFINE_string("config_file", file, "What --config named; taken from there.")
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, TypeError, ValueError) as error:
        raise UserError(" ".join(str(error).split()).removeprefix("flag --")) from None
    if rest[1:]:
        raise UserError(f"{rest[1]!r} is not a flag; flags are --name=value.")
    flags.FLAGS["config_file"].value, flags.FLAGS["workdir"].value = file, place
    configs.complete(flags.FLAGS.config)  # spells what was overridden as today
    configs.check_values(flags.FLAGS.config)
    return rest


def _config(file: str, place: str, mode: str, argv: list[str]) -> ConfigDict:
    """Of a file or a workdir; modes that only read what runs have left take none."""
    if mode not in TAKE_NO_CONFIG:
        return configs.load(file) if file else run_configs.read(place)
    overrides = [f"config.{key}" for key, _ in _overrides(argv)]
    if given := ["config"] * bool(file) + overrides:
        raise UserError(f"--{given[0]}: --mode={mode} {TAKE_NO_CONFIG[mode]}; leave it out.")
    return configs.base()


def _place(argv: list[str]) -> str:
    """The model that --workdir, --pretrained or --mixture names, as `restore` takes it."""
    prefixes = {"workdir": "", "pretrained": places.PRETRAINED, "mixture": places.MIXTURE}
    given = {name: _take(argv, name)[0] for name in prefixes}
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        both = " and ".join(f"--{name}" for name in named)
        raise UserError(f"{both}: give one of them; --output says where to write.")
    return "".join(prefixes[name] + given[name] for name in named)


def _features(argv: list[str], file: str) -> str:
    """The classifier of --mode=judge, whose config it reads."""
    if file or _place(argv):
        raise UserError(
            "--mode=judge takes its sets by --samples and its classifier by --features; leave out"
            " --config, --workdir, --pretrained and --mixture."
        )
    return _take(argv, "features")[0] or classifiers.DEFAULT


def _overrides(argv: list[str]) -> Iterator[tuple[str, str]]:
    """(key, value) of each --config.key=value, or --config.key value."""
    for arg, following in zip(argv[1:], [*argv[2:], ""], strict=True):
        flag, equals, value = arg.partition("=")
        if arg.startswith("-") and flag.lstrip("-").startswith("config."):
            yield flag.lstrip("-").removeprefix("config."), value if equals else following


def _spelled_today(arg: str) -> str:
    """A flag, with the new name of a key that was renamed."""
    flag, equals, value = arg.partition("=")
    old = flag.lstrip("-").removeprefix("config.")
    if not flag.lstrip("-").startswith("config.") or old not in configs.RENAMED:
        return arg
    new, meaning = configs.RENAMED[old]
    switched = SWITCHED.get(value.lower())
    if switched is not None and meaning(switched) is not switched:
        value = str(meaning(switched))
    return f"--config.{new}{equals}{value}"


def _take(argv: list[str], name: str) -> tuple[str, list[str]]:
    """The last value of a flag, and argv without it."""
    value, rest, i = "", [], 0
    while i < len(argv):
        flag, equals, text = argv[i].partition("=")
        if argv[i].startswith("-") and flag.lstrip("-") == name:
            if not equals:
                i += 1
                if i == len(argv):
                    raise UserError(f"--{name} needs a value: --{name}=...")
                text = argv[i]
            value = text
        else:
            rest.append(argv[i])
        i += 1
    return value, rest


def load_sweep(file: str, config: ConfigDict, workdir: str) -> tuple[Source, tuple[str, ...]]:
    """Where the points of an experiment file `path.py:argument` come from: its `sweep(add)`, given
    the argument if it takes one, or its `suggest(trial)`; and the metrics that it wants to see."""
    if not file:
        raise UserError("--mode=sweep needs --config=experiments/<question>.py.")
    module, own = configs.module(file), configs.argument(file)
    metrics = tuple(getattr(module, "METRICS", ()))
    if hasattr(module, "suggest"):
        return Search(module.suggest, config, paths.of(workdir)), metrics
    if not hasattr(module, "sweep"):
        raise UserError(f"--config={file}: it has no sweep(add); take one of experiments/.")
    takes = configs.takes_argument(module.sweep) and own
    add_to = (lambda add: module.sweep(add, own)) if takes else module.sweep
    return Listed(points.points(add_to)), metrics


def _check_key(key: str, config: ConfigDict) -> None:
    """Raises UserError, with the nearest key, for one that the config has not and cannot have."""
    possible = configs.admit(config, key)
    keys = configs.flat(config)
    sections = {k.rpartition(".")[0] for k in keys}
    if key not in keys and key not in sections:
        raise UserError(f"config.{key}: no such key.{hint(key, [*keys, *possible])}")


def in_one_line(act: Callable[[], Any]) -> Any:
    """Calls `act`; a mistake of the user becomes one line on stderr and an exit code."""
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.propagate = False  # absl puts a date before every line
    log.setLevel(logging.INFO)
    # Orbax and TFDS speak through it, at length; what goes wrong in them is raised as well.
    absl_logging.set_verbosity(absl_logging.FATAL)
    try:
        return act()
    except UserError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in DISK:
            raise
        _fail(f"{error.filename or 'the workdir'}: {error.strerror}; make it writable, free some"
              " space, or take another --workdir.", 1)  # fmt: skip
    except KeyboardInterrupt:
        _fail("interrupted.", 130)


def _fail(text: str, code: int) -> None:
    if text:
        last_words(text)
    sys.exit(code)


def trained(mode: str, workdir: str, of_one: Sequence[str], of_several: Sequence[str]) -> None:
    """Raises UserError for a mode that does not take a pretrained model, or a mixture."""
    if not (places.is_pretrained(workdir) or places.is_mixture(workdir)):
        return
    modes = of_several if places.is_mixture(workdir) else of_one
    if mode not in modes:
        raise UserError(f"--mode={mode} takes no {workdir}; it is for {', '.join(modes)}.")


def choice(flag: str, value: str, known: Iterable[str]) -> None:
    """Raises UserError unless a flag's value is one of those known."""
    if value not in known:
        raise UserError(f"--{flag}={value}: no such {flag}.{hint(value, known)}")
