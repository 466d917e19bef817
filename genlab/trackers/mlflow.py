"""MLflow: in `mlflow.db` of the workdir (`mlflow ui --backend-store-uri sqlite:///<it>`), or where
MLFLOW_TRACKING_URI says."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from genlab.errors import UserError
from genlab.trackers.contract import Scalars, Tracked, Writer
from genlab.workdir import paths

URI = "MLFLOW_TRACKING_URI"
IDENTITY = "genlab.identity"  # the tag by which a resumed run is found again
MOST = 100  # parameters that MLflow takes at once


class Mlflow(Writer):
    """A run of the experiment that is called like the project."""

    def __init__(self, run: Tracked) -> None:
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        from mlflow import MlflowClient

        self._client = MlflowClient(_place(run))
        self._id = self._again(run) or self._begun(run)

    def _experiment(self, run: Tracked) -> str:
        found = self._client.get_experiment_by_name(run.project)
        if found:
            return str(found.experiment_id)
        kept = None if URI in os.environ else os.fspath(paths.absolute(run.workdir) / "mlruns")
        return str(self._client.create_experiment(run.project, artifact_location=kept))

    def _again(self, run: Tracked) -> str | None:
        """The run that is resumed."""
        mine = f"tags.`{IDENTITY}` = '{run.identity}'"
        found = self._client.search_runs([self._experiment(run)], mine, max_results=1)
        if not found:
            return None
        self._client.update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)

    def _begun(self, run: Tracked) -> str:
        tags = {IDENTITY: run.identity, "genlab.workdir": os.fspath(run.workdir)}
        made = self._client.create_run(self._experiment(run), run_name=run.name, tags=tags)
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in run.settings.items()]
        for first in range(0, len(params), MOST):
            self._client.log_batch(made.info.run_id, params=params[first : first + MOST])
        return str(made.info.run_id)

    def scalars(self, step: int, values: Scalars) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics: list[Any] = [Metric(name, float(x), now, step) for name, x in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self._client.log_image(self._id, picture, key=name, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._id)


def _place(run: Tracked) -> str:
    if URI in os.environ:
        return os.environ[URI]
    if not paths.is_local(run.workdir):
        raise UserError(f"report.writers: mlflow cannot keep a run in {run.workdir}; set {URI}.")
    return f"sqlite:///{paths.absolute(run.workdir) / 'mlflow.db'}"
