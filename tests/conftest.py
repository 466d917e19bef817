"""Set up for every test: the environment, tiny configs, one trained run, and the command line.

Nothing outside the session's own folder decides how a test ends: compiled programs are kept there,
and each is written whole (genlab/compilation_cache.py), so that processes may share them.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import logging
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Networks of tests are tiny: what XLA would gain by optimising them is less than it takes.
QUICK = "--xla_backend_optimization_level=0"

if "GENLAB_TESTS" not in os.environ:  # the first process; xdist's workers and launches inherit it
    SESSION = tempfile.TemporaryDirectory(prefix="genlab-tests-", ignore_cleanup_errors=True)
    os.environ["GENLAB_TESTS"] = SESSION.name
    # Two workers on two cores gain nothing by threads that wait for each other.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()
    # Matplotlib's list of fonts takes seconds to make: it stays where the user has it.
    os.environ.setdefault("MPLCONFIGDIR", str(Path("~/.cache/matplotlib").expanduser()))
    os.environ["XDG_CACHE_HOME"] = SESSION.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)

import jax  # noqa: E402
from ml_collections import ConfigDict  # noqa: E402

from genlab import config as configs  # noqa: E402
from genlab.hosts import compilation_cache  # noqa: E402
from genlab.tasks import autoregressive  # noqa: E402
from tests import launcher  # noqa: E402

compilation_cache.start()

SHARED = ROOT.parent / "shared" / "data"  # real sets, where a checkout has them beside it
MEMORY_LIMIT = 2000  # MB that a worker may have held at its peak
PEAKS = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PEAKS] = {}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Each process that ran tests reports its peak; over the limit the session fails."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # MB
    peaks = session.config.stash[PEAKS]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = peak
    elif not peaks and session.testscollected:
        peaks["this process"] = peak
    if any(peak > MEMORY_LIMIT for peak in peaks.values()) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    peak = getattr(node, "workeroutput", {}).get("peak", 0)
    node.config.stash[PEAKS][node.gateway.id] = peak


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    for name, peak in sorted(config.stash[PEAKS].items()):
        over = f", more than the {MEMORY_LIMIT} MB allowed" if peak > MEMORY_LIMIT else ""
        terminalreporter.write_line(f"peak memory of {name}: {peak} MB{over}", red=bool(over))


@pytest.fixture(scope="module", autouse=True)
def _memory_is_given_back() -> Iterator[None]:
    yield
    give_back_memory()


def give_back_memory() -> None:
    """JAX keeps every program that it traced and compiled, and glibc what was freed: a worker that
    ran all files had grown to 5 GB."""
    for cached in gc.get_objects():  # ours hold programs too
        if isinstance(cached, functools._lru_cache_wrapper) and cached.__module__.startswith(
            ("genlab", "tests")
        ):
            cached.cache_clear()
    jax.clear_caches()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def tiny_config() -> ConfigDict:
    """A PixelCNN small enough to compile in a second, on a few real digits."""
    config = autoregressive.config("masked.PixelCNN", kernel=3)
    configs.complete(config)
    configs.smoke(config)
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
def launch() -> Callable[..., launcher.Launch]:
    """A function of arguments and environment that runs `python launch.py` to its end."""
    return launcher.launch


@pytest.fixture
def heard(caplog):
    """What genlab's log said, as one text."""
    logging.getLogger("genlab").propagate = True
    caplog.set_level(logging.INFO, "genlab")
    return lambda: "\n".join(record.getMessage() for record in caplog.records)
