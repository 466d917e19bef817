"""What runs.jsonl records of each start of a run."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from genlab.state import Tree
from genlab.version import __version__

TIME = "%Y-%m-%dT%H:%M:%SZ"  # UTC


def counts(params: Tree, other: Tree) -> dict[str, dict[str, int]]:
    """{player: {"trainable", "other", "total"}} numbers of parameters."""
    size = lambda tree: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))  # noqa: E731
    found = {}
    for player, tree in params.items():
        own, more = size(tree), size(other.get(player, {}))
        found[player] = {"trainable": own, "other": more, "total": own + more}
    return found


def versions() -> dict[str, str]:
    """Of the packages that decide a run's numbers."""
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "ml_collections")
    return {"genlab": __version__} | {name: metadata.version(name) for name in packages}


def commit() -> str | None:
    """The git commit of the code, "-dirty" if it was changed since; None outside a checkout."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return git.stdout.strip() or None


def command() -> str:
    """The command that started this process, quoted for a shell."""
    return shlex.join(["python", *sys.argv])


def now() -> str:
    """The time, as all files of a workdir write it."""
    return time.strftime(TIME, time.gmtime())


def start_of_run(parameters: dict[str, Any]) -> dict[str, Any]:
    """What runs.jsonl records of a start."""
    return {
        "time": now(),
        "command": sys.argv,
        "commit": commit(),
        "python": sys.version.split()[0],
        "versions": versions(),
        "devices": [f"{d.platform}:{d.device_kind}" for d in jax.devices()],
        "processes": jax.process_count(),
        "parameters": parameters,
    }
