"""The gate into a trained model: what scripts hand in is taken as meant, or refused in one line."""

from __future__ import annotations

import functools
import json
import multiprocessing
import pickle
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from genlab import restore, task
from genlab.capabilities import CAPABILITIES
from genlab.errors import UserError
from genlab.model import Model
from genlab.training import loop as train
from genlab.workdir import configs
from tests.conftest import tiny_config
from tests.helpers import classifier_config, code_config
from tests.test_gan import tiny

KEY = jax.random.key(0)
CONFIGS = {
    "autoregressive": tiny_config,
    "vae": lambda: code_config("mnist_vae_small", vae={"conditional": True}),
    "autoencoder": lambda: code_config("mnist_dae_salt"),
    "gan": tiny,
    "classifier": classifier_config,
}
SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory) -> dict[str, str]:
    """A workdir of each family, trained for two steps."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for pictures in ("progress", "finale"):  # they take longer than the rest
            patch.setattr(f"genlab.pictures.run.{pictures}", lambda *_: iter(()))
        for name, make in CONFIGS.items():
            config = make().unlock()
            config.train.update(steps=2, log_every=2, eval_every=2, checkpoint_every=2)
            config.train.best_metric = ""
            config.sample.batch_size = 4
            found[name] = str(tmp_path_factory.mktemp("gate") / name)
            train.train(config, found[name])
    return found


@pytest.fixture(scope="module")
def models(workdirs) -> dict[str, Model]:
    return {name: restore(workdir) for name, workdir in workdirs.items()}


def told_classes(model: Model, count: int) -> dict[str, Any]:
    return {"labels": [0] * count} if model.task.condition else {}


def method_of(model: Model, capability: str) -> Any:
    """The method of a model, with its key where it draws."""
    if capability in ("classify", "features"):
        return functools.partial(model.apply, capability)
    return getattr(model, capability)


OF_IMAGES = ("log_prob", "encode", "reconstruct", "denoise", "score", "classify", "features")
PAIRS = [
    (family, capability)
    for family in CONFIGS
    for capability in OF_IMAGES
    if issubclass(task.family(family), CAPABILITIES[capability])
]


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)


@pytest.mark.parametrize(("family", "capability"), PAIRS)
def test_integers_of_any_type_and_lists_are_the_same_images(models, family, capability):
    model = models[family]
    call = method_of(model, capability)
    wanted = call(images(), **told_classes(model, 3))
    assert len(wanted) == 3 and wanted.dtype in (np.float32, np.uint8)
    for form in (images().astype(np.int64), images().astype(np.uint16), images().tolist()):
        np.testing.assert_array_equal(call(form, **told_classes(model, 3)), wanted)
    empty = call(images(0), **told_classes(model, 0))
    assert empty.shape == (0, *wanted.shape[1:]) and empty.dtype == wanted.dtype


WRONG_IMAGES = {
    "floats": (images() / 255.0, "multiply by 255 and round"),
    "whole floats": (images().astype(np.float32), "multiply by 255 and round"),
    "not a number": (np.full((1, *SHAPE), np.nan), "multiply by 255 and round"),
    "booleans": (images() > 127, "multiply by 255 and round"),
    "negative": (images().astype(np.int32) - 300, "values from"),
    "too large": (images().astype(np.int32) + 300, "values from"),
    "another size": (np.zeros((2, 9, 9, 1), np.uint8), r"u8\[N,8,8,1\] needed"),
    "another channel count": (np.zeros((2, 8, 8, 3), np.uint8), r"u8\[N,8,8,1\] needed"),
    "channels first": (np.zeros((2, 1, 8, 8), np.uint8), r"uint8\[2,1,8,8\] given"),
    "no channels": (np.zeros((2, 8, 8), np.uint8), r"uint8\[2,8,8\] given"),
    "a single image": (images()[0], r"images\[None\]"),
    "text": (["a"], "give one of numbers"),
    "nothing": (None, "give one of numbers"),
    "ragged": ([[1, 2], [3]], "no array"),
}


@pytest.mark.parametrize("wrong", WRONG_IMAGES)
@pytest.mark.parametrize(("family", "capability"), PAIRS)
def test_what_is_no_image_is_one_line(models, family, capability, wrong):
    value, told = WRONG_IMAGES[wrong]
    with pytest.raises(UserError, match=told) as caught:
        method_of(models[family], capability)(value, **told_classes(models[family], 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["vae", "autoencoder", "gan"])
def test_codes_are_finite_numbers_of_the_models_width(models, family):
    model, size = models[family], models[family].task.code_size()
    codes = np.zeros((3, size), np.float32)
    wanted = model.decode(codes, **told_classes(model, 3))
    assert wanted.shape == (3, *SHAPE) and wanted.dtype == np.uint8
    for form in (codes.tolist(), codes.astype(np.float64), codes.astype(int)):
        np.testing.assert_array_equal(model.decode(form, **told_classes(model, 3)), wanted)
    assert model.decode(codes[:0], **told_classes(model, 0)).shape == (0, *SHAPE)
    cases = (codes[:, :-1], codes[0], codes[None], codes + np.nan, codes > 0, [["a"] * size])
    for wrong in (*cases, np.full((3, size), 1e300)):
        with pytest.raises(UserError, match="codes:") as caught:
            model.decode(wrong, **told_classes(model, 3))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["autoregressive", "vae", "autoencoder", "gan"])
def test_a_temperature_is_a_number_above_0_as_a_float32(models, family):
    model = models[family]
    for wrong in (0, 0.0, -1.0, 1e-50, 1e50, float("nan"), float("inf"), "warm", [1.0], None):
        if wrong is not None:
            with pytest.raises(UserError, match="temperature=") as caught:
                model.sample(KEY, 1, temperature=wrong)
            assert "\n" not in str(caught.value)
    assert model.sample(KEY, 1, temperature=np.float64(0.5)).shape == (1, *SHAPE)


@pytest.mark.parametrize("family", ["autoregressive", "vae", "autoencoder", "gan"])
def test_keys_counts_labels_and_methods_that_cannot_be_are_one_line(models, family):
    sample = models[family].sample
    for arguments in ((0, 1), (None, 1), (jax.random.split(KEY, 2), 1), ([1, 2], 1), (KEY, 0),
                      (KEY, -1), (KEY, 1.5), (KEY, True), (KEY, "1"), (KEY, None)):  # fmt: skip
        with pytest.raises(UserError) as caught:
            sample(*arguments)
        assert "\n" not in str(caught.value)
    for named in ({"labels": [0.5]}, {"labels": [0, 1]}, {"labels": [[0]]}, {"labels": ["a"]},
                  {"method": "nave"}):  # fmt: skip
        with pytest.raises(UserError) as caught:
            sample(KEY, 1, **named)
        assert "\n" not in str(caught.value)
    old_style = jax.random.PRNGKey(0)
    np.testing.assert_array_equal(sample(old_style, 1), sample(KEY, 1))


def test_known_pixels_are_booleans_that_broadcast(models):
    model = models["autoregressive"]
    known = np.zeros((3, *SHAPE), bool)
    known[:, :4] = True
    wanted = model.complete(KEY, images(), known)
    np.testing.assert_array_equal(model.complete(KEY, images().tolist(), known[:1]), wanted)
    np.testing.assert_array_equal(wanted[known], images()[known])
    assert model.complete(KEY, images(0), known[:0]).shape == (0, *SHAPE)
    for wrong in (known.astype(np.uint8), known[:2], known[:, :3], None, "all"):
        with pytest.raises(UserError, match="known:") as caught:
            model.complete(KEY, images(), wrong)
        assert "\n" not in str(caught.value)


DTYPES = st.sampled_from([np.uint8, np.int8, np.int32, np.int64, np.uint64, np.float32, bool, "O"])
SIDES = st.sampled_from([(), *([(n,) for n in (0, 1, 8)]), SHAPE, (1, *SHAPE), (0, *SHAPE),
                         (5, *SHAPE), (1, 1, 8, 8), (2, 8, 8), (1, 8, 8, 3), (2, 3)])  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data(), pair=st.sampled_from([*PAIRS, ("vae", "decode"), ("gan", "decode")]))
def test_any_array_gives_an_answer_of_the_right_shape_or_one_line(models, data, pair):
    """No traceback but UserError's, whatever comes."""
    family, capability = pair
    model, dtype, shape = models[family], data.draw(DTYPES), data.draw(SIDES)
    elements = st.none() if dtype == "O" else None
    value = data.draw(arrays.arrays(dtype, shape, elements=elements))
    labels = told_classes(model, len(value) if value.ndim else 1)
    told = ""
    try:
        found = method_of(model, capability)(value, **labels)
    except UserError as error:
        told = str(error)
    assert "\n" not in told
    if told:
        return
    assert value.shape[1:] == (SHAPE if capability != "decode" else (model.task.code_size(),))
    assert len(found) == len(value) and found.dtype in (np.float32, np.uint8)


