"""Which process of how many this is, and where they meet."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from genlab.errors import UserError
from genlab.hosts import slurm

TPU_POD = ("TPU_WORKER_HOSTNAMES", "MEGASCALE_COORDINATOR_ADDRESS", "CLOUD_TPU_TASK_ID")


@dataclass(frozen=True)
class Place:
    """One process of several.

    Attributes:
      coordinator: host of process 0; "" on a TPU pod, where JAX finds all by itself.
      port: where process 0 listens.
    """

    coordinator: str
    port: int
    processes: int
    process: int


def place(coordinator: str, processes: int | None, process: int | None) -> Place | None:
    """What the flags mean; None for a process alone.

    Raises: UserError for flags that contradict each other or say too little.
    """
    if not coordinator:
        _check_alone(processes, process)
        return None
    if coordinator == "auto":
        return _found(processes, process)
    host, port = _address(coordinator)
    if processes is None or process is None:
        raise UserError("--coordinator=host:port needs --processes and --process.")
    if processes < 1 or not 0 <= process < processes:
        raise UserError(
            f"--process={process} --processes={processes}: processes are counted from 0; take 0 to"
            f" {max(processes, 1) - 1}."
        )
    return Place(host, port, processes, process)


def _check_alone(processes: int | None, process: int | None) -> None:
    if (processes or 1) > 1 or (process or 0) > 0:
        raise UserError("--processes and --process need --coordinator=host:port.")
    if slurm.tasks() > 1:
        raise UserError(
            f"Slurm started {slurm.tasks()} tasks, and each would train alone; give"
            " --coordinator=auto to train together, or ask for one task (srun -n 1)."
        )


def _found(processes: int | None, process: int | None) -> Place:
    if processes is not None or process is not None:
        raise UserError("--coordinator=auto finds --processes and --process by itself; drop them.")
    if slurm.tasks() > 1 or os.environ.get("SLURM_STEP_NODELIST"):
        return Place(*slurm.coordinator(), slurm.tasks(), slurm.task())
    if any(name in os.environ for name in TPU_POD):
        return Place("", 0, 0, 0)
    raise UserError(
        "--coordinator=auto: neither a Slurm step (srun) nor a TPU pod; give"
        " --coordinator=host:port --processes=N --process=I."
    )


def _address(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"\[?([^\s/]+?)\]?:(\d{1,5})", text)
    if not found or not 0 < int(found[2]) < 65536:
        raise UserError(f"--coordinator={text}: give host:port, such as {_host(text)}:1234.")
    return found[1], int(found[2])


def _host(text: str) -> str:
    return re.split(r"[:/]", text)[0] or "host"
