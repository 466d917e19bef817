"""Laws of mixtures of models: normalised, sampled as one network, stamped, or refused."""

from __future__ import annotations

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import genlab
from genlab import config as configs
from genlab.errors import UserError
from genlab.modes import evaluate
from genlab.tasks.autoregressive import mixing
from genlab.training import loop as train
from genlab.workdir import places
from tests.conftest import tiny_config
from tests.test_orders import drawn_alike, every_image, made, measured

pytestmark = pytest.mark.thorough

PAIRS = {
    "one_colour": [
        ("masked.PixelCNN", "bernoulli", (3, 3, 1)),
        ("recurrent.DiagonalBiLSTM", "categorical", (3, 3, 1)),
    ],
    "colours_in_groups_and_coupled_by_the_likelihood": [
        ("gated.GatedPixelCNN", "categorical", (2, 2, 3)),
        ("recurrent.RowLSTM", "logistic_mixture", (2, 2, 3)),
    ],
    "scales": [
        ("multiscale.MultiScale", "bernoulli", (3, 3, 1)),
        ("multiscale.MultiScale", "categorical", (3, 3, 1)),
    ],
}


def mixed(name: str, orders=("identity",), classes: int = 0, levels: int = 2):
    members = {}
    for place, (network, likelihood, shape) in enumerate(PAIRS[name]):
        task, state = made(network, likelihood, shape, orders, classes, levels)
        shaken = jax.tree.map(lambda x, place=place: x * (1.0 + 0.7 * place), state.params)
        members[f"m{place}"] = (task, state.replace(params=shaken))
    return members, *mixing.mix(members)


@pytest.mark.parametrize("name", PAIRS)
def test_probabilities_of_all_images_sum_to_one_and_pixels_are_averaged(name):
    orders = ("identity", "rotate180") if name == "one_colour" else ("identity",)
    members, task, state = mixed(name, orders, classes=2)
    shape = PAIRS[name][0][2]
    found = measured(task, state, every_image(shape), 1)
    for nll in found.values():
        assert abs(float(jax.nn.logsumexp(-nll))) < 1e-4
    each = [measured(t, s, every_image(shape), 1)["nll"] for t, s in members.values()]
    assert np.abs(each[0] - each[1]).max() > 0.1
    whole = np.log(2) - np.logaddexp(-each[0], -each[1])  # the mixture of whole images
    assert np.abs(found["nll"] - whole).max() > 1e-3


def test_the_first_pixel_has_the_mean_probability():
    members, task, state = mixed("one_colour")
    every = every_image((3, 3, 1))

    def first_is_white(task, state) -> float:
        probability = np.exp(-np.asarray(measured(task, state, every)["nll"], np.float64))
        return probability[every[:, 0, 0, 0] > 0].sum()

    wanted = np.mean([first_is_white(*member) for member in members.values()])
    assert first_is_white(task, state) == pytest.approx(wanted, abs=1e-5)


def test_a_mixture_of_one_is_the_model():
    task, state = made("gated.GatedPixelCNN", "bernoulli", (3, 3, 1), ("identity",))
    alone = mixing.mix({"a": (task, state)})
    every = every_image((3, 3, 1))
    np.testing.assert_allclose(
        measured(*alone, every)["nll"], measured(task, state, every)["nll"], rtol=1e-5
    )


