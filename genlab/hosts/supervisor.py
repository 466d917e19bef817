"""One of several processes, watched by its parent: whatever takes it down is told in one line.

When the coordinator is lost, JAX's C++ prints a wall and aborts the process before Python learns of
it. So each process of several is a child whose parent passes on its words and its signals, and says
what happened.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from genlab.errors import NAME, Preempted, last_words
from genlab.hosts import board, parent, stops
from genlab.workdir import paths, runs

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
# Lines of C++ code's log, and what it adds to some of them.
FROM_CPP = re.compile(
    r"[WEIF]\d{4} \d\d:\d\d:\d\d\.\d+ |Additional GRPC error information|:UNKNOWN:"
)
WALL = re.compile(r"F\d{4} |\*\*\* Check failure|terminate called|Fatal Python error")
COORDINATOR = 0  # the process whose loss aborts the others


@dataclass
class Heard:
    """What a child has said so far.

    gave_up: whether its C++ code has said that it gives up.
    why: whether it has said why it ends.
    """

    gave_up: bool = False
    why: bool = False


def supervise(workdir: str, at_75: Callable[[], None]) -> None:
    """Returns in the child; the parent stays here and exits as the child did.

    Args:
      at_75: called by the parent before it ends with that exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # none is lost between two handlers
    child = os.fork()
    if not child:
        parent.signal_at_its_end(signal.SIGKILL)  # users see the parent: a kill of it kills the run
        os.setpgid(0, 0)  # Ctrl-C comes to it once, through its parent
        os.dup2(theirs, 2)
        os.close(ours)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        return
    os.close(theirs)
    for number in FORWARDED:
        signal.signal(number, lambda number, _: _forward(number, child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    heard = Heard()
    words = threading.Thread(target=pass_on, args=(ours, heard))
    words.start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    words.join(5.0)
    code = _verdict(code, heard, workdir)
    try:
        if code == Preempted.exit_code:
            at_75()
    finally:
        os._exit(code)


def _forward(number: int, child: int) -> None:
    """SIGTERM is JAX's in the child, and answered by the loop alone: elsewhere another takes its
    place, which `stops` answers."""
    if not board.saves() and number in stops.NUMBERS:
        board.note_signal(number)
        number = signal.SIGUSR1
    os.kill(child, number)


def pass_on(file: int, heard: Heard) -> None:
    """Writes what the child says, but not what C++ says when it gives up: of that only what Python
    says amid it."""
    with os.fdopen(file, errors="replace") as words:
        for line in words:
            heard.gave_up |= bool(WALL.match(line))
            if heard.gave_up or FROM_CPP.match(line):
                line = "".join(line.partition(NAME)[1:])
            heard.why |= line.startswith(NAME)
            sys.stderr.write(line)
            sys.stderr.flush()


def _verdict(code: int, heard: Heard, workdir: str) -> int:
    """The exit code for the child's; tells of one that C++ ended, by an abort or by exit code 1."""
    if code != -signal.SIGABRT and not (code == 1 and heard.gave_up):
        return code if code >= 0 else 128 - code
    meant = board.code()
    if meant is not None:  # C++ was torn down after all work was done
        return meant
    if not heard.why:
        last_words(lost([COORDINATOR], workdir))
    return Preempted.exit_code


def lost(processes: list[int], workdir: str) -> str:
    """What is said of lost processes; of one that is not known by its number, for none."""
    names = f"process {', '.join(map(str, processes))}" if processes else "another process"
    try:
        newest = max(paths.checkpoints(workdir), default=None)
    except Exception:  # a store that does not answer now
        newest = None
    kept = "there is no checkpoint" if newest is None else f"the last checkpoint is step {newest}"
    return (
        f"{workdir}: {names} was lost at step {board.step()}; {kept}; the same command"
        f" resumes: {runs.command()}"
    )
