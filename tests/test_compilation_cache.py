"""Programs kept on disk: whole or not at all, used again, bounded, and only where asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache as jax_cache

from genlab.hosts import compilation_cache as cache
from tests.conftest import ROOT

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def settings(monkeypatch):
    """JAX as a fresh process has it; afterwards as it was."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    jax_cache.reset_cache()


def compile_anew(scale: float) -> np.ndarray:
    """A program that no other test has, compiled or read from the cache."""
    jax.clear_caches()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # JAX warns of entries that it cannot read or write
        return np.asarray(jax.jit(lambda x: jnp.tanh(x * scale) @ x.T)(jnp.ones((7, 5))))


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*-cache"))


def test_a_program_is_written_once_and_read_again(settings, tmp_path):
    hits = []
    jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))
    cache.start(str(tmp_path / "programs"))
    first = compile_anew(1.5)
    written = {p: p.read_bytes() for p in entries(tmp_path)}
    hits.clear()
    np.testing.assert_array_equal(compile_anew(1.5), first)
    assert written and {p: p.read_bytes() for p in entries(tmp_path)} == written
    assert hits.count("/jax/compilation_cache/cache_hits") >= 1
    assert "/jax/compilation_cache/cache_misses" not in hits
    assert not list(tmp_path.rglob(".partial*"))


@pytest.mark.parametrize("error", [OSError(28, "no space"), KeyboardInterrupt()])
def test_a_write_that_ends_early_leaves_no_entry(tmp_path, monkeypatch, error):
    """KeyboardInterrupt stands in for any end of the process before the last step of a write."""
    path = cache._Folder(f"genlab-programs://{tmp_path}") / "x-cache"

    def fail(*_):
        assert any(p.read_bytes() == b"program" for p in tmp_path.iterdir()), "not yet written"
        raise error

    monkeypatch.setattr(os, "replace", fail)
    if isinstance(error, OSError):
        path.write_bytes(b"program")  # a run goes on without an entry
        assert not list(tmp_path.iterdir())
    else:
        with pytest.raises(KeyboardInterrupt):
            path.write_bytes(b"program")
    assert not path.exists()
    monkeypatch.undo()
    path.write_bytes(b"program")
    assert path.read_bytes() == b"program"


def test_jax_goes_through_the_whole_writes(settings, tmp_path, monkeypatch):
    """A JAX that opened files in another way would bring half-written entries back."""
    cache.start(str(tmp_path))
    written = []
    whole = cache._Entry.write_bytes
    monkeypatch.setattr(
        cache._Entry, "write_bytes", lambda self, data: written.append(self) or whole(self, data)
    )
    compile_anew(2.5)
    assert entries(tmp_path) == sorted(Path(p) for p in written) and written


def test_what_was_used_last_stays_within_the_limit(tmp_path):
    for age in range(10):
        path = tmp_path / "cpu" / f"{age}-cache"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    oldest = tmp_path / "cpu" / "9-cache"
    cache._Folder(f"genlab-programs://{oldest}").read_bytes()  # used now
    abandoned, busy = tmp_path / "cpu" / ".partial-a", tmp_path / "cpu" / ".partial-b"
    for path in (abandoned, busy):
        path.write_bytes(b"half")
    os.utime(abandoned, (1e9, 1e9))
    cache.trim(tmp_path, 350)
    assert [p.name for p in entries(tmp_path)] == ["0-cache", "1-cache", "9-cache"]
    assert busy.exists() and not abandoned.exists()


def test_the_flag_outweighs_the_environment_and_that_the_users_folder(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    places = []
    for choice, variable in (("", ""), ("", "variable"), ("flag", "variable")):
        monkeypatch.setenv(
            "JAX_COMPILATION_CACHE_DIR", str(tmp_path / variable) if variable else ""
        )
        cache.start(str(tmp_path / choice) if choice else "")
        places.append(Path(jax.config.jax_compilation_cache_dir.partition("://")[2]).parent)
    assert places == [tmp_path / "xdg" / "genlab" / "xla", tmp_path / "variable", tmp_path / "flag"]
    cache.start("gs://bucket/programs")
    assert jax.config.jax_compilation_cache_dir == "gs://bucket/programs"
    cache.start("off")
    assert not jax.config.jax_enable_compilation_cache


def test_only_a_folder_of_our_own_is_cut(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 0)
    old = tmp_path / "x-cache"
    old.write_bytes(b"of another program")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    cache.start()
    assert old.exists()
    cache.start(str(tmp_path))
    assert not old.exists()


def test_a_folder_is_told_of_once_and_one_that_cannot_be_is_no_failure(
    settings, tmp_path, monkeypatch
):
    told = []
    monkeypatch.setattr(cache.log, "info", lambda text, *args: told.append(text % args))
    for _ in range(2):
        cache.start(str(tmp_path / "programs"))
    (tmp_path / "file").write_text("")
    cache.start(str(tmp_path / "file" / "programs"))
    assert len(told) == 2
    assert f"are kept in {tmp_path / 'programs'}" in told[0] and "not kept" in told[1]


def test_importing_genlab_sets_nothing():
    code = (
        "import jax; names = [n for n in dir(jax.config) if 'cache' in n];"
        "read = lambda: {n: getattr(jax.config, n) for n in names if n.startswith('jax_')};"
        "before = read(); import genlab; assert before and read() == before"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
