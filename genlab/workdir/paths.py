"""Paths of workdirs: local, `~`, or on an object store, as `etils.epath` has them."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import Any

from etils import epath

from genlab.errors import UserError

LIBRARIES = {"gs": "gcsfs", "s3": "s3fs"}  # what reads and writes each object store

# Read by epath at the first use of any path: it would import TensorFlow for gs:// otherwise.
os.environ.setdefault("EPATH_USE_TF", "false")


def of(text: str | os.PathLike[str]) -> epath.Path:
    """The path that a user means by a workdir.

    Raises: UserError for what cannot be served, before anything is made.
    """
    text = os.fspath(text)
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)(.*)", text)
    if not found:
        return _local(text)
    scheme, slashes, rest = found.groups()
    if scheme not in LIBRARIES:
        known = ", ".join(f"{name}://" for name in LIBRARIES)
        raise UserError(f"{text}: {scheme}:// is not served; take a local path or {known}.")
    if slashes != "//" or not rest:
        raise UserError(f"{text}: write {scheme}://bucket/folder.")
    library = LIBRARIES[scheme]
    if not importlib.util.find_spec(library):
        raise UserError(f"{text}: {scheme}:// needs {library}; pip install {library}.")
    _see_other_writers(scheme)
    return epath.Path(f"{scheme}://{rest.rstrip('/')}")


def _local(text: str) -> epath.Path:
    path = epath.Path(text).expanduser()
    if os.fspath(path).startswith("~"):
        raise UserError(f"{text}: there is no user {text.partition('/')[0][1:]!r}.")
    return path


def _see_other_writers(scheme: str) -> None:
    """Lists an object store anew each time: TensorStore and other processes write to it too."""
    import fsspec

    name = {"gs": "gcs"}.get(scheme, scheme)
    fsspec.config.conf.setdefault(name, {}).setdefault("use_listings_cache", False)


def point_name(point: dict[str, Any]) -> str:
    """A readable folder name of a run: 'model.code=8,seed=0'."""
    return ",".join(f"{k}={re.sub(r'[^A-Za-z0-9_.+-]+', '_', str(v))}" for k, v in point.items())


def is_local(path: epath.Path) -> bool:
    """Whether the operating system reads and writes it."""
    return "://" not in os.fspath(path)


def absolute(path: epath.Path) -> epath.Path:
    """The same path whatever the current folder, as Orbax wants it."""
    return epath.Path(os.path.abspath(path)) if is_local(path) else path


def checkpoints(workdir: str) -> list[int]:
    """The steps of a workdir's checkpoints, by their folders alone."""
    folder = of(workdir) / "checkpoints"
    found = folder.glob("[0-9]*") if workdir else ()
    return sorted(int(path.name) for path in found if path.name.isdigit())


def filesystem(path: epath.Path) -> Any:
    """The fsspec file system of an object store, for what epath does not offer."""
    import fsspec

    return fsspec.core.url_to_fs(os.fspath(path))[0]


def make_folder(path: epath.Path) -> None:
    """Makes a folder and its parents; an object store needs none."""
    if is_local(path):
        path.mkdir(parents=True, exist_ok=True)
