"""Laws of orders: a symmetry before a network of pixels, and their exact mixture."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import restore, task
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.modes import evaluate
from genlab.parallel import on_one_device
from genlab.task import PLAYER
from genlab.tasks import autoregressive
from genlab.tasks.autoregressive.orders import NAMES, SYMMETRIES
from genlab.training import loop as train
from genlab.workdir.configs import from_json, to_json
from tests.conftest import tiny_config

pytestmark = pytest.mark.thorough

SMALL = {"features": 5, "layers": 1, "first_kernel": 3, "head": 7}
FLAT = ("identity", "flip_horizontal", "rotate180")
EACH = [
    ("masked.PixelCNN", "bernoulli", (3, 3, 1), NAMES),
    ("gated.GatedPixelCNN", "categorical", (3, 2, 1), FLAT),
    ("recurrent.RowLSTM", "bernoulli", (3, 3, 1), ("transpose", "rotate270")),
    ("recurrent.DiagonalBiLSTM", "logistic_mixture", (2, 2, 3), ("identity", "antitranspose")),
    ("multiscale.MultiScale", "bernoulli", (3, 3, 1), ("flip_vertical", "rotate90")),
    ("masked.PixelCNN", "categorical", (2, 2, 3), ("rotate180",)),
]


def made(network: str, likelihood: str, shape, orders, classes: int = 0, levels: int = 2):
    """A task and a state whose parameters are all drawn, context and biases too."""
    if network == "multiscale.MultiScale":
        part = {"name": "gated.GatedPixelCNN", **SMALL}
        config = autoregressive.config(network, small=part, large=part, features=3)
    else:
        config = autoregressive.config(network, **SMALL)
    config.likelihood.update(name=likelihood, levels=levels, components=2)
    config.autoregressive.update(orders=orders, conditional=bool(classes))
    spec = Spec(shape, tuple(map(str, range(classes))))
    model = task.load(config, spec)
    batch = {"image": jnp.zeros((1, *shape), jnp.uint8), "label": jnp.zeros(1, jnp.int32)}
    state = on_one_device(model.init)(jax.random.key(0), batch)
    leaves, tree = jax.tree.flatten(state.params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return model, state.replace(params=jax.tree.unflatten(tree, leaves))


def every_image(shape) -> np.ndarray:
    n = math.prod(shape)
    bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return (255 * bits).astype(np.uint8).reshape(-1, *shape)


def measured(model, state, images, label: int = 0):
    batch = {"image": jnp.asarray(images), "label": jnp.full(len(images), label)}
    return on_one_device(model.evaluate)(state, batch, jax.random.key(0))


def drawn_alike(model, state, keys, labels, images, known) -> np.ndarray:
    """What every sampler completes to the same images, which keep what is known."""
    drawn = [
        np.asarray(
            on_one_device(functools.partial(model.complete, method=method))(
                state, keys, labels, images, known
            )
        )
        for method in model.methods
    ]
    for other in drawn[1:]:
        np.testing.assert_array_equal(drawn[0], other)
    np.testing.assert_array_equal(drawn[0][np.asarray(known)], np.asarray(images)[known])
    assert model.differences(state, keys, labels, drawn[0], drawn[1]) == (0, 0)
    return drawn[0]


@pytest.mark.parametrize("name", NAMES)
def test_symmetries_are_those_of_the_square_and_are_undone(name):
    x = np.arange(9).reshape(1, 3, 3, 1)
    group = {SYMMETRIES[other].apply(x).tobytes() for other in NAMES}
    assert len(group) == 8
    found = SYMMETRIES[name].apply(x)
    np.testing.assert_array_equal(SYMMETRIES[name].undo(found), x)
    known = {"rotate90": 1, "rotate180": 2, "rotate270": 3, "identity": 0}
    if name in known:
        np.testing.assert_array_equal(found, np.rot90(x, known[name], (1, 2)))
    if name == "flip_horizontal":
        np.testing.assert_array_equal(found[0, 0, :, 0], [2, 1, 0])


@pytest.mark.parametrize(("network", "likelihood", "shape", "orders"), EACH)
@pytest.mark.parametrize("classes", [0, 2])
def test_probabilities_of_all_images_sum_to_one_by_each_order_and_their_mixture(
    network, likelihood, shape, orders, classes
):
    model, state = made(network, likelihood, shape, orders, classes)
    found = measured(model, state, every_image(shape), classes // 2)
    wanted = {"nll"} | ({f"nll_{order}" for order in orders} if len(orders) > 1 else set())
    assert found.keys() == wanted
    for name, nll in found.items():
        assert abs(float(jax.nn.logsumexp(-nll))) < 1e-5, name
    if len(orders) > 1:
        each = np.stack([found[f"nll_{order}"] for order in orders])
        mean = -np.log(np.exp(-each.astype(np.float64)).mean(0))
        np.testing.assert_allclose(found["nll"], mean, rtol=1e-5)
        assert np.ptp(each, 0).max() > 1e-2  # the network is told apart its orders


def test_an_order_is_the_network_on_the_moved_image():
    """And a single order tells the network nothing."""
    plain, state = made("gated.GatedPixelCNN", "categorical", (4, 4, 1), ("identity",), levels=8)
    turned, _ = made("gated.GatedPixelCNN", "categorical", (4, 4, 1), ("rotate90",), levels=8)
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), np.uint8)
    moved = np.rot90(images, 1, (1, 2))
    np.testing.assert_allclose(
        measured(turned, state, images)["nll"], measured(plain, state, moved)["nll"], rtol=1e-6
    )
    assert turned.context(jnp.zeros(3, jnp.int32)) is None
    assert "orders" not in plain.protocol and turned.protocol["orders"] == "rotate90"


def test_an_example_is_trained_by_the_order_of_its_own_row():
    """Its order depends on its row and the step's key alone, and all orders come."""
    model, _ = made("masked.PixelCNN", "bernoulli", (3, 3, 1), NAMES)
    draw = on_one_device(lambda key: model.orders.for_rows(key, 400))
    found = np.asarray(draw(jax.random.key(0)))
    shorter = on_one_device(lambda key: model.orders.for_rows(key, 16))(jax.random.key(0))
    np.testing.assert_array_equal(shorter, found[:16])
    assert np.bincount(found, minlength=8).min() > 25
    assert (found != np.asarray(draw(jax.random.key(1)))).any()


