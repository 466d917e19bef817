"""The classifier: its contract, its augmentation, its refusals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import config as configs
from genlab import data, restore, task
from genlab.errors import UserError
from genlab.parallel import on_one_device
from genlab.tasks.classifier import task as classifier
from genlab.training import loop as train
from genlab.workdir.runs import counts
from tests.conftest import ROOT
from tests.helpers import classifier_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The workdir of a classifier that has learned something."""
    workdir = str(tmp_path_factory.mktemp("classifier"))
    every = {"steps": 150, "log_every": 50, "eval_every": 150, "checkpoint_every": 150}
    train.train(classifier_config(**every), workdir)
    return workdir


def test_the_config_has_its_stated_size():
    config = configs.load(f"{ROOT}/configs/mnist_classifier.py")
    spec = task.Spec((28, 28, 1), tuple("0123456789"))
    state = task.abstract_state(task.load(config, spec), spec)
    total = counts(state.params, {})["model"]["total"]
    header = (ROOT / "configs" / "mnist_classifier.py").read_text().partition("\n")[0]
    assert f"{total:,} parameters" in header


def test_it_learns_and_its_outputs_agree(run):
    model = restore(run)
    split = data.load(model.config.data).valid.read(np.arange(32))
    p, features = (model.apply(name, split["image"]) for name in ("classify", "features"))
    assert p.shape == (32, 10) and features.shape == (32, 16)
    np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-5)
    accuracy = (p.argmax(1) == split["label"]).mean()
    assert accuracy > 0.6
    last = model.state.params["model"]["last"]
    logits = features @ np.asarray(last["kernel"]) + np.asarray(last["bias"])
    np.testing.assert_allclose(jax.nn.softmax(logits), p, atol=1e-5)
    call = on_one_device(model.task.evaluate)
    scores = call(model.state, split, jax.random.key(0))
    assert float(scores["accuracy"].mean()) == pytest.approx(accuracy)
    nats = -np.log(p[np.arange(32), split["label"]])
    np.testing.assert_allclose(scores["cross_entropy"], nats, rtol=1e-3, atol=1e-5)
    with pytest.raises(UserError, match="classifier has no sample; families that have it: auto"):
        model.sample(jax.random.key(0), 1)


def test_an_image_moves_as_a_whole_by_up_to_the_shift():
    image = np.zeros((9, 9, 1), np.float32)
    image[4, 4] = 1.0
    x = jnp.tile(image, (200, 1, 1, 1))
    moved = on_one_device(lambda x: classifier.shifted(jax.random.key(0), x, 2))(x)
    places = np.argwhere(np.asarray(moved)[..., 0] == 1.0)[:, 1:] - 4
    assert len(places) == 200 and float(moved.sum()) == 200.0
    assert {tuple(p) for p in places.tolist()} == {
        (i, j) for i in range(-2, 3) for j in range(-2, 3)
    }
    assert classifier.shifted(jax.random.key(0), x, 0) is x


def test_a_border_is_repeated():
    x = jnp.full((50, 4, 4, 3), 0.25)
    moved = on_one_device(lambda x: classifier.shifted(jax.random.key(1), x, 2))(x)
    np.testing.assert_array_equal(moved, x)


def test_what_it_cannot_do_is_one_line():
    config = classifier_config()
    with pytest.raises(UserError, match="no labels"):
        task.load(config, task.Spec((8, 8, 1)))
    spec = task.Spec((8, 8, 1), ("a", "b"))
    with config.unlocked():
        config.classifier.shift = 5
    with pytest.raises(UserError, match=r"classifier.shift=5: take 0 \(none\) to 4"):
        task.load(config, spec)
