"""What a run was trained on, small enough for its checkpoints, and what differs from it later.

A fingerprint depends on names and contents, never on where the data lies. Of files it keeps 32 bits
of each name's hash, about 2.2 bytes once compressed, so that growth is told from change exactly.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.data.split import Split
from genlab.data.splits import Data

Print = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """What differs between two fingerprints.

    grew: whether all that was there still is, and there are only more examples of the same splits.
    words: "train grew from 90 to 100 images; ...", for the middle of a sentence.
    """

    grew: bool
    words: str


def fingerprint(sets: Data) -> Print:
    """The fingerprint of what a run trains on and is validated with, as JSON values."""
    kind, _, name = sets.config.source.partition(":")
    spec = sets.spec
    return {
        "source": f"tfds:{name}" if kind == "tfds" else kind,
        "label": sets.config.label,
        "shape": list(spec.shape),
        "classes": list(spec.classes),
        "attributes": list(spec.attributes),
        "splits": {"train": _of_split(sets.train), "valid": _of_split(sets.valid)},
    }


def _of_split(split: Split) -> Print:
    """count, digest and contents; names where examples have them."""
    hashes: list[np.ndarray] = []
    contents: Print = {}
    for part, examples in enumerate(split.source.splits.values()):
        places = split.rows[split.rows[:, 0] == part, 1]
        if len(places):
            named = examples.hashes()
            if named is not None:
                hashes.append(named[places])
            else:
                contents[list(split.source.splits)[part]] = examples.identity()
    found: Print = {"count": len(split), "contents": contents}
    if contents:
        what = json.dumps(contents, sort_keys=True).encode() + split.rows.astype("<i8").tobytes()
        return found | {"digest": _digest(what)}
    every = np.sort(np.concatenate(hashes))
    return found | {"digest": _digest(every.astype("<u8").tobytes()), "names": _packed(every)}


def _digest(what: bytes) -> str:
    return hashlib.blake2b(what, digest_size=16).hexdigest()


def _packed(hashes: np.ndarray) -> str:
    """Sorted u64[N] -> their upper halves as text: differences, by byte, compressed."""
    steps = np.diff((hashes >> np.uint64(32)).astype("<u4"), prepend=np.uint32(0))
    return base64.b64encode(zlib.compress(steps.view("u1").reshape(-1, 4).T.tobytes(), 1)).decode()


def _unpacked(text: str) -> np.ndarray:
    """The inverse: sorted u32[N]."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), "u1").reshape(4, -1)
    return np.cumsum(np.ascontiguousarray(planes.T).view("<u4")[:, 0], dtype=np.uint32)


def difference(then: Print, now: Print) -> Change | None:
    """What has changed since a fingerprint was taken, or None."""
    changed = [
        f"{what} was {then[what]!r} and is {now[what]!r}"
        for what in ("source", "label", "shape", "attributes")
        if then[what] != now[what]
    ]
    if then["classes"] != now["classes"]:
        changed.append(_classes(then["classes"], now["classes"]))
    changed += _moved(then["splits"], now["splits"])
    grown: list[str] = []
    for name in now["splits"]:
        told, grew = _split(name, then["splits"][name], now["splits"][name])
        if told:
            (grown if grew else changed).append(told)
    if not changed and not grown:
        return None
    return Change(not changed, "; ".join(changed + grown))


def _classes(then: Sequence[str], now: Sequence[str]) -> str:
    if sorted(then) == sorted(now):
        name = next(a for a, b in zip(then, now, strict=True) if a != b)
        return (
            f"classes are in another order: {name!r} was {then.index(name)} and is"
            f" {now.index(name)}"
        )
    gone, new = [x for x in then if x not in now], [x for x in now if x not in then]
    if len(gone) == len(new) and len(then) == len(now):
        pairs = ", ".join(f"{a!r} is now {b!r}" for a, b in list(zip(gone, new, strict=True))[:3])
        return f"classes have other names: {pairs}" + (", ..." if len(gone) > 3 else "")
    told = [f"{', '.join(map(repr, x[:3]))}{', ...' * (len(x) > 3)}" for x in (gone, new)]
    parts = [f"{verb} {text}" for verb, text in zip(("without", "with"), told, strict=True) if text]
    return f"there were {len(then)} classes and are {len(now)}, {' and '.join(parts)}"


def _moved(then: Print, now: Print) -> list[str]:
    """Images that were held out and are now trained on."""
    if "names" not in then["valid"] or "names" not in now["train"]:
        return []
    leaked = int(np.isin(_unpacked(then["valid"]["names"]), _unpacked(now["train"]["names"])).sum())
    return [f"{leaked} images of valid are now in train"] if leaked else []


def _split(name: str, then: Print, now: Print) -> tuple[str, bool]:
    """(what differs in a split, whether it only grew)."""
    if then["digest"] == now["digest"]:
        return "", True
    if "names" not in then or "names" not in now:
        if then["count"] != now["count"]:
            return f"{name} had {then['count']} images and has {now['count']}", False
        return f"{name} has other contents", False
    before, after = _unpacked(then["names"]), _unpacked(now["names"])
    gone, new = int((~np.isin(before, after)).sum()), int((~np.isin(after, before)).sum())
    if not gone and len(after) > len(before):
        return f"{name} grew from {len(before)} to {len(after)} images", True
    return f"of {len(before)} images of {name}, {gone} gone and {new} new", False
