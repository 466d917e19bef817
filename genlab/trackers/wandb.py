"""Weights & Biases: in the workdir, for `wandb sync`; WANDB_MODE=online sends at once."""

from __future__ import annotations

import os

import numpy as np

from genlab.trackers.contract import Scalars, Tracked, Writer
from genlab.workdir import paths

STEP = "step"  # a metric of its own: a resumed run goes back to its checkpoint, wandb's never


class Wandb(Writer):
    """A run that keeps its identity when it is resumed."""

    def __init__(self, run: Tracked) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=run.project,
            name=run.name,
            id=run.identity,
            resume="allow",
            config=run.settings,
            dir=os.fspath(run.workdir) if paths.is_local(run.workdir) else None,
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=wandb.Settings(console="off", silent=True),  # the terminal is ours
        )
        self._run.define_metric("*", step_metric=STEP)

    def scalars(self, step: int, values: Scalars) -> None:
        self._run.log({STEP: step, **values})

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self._run.log({STEP: step, name: self._wandb.Image(picture)})

    def close(self) -> None:
        self._run.finish()
