"""The processes of a run meet before JAX joins them: who is missing, who wants another run.

Process 0 listens where JAX's coordinator will; the others send one line of JSON each and wait for
its verdict. JAX itself waits in silence and ends in an abort.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genlab.errors import Preempted, UserError, log
from genlab.hosts.place import Place
from genlab.workdir import runs

EVERY = 30.0  # seconds between two lines about who is missing
Wish = dict[str, Any]  # {key: value} of what all processes must want alike


@dataclass(frozen=True)
class Guest:
    """Another process, waiting for the verdict."""

    line: socket.socket
    process: int
    processes: int
    wish: Wish


def meet(place: Place, wish: Wish, timeout: float) -> str:
    """Returns when all processes are there, with this one's address as the others reach it.

    Raises: UserError for who does not come in `timeout` seconds, and for wishes that differ.
    """
    if place.processes == 1:
        return ""
    return (_host if place.process == 0 else _visit)(place, wish, time.monotonic() + timeout)


def _host(place: Place, wish: Wish, until: float) -> str:
    try:
        server = socket.create_server(("", place.port), backlog=place.processes)
    except OSError as error:
        raise UserError(f"--coordinator: port {place.port}: {error.strerror}.") from None
    guests: dict[int, Guest] = {}
    with server:
        refusal = _receive(server, place, wish, guests, until)
    verdict = json.dumps({"refused": refusal}) + "\n"
    gone = [str(guest.process) for guest in guests.values() if not _told(guest, verdict)]
    address = next(iter(guests.values())).line.getsockname()[0] if guests else ""
    for guest in guests.values():
        guest.line.close()
    if refusal:
        raise UserError(refusal)
    if gone:
        raise Preempted(_left(", ".join(gone)))
    return str(address)


def _told(guest: Guest, verdict: str) -> bool:
    """Whether it was there to hear it."""
    try:
        guest.line.sendall(verdict.encode())
        return True
    except OSError:
        return False


def _left(who: str) -> str:
    return f"process {who} left before the start; the same command goes on: {runs.command()}"


def _receive(
    server: socket.socket, place: Place, wish: Wish, guests: dict[int, Guest], until: float
) -> str:
    """Fills `guests`; why the run cannot start, or ""."""
    told = time.monotonic()
    while len(guests) < place.processes - 1:
        server.settimeout(max(0.01, min(told + EVERY, until) - time.monotonic()))
        try:
            guest = _greet(server.accept()[0])
        except (TimeoutError, OSError, ValueError, KeyError):
            missing = [str(i) for i in range(1, place.processes) if i not in guests]
            there = f"{len(guests) + 1} of {place.processes} processes are there"
            if time.monotonic() >= until:
                return (
                    f"{there}; process {', '.join(missing)} did not come in time (--join_timeout)."
                )
            if time.monotonic() >= told + EVERY:
                told = time.monotonic()
                log.info("%s; waiting for process %s.", there, ", ".join(missing))
            continue
        refusal = _refusal(guest, place, wish, guests)
        guests[guest.process if guest.process not in guests else -1] = guest
        if refusal:
            return refusal
    return ""


def _greet(line: socket.socket) -> Guest:
    line.settimeout(5.0)
    with line.makefile() as file:
        hello = json.loads(file.readline())
    return Guest(line, int(hello["process"]), int(hello["processes"]), dict(hello["wish"]))


def _refusal(guest: Guest, place: Place, wish: Wish, guests: dict[int, Guest]) -> str:
    if guest.processes != place.processes:
        return (
            f"--processes: process 0 says {place.processes}, process {guest.process} says"
            f" {guest.processes}."
        )
    if guest.process in guests or guest.process == 0:
        return f"--process={guest.process} was given twice."
    return difference(wish, guest.wish, guest.process)


def difference(wish: Wish, other: Wish, process: int) -> str:
    """The first thing that process 0 and another want otherwise, in words; "" if none."""
    for key in sorted(wish.keys() | other.keys()):
        if wish.get(key) != other.get(key):
            return (
                f"{key}: process 0 has {wish.get(key)!r}, process {process} has"
                f" {other.get(key)!r}; all processes of a run need the same."
            )
    return ""


def _visit(place: Place, wish: Wish, until: float) -> str:
    line = _call(place, until)
    hello = {"process": place.process, "processes": place.processes, "wish": wish}
    with line:
        address = line.getsockname()[0]
        try:
            verdict = _verdict(line, hello, place, until)
        except (OSError, ValueError):
            verdict = {}
    if "refused" not in verdict:
        raise Preempted(_left(f"0 at {place.coordinator}"))
    if verdict["refused"]:
        raise UserError(verdict["refused"])
    return str(address)


def _verdict(line: socket.socket, hello: Wish, place: Place, until: float) -> dict[str, str]:
    """What process 0 says; {} if it says nothing."""
    with line.makefile("rw") as file:
        file.write(json.dumps(hello) + "\n")
        file.flush()
        waiting = f"process 0 at {place.coordinator} waits"
        answer = _patiently(lambda: _ready(line), until, waiting)
        return dict(json.loads(file.readline() or "{}")) if answer else {}


def _call(place: Place, until: float) -> socket.socket:
    def attempt() -> socket.socket | None:
        try:
            return socket.create_connection((place.coordinator, place.port), timeout=5.0)
        except OSError:
            time.sleep(0.2)
            return None

    where = f"{place.coordinator}:{place.port}"
    line = _patiently(attempt, until, f"waiting for process 0 at {where}")
    if line is None:
        raise UserError(f"--coordinator={where}: process 0 did not come in time (--join_timeout).")
    return line


def _ready(line: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        return bool(selector.select(1.0))


def _patiently(attempt: Callable[[], Any], until: float, waiting: str) -> Any:
    """What an attempt yields at last, or None when time is up; a line every 30 seconds."""
    told = time.monotonic()
    while not (found := attempt()):
        if time.monotonic() >= until + 5.0:  # process 0 is the first to say what is missing
            return None
        if time.monotonic() >= told + EVERY:
            told = time.monotonic()
            log.info("%s.", waiting)
    return found
