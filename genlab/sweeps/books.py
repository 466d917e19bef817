"""What a run of a sweep leaves in its workdir beside what training writes.

`rungs.jsonl` has a line for each step at which halving compared the run with others, `failed.json`
says why it failed, `job.json` names the job that was started for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from typing import Any

from genlab.errors import UserError, hint
from genlab.sweeps.points import Run
from genlab.training.progress import patience_over
from genlab.workdir import configs as run_configs
from genlab.workdir import lines, paths

RUNGS, FAILED, JOB, TRACEBACK = "rungs.jsonl", "failed.json", "job.json", "error.txt"
LOG = "GENLAB_LOG"  # set by a launcher: the file that has what a run says


def end(run: Run) -> int:
    """The step at which its training ends: the last one, or where `train.patience` ended it."""
    train, events = run.config.train, lines.read_lines(run.folder / "events.jsonl")
    early = [
        x["step"]
        for x in events
        if x["event"] == "patience" and patience_over(train, x["step"], x["best"])
    ]
    return early[-1] if early else train.steps


def evaluation(run: Run) -> dict[str, Any] | None:
    """The line of eval.jsonl at the run's end."""
    return _at(run, "eval.jsonl", end(run))


def rung(run: Run, steps: int) -> dict[str, Any] | None:
    """The validation metrics of a run that was trained to those steps."""
    return _at(run, RUNGS, steps)


def done(run: Run) -> bool:
    """Whether it has reached the end that it is to reach for now, and was measured there."""
    return (evaluation(run) if run.whole else rung(run, run.steps)) is not None


def numbers(line: dict[str, Any]) -> dict[str, float]:
    """The metrics of a line that are numbers."""
    return {k: v for k, v in line.items() if isinstance(v, (int, float)) and k != "step"}


def _at(run: Run, file: str, step: int) -> dict[str, Any] | None:
    found = [line for line in lines.read_lines(run.folder / file) if line["step"] == step]
    return found[-1] if found else None


def keep_rung(run: Run) -> None:
    """Copies the validation metrics of the run's last step, which later steps may trim."""
    lines.append(run.folder / RUNGS, numbers(validation(run)) | {"step": run.steps})


def validation(run: Run) -> dict[str, Any]:
    """The validation metrics of the run's last step. Raises UserError for none."""
    measured, last = lines.read_lines(run.folder / "metrics.jsonl"), min(run.steps, end(run))
    at_end = [x for x in measured if x["step"] == last and x["split"] == "valid"]
    if not at_end:
        raise UserError(f"{run.folder}: no validation metrics of step {run.steps}.")
    return at_end[-1]


def metric(run: Run, line: dict[str, Any], wanted: str) -> float:
    """A number of a line of validation metrics. Raises UserError, with the nearest, for none."""
    found = numbers(line)
    if wanted not in found:
        known = [name for name in found if name != "epoch"]
        raise UserError(f"sweep.metric: {run.name} has no {wanted!r}.{hint(wanted, known)}")
    return found[wanted]


def keep_failure(run: Run, error: BaseException) -> None:
    """Notes why a run failed, with its traceback if it is a bug."""
    log = os.environ.get(LOG, "")
    if not isinstance(error, UserError):
        log = log or os.fspath(run.folder / TRACEBACK)
        lines.write_atomically(run.folder / TRACEBACK, "".join(traceback.format_exception(error)))
    said = " ".join(str(error).split())
    text = said if isinstance(error, UserError) else f"{type(error).__name__}: {said}"
    note_failure(run, text, log)


def note_failure(run: Run, text: str, log: str) -> None:
    """Notes why a run failed, and where it told more."""
    paths.make_folder(run.folder)
    note = {"error": text, "log": log, **mark(run)}
    lines.write_atomically(run.folder / FAILED, json.dumps(note) + "\n")


def failure(run: Run) -> dict[str, str] | None:
    """Why the run failed with the config that it has now: {"error", "log"}."""
    found = _object(run, FAILED)
    return found if found and found.get("config") == mark(run)["config"] else None


def forget_failure(run: Run) -> None:
    """Before the run is tried again."""
    (run.folder / FAILED).unlink(missing_ok=True)


def note_job(run: Run, job: str, log: str) -> None:
    """Notes the job that was started for a run."""
    paths.make_folder(run.folder)
    lines.write_atomically(run.folder / JOB, json.dumps({"job": job, "log": log}) + "\n")


def job(run: Run) -> dict[str, str] | None:
    """The newest job that was started for a run: {"job", "log"}."""
    return _object(run, JOB)


def _object(run: Run, file: str) -> dict[str, str] | None:
    try:
        return dict(json.loads((run.folder / file).read_text()))
    except (OSError, ValueError):
        return None


def mark(run: Run) -> dict[str, str]:
    """{"config": its digest}: a run whose config was mended has not failed."""
    text = run_configs.to_json(run.config)
    return {"config": hashlib.sha256(text.encode()).hexdigest()[:16]}
