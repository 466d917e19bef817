"""Attributes, such as CelebA's, as what a model is told: from the set to samples."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from genlab import restore
from genlab.data import splits
from genlab.errors import UserError
from genlab.modes.evaluate import evaluate_run, fitting
from genlab.training import loop
from genlab.workdir import configs as kept
from tests.conftest import tiny_config
from tests.helpers import code_config
from tests.test_gan import tiny as tiny_gan

NAMES = ("Bald", "Hat", "Smiling")


def save(path, names):
    """Images whose left, middle and right columns are bright where an attribute is there."""
    there = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(bool)
    images = np.zeros((40, 8, 8, 1), np.uint8)
    for column, place in enumerate((slice(0, 2), slice(3, 5), slice(6, 8))):
        images[:, :, place] += 200 * there[:, column, None, None, None].astype(np.uint8)
    columns = [NAMES.index(name) for name in names]
    np.savez(path, image=images, attributes=there[:, columns], classes=list(names))
    return f"npz:{path}"


def told(config, root):
    """The config, with a model that is told the attributes of those images."""
    config = config.unlock()
    config[config.task].conditional = True
    config.data.update(source=save(root / "a.npz", NAMES), label="attributes", image_size=0)
    config.data.update(train_split="train[:30]", valid_split="train[30:]", eval_split="train")
    config.train.update(steps=2, log_every=2, eval_every=2, checkpoint_every=2, best_metric="")
    return config


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    root = tmp_path_factory.mktemp("attributes")
    config = told(code_config("mnist_vae_small"), root)
    config.train.update(steps=150, log_every=50, eval_every=150, checkpoint_every=150)
    config.optim.update(learning_rate=1e-2)
    loop.train(config, str(root / "run"))
    return root / "run"


def test_an_image_has_the_attributes_that_it_is_drawn_with(workdir):
    model = restore(str(workdir))
    assert model.spec.attributes == NAMES
    wanted = np.array([[True, False, False], [False, True, False], [False, False, True]])
    drawn = model.sample(jax.random.key(0), 30, labels=np.repeat(wanted, 10, 0))
    columns = drawn.reshape(3, 10, 8, 8).astype(float).mean((1, 2))[:, [0, 3, 7]]
    np.testing.assert_array_equal(columns.argmax(1), [0, 1, 2])


@pytest.mark.parametrize("labels", [np.zeros((2, 2), bool), np.zeros(2, int), [[0.5, 1, 0]] * 2])
def test_what_is_no_vector_of_the_attributes_is_refused(workdir, labels):
    with pytest.raises(UserError, match="labels"):
        restore(str(workdir)).sample(jax.random.key(0), 2, labels=labels)


def test_attributes_are_matched_by_name(workdir, tmp_path):
    """In another order, and among others that the model is not told."""
    model, numbers = restore(str(workdir)), {}
    for names in (NAMES, ("Smiling", "Bald", "Hat"), ("Hat", "Smiling")):
        config = model.config.copy_and_resolve_references()
        config.data.source = save(tmp_path / "b.npz", names)
        split = splits.load(config.data).test
        if len(names) < 3:
            with pytest.raises(UserError, match="'Bald', which the images do not say") as caught:
                fitting(split, model)
            assert "\n" not in str(caught.value)
            continue
        found = fitting(split, model)
        numbers[names] = found.read(np.arange(40))["label"]
        assert found.spec.attributes == NAMES
    first, second = numbers.values()
    np.testing.assert_array_equal(first, second)


def test_a_run_told_attributes_is_evaluated_and_goes_on(workdir, tmp_path, capsys):
    config = kept.read(str(workdir))
    evaluate_run(config, str(workdir), str(tmp_path / "out"))
    assert (tmp_path / "out/eval.jsonl").exists()
    config = config.unlock()
    config.train.steps = 152
    loop.train(config, str(workdir))
    assert restore(str(workdir)).step == 152


@pytest.mark.thorough
@pytest.mark.parametrize("make", [tiny_config, tiny_gan])
def test_other_families_are_told_attributes_too(make, tmp_path):
    """Trained to the end, pictures and all; what is drawn depends on what is told."""
    config = told(make(), tmp_path)
    loop.train(config, str(tmp_path / "run"))
    model = restore(str(tmp_path / "run"))
    labels = np.repeat(np.array([[True, True, False], [False, False, True]]), 4, 0)
    keys = jax.random.key(0)
    drawn = [model.sample(keys, 8, labels=x) for x in (labels, labels[::-1])]
    assert not np.array_equal(*drawn)
