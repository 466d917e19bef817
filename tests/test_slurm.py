"""Sweeps on a real Slurm (tests/slurm/up.sh): what is lost on the way, and the numbers at the end.

`make test-cluster` runs it: it takes minutes.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.sweeps import (
    Sweep,
    limit,
    line_of,
    preempt,
    requeued,
    scancel,
    state,
    until,
    with_two_devices,
)

pytestmark = pytest.mark.cluster

SLOW = 1500  # steps of runs that something befalls on their way


@pytest.fixture(autouse=True)
def _nothing_is_left_at_work(tmp_path):
    """When a test has failed."""
    yield
    for path in tmp_path.glob("*/*/job.json"):
        job = json.loads(path.read_text())["job"]
        subprocess.run(["scancel", job], capture_output=True, check=False)


def test_a_sweep_on_slurm_equals_the_local_one_run_for_run(tmp_path):
    """Two at a time in processes of their own, and over two job arrays; a mistake in one run is
    told by both, the rest runs, and neither tries it again unasked."""
    local, slurm = (Sweep("4-200-nowhere", tmp_path / name) for name in ("local", "slurm"))
    ends = [local.end("--config.sweep.parallel=2"), slurm.on_slurm()]
    for ended in ends:
        assert ended.returncode == 1 and "4 of 5 done, 1 failed; mend the cause" in ended.stderr
        (told,) = [x for x in ended.stdout.splitlines() if "init_from=_nowhere  failed" in x]
        assert "/nowhere" in told and "/nowhere" in Path(told.rpartition("log: ")[2]).read_text()
    assert len(slurm.lines()) == 8 and slurm.lines() == local.lines()
    assert (slurm.folder / "table.md").read_text() == (local.folder / "table.md").read_text()
    jobs = slurm.jobs()
    assert len(jobs) == 5 and len({job.partition("_")[0] for job in jobs}) == 2
    again = slurm.on_slurm()
    assert again.returncode == 1 and again.stdout == ends[1].stdout and slurm.jobs() == jobs


def test_what_befalls_runs_is_shown_and_changes_no_number(tmp_path):
    """A killed controller; a cancelled job, a requeue by SIGUSR2, as soon as their runs have saved.
    Then a sweep to the end."""
    local, slurm = (Sweep(f"3-{SLOW}", tmp_path / name) for name in ("local", "slurm"))
    controller = slurm.start("--launcher=slurm")
    until(lambda: len(slurm.jobs()) == 3)
    controller.process.kill()
    first = {seed: slurm.job(seed) for seed in range(3)}
    befall = {0: lambda: scancel(first[0]), 1: lambda: scancel("--signal=USR2", first[1])}
    while befall:
        until(lambda: any(slurm.saved(seed) for seed in befall))
        for seed in [seed for seed in befall if slurm.saved(seed)]:
            befall.pop(seed)()
    until(lambda: all("preempted" in slurm.events(seed) for seed in range(2)))
    until(lambda: requeued(first[1]) and state(first[0]) == "CANCELLED")

    shown = slurm.look()
    assert slurm.job(0) != first[0]  # submitted anew
    assert slurm.job(1) == first[1] and slurm.job(2) == first[2]
    for seed in range(3):
        assert any(word in line_of(shown, seed) for word in ("queued", "running", "done"))
    ended = slurm.on_slurm()
    assert ended.returncode == 0
    for seed in range(2):
        assert slurm.events(seed)[:2] == ["preempted", "resume"]
    assert local.end().returncode == 0
    assert slurm.lines() == local.lines() and len(local.lines()) == 6
    assert ended.stdout.endswith((local.folder / "table.md").read_text())


def test_a_run_that_is_preempted_goes_back_into_the_queue_and_changes_no_number(tmp_path):
    local, slurm = (Sweep(f"1-{SLOW}", tmp_path / name) for name in ("local", "slurm"))
    slurm.look()
    first = slurm.job(0)
    until(lambda: slurm.saved(0))
    preempt()
    until(lambda: slurm.events(0)[:2] == ["preempted", "resume"])
    assert slurm.on_slurm().returncode == 0 and slurm.job(0) == first
    assert local.end().returncode == 0
    assert slurm.lines() == local.lines() and len(local.lines()) == 2


ONCE = """
import pathlib, time
began = pathlib.Path({!r})
if not began.exists():
    began.touch()
    time.sleep(3600)
"""


def test_a_run_that_is_preempted_while_it_starts_goes_back_into_the_queue(tmp_path):
    """Python is still starting, so neither submitit nor the run can see to it."""
    slurm, began = Sweep("1-20", tmp_path / "slurm"), tmp_path / "began"
    (tmp_path / "sitecustomize.py").write_text(ONCE.format(str(began)))
    slurm.look(f"--config.sweep.slurm.setup=('export PYTHONPATH={tmp_path}',)")
    first = slurm.job(0)
    until(began.exists)
    preempt()
    assert slurm.on_slurm().returncode == 0 and slurm.job(0) == first


def test_a_run_past_its_time_limit_saves_and_goes_on(tmp_path):
    """By submitit's requeue; cancelled then, it stays stopped until a sweep is asked for."""
    slurm = Sweep("1-10000000", tmp_path / "slurm")
    limits = ("--config.sweep.slurm.minutes=10", "--config.sweep.slurm.save_seconds=100")
    slurm.look(*limits)
    first = slurm.job(0)
    until(lambda: slurm.saved(0))
    limit(first, 2)
    until(lambda: "timed-out" in slurm.log(0) and requeued(first))
    limit(first, 600)
    until(lambda: slurm.events(0)[:2] == ["preempted", "resume"])
    assert "running" in line_of(slurm.look(*limits), 0) and slurm.job(0) == first
    resumed = slurm.saved(0)
    until(lambda: slurm.saved(0) > resumed)  # before its first step there is nothing to save
    scancel(first)
    until(lambda: slurm.events(0)[-1:] == ["preempted"] and state(first) == "CANCELLED")
    told = line_of(slurm.end("--config.sweep.wait=False").stdout, 0)
    assert "preempted  step " in told and slurm.job(0) == first


def test_a_run_of_two_tasks_equals_one_process_with_two_devices(tmp_path):
    local, slurm = (Sweep("1-200", tmp_path / name) for name in ("local", "slurm"))
    assert slurm.on_slurm("--config.sweep.slurm.tasks=2").returncode == 0
    assert local.end(**with_two_devices()).returncode == 0
    assert slurm.lines() == local.lines() and len(local.lines()) == 2


def test_two_controllers_start_no_run_twice(tmp_path):
    slurm = Sweep("2-200", tmp_path / "slurm")
    both = [slurm.start("--launcher=slurm") for _ in range(2)]
    assert [found.wait() for found in both] == [0, 0]
    assert both[0].stdout == both[1].stdout
    assert [slurm.starts(seed) for seed in range(2)] == [1, 1]
    assert len(list((slurm.folder / "slurm").glob("*_log.out"))) == 2