@pytest.mark.parametrize(("network", "likelihood", "shape", "orders"), EACH)
def test_samplers_agree_and_keep_what_is_known(network, likelihood, shape, orders):
    model, state = made(network, likelihood, shape, orders, levels=4 if shape[2] == 3 else 2)
    n = 12
    keys, labels = jax.random.split(jax.random.key(0), n), jnp.zeros(n, jnp.int32)
    images = 255 * jax.random.bernoulli(jax.random.key(1), 0.5, (n, *shape)).astype(jnp.uint8)
    known = jax.random.bernoulli(jax.random.key(2), 0.3, images.shape)
    for seen in (known, known & False):
        drawn_alike(model, state, keys, labels, images, seen)


def test_samples_follow_the_mixture_and_completions_their_order():
    """Frequencies of all 16 binary 2x2 images against their probabilities (chi-square)."""
    from scipy.stats import chisquare

    orders = ("identity", "flip_horizontal", "transpose", "rotate180")
    model, state = made("masked.PixelCNN", "bernoulli", (2, 2, 1), orders)
    every, n = every_image((2, 2, 1)), 8000
    found = {
        k: np.exp(-np.asarray(v, np.float64)) for k, v in measured(model, state, every).items()
    }
    keys, labels = jax.random.split(jax.random.key(3), n), jnp.zeros(n, jnp.int32)

    def p_value(drawn, probability) -> float:
        counts = np.bincount((drawn.reshape(n, 4) > 0) @ (1 << np.arange(4)), minlength=16)
        return chisquare(counts, probability / probability.sum() * n).pvalue

    drawn = np.asarray(on_one_device(model.sample)(state, keys, labels))
    assert p_value(drawn, found["nll"]) > 1e-3
    assert p_value(drawn, found["nll_identity"]) < 1e-3  # the orders differ enough to tell
    blank = jnp.zeros((n, 2, 2, 1), jnp.uint8)
    complete = on_one_device(functools.partial(model.complete, order="rotate180"))
    by_one = complete(state, keys, labels, blank, blank > 0)
    assert p_value(np.asarray(by_one), found["nll_rotate180"]) > 1e-3


