"""Workdirs are epath paths: what can be served is, the rest is refused before anything is made."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from etils import epath

from genlab.errors import UserError
from genlab.training import loop
from genlab.workdir import lines, paths


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("s3://bucket/run", "s3:// needs s3fs"),
        ("ftp://host/run", "ftp:// is not served"),
        ("hdfs://host/run", "hdfs:// is not served"),
        ("file:///tmp/run", "file:// is not served"),
        ("gs:/bucket/run", "write gs://bucket"),
        ("gs://", "write gs://bucket"),
        ("~nobody-of-that-name/run", "there is no user 'nobody-of-that-name'"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_made(
    tmp_path, monkeypatch, config, text, told
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=told) as caught:
        loop.train(config, text)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert os.fspath(paths.of("~/x")) == f"{tmp_path}/x"
    assert os.fspath(paths.of("a~/x")) == "a~/x" and os.fspath(paths.of("C:x")) == "C:x"


def test_a_run_of_another_folder_is_the_same_run(tmp_path, monkeypatch, config):
    """A relative workdir and `~` name what they name elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config.train.update(steps=2, eval_every=2, checkpoint_every=2)
    loop.train(config, "~/run")
    config.train.steps = 4
    loop.train(config, "run")
    happened = [(x["event"], x["step"]) for x in lines.read_lines(epath.Path("run/events.jsonl"))]
    assert happened == [("trained", 2), ("resume", 2), ("trained", 4)]
    assert not (tmp_path / "~").exists()


def _append_many(path: str, name: int) -> None:
    for i in range(200):
        lines.append(epath.Path(path), {"who": name, "i": i, "text": "x" * 3000})


def test_lines_of_several_processes_never_interleave(tmp_path):
    path, spawn = str(tmp_path / "eval.jsonl"), multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append_many, args=(path, name)) for name in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    for name in range(3):
        assert [line["i"] for line in found if line["who"] == name] == list(range(200))


def test_a_line_that_another_process_is_writing_is_not_taken_for_a_torn_one(tmp_path, monkeypatch):
    """The file is opened while half a line is there; the lock comes when the line is whole."""
    path = epath.Path(tmp_path / "eval.jsonl")
    path.write_text('{"step": 1')

    def wait_for_the_other(file, operation):
        with open(path, "a") as other:
            other.write("}\n")

    monkeypatch.setattr(lines.fcntl, "flock", wait_for_the_other)
    lines.append(path, {"step": 2})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_line_after_a_torn_one_stands_alone(tmp_path):
    path = epath.Path(tmp_path / "eval.jsonl")
    path.write_text('{"step": 1}\n{"step": 2, "nl')
    lines.append(path, {"step": 3})
    assert [line["step"] for line in lines.read_lines(path)] == [1, 3]
