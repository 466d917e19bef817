"""One global batch gives the same losses on any number of devices and hosts, in both modes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from genlab import restore
from genlab.errors import UserError
from tests.conftest import ROOT

DEVICES = "XLA_FLAGS"


def start(workdir: Path, mode: str, devices: int, *hosts: str) -> subprocess.Popen:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        DEVICES: f"--xla_force_host_platform_device_count={devices}",
    }
    command = [sys.executable, "tests/parallel_run.py", mode, str(workdir), *hosts]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen) -> list[str]:
    printed = [p.communicate(timeout=300)[0] for p in processes]
    assert [p.returncode for p in processes] == [0] * len(processes), "\n".join(printed)
    return printed


def losses(workdir: Path) -> np.ndarray:
    lines = [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["split"] for line in lines].count("train") == 10
    return np.array([line["nll"] for line in lines])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same ten steps, four ways."""
    root = tmp_path_factory.mktemp("parallel")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        coordinator = f"localhost:{probe.getsockname()[1]}"
    finish(start(root / "one", "jit", 1), start(root / "eight", "jit", 8))
    finish(start(root / "pmap", "pmap", 8))
    printed = finish(*(start(root / "hosts", "jit", 2, coordinator, "2", str(i)) for i in range(2)))
    assert all('{"devices": 4, "processes": 2}' in text for text in printed)
    return root


@pytest.mark.parametrize("other", ["eight", "pmap", "hosts"])
def test_losses_agree_with_one_device(runs, other):
    """Dropout, drawn binarisation and SGD included."""
    np.testing.assert_allclose(losses(runs / other), losses(runs / "one"), rtol=1e-5)


def test_a_checkpoint_of_eight_devices_restores_on_one(runs):
    assert jax.device_count() == 1
    eight, one = restore(str(runs / "eight")), restore(str(runs / "one"))
    for a, b in zip(jax.tree.leaves(eight.state), jax.tree.leaves(one.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_one_device_resumes_on_eight_with_pmap(runs, tmp_path, launch):
    import shutil

    shutil.copytree(runs / "one", tmp_path / "run")
    done = launch(
        f"--workdir={tmp_path / 'run'}",
        "--config.train.steps=12",
        "--config.parallel=pmap",
        XLA_FLAGS="--xla_force_host_platform_device_count=8",
    )
    assert done.returncode == 0, done.stderr
    assert restore(str(tmp_path / "run")).step == 12


def test_a_batch_that_devices_do_not_divide_is_one_line(tmp_path, launch):
    done = launch(
        "--config=configs/digits_pixelcnn.py:smoke",
        f"--workdir={tmp_path}",
        "--config.data.batch_size=12",
        XLA_FLAGS="--xla_force_host_platform_device_count=8",
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("launch.py: data.batch_size=12")


def test_replicas_hold_interleaved_rows():
    from genlab.parallel import Replicas

    class Mesh:
        devices = np.array([jax.devices()[0]] * 3)

    rows = Replicas("jit", Mesh()).rows(np.arange(12).reshape(2, 6))
    assert rows.tolist() == [[[0, 3], [6, 9]], [[1, 4], [7, 10]], [[2, 5], [8, 11]]]
    with pytest.raises(UserError, match="not divisible by the 3 devices"):
        Replicas("jit", Mesh()).rows(np.arange(4).reshape(1, 4))
