"""Exported models: what a reader without genlab computes is what `Model` computes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from etils import epath

from genlab import config as configs
from genlab import parallel
from genlab import task as tasks
from genlab.capabilities import Decodes
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.exporting import artefact, programs, reader
from genlab.model import Model
from genlab.modes import export
from genlab.workdir import configs as run_configs
from tests import helpers
from tests.conftest import ROOT, tiny_config

OFFERED = {
    "autoregressive": {"sample", "complete", "log_prob"},
    "autoencoder": {"sample", "encode", "decode", "reconstruct", "denoise", "score"},
    "classifier": {"classify", "features"},
    "gan": {"sample", "decode", "score"},
    "vae": {"sample", "log_prob", "encode", "decode", "reconstruct", "score"},
}
SHAPE, COUNT = (8, 8, 1), 5
READ = """
import sys
for name in ("genlab", "flax", "safetensors", "ml_collections"):
    sys.modules[name] = None  # an import of it fails
import json, jax, numpy as np
sys.path.insert(0, sys.argv[1])
from reader import load
for folder in sys.argv[1:]:
    manifest, functions = load(folder)
    given = dict(np.load(folder + "/given.npz"))
    asked = manifest["programs"]
    found = {n: f(**{k: x for k, x in given.items() if k in asked[n]["inputs"]})
             for n, f in functions.items()}
    np.savez(folder + "/found.npz", **found)