@pytest.mark.parametrize("name", PAIRS)
def test_samplers_of_a_mixture_agree_and_keep_what_is_known(name):
    _, task, state = mixed(name, classes=2, levels=5 if name.startswith("colours") else 2)
    shape, n = PAIRS[name][0][2], 10
    keys, labels = jax.random.split(jax.random.key(0), n), jnp.arange(n) % 2
    images = jax.random.randint(jax.random.key(1), (n, *shape), 0, 256).astype(jnp.uint8)
    known = jax.random.bernoulli(jax.random.key(2), 0.3, images.shape)
    drawn = drawn_alike(task, state, keys, labels, images, known)
    assert len(np.unique(drawn.reshape(n, -1), axis=0)) > n // 2


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (("masked.PixelCNN", "bernoulli", (3, 2, 1), ("identity",)), "images .3x3x1; 3x2x1"),
        (("masked.PixelCNN", "categorical", (3, 3, 1), ("identity",), 0, 4), "levels .2; 4"),
        (("masked.PixelCNN", "bernoulli", (3, 3, 1), ("identity",), 2), "labels given .0; 2"),
        (("multiscale.MultiScale", "bernoulli", (3, 3, 1), ("identity",)), "scales .one; several"),
    ],
)
def test_models_that_do_not_fit_together_are_one_line(other, told):
    first = made("masked.PixelCNN", "bernoulli", (3, 3, 1), ("identity",))
    with pytest.raises(UserError, match=f"a and b differ in {told}"):
        mixing.mix({"a": first, "b": made(*other)})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs, the second with two kept checkpoints; their names hold commas, as a sweep's do."""
    root, names = tmp_path_factory.mktemp("runs"), []
    for seed in (0, 1):
        config = tiny_config()
        config.seed = seed
        config.train.keep = 2
        names.append(str(root / f"seed={seed},x=1"))
        train.train(config, names[-1])
    return names


def test_a_mixture_is_a_model_like_any_other(runs, tmp_path):
    """Workdirs and snapshots: evaluated, sampled, pickled, stamped with its members."""
    named = [runs[0], f"{runs[1]}:3", f"{runs[1]}:latest"]
    model = genlab.mixture(named)
    assert model.task.members == (f"{runs[0]}:6", f"{runs[1]}:3", f"{runs[1]}:6")
    images = model.sample(jax.random.key(0), 3)
    np.testing.assert_array_equal(images, model.sample(jax.random.key(0), 3, method="naive"))
    logp = model.log_prob(images)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).log_prob(images), logp)
    members = [m.rsplit(":", 1) for m in model.task.members]
    each = np.stack([genlab.restore(*member).log_prob(images) for member in members])
    assert (logp >= each.min(0) - 1e-3).all()
    np.testing.assert_array_equal(model.decompress(model.compress(images)), images)
    place = places.MIXTURE + ",".join(named)
    evaluate.evaluate_run(model.config, place, str(tmp_path))
    line = json.loads((tmp_path / "eval.jsonl").read_text())
    assert line["protocol"]["members"] == " ".join(model.task.members)
    assert line["protocol"]["estimate"] == "exact" and line["nll"] > 0


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([], "names no trained run"),
        (["nowhere"], "'nowhere' names no trained run"),
        (["{0}:7"], "no checkpoint '7'"),
        (["{0}", "{0}:6"], "take each model once"),
        (["pretrained:nothing"], "pretrained:nothing: no such pretrained model"),
    ],
)
def test_members_that_are_not_there_are_one_line(runs, members, told):
    with pytest.raises(UserError, match=told):
        genlab.mixture([m.format(*runs) for m in members])


def test_a_family_without_mixtures_says_who_has_them(tmp_path):
    config = configs.load("configs/mnist_classifier.py:smoke")
    train.train(config, str(tmp_path))
    with pytest.raises(UserError, match=r"classifier has no mix; families.*: autoregressive"):
        genlab.mixture([str(tmp_path)])


def test_the_command_line_mixes_runs_and_knows_its_modes(runs, launch, tmp_path):
    done = launch(f"--mixture={runs[0]},{runs[1]}:3", "--mode=eval", f"--output={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert f"members {runs[0]}:6 {runs[1]}:3" in done.stdout and "nll " in done.stdout
    done = launch(f"--mixture={runs[0]}", f"--workdir={runs[1]}", "--mode=eval")
    assert done.returncode == 2 and "--workdir and --mixture: give one of them" in done.stderr
    done = launch(f"--mixture={runs[0]},{runs[1]}", "--mode=train")
    assert done.returncode == 2 and "--mode=train takes no mixture:" in done.stderr