def test_a_completion_goes_by_the_identity_and_conditions_on_what_comes_before():
    model, state = made("gated.GatedPixelCNN", "bernoulli", (4, 4, 1), ("rotate180", "identity"))
    known = jnp.zeros((8, 4, 4, 1), bool).at[:, :2].set(True)
    images = 255 * jax.random.bernoulli(jax.random.key(1), 0.5, (8, 4, 4, 1)).astype(jnp.uint8)
    keys, labels = jax.random.split(jax.random.key(0), 8), jnp.zeros(8, jnp.int32)

    def run(order):
        complete = on_one_device(functools.partial(model.complete, order=order))
        return np.asarray(complete(state, keys, labels, images, known))

    np.testing.assert_array_equal(run(None), run("identity"))
    assert (run(None) != run("rotate180")).any()
    with pytest.raises(UserError, match=r"no order 'rotate90'.*rotate180"):
        run("rotate90")


@pytest.mark.parametrize(
    ("orders", "told"),
    [
        ((), "take one or more, each once"),
        (("identity", "identity"), "take one or more, each once"),
        (("identity", "rotate90"), "rotate90 turns images of 3x2 into 2x3"),
    ],
)
def test_orders_that_cannot_be_are_one_line(orders, told):
    with pytest.raises(UserError, match=told):
        made("masked.PixelCNN", "bernoulli", (3, 2, 1), orders)


def test_a_run_of_several_orders_trains_resumes_and_is_stamped(tmp_path):
    """A run stopped on its way ends with the same parameters, bit for bit."""
    config = tiny_config()
    config.autoregressive.orders = ("transpose", "rotate180", "rotate90")
    train.train(config, str(tmp_path / "whole"))
    for steps in (3, 6):
        config.train.steps = steps
        train.train(config, str(tmp_path / "halves"))
    whole, halves = (restore(str(tmp_path / name)) for name in ("whole", "halves"))
    for a, b in zip(*map(jax.tree.leaves, (whole.state, halves.state)), strict=True):
        np.testing.assert_array_equal(a, b)
    evaluate.evaluate_run(whole.config, str(tmp_path / "whole"))
    text = (tmp_path / "whole" / "eval.jsonl").read_text()
    assert '"orders": "transpose rotate180 rotate90"' in text and '"nll_rotate180"' in text
    images = whole.sample(jax.random.key(0), 3)
    half = whole.complete(jax.random.key(0), images, images > 300, order="transpose")
    assert half.shape == images.shape
    np.testing.assert_array_equal(whole.decompress(whole.compress(images)), images)


def test_an_old_config_has_the_identity_and_the_same_numbers(tmp_path):
    config = tiny_config()
    train.train(config, str(tmp_path / "now"))
    old = from_json(to_json(config))
    with old.unlocked():
        del old.autoregressive["orders"]
    (tmp_path / "now" / "config.json").write_text(to_json(old))
    model = restore(str(tmp_path / "now"))
    assert model.config.autoregressive.orders == ("identity",)
    told = model.state.params[PLAYER]
    assert not any("Told" in name for name in jax.tree_util.tree_leaves(list(told)))


def test_orders_are_named_on_the_command_line(launch):
    run = ("--config=configs/mnist_pixelcnn.py:smoke", "--mode=summary")
    both = "--config.autoregressive.orders=('identity','rotate180')"
    plain, told = (launch(*run, *more) for more in ((), (both,)))
    assert plain.returncode == told.returncode == 0, told.stderr
    assert "Told" in told.stdout and "Told" not in plain.stdout
    wrong = launch(*run, "--config.autoregressive.orders=('rotate18',)")
    assert wrong.returncode == 2 and "Did you mean 'rotate180'" in wrong.stderr
