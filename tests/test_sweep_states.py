"""Where a run of a sweep stands, by what its folder holds."""

from __future__ import annotations

import calendar
import dataclasses
import os

import pytest

from genlab.sweeps import books, points, states
from genlab.workdir import holder, lock
from genlab.workdir import lines as json_lines
from tests.sweeps import experiment


@pytest.fixture
def halfway(tmp_path):
    """A run that began, and was at step 2 of 6 after 40 seconds."""
    (run,) = points.prepared(experiment(), str(tmp_path), [{"seed": 3}])
    run.folder.mkdir()
    (run.folder / "config.json").write_text("{}")
    start = {"time": "2026-01-01T00:00:00Z"}
    json_lines.append(run.folder / "runs.jsonl", start)
    json_lines.append(run.folder / "metrics.jsonl", {"step": 2, "split": "train", "nll": 5.0})
    began = calendar.timegm((2026, 1, 1, 0, 0, 0))
    os.utime(run.folder / "metrics.jsonl", (began + 40, began + 40))
    return run


def standing(run, seen=""):
    (found,) = states.standings([run], {run.name: seen} if seen else {})
    return found.state, found.told


def test_where_a_run_stands_follows_from_its_folder_and_the_queue(halfway):
    run = halfway
    assert standing(run) == ("lost", "step 2 of 6")
    assert standing(run, "job 7_1: TIMEOUT") == ("lost", "step 2 of 6, job 7_1: TIMEOUT")
    assert standing(run, states.QUEUED) == ("queued", "goes on from step 2")
    with lock.held(run.folder):
        state, told = standing(run, states.QUEUED)
    assert state == "running" and told.startswith("step 2 of 6, 80 s left, process ")
    json_lines.append(run.folder / "events.jsonl", {"event": "preempted", "step": 2})
    assert standing(run) == ("preempted", "step 2 of 6")
    books.note_failure(run, "no such set", "/logs/7_1")
    assert standing(run, states.RUNNING) == ("failed", "no such set; log: /logs/7_1")
    json_lines.append(run.folder / "eval.jsonl", {"step": 6, "nll": 4.0})
    assert standing(run)[0] == "done"
    assert not states.standings([run], {})[0].startable


def test_a_holder_that_died_holds_nothing(halfway):
    """A process of this machine that is gone, and one elsewhere without a beat."""
    me = holder.this_process()
    path = halfway.folder / "run.lock"
    for other, held in (
        (me, True),
        (dataclasses.replace(me, pid=2**22 + 1), False),
        (dataclasses.replace(me, machine="elsewhere"), True),
    ):
        path.write_text(other.text())
        assert (lock.holder(halfway.folder, "run.lock") is not None) == held
    os.utime(path, (0, 0))
    assert lock.holder(halfway.folder, "run.lock") is None
