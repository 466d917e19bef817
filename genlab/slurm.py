"""What Slurm tells a task, and what a task asks of Slurm."""

from __future__ import annotations

import os
import subprocess

from genlab.errors import UserError


def job() -> str:
    """The id that `scontrol` takes for this job; "" outside Slurm."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def tasks() -> int:
    """Tasks of this step; 1 outside Slurm or in a batch script itself."""
    in_step = os.environ.get("SLURM_STEP_ID", "").isdigit()
    return int(os.environ.get("SLURM_NTASKS", "1")) if in_step else 1


def check_requeue() -> None:
    """Raises UserError where there is no job to requeue."""
    if not job():
        raise UserError("--requeue: this is no Slurm job (SLURM_JOB_ID is not set).")


def requeue() -> None:
    """Puts this job back into the queue. Raises UserError if Slurm does not."""
    try:
        subprocess.run(["scontrol", "requeue", job()], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("--requeue: scontrol is not there.") from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise UserError(f"--requeue: scontrol requeue {job()}: {said}") from None
