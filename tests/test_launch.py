"""The command line: what it accepts, and one line for everything else."""

from __future__ import annotations

import ctypes
import json
import resource
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genlab import restore
from genlab.training import loop
from tests import launcher

DIGITS = "--config=configs/digits_pixelcnn.py:smoke"

MISTAKES = {
    # arguments -> (exit code, what the line must hold)
    (DIGITS, "--config.optim.lrate=1"): (
        2,
        "config.optim.lrate: no such key. Did you mean 'optim.",
    ),
    (DIGITS, "--config.data.batch=1"): (2, "Did you mean 'data.batch_size'"),
    (DIGITS, "--config.data.batch_size=many"): (2, "config.data.batch_size=many"),
    (DIGITS, "--config.report.writers=perhaps"): (2, "report.writers[0]: 'perhaps' is not"),
    (DIGITS, "--config.model.features=2.5"): (2, "config.model.features=2.5"),
    (DIGITS, "--mode=trian"): (2, "--mode=trian: no such mode. Did you mean 'train'"),
    (DIGITS, "--wrkdir=x"): (2, "wrkdir"),
    (DIGITS, "stray"): (2, "'stray' is not a flag"),
    (DIGITS, "--config.task=autoregresive"): (2, "Did you mean 'autoregressive'"),
    (DIGITS, "--config.model.name=masked.PixelCN"): (2, "Did you mean 'masked.PixelCNN'"),
    (DIGITS, "--config.likelihood.name=bernouli"): (2, "Did you mean 'bernoulli'"),
    (DIGITS, "--config.optim.name=adan2"): (2, "optim.name"),
    (DIGITS, "--config.data.source=digit"): (2, "'digit' is none of"),
    (DIGITS, "--config.data.source=folder:nowhere"): (2, "no folder 'nowhere'"),
    (DIGITS, "--config.sample.count=0"): (2, "sample.count=0: take 1 or more"),
    (DIGITS, "--config.optim.b11=0.5"): (
        2,
        "config.optim.b11: no such key. Did you mean 'optim.b1'",
    ),
    (DIGITS, "--config.train.watch.nll.hihg=1"): (
        2,
        "config.train.watch.nll.hihg: no such key. Did you mean 'train.watch.nll.high'",
    ),
    (DIGITS, "--config.parallel=pmapp"): (2, "Did you mean 'pmap'"),
    ("--config=configs/digits_pixelcn.py",): (2, "Did you mean 'configs/digits_pixelcnn.py'"),
    ("--config=configs/digits_pixelcnn.py:smok",): (2, "Did you mean 'smoke'"),
    ("--mode=eval",): (2, "give --config="),
    ("--workdir=nowhere", "--mode=eval"): (2, "nowhere: no config.json there"),
    (DIGITS, "--workdir=/proc/genlab"): (1, "/proc/genlab"),
    (DIGITS, "--workdir=README.md/run"): (1, "README.md/run: cannot be made"),
}


@pytest.fixture(scope="module")
def answers(launch, tmp_path_factory):
    """Every mistake, made once; two at a time."""

    def make(arguments: tuple[str, ...]):
        own = any(a.startswith("--workdir") for a in arguments) or arguments == ("--mode=eval",)
        workdir = tmp_path_factory.mktemp("mistake") / "run"
        done = launch(*arguments, *([] if own else [f"--workdir={workdir}"]))
        return done, workdir

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(MISTAKES, pool.map(make, MISTAKES), strict=True))


@pytest.mark.parametrize("arguments", MISTAKES, ids=lambda a: " ".join(a)[-40:])
def test_a_mistake_is_one_line_and_an_exit_code(answers, arguments):
    done, workdir = answers[arguments]
    code, told = MISTAKES[arguments]
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert told in line and line.startswith("launch.py: ")
    assert not (workdir / "checkpoints").exists() or not any((workdir / "checkpoints").iterdir())