"""


def autoregressive():
    """Two orders and a class: what a network of pixels is told at all."""
    config = tiny_config().unlock()
    config.autoregressive.update(orders=("identity", "rotate90"), conditional=True)
    return config


def vae():
    return helpers.code_config("mnist_vae", likelihood={"binarisation": "stochastic"})


def gan():
    config = configs.load(f"{ROOT}/configs/mnist_gan.py:smoke").unlock()
    config.model.generator.hidden, config.model.discriminator.hidden = (8,), (8,)
    config.gan.conditional = True
    return config


MADE = {
    "autoregressive": autoregressive,
    "autoencoder": lambda: helpers.code_config("mnist_ae_dense", density={"name": "normal"}),
    "classifier": helpers.classifier_config,
    "gan": gan,
    "vae": vae,
}


def untrained(name: str) -> Model:
    config = MADE[name]()
    config.sample.batch_size = COUNT
    spec = Spec(SHAPE, tuple("0123456789"))
    task = tasks.load(config, spec)
    batch = {"image": np.zeros((1, *SHAPE), np.uint8), "label": np.zeros(1, np.int32)}
    state = parallel.on_one_device(task.init)(jax.random.key(3), batch)
    return Model(config, 0, "raw", task, spec, state, name)


def inputs(model: Model) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (COUNT, *SHAPE), np.uint8)
    size = model.task.code_size() if isinstance(model.task, Decodes) else 1
    return {
        "images": images,
        "known": draw.random(images.shape) < 0.5,
        "labels": np.arange(COUNT),
        "numbers": np.arange(COUNT),
        "codes": draw.normal(size=(COUNT, size)).astype(np.float32),
        "key": np.asarray(jax.random.key_data(jax.random.key(7))),
        "temperature": np.float32(0.9),
    }


def expected(model: Model, name: str, given: dict[str, np.ndarray]) -> np.ndarray:
    key, labels = jax.random.key(7), given["labels"]
    told = {"temperature": given["temperature"], "labels": labels}
    if name == "sample":
        return model.sample(key, COUNT, **told)
    if name == "complete":
        return model.complete(key, given["images"], given["known"], **told)
    if name == "decode":
        return model.decode(given["codes"], labels)
    return model.apply(name, given["images"], labels, key)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> dict[str, tuple[Model, Path]]:
    """Models of all families, exported and read by another process."""
    folder = tmp_path_factory.mktemp("exported")
    found = {name: (untrained(name), folder / name) for name in MADE}
    for model, path in found.values():
        artefact.write(model, epath.Path(path))
        np.savez(path / "given.npz", **inputs(model))
    paths = [str(path) for _, path in found.values()]
    subprocess.run([sys.executable, "-I", "-c", READ, *paths], check=True, timeout=300)
    return found


@pytest.mark.parametrize("name", MADE)
def test_a_reader_without_genlab_computes_what_the_model_does(name, exported):
    model, path = exported[name]
    given, found = inputs(model), np.load(path / "found.npz")
    manifest = json.loads((path / "manifest.json").read_text())
    assert set(found) == set(manifest["programs"]) and OFFERED[name] <= set(found)
    for capability in found:
        wanted = expected(model, capability, given)
        assert found[capability].dtype == wanted.dtype
        np.testing.assert_allclose(found[capability], wanted, rtol=1e-6, atol=1e-6)


def test_a_batch_may_have_any_size(exported):
    """The images of one are the first of more."""
    model, path = exported["autoregressive"]
    _, functions = reader.load(str(path))
    given = inputs(model)
    few = {n: given[n][:2] for n in ("numbers", "labels")}
    drawn = functions["sample"](key=given["key"], temperature=0.9, **few)
    assert np.array_equal(drawn, np.load(path / "found.npz")["sample"][:2])


def test_a_manifest_says_what_was_exported(exported):
    model, path = exported["vae"]
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["platforms"] == ["cpu", "cuda", "tpu"]
    assert manifest["protocol"] == model.task.protocol
    output = manifest["programs"]["log_prob"]["output"]
    assert output == {"shape": ["b"], "dtype": "float32", "is": "nats per image"}
    assert run_configs.from_json(json.dumps(manifest["config"])) == model.config
    sizes = [np.prod(x["shape"]) for x in manifest["weights"].values()]
    assert sum(sizes) == sum(x.size for x in jax.tree.leaves(model.state.params))


def test_one_program_for_all_platforms_is_that_of_a_cpu(monkeypatch):
    """Also where it is exported on a machine with another one."""
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    with parallel.for_every_platform():
        assert parallel.platform() == "cpu"


def test_the_digest_is_that_of_the_checkpoint(tmp_path, capsys):
    """Of a pretrained model it stands in its entry."""
    place = "pretrained:mnist_classifier"
    export.export(run_configs.read(place), place, str(tmp_path / "out"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    entry = json.loads((ROOT / "genlab/zoo/models/mnist_classifier/entry.json").read_text())
    assert manifest["checkpoint"]["sha256"] == entry["sha256"]
    assert "images uint8[b,28,28,1]) -> float32[b,10], probabilities" in capsys.readouterr().out


def test_what_a_model_cannot_do_is_left_out_and_said():
    """A density that was never fitted, and a model of grey values."""
    model = untrained("autoencoder").with_config(
        helpers.code_config("mnist_ae_dense", sample={"method": "mixture"})
    )
    stepped = Model(**{**vars(model), "state": model.state.replace(step=np.int32(9))})
    found, refused = programs.programs(stepped, 2)
    assert "sample" not in [p.name for p in found] and "no density" in refused["sample"]
    grey = tiny_config()
    grey.likelihood.name = "grey_value"
    task = tasks.load(grey, Spec(SHAPE))
    state = tasks.abstract_state(task, Spec(SHAPE))
    _, refused = programs.programs(Model(grey, 0, "raw", task, Spec(SHAPE), state, "grey"), 2)
    assert "has no likelihood" in refused["log_prob"]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("method", "cachd", r"sample.method: no method 'cachd'.*cached"),
        ("temperature", 0.5, r"sample.temperature=0.5: --mode=export does not read it"),
    ],
)
def test_what_cannot_be_exported_is_one_line(key, value, told, tmp_path):
    place = "pretrained:digits_pixelcnn"
    config = run_configs.read(place).copy_and_resolve_references().unlock()
    config.sample[key] = value
    with pytest.raises(UserError, match=told):
        export.export(config, place, str(tmp_path))


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    place = "pretrained:digits_pixelcnn"
    with pytest.raises(UserError, match="cannot be written to"):
        export.export(run_configs.read(place), place, str(tmp_path / "file"))


def test_the_page_shows_the_reader():
    page = (ROOT / "docs" / "export.md").read_text()
    assert Path(reader.__file__).read_text() in page
