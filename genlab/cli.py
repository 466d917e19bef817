"""The command line: which config, with which overrides; every mistake in one line."""

from __future__ import annotations

import errno
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from absl import logging as absl_logging
from ml_collections import ConfigDict, config_flags

from genlab.errors import UserError, log, hint
from genlab.workdir import configs

# A workdir that cannot be written to: not a bug, so not a traceback.
DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DISK |= {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}


def parse(argv: Sequence[str]) -> list[str]:
    """Defines `--config` from the file or workdir that argv names, and parses all flags.

    Overrides are --config.key=value. For `app.run(main, flags_parser=parse)`.
    """
    return in_one_line(lambda: _parse(list(argv)))


def _parse(argv: list[str]) -> list[str]:
    if any(arg.lstrip("-") in ("help", "helpfull", "helpshort") for arg in argv[1:]):
        return flags.FLAGS(argv)
    file, argv = _take(argv, "config")
    workdir, _ = _take(argv, "workdir")
    if file:
        config = load(file)
    elif workdir:
        config = configs.read(workdir)
    else:
        raise UserError("give --config=configs/<name>.py, or --workdir of a trained run.")
    for arg in argv[1:]:
        if arg.lstrip("-").startswith("config."):
            _check_key(arg.lstrip("-").partition("=")[0].removeprefix("config."), config)
    config_flags.DEFINE_config_dict("config", config, sys_argv=argv)
    flags.DEFINE_string("config_file", file, "What --config named; taken from there.")
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, TypeError, ValueError) as error:
        raise UserError(" ".join(str(error).split()).removeprefix("flag --")) from None
    if rest[1:]:
        raise UserError(f"{rest[1]!r} is not a flag; flags are --name=value.")
    flags.FLAGS.config_file = file
    return rest


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


def load(file: str) -> ConfigDict:
    """The locked config of `path.py` or `path.py:argument`."""
    return _module(file).get_config(file.partition(":")[2]).lock()


def load_sweep(file: str) -> tuple[Callable[..., None], tuple[str, ...]]:
    """The `sweep(add)` of an experiment file, and the metrics it wants to see."""
    if not file:
        raise UserError("--mode=sweep needs --config=experiments/<question>.py.")
    module = _module(file)
    if not hasattr(module, "sweep"):
        raise UserError(f"--config={file}: it has no sweep(add); take one of experiments/.")
    return module.sweep, tuple(getattr(module, "METRICS", ()))


def _module(file: str) -> Any:
    path = file.partition(":")[0]
    if not Path(path).is_file():
        known = [
            str(p) for p in Path(path).parent.glob("*.py") if p.stem not in ("common", "__init__")
        ]
        near = hint(path, known) if known else ""
        raise UserError(f"--config={path}: no such file.{near}")
    spec = importlib.util.spec_from_file_location("genlab_config", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--config={path}: not a Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise UserError(f"--config={path}: it has no get_config(arg).")
    return module


def _check_key(key: str, config: ConfigDict) -> None:
    keys = configs.flat(config)
    sections = {k.rpartition(".")[0] for k in keys}
    if key.removeprefix("no") in keys or key in keys or key in sections:
        return
    raise UserError(f"config.{key}: no such key.{hint(key, keys)}")


def in_one_line(act: Callable[[], Any]) -> Any:
    """act(); a mistake of the user's becomes one line on stderr and an exit code."""
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.propagate = False  # absl puts a date before every line
    log.setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.ERROR)  # Orbax and TFDS speak through it, at length
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
    print(f"launch.py: {text}", file=sys.stderr)
    sys.exit(code)


def choice(flag: str, value: str, known: Iterable[str]) -> None:
    """Raises UserError unless a flag's value is one of those known."""
    if value not in known:
        raise UserError(f"--{flag}={value}: no such {flag}.{hint(value, known)}")