def fill_the_disk() -> None:
    """The size limit of files stands in for the disk's: writes fail in the middle."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def test_a_disk_that_is_full_is_one_line_and_loses_nothing(trained, tmp_path, launch):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    done = launch(f"--workdir={workdir}", "--config.train.steps=12", first=fill_the_disk)
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("launch.py: ") and "free some space" in line
    assert "Traceback" not in done.stderr
    assert restore(str(workdir)).step == 6


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory) -> Path:
    """A finished run of our own to evaluate and sample from."""
    workdir = tmp_path_factory.mktemp("modes") / "run"
    shutil.copytree(trained, workdir)
    return workdir


def test_eval_prints_and_stamps_the_protocol(run, launch):
    done = launch(f"--workdir={run}", "--mode=eval")
    assert done.returncode == 0, done.stderr
    assert "nats per image" in done.stdout and "bits per dimension" in done.stdout
    (line,) = [json.loads(x) for x in (run / "eval.jsonl").read_text().splitlines()]
    protocol = line["protocol"]
    assert protocol["split"] == "test[:20]" and protocol["images"] == 20
    assert protocol["weights"] == "ema" and protocol["estimate"] == "exact"
    assert line["bits_per_dim"] == pytest.approx(line["nll"] / (64 * np.log(2)))


def test_sample_takes_overrides_and_writes_bytes(run, launch):
    written = (run / "config.json").read_text()
    done = launch(f"--workdir={run}", "--mode=sample", "--config.sample.count=5")
    assert done.returncode == 0, done.stderr
    (file,) = (run / "samples").glob("*.npz")
    images = np.load(file)["images"]
    assert images.shape == (5, 8, 8, 1) and images.dtype == np.uint8
    grid = np.asarray(Image.open(file.with_suffix(".png")))
    assert grid.ndim == 3 and str(file) in done.stdout
    assert (run / "config.json").read_text() == written, "only training writes the config"


@pytest.mark.parametrize("count", ["0", "-3"])
def test_sampling_nothing_is_one_line(run, launch, count):
    done = launch(f"--workdir={run}", "--mode=sample", f"--config.sample.count={count}")
    assert done.returncode == 2
    assert done.stderr.strip() == f"launch.py: sample.count={count}: take 1 or more."


def test_summary_counts_parameters(launch):
    # 24*18+18, 18*9+9, 5*9*9+9, 9*18+18, 18*9+9, 9+1
    done = launch("--config=configs/binarized_mnist_pixelcnn.py:smoke", "--mode=summary")
    assert done.returncode == 0, done.stderr
    assert "all players: trainable 1,396  other 0  total 1,396" in done.stdout


def test_training_a_finished_run_again_says_so(run, launch):
    done = launch(f"--workdir={run}")
    assert done.returncode == 0 and "at step 6 of 6: nothing to train" in done.stdout


@pytest.mark.thorough
def test_benchmark_gives_its_ratios(launch):
    done = launch(DIGITS, "--mode=benchmark", "--config.sample.batch_size=8")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert 0 < found["train_share_of_matrix_peak"] < 1
    assert found["naive_over_cached"] > 1 and found["cached_differing_beyond_rounding"] == 0


def test_a_process_keeps_one_arena_of_memory(tmp_path):
    """Of another, glibc would hand back all that a step frees, and the next would fault it in."""
    ended = launcher.launch(DIGITS, f"--workdir={tmp_path / 'run'}", first=tell_arenas)
    assert ended.returncode == 0, ended.stderr
    assert "arenas: 1\n" in ended.stdout


def tell_arenas() -> None:
    """After a training, the process says how many arenas glibc has made for its threads."""
    train = loop.train_together

    def told(*given: Any) -> None:
        train(*given)
        with tempfile.NamedTemporaryFile() as file:
            c = ctypes.CDLL(None)
            c.fopen.restype = ctypes.c_void_p
            stream = ctypes.c_void_p(c.fopen(file.name.encode(), b"w"))
            c.malloc_info(0, stream)
            c.fclose(stream)
            print(f"arenas: {file.read().decode().count('<heap nr=')}")

    loop.train_together = told
