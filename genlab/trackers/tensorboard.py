"""TensorBoard: event files in the workdir, with hyper-parameters for its HParams page."""

from __future__ import annotations

import os

import numpy as np

from genlab.trackers.contract import Scalars, Tracked, Writer


class TensorBoard(Writer):
    """Event files through clu, which needs TensorFlow."""

    def __init__(self, run: Tracked) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # TensorFlow's notice about it
        from clu import metric_writers

        self._board = metric_writers.SummaryWriter(os.fspath(run.workdir))
        self._board.write_hparams(run.settings)

    def scalars(self, step: int, values: Scalars) -> None:
        self._board.write_scalars(step, values)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self._board.write_images(step, {name: picture[None]})

    def close(self) -> None:
        self._board.close()
