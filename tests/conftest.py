"""Shared by the tests: tiny configs, one trained run, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # configs/ and genlab/ are run from the checkout
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Networks of tests are tiny: what XLA would gain by optimising them is less than it takes.
QUICK = "--xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()
# Programs that several tests compile, in this process and in others, are compiled once a session.
CACHE = tempfile.TemporaryDirectory(prefix="genlab-tests-", ignore_cleanup_errors=True)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", CACHE.name)  # xdist's workers inherit it
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")

from ml_collections import ConfigDict  # noqa: E402

from genlab.config import smoke  # noqa: E402
from genlab.tasks import autoregressive  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"  # real sets, where a checkout has them beside it


def tiny_config() -> ConfigDict:
    """A PixelCNN small enough to compile in a second, on a few real digits."""
    config = autoregressive.config("masked.PixelCNN", kernel=3)
    smoke(config)
    config.model.update(features=4, layers=1, first_kernel=3, head=4)
    config.likelihood.levels = 4
    config.data.update(train_split="train[:40]", valid_split="train[40:56]", eval_split="test[:20]")
    config.optim.update(ema=0.9, clip_norm=1.0)
    return config


@pytest.fixture
def config() -> ConfigDict:
    return tiny_config()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The workdir of a finished tiny run; read it, do not write to it."""
    from genlab.training import loop as train

    workdir = str(tmp_path_factory.mktemp("trained"))
    train.train(tiny_config(), workdir)
    return workdir


@pytest.fixture(scope="session")
def launch() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function of arguments and environment that runs `python launch.py` to its end."""

    def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "launch.py", *args],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
