"""The models that come with genlab: their recorded numbers, their files and their page."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shlex
import tomllib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import genlab
from genlab.capabilities import Samples
from genlab.publishing import cards, check
from genlab.workdir import configs, places
from genlab.zoo import entries
from tests.conftest import ROOT, give_back_memory
from tests.helpers import parsed


@pytest.mark.parametrize("name", places.pretrained_names())
def test_a_model_of_the_package_finds_its_recorded_numbers(name):
    """The likelihoods of its bundled images; its samples bit for bit or, by other versions and
    processors, their metric."""
    if entries.read(name).members:  # all of them compiled together: in a process of its own
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(finds_its_numbers, name).result()
    else:
        finds_its_numbers(name)
    give_back_memory()  # what all entries have compiled does not fit into a worker


def finds_its_numbers(name: str) -> None:
    entry, model = entries.read(name), genlab.pretrained(name)
    assert max(check.differences(entry.folder, model).values()) < 1e-3, name
    if isinstance(model.task, Samples):
        images, found = check.sampled(model)
        kept = entry.about["samples"]
        bits = hashlib.sha256(images.tobytes()).hexdigest() == kept["sha256"]
        numbers = [k for k in ("log_prob", "mean_grey") if k in kept]
        near = all(abs(found[k] - kept[k]) <= 0.02 * abs(kept[k]) for k in numbers)
        assert bits or near, name


def test_every_file_of_an_entry_is_in_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["genlab"]
    folder = ROOT / "genlab"
    files = [str(p.relative_to(folder)) for p in (folder / "zoo/models").rglob("*") if p.is_file()]
    files.append("zoo/models/name/weights.safetensors")
    assert all(any(fnmatch.fnmatch(file, pattern) for pattern in patterns) for file in files)


def test_configs_of_entries_are_those_of_today():
    """Else every use of a model would say which defaults it takes.

    `python -m genlab.publishing.cards` brings them up to date.
    """
    for entry in entries.every():
        text = (entry.folder / "config.json").read_text()
        assert text == configs.to_json(configs.read(places.PRETRAINED + entry.name)), entry.name


def test_the_commands_of_an_entry_make_what_is_kept():
    """By today's configs; each starts from nothing, or from a network that an earlier one makes."""
    for entry in entries.every():
        if entry.members:
            continue
        made = {""}
        for command in entry.about["commands"]:
            config = parsed(*shlex.split(command)[2:])
            source, workdir = config.train.init_from, command.partition(" --workdir=")[2]
            assert places.stepped(source)[0] in made, (entry.name, source)
            assert workdir
            made.add(workdir)
        config.train.init_from = ""  # the last one's
        assert configs.to_json(config) == (entry.folder / "config.json").read_text(), entry.name


def test_the_page_is_that_of_the_entries():
    path = ROOT / "docs" / "zoo.md"
    assert path.read_text() == cards.page(ROOT / "docs")
    for entry in entries.every():
        assert str(ROOT.parent) not in json.dumps(entry.about)


@pytest.mark.parametrize("network", ["pixelcnn", "gated_pixelcnn"])
def test_the_variant_deep_is_how_the_entry_was_trained(network):
    entry = entries.read(f"binarized_mnist_{network}")
    config = parsed(
        f"--config={ROOT}/configs/binarized_mnist_{network}.py:deep",
        "--config.train.sample_every=0",
        "--config.train.figures=False",
        "--config.report.writers=()",
    )
    assert configs.to_json(config) == (entry.folder / "config.json").read_text()
