"""A run on gs:// is the run it would have been on a local disk; against an emulator on loopback.

`make test-server` runs it: it needs the extra `gcs` and PyPI's `gcp-storage-emulator`.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.server

STEPS = 30
TRAIN = [
    "--config=configs/digits_pixelcnn.py:smoke",
    f"--config.train.steps={STEPS}",
    "--config.train.log_every=2",
    "--config.train.eval_every=6",
    "--config.train.checkpoint_every=2",
    "--config.optim.schedule=constant",
]
SCRIPT = """
import sys, genlab, jax, numpy as np
model = genlab.restore(sys.argv[1])
np.savez(sys.argv[2], step=model.step, images=model.sample(jax.random.key(7), 4))
assert "tensorflow" not in sys.modules
"""


class Bucket:
    """The emulator's one bucket, read without the libraries under test."""

    def __init__(self, url: str):
        self.url = url
        self.environment = {
            "STORAGE_EMULATOR_HOST": url,
            "TENSORSTORE_GCS_HTTP_URL": url,
            "GOOGLE_CLOUD_PROJECT": "genlab",
            "GOOGLE_APPLICATION_CREDENTIALS": "",
        }

    def names(self, prefix: str = "") -> list[str]:
        query = urllib.parse.urlencode({"prefix": prefix, "maxResults": 100000})
        with urllib.request.urlopen(f"{self.url}/storage/v1/b/runs/o?{query}") as answer:
            return [item["name"] for item in json.load(answer).get("items", [])]

    def read(self, name: str) -> bytes:
        name = urllib.parse.quote(name, safe="")
        with urllib.request.urlopen(f"{self.url}/storage/v1/b/runs/o/{name}?alt=media") as answer:
            return answer.read()

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *args],
            cwd=ROOT,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *args: str) -> str:
        process = self.start(*args)
        told = process.communicate(timeout=600)[0]
        assert process.returncode == 0, told
        return told


@pytest.fixture(scope="module")
def bucket():
    from tests import object_store

    server, url = object_store.start("runs")
    yield Bucket(url)
    server.stop()


@pytest.fixture(scope="module")
def local(tmp_path_factory, bucket) -> Path:
    """The same run, trained, evaluated and sampled on a local disk; nobody disturbs it."""
    workdir = tmp_path_factory.mktemp("local") / "run"
    bucket.run("launch.py", f"--workdir={workdir}", *TRAIN)
    for mode in ("eval", "sample"):
        bucket.run("launch.py", f"--workdir={workdir}", f"--mode={mode}")
    return workdir


@pytest.fixture(scope="module")
def killed(bucket) -> str:
    """A run on the bucket that was killed in its middle."""
    process = bucket.start("launch.py", "--workdir=gs://runs/killed", *TRAIN)
    whole = re.compile(r"killed/checkpoints/\d+/commit_success.txt")
    while not any(map(whole.fullmatch, bucket.names("killed/checkpoints/"))):
        assert process.poll() is None, process.stdout.read()
    process.kill()
    process.wait()
    return "killed"


def test_a_killed_run_resumes_evaluates_and_samples_as_a_local_one(bucket, local, killed, tmp_path):
    lock = json.loads(bucket.read(f"{killed}/lock"))
    assert lock["pid"] > 0, "it was killed while it held the workdir"
    workdir = f"gs://runs/{killed}"
    told = bucket.run("launch.py", f"--workdir={workdir}")
    assert "resuming" in told and f"trained to step {STEPS}" in told
    assert bucket.read(f"{killed}/metrics.jsonl") == (local / "metrics.jsonl").read_bytes()
    for mode in ("eval", "sample"):
        bucket.run("launch.py", f"--workdir={workdir}", f"--mode={mode}")
    assert bucket.read(f"{killed}/eval.jsonl") == (local / "eval.jsonl").read_bytes()
    for file in (local / "samples").glob("*.npz"):
        there = np.load(io.BytesIO(bucket.read(f"{killed}/samples/{file.name}")))
        np.testing.assert_array_equal(there["images"], np.load(file)["images"])
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    bucket.run("-c", SCRIPT, workdir, str(one))
    bucket.run("-c", SCRIPT, str(local), str(other))
    np.testing.assert_array_equal(np.load(one)["images"], np.load(other)["images"])
    assert np.load(one)["step"] == STEPS
    names = {name.removeprefix(f"{killed}/") for name in bucket.names(killed)}
    files = {str(p.relative_to(local)) for p in local.rglob("*") if p.is_file()}
    own = lambda found: {n for n in found if not n.startswith("checkpoints/")}  # noqa: E731
    assert own(names) == own(files)


def test_a_second_writer_is_refused_and_a_bucket_that_is_not_there_too(bucket):
    first = bucket.start("launch.py", "--workdir=gs://runs/pair", *TRAIN)
    while "pair/lock" not in bucket.names("pair"):
        assert first.poll() is None, first.stdout.read()
    second = bucket.start("launch.py", "--workdir=gs://runs/pair", *TRAIN)
    told = second.communicate(timeout=300)[0]
    assert f"process {first.pid} on " in told and "Traceback" not in told, told
    assert second.returncode == 2
    assert first.wait(300) == 0, first.stdout.read()
    nowhere = bucket.start("launch.py", "--workdir=gs://nowhere/run", *TRAIN)
    told = nowhere.communicate(timeout=300)[0]
    assert nowhere.returncode == 2 and "Traceback" not in told and "gs://nowhere/run" in told
