"""One writer a workdir: the second is refused by name, a dead one does not hold it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading

import pytest
from etils import epath

from genlab.errors import UserError
from genlab.training import loop
from genlab.workdir import holder, lock
from tests.conftest import ROOT

HOLD = """
import sys, time
from etils import epath
from genlab.workdir import lock
with lock.held(epath.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the workdir."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_writer_is_refused_and_told_who_holds_it(tmp_path, other, config):
    with pytest.raises(UserError, match=rf"process {other.pid} on .* since .*") as caught:
        loop.train(config, str(tmp_path))
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["lock"]  # and nothing was written


def test_a_process_killed_by_9_holds_nothing(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with lock.held(epath.Path(tmp_path)):
        assert holder.read((tmp_path / "lock").read_text()).pid == os.getpid()
    assert not (tmp_path / "lock").exists()


def test_a_process_refuses_itself_too(tmp_path):
    with lock.held(epath.Path(tmp_path)), pytest.raises(UserError, match=f"{os.getpid()}"):
        lock.held(epath.Path(tmp_path)).__enter__()
    with lock.held(epath.Path(tmp_path)):
        pass


def foreign() -> holder.Holder:
    return dataclasses.replace(holder.this_process(), machine="other", host="far", token="x")


def test_a_silent_holder_of_another_machine_is_dead(tmp_path, monkeypatch):
    """Where `flock` does not reach other hosts, the heartbeat decides."""
    monkeypatch.setattr(lock, "STALE", 0.3)
    (tmp_path / "lock").write_text(foreign().text())
    with lock.held(epath.Path(tmp_path)):
        assert holder.read((tmp_path / "lock").read_text()).pid == os.getpid()


def test_a_beating_holder_of_another_machine_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "STALE", 60.0)
    file, done = tmp_path / "lock", threading.Event()
    file.write_text(foreign().text())

    def beat():
        alive = foreign()
        with file.open("rb+", buffering=0) as written:
            while not done.wait(0.02):
                alive = alive.next()
                os.pwrite(written.fileno(), alive.text().encode(), 0)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(UserError, match="on far"):
            lock.held(epath.Path(tmp_path)).__enter__()
    finally:
        done.set()
        thread.join()


def test_beats_grow_and_are_equally_long(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with lock.held(epath.Path(tmp_path)):
        first = (tmp_path / "lock").read_text()
        while (now := (tmp_path / "lock").read_text()) == first:
            pass
    assert len(now) == len(first) and holder.read(now).beat > holder.read(first).beat


def test_who_lost_the_lock_ends(tmp_path):
    """A process that slept while another took over must not go on writing."""
    script = HOLD.replace("lock.held", "setattr(lock, 'BEAT', 0.05) or lock.held")
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    usurper = foreign().text()
    while process.poll() is None:  # a beat under way may write over it once
        (tmp_path / "lock").write_text(usurper)
    told = process.stderr.read()
    assert process.returncode == 1 and "taken over by process" in told and "on far" in told


def test_an_unreadable_lock_of_nobody_does_not_hold(tmp_path):
    (tmp_path / "lock").write_text('{"host": ')
    with lock.held(epath.Path(tmp_path)):
        pass
