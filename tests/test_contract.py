"""The typed contract: what a family must give, what it can do, and its size without its data."""

from __future__ import annotations

import inspect
import re

import pytest

from genlab import config as configs
from genlab import task
from genlab.capabilities import CAPABILITIES
from genlab.data import splits
from genlab.modes import summary
from genlab.task import OnePlayer, Task
from tests.conftest import ROOT

CONFIGS = sorted(p.stem for p in (ROOT / "configs").glob("*_*.py") if p.stem[0] != "_")
# (trainable, other, total) of all players together, as the sources print them.
COUNTS = {
    "mnist_ae_dense": (222_384, 0, 222_384),
    "mnist_ae_deep": (1_153_712, 0, 1_153_712),
    "mnist_ae_conv": (4_385, 0, 4_385),
    "mnist_dae_conv": (178_001, 0, 178_001),
    "mnist_dae_upsample": (30_689, 0, 30_689),
    "mnist_dae_salt": (178_001, 0, 178_001),
    "mnist_vae": (550_629, 0, 550_629),
    "mnist_vae_small": (134_165, 0, 134_165),
    "binarized_mnist_vae": (425_284, 0, 425_284),
    "mnist_gan": (1_489_936 + 533_505, 3_584, 1_493_520 + 533_505),
    "mnist_gan_dropout": (1_486_352 + 1_460_225, 0, 1_486_352 + 1_460_225),
    "mnist_dcgan": (684_129 + 102_833, 992, 685_121 + 102_833),
    "mnist_dcgan_resize": (4_928_769 + 1_030_913, 1_792 + 768, 4_930_561 + 1_031_681),
}


def documented() -> dict[str, set[str]]:
    """{family: capabilities} of the table "Families" of the README."""
    text = (ROOT / "README.md").read_text().partition("\n## Families\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): set(re.findall(r"`(\w+)`", row[-1])) for row in rows}


@pytest.mark.parametrize("name", task.names())
def test_a_family_gives_what_is_abstract_and_can_do_what_the_readme_says(name):
    family = task.family(name)
    assert issubclass(family, Task) and not inspect.isabstract(family)
    can = {method for method, kind in CAPABILITIES.items() if issubclass(family, kind)}
    said = {"coder": "compress", "mix": "mixture"}  # what users call them
    assert {said.get(method, method) for method in can} == documented()[name]
    for method in can:
        assert inspect.getdoc(getattr(family, method)), f"{name}.{method} says nothing"
    assert family.units and "sections" in vars(family) and "networks" in vars(family)


def test_the_readme_lists_every_family():
    assert set(documented()) == set(task.names())


def test_the_contract_itself_cannot_be_made():
    for incomplete in (Task, OnePlayer):
        with pytest.raises(TypeError, match="abstract"):
            incomplete()


@pytest.fixture
def no_data(monkeypatch):
    def refuse(*_):
        raise AssertionError("the data was read")

    monkeypatch.setattr(splits, "load", refuse)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "digits_pixelcnn"])
def test_a_summary_needs_no_data_where_size_and_channels_are_given(name, no_data, capsys):
    config = configs.load(f"{ROOT}/configs/{name}.py")
    summary.summary(config, "")
    found = capsys.readouterr().out.strip().splitlines()[-1]
    if name in COUNTS:
        trainable, other, total = COUNTS[name]
        wanted = f"all players: trainable {trainable:,}  other {other:,}  total {total:,}"
        assert found == wanted
    else:
        assert re.fullmatch(r"all players: trainable [\d,]+  other [\d,]+  total [\d,]+", found)


def test_the_summary_of_a_gan_tells_its_players_apart(no_data, capsys):
    config = configs.load(f"{ROOT}/configs/celeba_dcgan.py").unlock()
    config.data.image_size = 28
    summary.summary(config, "")
    told = capsys.readouterr().out
    assert "trainable 4,935,171  other 1,792  total 4,936,963" in told
    assert "trainable 1,034,113  other 768  total 1,034,881" in told