def test_a_method_that_a_family_lacks_names_those_that_have_it(models):
    for capability in OF_IMAGES:
        for family, model in models.items():
            if not isinstance(model.task, CAPABILITIES[capability]):
                with pytest.raises(UserError, match=f"{family} has no {capability}; families that"):
                    method_of(model, capability)(images())


def sampled(model: Model) -> np.ndarray:
    return model.sample(jax.random.key(0), 2)


def test_a_model_is_pickled_as_its_place_and_works_in_another_process(models):
    model = models["autoregressive"]
    again = pickle.loads(pickle.dumps(model))
    assert (again.step, again.weights, again.config) == (model.step, model.weights, model.config)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(sampled, (model,)), sampled(model))


def test_a_pickled_model_whose_workdir_has_changed_is_refused(workdirs, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(workdirs["gan"], workdir)
    pickled = pickle.dumps(restore(str(workdir)))
    config = json.loads((Path(workdir) / "config.json").read_text())
    shutil.rmtree(workdir / "checkpoints")
    other = configs.from_json(json.dumps(config | {"seed": 7}))
    (workdir / "config.json").unlink()
    train.train(other, str(workdir))
    with pytest.raises(UserError, match="no longer the model that was pickled"):
        pickle.loads(pickled)
    shutil.rmtree(workdir)
    with pytest.raises(UserError, match=r"no config\.json there"):
        pickle.loads(pickled)


@pytest.mark.parametrize("name", ["sample", "coder", "step", "evaluate", "code_size", "__init__"])
def test_what_takes_no_images_is_not_applied_to_images(models, name):
    with pytest.raises(UserError, match=f"'{name}' is no method of images; .*log_prob"):
        models["vae"].apply(name, np.zeros((1, *SHAPE), np.uint8))


def test_a_method_that_the_task_has_not_is_refused(models):
    with pytest.raises(UserError, match="'nonsense' is no method of images"):
        models["vae"].apply("nonsense", np.zeros((1, *SHAPE), np.uint8))
