"""Trackio: in its folder on this machine (TRACKIO_DIR); TRACKIO_SPACE_ID sends to a Space."""

from __future__ import annotations

import numpy as np

from genlab.trackers.contract import Scalars, Tracked, Writer


class Trackio(Writer):
    """A run that keeps its identity when it is resumed: trackio knows runs by their names."""

    def __init__(self, run: Tracked) -> None:
        import trackio

        self._trackio = trackio
        name = f"{run.name}-{run.identity[:6]}"
        self._run = trackio.init(
            project=run.project, name=name, config=run.settings, resume="allow", embed=False
        )

    def scalars(self, step: int, values: Scalars) -> None:
        self._run.log(dict(values), step=step)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self._run.log({name: self._trackio.Image(picture)}, step=step)

    def close(self) -> None:
        self._run.finish()
