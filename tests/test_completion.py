"""Configs say only what differs, are completed to whole ones, and old ones still mean the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from genlab import config as configs
from genlab.errors import UserError
from genlab.nn import build
from genlab.sections.fields import fields_of
from genlab.workdir import configs as run_configs
from tests.conftest import ROOT
from tests.helpers import parsed
from tests.test_fields import FAMILIES, whole

FILES = sorted(p.stem for p in (ROOT / "configs").glob("*_*.py") if p.stem[0] != "_")
EXPERIMENTS = sorted(p.stem for p in (ROOT / "experiments").glob("*.py") if p.stem[0] != "_")
ONE_OF_EACH = (
    *("mnist_dae_salt", "mnist_vae", "mnist_gan", "digits_pixelcnn", "cifar10_multiscale"),
    "mnist_classifier",
)
PIXELCNN = f"--config={ROOT}/configs/digits_pixelcnn.py:smoke"
GAN = f"--config={ROOT}/configs/mnist_gan.py:smoke"


def network_sections(config: ConfigDict) -> Iterator[ConfigDict]:
    for section in config.values():
        if isinstance(section, ConfigDict):
            if "name" in section and "." in str(section.name):
                yield section
            yield from network_sections(section)


@pytest.mark.parametrize("name", FILES)
def test_a_config_file_repeats_no_default_of_its_networks(name):
    raw = configs.module(f"{ROOT}/configs/{name}.py").get_config()
    for section in network_sections(raw):
        for key, field in fields_of(build.network_class(section.name, "model")).items():
            if key in section and not isinstance(section[key], ConfigDict):
                assert section[key] != field.default, f"{section.name}.{key} is its default"


@pytest.mark.parametrize("name", FILES)
def test_a_loaded_config_lacks_nothing_and_passes_its_check(name):
    found = configs.load(f"{ROOT}/configs/{name}.py")
    configs.check_values(found)
    again = run_configs.copy(found).unlock()
    assert configs.complete(again) == [] and again.lock() == found


def test_the_config_of_a_run_is_whole(trained):
    written = run_configs.from_json((Path(trained) / "config.json").read_text()).unlock()
    kept = run_configs.copy(written)
    assert configs.complete(written) == [] and written.lock() == kept


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_key_that_an_older_version_did_not_write_gets_its_default(name, tmp_path):
    """Each key in turn is dropped from config.json: all others stay as they are."""
    found = configs.load(f"{ROOT}/configs/{name}.py:smoke")
    keys = configs.flat(found)
    for key in keys:
        section, _, last = key.rpartition(".")
        if (last == "name" and "." in str(keys[key])) or key == "task" or section == "optim.name":
            continue  # says what the config is
        if section.startswith(configs.WATCH):
            continue  # what a limit leaves out stays out
        (tmp_path / "config.json").write_text(run_configs.to_json(found))
        told = json.loads((tmp_path / "config.json").read_text())
        target = told
        for part in section.split(".") if section else ():
            target = target[part]
        del target[last]
        (tmp_path / "config.json").write_text(json.dumps(told))
        read = run_configs.read(str(tmp_path))
        configs.check_values(read)
        after = configs.flat(read)
        extra = {key} if key not in after else set()  # a parameter of an optimizer: Optax's own
        assert after.keys() | extra == keys.keys(), key
        assert {k for k in after if after[k] != keys[k]} <= {key}, key


@pytest.mark.parametrize("family", FAMILIES)
def test_a_config_of_defaults_is_completed_to_itself_from_any_part(family):
    config = whole(family)
    for key in configs.flat(config):
        section, _, last = key.rpartition(".")
        part = run_configs.copy(config).unlock()
        if (last == "name" and "." in str(configs.flat(config)[key])) or key == "task":
            continue
        del configs.at(part, section)[last]
        assert configs.complete(part) == [key] and part == config
    for section in configs.sections(family):
        if section and section not in configs.networks(family) and section != "model":
            part = run_configs.copy(config).unlock()
            parent, _, last = section.rpartition(".")
            del configs.at(part, parent)[last]
            assert configs.complete(part) and part == config


def test_names_of_before_are_read_from_a_workdir(tmp_path):
    told = configs.load(f"{ROOT}/configs/mnist_gan.py").to_dict()
    for player in told["model"]:
        if isinstance(told["model"][player], dict):
            name = told["model"][player]["name"]
            told["model"][player]["name"] = name.replace("gan.", "adversarial.")
    told["eval"]["features"] = "runs/classifier"
    del told["eval"]["classifier"]
    (tmp_path / "config.json").write_text(json.dumps(told))
    for found in (run_configs.read(str(tmp_path)), parsed(f"--workdir={tmp_path}")):
        assert found.model.generator.name == "gan.DenseGenerator"
        assert found.eval.classifier == "runs/classifier" and "features" not in found.eval


def test_names_of_before_are_read_from_the_command_line():
    found = parsed(GAN, "--config.eval.features=runs/c")
    assert found.eval.classifier == "runs/c"
    assert parsed(GAN, "--config.eval.features", "runs/c").eval.classifier == "runs/c"
    name = "--config.model.generator.name=adversarial.ResizeGenerator"
    assert parsed(GAN, name).model.generator.name == "gan.ResizeGenerator"


def test_parameters_of_an_optimizer_and_limits_are_keys():
    assert parsed(PIXELCNN, "--config.optim.name=adam", "--config.optim.b1=0.5").optim.b1 == 0.5
    assert parsed(PIXELCNN, "--config.optim.name=sgd", "--config.optim.momentum=0.5").optim == (
        parsed(PIXELCNN, "--config.optim.momentum=0.5", "--config.optim.name=sgd").optim
    )
    assert parsed(GAN, "--config.optim.generator.b2=0.9").optim.generator.b2 == 0.9
    found = parsed(PIXELCNN, "--config.train.watch.nll.high=90", "--config.train.watch.nll.low=-5")
    assert found.train.watch.nll.to_dict() == {"high": 90.0, "low": -5.0}
    again = run_configs.from_json(run_configs.to_json(found))
    assert again == found


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((PIXELCNN, "--config.optim.b11=0.5"), "config.optim.b11: no such key. Did you mean"),
        ((GAN, "--config.optim.generator.bb2=0.5"), "mean 'optim.generator."),
        ((GAN, "--config.optim.b1=0.5"), "config.optim.b1: no such key. Did you mean 'optim."),
        ((PIXELCNN, "--config.train.watch.nll.hgh=1"), "Did you mean 'train.watch.nll.high'"),
        ((PIXELCNN, "--config.train.watch.nll=1"), "config.train.watch.nll: no such key"),
        ((PIXELCNN, "--config.model.fetures=1"), "Did you mean 'model.features'"),
        ((PIXELCNN, "--config.optim.b1=1.5", "--config.optim.name=adam"), "optim.b1=1.5"),
        ((PIXELCNN, "--config.model.name=gatd.GatedPixelCNN"), "Did you mean 'gated.Gated"),
    ],
)
def test_a_misspelt_key_is_one_line_with_the_nearest(arguments, told):
    with pytest.raises(UserError) as caught:
        parsed(*arguments)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_another_network_brings_its_fields_and_keeps_what_was_said():
    found = parsed(
        f"--config={ROOT}/configs/binarized_mnist_pixelcnn.py:wide",
        "--config.model.name=gated.GatedPixelCNN",
        "--config.model.features=8",
    )
    fields = fields_of(build.network_class("gated.GatedPixelCNN", "model"), ("outputs",))
    assert set(found.model) == {"name", *fields}
    assert found.model.features == 8 and found.model.first_kernel == 21  # as :wide says
    assert found.model.layers == fields["layers"].default


@pytest.mark.parametrize("file", [*(f"configs/{n}" for n in FILES),
                                  *(f"experiments/{n}" for n in EXPERIMENTS)])  # fmt: skip
def test_every_file_has_smoke(file):
    found = configs.load(f"{ROOT}/{file}.py:smoke")
    assert found.data.source == "digits" and found.train.steps <= 6 * found.train.steps_per_call
    configs.check_values(found)


def test_a_users_own_file_has_smoke_without_saying_so(tmp_path):
    own = tmp_path / "mine.py"
    shutil.copy(ROOT / "configs" / "mnist_gan.py", own)
    assert configs.load(f"{own}:smoke").train.steps == 6
    own.write_text(own.read_text().replace("def get_config()", "def get_config(arg='x')"))
    assert configs.load(f"{own}:smoke").train.steps == 6
    assert configs.load(str(own)).train.steps > 6
    own.write_text("")
    with pytest.raises(UserError, match="it has no get_config"):
        configs.load(f"{own}:smoke")
