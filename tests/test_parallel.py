"""One global batch gives the same losses on any number of devices and hosts, in both modes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import jax
import numpy as np
import pytest

from genlab import restore
from genlab.errors import UserError
from genlab.evaluate import IMAGE
from genlab.modes import compare
from tests import launcher

pytestmark = pytest.mark.thorough


def start(workdir: Path, mode: str, devices: int, *hosts: str) -> launcher.Launch:
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    return launcher.fork("tests.parallel_run:run", mode, str(workdir), *hosts, environment=flags)


def finish(*runs: launcher.Launch) -> list[str]:
    ends = [run.wait() for run in runs]
    assert ends == [0] * len(runs), "\n".join(run.stderr for run in runs)
    return [run.stdout for run in runs]


def losses(workdir: Path) -> np.ndarray:
    lines = [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["split"] for line in lines].count("train") == 10
    return np.array([line["nll"] for line in lines])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same ten steps, four ways."""
    root = tmp_path_factory.mktemp("parallel")
    finish(start(root / "one", "jit", 1), start(root / "eight", "jit", 8))
    finish(start(root / "pmap", "pmap", 8))
    with socket.socket() as probe:  # a port that is free now; the processes meet there
        probe.bind(("localhost", 0))
        hosts = f"localhost:{probe.getsockname()[1]}", "2"
    printed = finish(*[start(root / "hosts", "jit", 2, *hosts, str(i)) for i in range(2)])
    assert all('{"devices": 4, "processes": 2}' in text for text in printed)
    return root


@pytest.mark.parametrize("other", ["eight", "pmap", "hosts"])
def test_losses_agree_with_one_device(runs, other):
    """Dropout, drawn binarisation and SGD included."""
    np.testing.assert_allclose(losses(runs / other), losses(runs / "one"), rtol=1e-5)


@pytest.mark.parametrize("other", ["eight", "pmap"])
def test_the_value_of_each_image_is_in_the_order_of_the_split(runs, other):
    """Drawn binarisation included; padded rows are left out."""
    one, many = (compare.last_of(str(runs / name)).values for name in ("one", other))
    assert one["nll"].shape == (32,) and len(np.unique(one["nll"])) > 16
    np.testing.assert_allclose(many["nll"], one["nll"], rtol=1e-4)
    np.testing.assert_array_equal(many[IMAGE], one[IMAGE])


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
