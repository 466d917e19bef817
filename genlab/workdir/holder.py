"""Who holds a lock: as written into the lock, and as told to others."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from genlab.workdir import runs

JOBS = ("SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID", "JOB_ID")


@dataclass(frozen=True)
class Holder:
    """Attributes:
    machine: identity of the running kernel, the same for all containers of a machine.
    beat: grows while the holder lives.
    """

    host: str
    machine: str
    pid: int
    job: str
    since: str
    command: str
    token: str
    beat: int = 0

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since} ({self.command})"

    def text(self) -> str:
        """As JSON; equally long at every beat, so that a reader never sees half of it."""
        fields = dataclasses.asdict(self) | {"beat": f"{self.beat:012d}"}
        return json.dumps(fields) + "\n"

    def next(self) -> Holder:
        """One beat later."""
        return dataclasses.replace(self, beat=self.beat + 1)

    def died_here(self) -> bool:
        """Whether it ran under this very system and is gone."""
        return self._is_here() and not self._runs()

    def lives_here(self) -> bool:
        """Whether it runs under this very system."""
        return self._is_here() and self._runs()

    def _is_here(self) -> bool:
        return (self.machine, self.host) == (_machine(), socket.gethostname())

    def _runs(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True


def this_process() -> Holder:
    """The holder that this process would be."""
    return Holder(
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        job=next((os.environ[name] for name in JOBS if name in os.environ), ""),
        since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        command=runs.command(),
        token=uuid.uuid4().hex,
    )


def read(text: str) -> Holder | None:
    """The holder that a lock names; None for an empty or unreadable one."""
    try:
        fields = json.loads(text)
        return Holder(**fields | {"beat": int(fields["beat"])})
    except (ValueError, TypeError, KeyError):
        return None


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()
