"""What Slurm runs for one run of a sweep: its command, in a process below, watched.

The module is pickled by value, so it imports the standard library alone: a job needs submitit and
the run's command, and takes no memory beside it. submitit tells it by SIGUSR2 that its time is up.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGAIN = 75  # the exit code of a run that was stopped and has saved
STOPPED = (AGAIN, -signal.SIGTERM)  # or was stopped before Python had begun
UNFINISHED = (0, AGAIN, 128 + signal.SIGINT)
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


@dataclass
class Job:
    """Callable and picklable, as submitit wants it.

    Attributes:
      command: of the run.
      failed: where to note a failure that the run did not note itself.
      note: what else that note says.
    """

    command: list[str]
    failed: str
    note: dict[str, str]
    child: int = 0

    def __call__(self) -> None:
        """Runs the command; exits with its code, unless that is 0."""
        log = _log()
        process = subprocess.Popen(self.command, env=os.environ | {"GENLAB_LOG": log})
        self.child = process.pid
        while process.poll() is None:
            time.sleep(0.2)
        code = process.returncode
        if code in STOPPED and _is_first():
            _requeue()
        if (text := verdict(code, log)) and _is_first():
            self._note(text, log)
        if code:
            sys.exit(code if code > 0 else 128 - code)

    def checkpoint(self) -> Any:
        """Lets the run save; then submitit puts this job back into the queue."""
        from submitit.helpers import DelayedSubmission

        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.child, signal.SIGUSR2)
            os.waitid(os.P_PID, self.child, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Job(self.command, self.failed, self.note))

    def _note(self, text: str, log: str) -> None:
        os.environ.setdefault("EPATH_USE_TF", "false")
        path: Any = Path(self.failed)
        if "://" in self.failed:
            from etils import epath

            path = epath.Path(self.failed)
        with contextlib.suppress(FileNotFoundError):
            if json.loads(path.read_text())["config"] == self.note["config"]:
                return  # the run has noted more
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"error": text, "log": log, **self.note}) + "\n")


def verdict(code: int, log: str) -> str:
    """Why a run failed, by the exit code of its process; "" if it has not.

    code: as subprocess has it. A run that was killed has not failed: it is to go on.
    """
    number = -code if code < 0 else code - 128
    if number in CRASHES:
        return f"ended by {signal.Signals(number).name}"
    if code in UNFINISHED or number > 0:
        return ""
    return last_line(log) or f"ended with exit code {code}"


def last_line(log: str) -> str:
    """The last line that a run said."""
    with contextlib.suppress(OSError):
        lines = Path(log).read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("launch.py: ") if lines else ""
    return ""


def _is_first() -> bool:
    return os.environ.get("SLURM_PROCID", "0") == "0"


def _log() -> str:
    from submitit import JobEnvironment

    return str(JobEnvironment().paths.stdout)


def _requeue() -> None:
    """After a signal that submitit passes over, such as a preemption's SIGTERM; not after a cancel
    or an end of time, where Slurm has already given the job up."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    asked = subprocess.run(
        ["squeue", "--noheader", "--array", "--format=%T", f"--jobs={job}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout.strip() == "RUNNING":
        subprocess.run(["scontrol", "requeue", job], check=False)
