"""What Slurm tells a task, and what a task asks of Slurm."""

from __future__ import annotations

import os
import re
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
    """Puts this job back into the queue. Raises UserError if Slurm does not.

    Not one that was cancelled or is out of time, which gets SIGTERM too: Slurm has given it up.
    """
    if _state() != "RUNNING":
        return
    try:
        subprocess.run(["scontrol", "requeue", job()], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("--requeue: scontrol is not there.") from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise UserError(f"--requeue: scontrol requeue {job()}: {said}") from None


def _state() -> str:
    words = ["squeue", "--noheader", "--array", "--format=%T", f"--jobs={job()}"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        raise UserError("--requeue: squeue is not there.") from None


def task() -> int:
    """The number of this task in its step."""
    return int(os.environ.get("SLURM_PROCID", "0"))


def coordinator() -> tuple[str, int]:
    """(host, port) for the tasks of this step: its first node, a port that follows from the job."""
    first = re.match(r"([^,\[]+)(?:\[(\d+))?", os.environ["SLURM_STEP_NODELIST"])
    if not first:
        raise UserError(
            f"SLURM_STEP_NODELIST={os.environ['SLURM_STEP_NODELIST']!r}: no node there."
        )
    return first[1] + (first[2] or ""), 61440 + int(os.environ.get("SLURM_JOB_ID", "0")) % 4096


def local_devices() -> list[int] | None:
    """Which of the GPUs that this task sees are its own; None for all of them.

    Tasks of a node that see the same GPUs share them evenly; with --gpus-per-task each sees its
    own.
    """
    given = {"SLURM_GPUS_PER_TASK", "SLURM_TRES_PER_TASK"} & os.environ.keys()
    seen = [x for x in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if x]
    tasks_here = _tasks_here()
    if given or tasks_here < 2 or len(seen) < tasks_here:
        return None
    local, share = int(os.environ.get("SLURM_LOCALID", "0")), len(seen) // tasks_here
    return list(range(local * share, (local + 1) * share))


def _tasks_here() -> int:
    """Tasks of this step on this node, from a list such as "2(x3),1"."""
    counts: list[int] = []
    for count, times in re.findall(
        r"(\d+)(?:\(x(\d+)\))?", os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    ):
        counts += [int(count)] * int(times or 1)
    node = int(os.environ.get("SLURM_NODEID", "0"))
    return counts[node] if node < len(counts) else 1
