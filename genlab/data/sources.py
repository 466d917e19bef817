"""Which source `data.source` names."""

from __future__ import annotations

from ml_collections import ConfigDict

from genlab.data.arrays import open_arrays
from genlab.data.digits import open_digits
from genlab.data.examples import Source
from genlab.data.folders import open_folder
from genlab.data.tfds import open_tfds
from genlab.errors import UserError


def open_source(config: ConfigDict) -> Source:
    """The source of a `data` section: `digits`, `tfds:<name>`, `folder:<path>`, `npz:<path>`.

    Raises: UserError, also for a `data.label` of a source whose labels have no name.
    """
    kind, _, what = config.source.partition(":")
    if config.label and kind in ("digits", "folder"):
        raise UserError(
            f"data.label={config.label!r}: the labels of {kind} have no name; leave it empty."
        )
    if config.source == "digits":
        return open_digits()
    if kind == "folder":
        return open_folder(what, config.background)
    if kind == "tfds" and what:
        return open_tfds(what, config)
    if kind == "npz":
        return open_arrays(what, config.label, config.background)
    raise UserError(
        f"data.source: {config.source!r} is none of 'digits', 'tfds:<name>', 'folder:<path>',"
        " 'npz:<path>'."
    )
