"""Launchers: what they start, with what share of a machine, and what its end means."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from genlab.errors import UserError
from genlab.launchers import command, job, local, slurm
from genlab.sweeps import points
from tests.sweeps import experiment


def test_what_slurm_is_told(monkeypatch):
    settings = experiment().sweep.slurm
    settings.update(gpus=2, cpus=8, memory_gb=1.5, partition="gpu", setup=("module load cuda",))
    settings.directives = ("--mail-type=END", "exclusive")
    told = slurm.parameters(settings, 7)
    assert told["array_parallelism"] == 7
    assert told["gpus_per_node"] == 2 and told["srun_args"] == ["--cpus-per-task=8"]
    assert told["mem"] == "1536M" and told["setup"][1:] == ["module load cuda"]
    assert told["additional_parameters"] == {"mail-type": "END", "exclusive": True}
    assert "account" not in told and "qos" not in told
    settings.directives = ("mail type",)
    with pytest.raises(UserError, match="'mail type' is no option of sbatch"):
        slurm.parameters(settings, 1)


def test_a_job_is_the_command_that_was_given_for_one_run_alone(monkeypatch, tmp_path):
    given = ["launch.py", "--mode=sweep", "--launcher", "slurm", "--workdir=x", "--launcher=slurm"]
    monkeypatch.setattr(sys, "argv", given)
    (run,) = points.prepared(experiment(), str(tmp_path), [{"seed": 3}])
    program, *rest = command.of(run)[1:]
    assert Path(program).is_absolute() and rest == [
        *("--mode=sweep", "--workdir=x", "--config.sweep.only=seed=3", "--config.sweep.until=6")
    ]


@pytest.mark.parametrize(
    ("code", "told"),
    [(0, ""), (75, ""), (-9, ""), (137, ""), (-15, ""), (130, ""), (2, "the last"), (1, "the last"),
     (-11, "ended by SIGSEGV"), (139, "ended by SIGSEGV")],
)  # fmt: skip
def test_a_run_that_was_killed_has_not_failed(tmp_path, code, told):
    log = tmp_path / "log.txt"
    log.write_text("first\nlaunch.py: the last\n")
    assert job.verdict(code, str(log)) == told


def test_cores_are_divided_and_gpus_dealt_out(monkeypatch):
    monkeypatch.setattr(local, "_cores", lambda: [0, 1, 2, 3, 4])
    monkeypatch.setattr(local, "_gpus", list)
    assert [share.cores for share in local._shares(2)] == [(0, 2, 4), (1, 3)]
    assert {share.cores for share in local._shares(9)} == {(0,), (1,), (2,), (3,), (4,)}
    monkeypatch.setattr(local, "_gpus", lambda: ["4", "6"])
    names = [share.environment["CUDA_VISIBLE_DEVICES"] for share in local._shares(3)]
    assert names == ["4", "6"]
