"""Whether the other processes are there: a line of our own from each of them to process 0.

JAX's heartbeats go over the connection that all else goes over. After a cut of the network TCP lets
about as much time pass again before it tries once more (RFC 6298, section 5.5), and a heartbeat
that waits for that ends its process. A line of our own is simply opened anew.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
import time

EVERY = 0.5  # seconds between an answer and the next beat
ANSWER = 3.0  # seconds after which a line that does not answer is opened anew
GONE = 5.0  # seconds in which who lives has opened another line, when his was closed
_HELLO = struct.Struct("!16sI")  # what a line begins with: the run's token, a process's number


class Listener:
    """Of process 0: answers the beats of the others, and knows when each was heard.

    Attributes: token: by which lines of this run are told from those of strangers.
    """

    def __init__(self) -> None:
        self.token = secrets.token_bytes(16)
        self._server = socket.create_server(("", 0), backlog=1024)
        self._heard: dict[int, float] = {}  # when a beat came, or the line was closed
        self._lines: dict[int, socket.socket] = {}  # those that are open
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def gone(self, silence: float) -> list[int]:
        """Processes that were not heard for so many seconds, or whose line was closed and that
        opened no other; none that never came."""
        heard, now = list(self._heard.items()), time.monotonic()  # threads change the dict
        bound = {True: silence, False: min(GONE, silence)}
        return sorted(i for i, at in heard if now - at > bound[i in self._lines])

    def _accept(self) -> None:
        while True:
            line, _ = self._server.accept()
            threading.Thread(target=self._hear, args=(line,), daemon=True).start()

    def _hear(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError, struct.error), line:
            token, process = _HELLO.unpack(line.recv(_HELLO.size, socket.MSG_WAITALL))
            if token != self.token:
                return
            self._lines[process] = line
            with contextlib.suppress(OSError):
                self._answer(line, process)
            if self._lines[process] is line:
                del self._lines[process]
                self._heard[process] = time.monotonic()

    def _answer(self, line: socket.socket, process: int) -> None:
        heard = True
        while heard:
            self._heard[process] = time.monotonic()
            line.sendall(b".")
            heard = bool(line.recv(1))


class Beats:
    """Of another process: its beats, and when process 0 last answered one."""

    def __init__(self, host: str, port: int, token: bytes, process: int) -> None:
        self._address, self._hello = (host, port), _HELLO.pack(token, process)
        self._answered: float | None = None
        threading.Thread(target=self._beat, daemon=True).start()

    def silence(self) -> float:
        """Seconds since an answer; 0 before the first."""
        return 0.0 if self._answered is None else time.monotonic() - self._answered

    def _beat(self) -> None:
        with contextlib.ExitStack() as before:  # a line is closed when there is another
            while True:
                with contextlib.suppress(OSError):
                    line = socket.create_connection(self._address, ANSWER)
                    before.close()
                    before.enter_context(line)
                    line.sendall(self._hello)
                    while line.recv(1):
                        self._answered = time.monotonic()
                        time.sleep(EVERY)
                        line.sendall(b".")
                time.sleep(EVERY)
