"""What tells a checkpoint from another, and a damaged one from a whole one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jax
import numpy as np

from genlab.state import Tree

SEAL = "seal"  # the key of `about` that holds the digest of all its others


def sealed(about: dict[str, Any]) -> dict[str, Any]:
    """The same with a seal, which tells whether any of it has changed since."""
    return about | {SEAL: _seal(about)}


def intact(about: dict[str, Any]) -> bool:
    """Whether nothing has changed since it was sealed; older versions left no seal."""
    rest = {key: value for key, value in about.items() if key != SEAL}
    return SEAL not in about or about[SEAL] == _seal(rest)


def _seal(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def shapes(tree: Tree) -> dict[str, str]:
    """{'params.model.kernel': 'float32[3,3]'}: the leaves, however the containers are spelled."""
    return {
        ".".join(str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path):
            f"{np.dtype(x.dtype)}{list(x.shape)}"
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }  # fmt: skip
