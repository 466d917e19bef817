"""Lines between processes of a run, by which they know of each other that they live."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest

from genlab.hosts.pulse import Beats, Listener
from tests.sweeps import until

NEVER = 3600.0


@pytest.fixture
def listener():
    return Listener()


def hello(token: bytes, process: int) -> bytes:
    return struct.pack("!16sI", token, process)


def connect(listener: Listener, process: int) -> socket.socket:
    """A line on which nothing but the first beat is sent."""
    line = socket.create_connection(("localhost", listener.port))
    line.sendall(hello(listener.token, process))
    assert line.recv(1) == b"."
    return line


def test_who_beats_is_there_and_who_never_came_is_not_missed(listener):
    beats = Beats("localhost", listener.port, listener.token, 1)
    until(lambda: 0 < beats.silence() < 1)
    assert listener.gone(NEVER) == []


def test_who_is_silent_is_gone_after_the_time_that_is_given_alone(listener):
    with connect(listener, 2):
        until(lambda: listener.gone(0.05) == [2])
        assert listener.gone(NEVER) == []


def test_whose_line_was_closed_is_gone_soon(listener):
    connect(listener, 3).close()
    until(lambda: listener.gone(NEVER) == [3])


def test_another_line_of_the_same_process_takes_the_place_of_the_first(listener):
    first = connect(listener, 4)
    with connect(listener, 4):
        first.close()
        until(lambda: listener.gone(0.05) == [4])
        assert listener.gone(NEVER) == []


@pytest.mark.parametrize(
    "said", [b"", b"GE", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", hello(b"other", 1)]
)
def test_who_is_no_process_of_this_run_is_not_heard_and_not_missed(listener, said):
    line = socket.create_connection(("localhost", listener.port))
    with line, contextlib.suppress(OSError):  # it may be closed before all was sent
        line.sendall(said)
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b""  # unanswered
    assert listener.gone(-1) == []


def test_a_line_that_does_not_answer_is_opened_anew():
    """And nothing is silence before the first answer."""
    with socket.create_server(("", 0)) as server:
        beats = Beats("localhost", server.getsockname()[1], b"t" * 16, 1)
        mute = server.accept()[0]
        assert beats.silence() == 0
        with mute, server.accept()[0] as second:
            assert second.recv(20, socket.MSG_WAITALL) == hello(b"t" * 16, 1)
            second.sendall(b".")
            assert second.recv(1) == b"." and beats.silence() > 0
