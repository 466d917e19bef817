"""Processes of a run that tell each other how they end."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import jax

from genlab.errors import Preempted, UserError, last_words
from genlab.hosts import board, supervisor
from genlab.hosts.pulse import GONE, Beats, Listener

POLL = 1.0  # seconds
A_DAY = 86_400.0  # seconds
GOODBYE = 10.0  # seconds that a process waits at least for the others to know that it ends
# What collectives say when the process at their other end is gone.
PEER_IS_GONE = re.compile(r"(?i)gloo|nccl|connection (reset|closed|refused)|heartbeat|UNAVAILABLE")
FAILED, HEARD, DONE = "genlab/failed", "genlab/heard/", "genlab/done/"
PULSE = "genlab/pulse"  # the port of process 0, and its token
NOTICE = "RECEIVED_PREEMPTION_NOTICE"  # where JAX notes that one of the processes got SIGTERM
_TURNS = itertools.count()  # the same on all processes, which go the same way
T = TypeVar("T")


def client() -> Any:
    """JAX's key-value store of a run; None for a process alone.

    JAX offers no public name for it; Orbax takes it from the same place.
    """
    from jax._src import distributed

    return distributed.global_state.client


def coordinator() -> tuple[str, int]:
    """Where process 0 is reached, as JAX knows it, also where it has found it by itself."""
    from jax._src import distributed

    host, _, port = str(distributed.global_state.coordinator_address).rpartition(":")
    return host.strip("[]"), int(port)


@contextlib.contextmanager
def watched(workdir: str, lost_timeout: float) -> Iterator[None]:
    """Around the work of one process of several: a mistake here ends the others with the same line,
    and the loss of another ends this one with a line and exit code 75."""
    if jax.process_count() == 1:
        yield
        return
    patience = max(GOODBYE, lost_timeout)
    threading.Thread(target=_watch, args=(workdir, patience), daemon=True).start()
    threading.Thread(target=_watch_pulse, args=(workdir, lost_timeout), daemon=True).start()
    try:
        yield
    except Preempted as error:  # all of them stop at one step
        if text := str(error):  # of process 0; before it waits, in which it may be killed
            last_words(text)
        _leave_together(A_DAY, error.exit_code, patience)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _leave_together(lost_timeout, 128 + signal.SIGINT, patience)
        raise
    except UserError as error:
        if is_loss(error):
            _let_watchdog(lost_timeout)
        _fail(str(error), error.exit_code, patience)
    except Exception as error:  # a collective that another has left
        _let_watchdog(lost_timeout)
        if is_loss(error):
            _lost([], workdir)
        raise
    _leave_together(A_DAY, 0, patience)


def is_loss(error: BaseException) -> bool:
    """Whether an error of one of several processes says that another is gone, such as a checkpoint
    that could not be written together."""
    said = f"{error} {error.__cause__ or ''}"
    return jax.process_count() > 1 and PEER_IS_GONE.search(said) is not None


def _let_watchdog(lost_timeout: float) -> None:
    """Waits until it ends this process, if another is lost: a busy machine learns of that late."""
    time.sleep(2 * lost_timeout + GOODBYE)


def _fail(text: str, code: int, patience: float) -> NoReturn:
    """Says it, tells the others, waits until they have heard it, and ends."""
    _say(text, code)
    store = client()
    _tell(store, text, code)
    _gather(store, HEARD, patience, jax.process_count())
    sys.exit(code)


def _tell(store: Any, text: str, code: int) -> None:
    """The others, who end with it."""
    with contextlib.suppress(Exception):  # another has failed before, or the store is gone
        store.key_value_set(FAILED, json.dumps([text, code]))


def _say(text: str, code: int) -> None:
    """Before the others hear: if process 0 then leaves first, C++ aborts this process, but its line
    is out, and the supervisor finds its code."""
    board.finish(code)
    last_words(text)


def _gather(store: Any, place: str, patience: float, count: int) -> None:
    """Returns when so many have come to a place from which each ends by itself: with an exit code
    on its board, whatever C++ does to it. The store lives in process 0, the last to leave."""
    with contextlib.suppress(Exception):
        store.key_value_set(f"{place}{jax.process_index()}", "", allow_overwrite=True)
        until = time.monotonic() + patience
        while len(store.key_value_dir_get(place)) < count:
            if time.monotonic() > until:
                return
            time.sleep(0.1)
        if jax.process_index() == 0:
            time.sleep(POLL)


def _leave_together(timeout: float, code: int, patience: float) -> None:
    """Process 0 may have figures to draw while the others wait, so they wait long: if it is lost,
    the watchdog ends them."""
    with contextlib.suppress(Exception):
        client().wait_at_barrier("genlab/end", int(timeout * 1000))
    board.finish(code)
    _gather(client(), DONE, patience, jax.process_count())


def _watch(workdir: str, patience: float) -> None:
    store, everyone = client(), list(range(jax.process_count()))
    while board.code() is None:
        time.sleep(POLL)
        if failed := _failure(store):
            _end_too(store, *failed, patience)
            return
        try:
            alive = store.get_live_nodes(everyone)
        except Exception:  # the store is lost: C++ ends this process, the supervisor tells
            continue
        gone = [i for i in everyone if i not in alive]
        if gone and board.code() is None:
            _lost(gone, workdir)


def _failure(store: Any) -> tuple[str, int] | None:
    """What another process has told, and its exit code."""
    try:
        text, code = json.loads(store.key_value_try_get(FAILED))
    except Exception:  # no such key: nobody has failed
        return None
    return str(text), int(code)


def _end_too(store: Any, text: str, code: int, patience: float) -> None:
    """Ends this process as another, unless it is just ending so itself."""
    if board.code() is None:
        _say(text, code)
        _gather(store, HEARD, patience, jax.process_count())
        os._exit(code)


def _watch_pulse(workdir: str, lost_timeout: float) -> None:
    """Ends this process when process 0 is silent, and all when another is."""
    silence, store = max(lost_timeout - POLL, GONE), client()
    if jax.process_index():
        port, token = json.loads(_wait_for(store, PULSE))
        host, _ = coordinator()
        beats = Beats(host, port, bytes.fromhex(token), jax.process_index())
        while beats.silence() < silence:
            time.sleep(POLL / 2)
        if board.code() is None:
            _lost([0], workdir)
        return
    listener = Listener()
    store.key_value_set(PULSE, json.dumps([listener.port, listener.token.hex()]))
    while not (gone := listener.gone(silence)):
        time.sleep(POLL / 2)
    if board.code() is None:
        text, code = supervisor.lost(gone, workdir), Preempted.exit_code
        _say(text, code)
        _tell(store, text, code)
        _gather(store, HEARD, GOODBYE, jax.process_count() - len(gone))
        os._exit(code)


def _lost(gone: list[int], workdir: str) -> None:
    last_words(supervisor.lost(gone, workdir))
    os._exit(Preempted.exit_code)


def noticed() -> bool:
    """Whether one of the processes has got SIGTERM, as process 0 knows it: the same on all."""
    return from_first(lambda: is_set(NOTICE))


def is_set(key: str) -> bool:
    """Whether the store has it."""
    try:
        client().key_value_try_get(key)
    except Exception:  # no such key
        return False
    return True


def on_first(act: Callable[[], T]) -> T | None:
    """act() on process 0, while the others wait for it to succeed.

    Raises: on all of them, the UserError that process 0 met.
    """
    found: list[T] = []
    from_first(lambda: found.append(act()))
    return found[0] if found else None


def from_first(act: Callable[[], T]) -> T:
    """What act() returns on process 0, on all of them: a value that JSON can hold.

    Raises: as `on_first`.
    """
    if jax.process_count() == 1:
        return act()
    store, key = client(), f"genlab/first/{next(_TURNS)}"
    if jax.process_index():
        told: T = json.loads(_wait_for(store, key))
        return told
    found = act()
    store.key_value_set(key, json.dumps(found))
    return found


def _wait_for(store: Any, key: str) -> str:
    while True:
        try:
            return str(store.blocking_key_value_get(key, 10_000))
        except Exception as error:  # not there yet; a failure ends this process by its watchdog
            if "DEADLINE" not in str(error):
                raise
