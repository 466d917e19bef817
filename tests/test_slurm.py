"""Sweeps on a real Slurm (tests/slurm/up.sh): what is lost on the way, and the numbers at the end.

`make test-cluster` runs it: it takes minutes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import launcher

pytestmark = pytest.mark.cluster

EXPERIMENT = """
from configs import digits_pixelcnn

METRICS = ("nll",)


def get_config():
    config = digits_pixelcnn.get_config()
    config.model.update(features=4, layers=1, first_kernel=3, head=4)
    config.data.update(train_split="train[:40]", valid_split="train[40:56]")
    config.data.update(eval_split="test[:20]", batch_size=8)
    config.train.update(eval_every=0, log_every=20, checkpoint_every=20, tensorboard=False)
    return config


def sweep(add, arg):
    runs, steps, *broken = arg.split("-")
    for seed in range(int(runs)):
        add({"seed": seed, "train.steps": int(steps), "train.init_from": ""})
    for place in broken:
        add({"seed": 0, "train.steps": int(steps), "train.init_from": f"/{place}"})
"""
SLOW = 1500  # steps of runs that something befalls on their way


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "runs.py"
    path.write_text(EXPERIMENT)
    return path


class Sweep:
    """A sweep in its folder; its runs are called by their seeds."""

    def __init__(self, experiment: Path, arg: str, folder: Path):
        self.folder = folder
        self.command = (f"--config={experiment}:{arg}", f"--workdir={folder}", "--mode=sweep")

    def start(self, *more: str, **environment: str) -> launcher.Launch:
        return launcher.start(*self.command, *more, environment=environment)

    def end(self, *more: str, **environment: str) -> launcher.Launch:
        found = self.start(*more, **environment)
        found.wait()
        assert "Traceback" not in found.stderr
        return found

    def on_slurm(self, *more: str) -> launcher.Launch:
        return self.end("--launcher=slurm", *more)

    def look(self, *more: str) -> str:
        """The table as it is now, after which nothing is submitted that was not lost."""
        return self.on_slurm("--config.sweep.wait=False", *more).stdout

    def run(self, seed: int, place: str = "") -> Path:
        (found,) = self.folder.glob(f"seed={seed},*init_from={place}")
        return found

    def job(self, seed: int) -> str:
        return json.loads((self.run(seed) / "job.json").read_text())["job"]

    def log(self, seed: int) -> str:
        return Path(json.loads((self.run(seed) / "job.json").read_text())["log"]).read_text()

    def saved(self, seed: int) -> int:
        steps = (self.run(seed) / "checkpoints").glob("[0-9]*")
        return max((int(p.name) for p in steps if p.name.isdigit()), default=0)

    def events(self, seed: int) -> list[str]:
        path = self.run(seed) / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line)["event"] for line in lines]

    def lines(self) -> dict[str, str]:
        """What all runs measured."""
        return {
            f"{path.parent.name}/{path.name}": path.read_text()
            for name in ("metrics", "eval")
            for path in self.folder.glob(f"*/{name}.jsonl")
        }


def until(holds):
    """Waits; whatever it waits for must come."""
    stop = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < stop
        time.sleep(0.2)


def line_of(shown: str, seed: int) -> str:
    (line,) = [x for x in shown.splitlines() if x.startswith(f"seed={seed},")]
    return line


def scancel(*given: str) -> None:
    subprocess.run(["scancel", *given], check=True)


def test_a_sweep_on_slurm_equals_the_local_one_run_for_run(experiment, tmp_path):
    """Two at a time in processes of their own, and over two job arrays; a mistake in one run is
    told by both, the rest runs, and neither tries it again unasked."""
    arg = "4-200-nowhere"
    local, slurm = (Sweep(experiment, arg, tmp_path / name) for name in ("local", "slurm"))
    ends = [local.end("--config.sweep.parallel=2"), slurm.on_slurm()]
    for ended in ends:
        assert ended.returncode == 1
        assert "4 of 5 done, 1 failed; mend the cause" in ended.stderr
        (told,) = [x for x in ended.stdout.splitlines() if "init_from=_nowhere  failed" in x]
        log = Path(told.rpartition("log: ")[2])
        assert "train.init_from" in told or "/nowhere" in told
        assert "/nowhere" in log.read_text()
    assert len(slurm.lines()) == 8 and slurm.lines() == local.lines()
    assert (slurm.folder / "table.md").read_text() == (local.folder / "table.md").read_text()
    arrays = {json.loads(p.read_text())["job"] for p in slurm.folder.glob("*/job.json")}
    assert len(arrays) == 5 and len({job.partition("_")[0] for job in arrays}) == 2
    again = slurm.on_slurm()
    assert again.returncode == 1 and again.stdout == ends[1].stdout
    assert {json.loads(p.read_text())["job"] for p in slurm.folder.glob("*/job.json")} == arrays


def test_what_befalls_runs_is_shown_and_changes_no_number(experiment, tmp_path):
    """A cancelled job, a requeue by SIGUSR2, a killed controller; then a sweep to the end."""
    local, slurm = (Sweep(experiment, f"3-{SLOW}", tmp_path / n) for n in ("local", "slurm"))
    controller = slurm.start("--launcher=slurm")
    until(lambda: slurm.folder.exists() and len(list(slurm.folder.glob("*/job.json"))) == 3)
    controller.process.kill()
    first = {seed: slurm.job(seed) for seed in range(3)}
    until(lambda: all(slurm.saved(seed) for seed in range(3)))

    scancel("--signal=USR2", slurm.job(1))
    until(lambda: "Requeued job" in slurm.log(1))
    assert slurm.events(1)[0] == "preempted"
    scancel(slurm.job(0))
    until(lambda: "preempted" in slurm.events(0))
    until(lambda: not (slurm.run(0) / "run.lock").exists())

    shown = slurm.look()
    assert slurm.job(0) != first[0]  # submitted anew
    assert slurm.job(1) == first[1] and slurm.job(2) == first[2]
    for seed in range(3):
        assert any(word in line_of(shown, seed) for word in ("queued", "running", "done"))
    ended = slurm.on_slurm()
    assert ended.returncode == 0
    assert slurm.events(1)[:2] == ["preempted", "resume"]
    assert local.end().returncode == 0
    assert slurm.lines() == local.lines() and len(local.lines()) == 6
    assert ended.stdout == (local.folder / "table.md").read_text()


def test_a_run_past_its_time_limit_saves_and_goes_on(experiment, tmp_path):
    slurm = Sweep(experiment, "1-10000000", tmp_path / "slurm")
    limits = ("--config.sweep.slurm.minutes=1", "--config.sweep.slurm.save_seconds=30")
    assert "seed=0" in slurm.look(*limits)
    until(lambda: "timed-out" in slurm.log(0) and "Requeued job" in slurm.log(0))
    until(lambda: slurm.events(0)[:2] == ["preempted", "resume"])
    assert "running" in line_of(slurm.look(*limits), 0)
    first = slurm.job(0)
    scancel(first)
    until(lambda: slurm.events(0)[2:] == ["preempted"])
    until(lambda: not (slurm.run(0) / "run.lock").exists())
    assert slurm.job(0) == first
    last = slurm.start("--launcher=local", "--config.sweep.wait=False")
    assert last.wait() == 75 and "preempted  step " in last.stdout


def test_a_run_of_two_tasks_equals_one_process_with_two_devices(experiment, tmp_path):
    local, slurm = (Sweep(experiment, "1-200", tmp_path / n) for n in ("local", "slurm"))
    assert slurm.on_slurm("--config.sweep.slurm.tasks=2").returncode == 0
    two = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    assert local.end(XLA_FLAGS=two).returncode == 0
    assert slurm.lines() == local.lines() and len(local.lines()) == 2


def test_two_controllers_start_no_run_twice(experiment, tmp_path):
    slurm = Sweep(experiment, "2-200", tmp_path / "slurm")
    both = [slurm.start("--launcher=slurm") for _ in range(2)]
    assert [found.wait() for found in both] == [0, 0]
    assert both[0].stdout == both[1].stdout
    for seed in range(2):
        assert len((slurm.run(seed) / "runs.jsonl").read_text().splitlines()) == 1
    assert len(list((slurm.folder / "slurm").glob("*_log.out"))) == 2


def test_a_local_controller_that_is_stopped_stops_its_runs(experiment, tmp_path):
    """SIGTERM: all save, exit code 75. SIGKILL: nothing is left at work. Then it goes on."""
    local = Sweep(experiment, f"2-{SLOW}", tmp_path / "local")
    for number, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -signal.SIGKILL)):
        controller = local.start("--config.sweep.parallel=2")
        until(lambda: local.folder.exists() and len(list(local.folder.glob("*/run.lock"))) == 2)
        until(lambda: all(local.saved(seed) for seed in range(2)))
        os.kill(controller.process.pid, number)
        assert controller.wait() == code
        until(lambda: not list(local.folder.glob("*/run.lock")))
    shown = local.end("--config.sweep.wait=False")
    assert shown.returncode == 75 and "2 preempted" in shown.stdout
    assert local.end("--config.sweep.parallel=2").returncode == 0
    undisturbed = Sweep(experiment, f"2-{SLOW}", tmp_path / "undisturbed")
    assert undisturbed.end().returncode == 0
    assert undisturbed.lines() == local.lines()
