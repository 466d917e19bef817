"""Autoencoders: what a run leaves, its densities, its reference, its capabilities."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from genlab import restore
from genlab.errors import UserError
from genlab.modes import evaluate as modes
from genlab.training import loop as train
from tests.helpers import code_config


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The workdir of an autoencoder trained on clean images, a progress sheet every other step."""
    workdir = str(tmp_path_factory.mktemp("clean"))
    config = code_config("mnist_ae_dense")
    config.train.update(eval_every=6, checkpoint_every=3, sample_every=2)
    train.train(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory):
    workdir = str(tmp_path_factory.mktemp("denoiser"))
    config = code_config("mnist_dae_salt")
    train.train(config, workdir)
    return workdir


def test_a_run_leaves_its_figures_and_an_animation_of_its_sheets(clean):
    found = {p.name for p in (Path(clean) / "figures").iterdir()}
    names = ["reconstructions", "latent_map", "interpolations", "traversals", "densities", "loss"]
    assert found == {f"{name}.png" for name in names} | {"progress.gif"}
    sheets = sorted(p.name for p in (Path(clean) / "samples").iterdir())
    assert sheets == [f"step_{step:08d}.png" for step in (2, 4, 6)]
    with Image.open(Path(clean) / "figures" / "progress.gif") as film:
        assert film.n_frames == 3
        assert film.size == Image.open(Path(clean) / "samples" / sheets[0]).size


def test_the_three_densities_draw_different_images_and_only_when_fitted(clean):
    model, key = restore(clean), jax.random.key(0)
    drawn = [model.sample(key, 4, method=m) for m in ("normal", "gaussian", "mixture")]
    assert not np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[1], drawn[2])
    np.testing.assert_array_equal(drawn[2], model.sample(key, 4))  # the config's density
    np.testing.assert_array_equal(drawn[0][:2], model.sample(key, 2, method="normal"))
    with pytest.raises(UserError, match=r"sample.method: no method 'gausian'. Did you mean"):
        model.sample(key, 4, method="gausian")
    early = model.state.replace(step=model.state.step - 1)
    with pytest.raises(UserError, match="no density is fitted"):
        model.task.check_sample(early, "auto")
    model.task.check_sample(early, "normal")


def test_capabilities_have_their_shapes_and_agree(clean):
    model = restore(clean)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    codes = model.encode(images)
    assert codes.shape == (5, 3) and codes.dtype == np.float32
    again = model.decode(codes)
    assert again.dtype == np.uint8 and again.shape == images.shape
    np.testing.assert_array_equal(again, model.reconstruct(images))
    np.testing.assert_array_equal(again, model.denoise(images))
    wanted = ((again / 255.0 - images / 255.0) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(model.score(images), wanted, atol=2e-3)
    with pytest.raises(UserError, match="autoencoder has no log_prob; families that have it: auto"):
        model.log_prob(images)


def test_a_denoiser_is_measured_against_its_input_and_a_reference(denoiser, clean):
    config = restore(denoiser).config.unlock()
    config.eval.reference = clean
    modes.evaluate_run(config, denoiser)
    (line,) = [json.loads(x) for x in (Path(denoiser) / "eval.jsonl").read_text().splitlines()]
    for name in ("mse", "bce", "psnr", "ssim"):
        for prefix in ("", "denoised_", "corrupted_", "reference_"):
            assert np.isfinite(line[f"{prefix}{name}"])
    assert line["denoising_gain"] == pytest.approx(line["corrupted_mse"] / line["denoised_mse"])
    assert line["protocol"]["corruption"] == "salt share 0.3"
    assert all(line[f"{name}_distance"] > 0 for name in ("normal", "gaussian", "mixture"))
    assert (Path(denoiser) / "figures" / "denoising.png").exists()
    model = restore(denoiser)
    x = np.zeros((1, 8, 8, 1), np.uint8)
    again = [model.apply("corrupt", x, key=jax.random.key(i)) for i in (0, 0, 1)]
    np.testing.assert_array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])


def test_a_reference_that_does_not_fit_is_one_line(denoiser, clean, trained):
    config = restore(denoiser).config.unlock()
    for reference, told in ((trained, "a autoregressive for"), ("nowhere", "no config.json there")):
        config.eval.reference = reference
        with pytest.raises(UserError, match=told) as caught:
            modes.evaluate_run(config, denoiser)
        assert "\n" not in str(caught.value)
    config = restore(clean).config.unlock()
    config.eval.reference = denoiser
    with pytest.raises(UserError, match="is no denoiser"):
        modes.evaluate_run(config, clean)


@pytest.mark.parametrize(
    ("section", "changes", "told"),
    [
        ("corruption", {"name": "peper"}, "corruption.name: 'peper' is not known"),
        ("corruption", {"share": 1.5}, "corruption.share=1.5"),
        ("corruption", {"deviation": -1.0}, "corruption.deviation=-1.0"),
        ("density", {"name": "mixtur"}, "Did you mean 'mixture'"),
        ("density", {"components": 0}, "density.components=0"),
        ("model", {"activation": "rel"}, "model.activation: 'rel' is not known. Did you mean"),
        ("model", {"hidden": 3}, "model.hidden: 3 is not tuple"),
    ],
)
def test_a_section_that_cannot_be_is_one_line(tmp_path, section, changes, told):
    config = code_config("mnist_ae_dense").unlock()
    del config.model["hidden"]
    config.model.hidden = (8,)
    config[section] = type(config)({**config[section].to_dict(), **changes})
    with pytest.raises(UserError) as caught:
        train.train(config, str(tmp_path))
    assert told in str(caught.value) and "\n" not in str(caught.value)
