"""Runs as elements of a Slurm job array, by submitit: an extra of the package, `slurm`.

Jobs need nothing of the process that submitted them: it may end, and another may look after them.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from genlab.errors import UserError, log
from genlab.launchers import command, job
from genlab.launchers.job import Job
from genlab.sweeps import books
from genlab.sweeps.points import Run
from genlab.sweeps.states import QUEUED, RUNNING
from genlab.workdir import lock, paths

GOING = {"RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT"}
WAITING = {"PENDING", "CONFIGURING", "SUSPENDED", "STOPPED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
WAITING |= {"REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD"}
# A job that gets SIGTERM before Python has begun cannot see to its requeue; its shell does.
AGAIN = (
    'trap \'[ $? = 143 ] && [ "$(squeue --noheader --format=%T --jobs=$SLURM_JOB_ID)" = RUNNING ]'
    " && scontrol requeue $SLURM_JOB_ID' EXIT"
)
TRIES = 3  # a scheduler that is busy may not answer at once


class Slurm:
    """See `Launcher`."""

    def __init__(self, settings: ConfigDict, workdir: epath.Path) -> None:
        self.settings, self.workdir = settings, workdir
        if not settings.folder and not paths.is_local(workdir):
            raise UserError(
                f"{workdir}: name a folder for logs on a disk that all nodes share:"
                " --config.sweep.slurm.folder=<path>."
            )
        self.folder = os.path.abspath(settings.folder or workdir / "slurm")

    def start(self, runs: Sequence[Run], tell: Callable[[], None]) -> None:
        """Submits those that are not in the queue."""
        with lock.briefly(self.workdir / "submissions"):  # of two who submit, one sees the other
            known = self.look(runs)
            new = [run for run in runs if known.get(run.name) not in (QUEUED, RUNNING)]
            parts = list(_parts(new, _largest_array() if new else 1))
            for part in parts:
                self._submit(part, at_once=max(1, self.settings.parallelism // len(parts)))
        tell()

    def look(self, runs: Sequence[Run]) -> dict[str, str]:
        """Of the runs for which a job was submitted."""
        jobs = {run.name: found["job"] for run in runs if (found := books.job(run))}
        states = _states(sorted({own.partition("_")[0] for own in jobs.values()}))
        return {name: _told(own, states.get(own, "")) for name, own in jobs.items()}

    def _submit(self, runs: Sequence[Run], at_once: int) -> None:
        """One array; at_once: runs that Slurm may have at work of it."""
        submitit = _submitit()
        executor = submitit.SlurmExecutor(self.folder, max_num_timeout=self.settings.requeues)
        executor.update_parameters(job_name=self.workdir.name, **parameters(self.settings, at_once))
        for run in runs:
            books.forget_failure(run)
        try:
            with submitit.helpers.clean_env():
                jobs = executor.submit_array([self._job(run) for run in runs])
        except (submitit.core.utils.FailedJobError, OSError) as error:
            raise UserError(f"--launcher=slurm: sbatch: {_reason(error)}") from None
        for run, submitted in zip(runs, jobs, strict=True):
            books.note_job(run, submitted.job_id, str(submitted.paths.stdout))
        log.info("submitted %d runs: job %s", len(runs), jobs[0].job_id.partition("_")[0])

    def _job(self, run: Run) -> Job:
        several = self.settings.nodes * self.settings.tasks > 1
        own = command.of(run) + (["--coordinator=auto"] if several else [])
        return Job(own, os.fspath(paths.absolute(run.folder) / books.FAILED), books.mark(run))


def parameters(settings: ConfigDict, at_once: int) -> dict[str, Any]:
    """What submitit's executor is told; at_once: runs of an array."""
    given = {
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "constraint": settings.constraint,
        "gpus_per_node": settings.gpus,
        "cpus_per_task": settings.cpus,
        "mem": f"{settings.memory_gb * 1024:.0f}M" if settings.memory_gb else "",
        # srun no longer takes it over from sbatch
        "srun_args": [f"--cpus-per-task={settings.cpus}"] if settings.cpus else [],
        "setup": [AGAIN, *settings.setup],
        "additional_parameters": dict(map(_directive, settings.directives)),
    }
    return {key: value for key, value in given.items() if value} | {
        "time": settings.minutes,
        "nodes": settings.nodes,
        "ntasks_per_node": settings.tasks,
        "array_parallelism": at_once,
        "signal_delay_s": settings.save_seconds,
        "stderr_to_stdout": True,
    }


def _directive(text: str) -> tuple[str, Any]:
    """("mail-type", "END") of "mail-type=END", ("exclusive", True) of "--exclusive"."""
    name, equals, value = text.removeprefix("#SBATCH").strip().lstrip("-").partition("=")
    if not re.fullmatch(r"[a-z][a-z-]*", name):
        raise UserError(f"sweep.slurm.directives: {text!r} is no option of sbatch: name=value.")
    return name, value if equals else True


def _submitit() -> Any:
    try:
        import cloudpickle
        import submitit
        import submitit.helpers
    except ImportError:
        raise UserError('--launcher=slurm needs submitit: pip install "genlab[slurm]".') from None
    cloudpickle.register_pickle_by_value(job)
    return submitit


def _parts(runs: Sequence[Run], size: int) -> Iterator[Sequence[Run]]:
    for i in range(0, len(runs), size):
        yield runs[i : i + size]


def _largest_array() -> int:
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"), re.M)
    return max(1, int(found[1])) if found else 1


def _states(jobs: Sequence[str]) -> dict[str, str]:
    """{"12_3": "RUNNING"} of the elements of arrays that the scheduler still knows."""
    if not jobs:
        return {}
    form = ("--noheader", "--array", "--states=all", "--format=%i|%T")
    listed = _ask("squeue", *form, f"--jobs={','.join(jobs)}")
    return dict(line.split("|", 1) for line in listed.split() if "|" in line)


def _told(own: str, state: str) -> str:
    if state in WAITING:
        return QUEUED
    return RUNNING if state in GOING else f"job {own}: {state or 'no longer known'}"


def _ask(*words: str) -> str:
    """What a program of Slurm answers. Raises UserError if it does not: runs whose state is not
    known must not be started again."""
    for trial in range(TRIES):
        try:
            asked = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise UserError(f"--launcher=slurm: {words[0]} is not there; no Slurm here?") from None
        if asked.returncode == 0:
            return asked.stdout
        if "Invalid job id" in asked.stderr:  # of one job alone, that has been forgotten
            return ""
        time.sleep(2.0**trial)
    raise UserError(f"--launcher=slurm: {words[0]}: {' '.join(asked.stderr.split())}")


def _reason(error: Exception) -> str:
    """What sbatch said, without submitit's words around it."""
    said = [line for line in str(error).splitlines() if "error:" in line]
    return " ".join((said[-1] if said else str(error)).split())[:300]
