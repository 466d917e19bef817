"""Laws of autoregressive models beyond masks and samplers: scans, classes, mixtures, fields."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from genlab import config as configs
from genlab import task
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.likelihoods.logistic import Logistic, LogisticMixture
from genlab.nn import lstm, recurrent
from genlab.parallel import on_one_device
from genlab.planning import flops
from genlab.tasks import autoregressive
from genlab.tasks.autoregressive import pictures
from tests.helpers import measured_field


@pytest.mark.parametrize("around", [recurrent.beside_above, recurrent.own_and_above])
def test_the_gradient_by_hand_of_a_scan_is_that_of_jax(around):
    keys = jax.random.split(jax.random.key(0), 4)
    drive, c = jax.random.normal(keys[0], (5, 2, 3, 4, 8)), jax.random.normal(keys[1], (2, 3, 4, 2))
    seen = around(c).shape[-1]
    kernel = jax.random.normal(keys[2], (2, seen, 8))
    weights = jax.random.normal(keys[3], (5, *c.shape))

    def plain(drive, kernel, c):
        def step(state, drive):
            told = jnp.einsum("g...i,gio->g...o", around(state[0]), kernel)
            h, c = lstm.lstm(drive + told, state[1])
            return (h, c), h

        return jax.lax.scan(step, (jnp.zeros_like(c), c), drive)[1]

    def by_hand(*args):
        return lstm.lstm_scan(around, *args)

    np.testing.assert_allclose(by_hand(drive, kernel, c), plain(drive, kernel, c), atol=1e-6)
    slopes = [
        jax.grad(lambda *args, f=f: (f(*args) * weights).sum(), (0, 1, 2))(drive, kernel, c)
        for f in (by_hand, plain)
    ]
    for ours, theirs in zip(*slopes, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("told", [None, (2, 1, 1, 5), (2, 3, 4, 5)])
def test_a_diagonal_layer_is_the_same_however_its_drive_is_laid_out(told, monkeypatch):
    layer = recurrent.DiagonalBiLSTMLayer(2)
    x = jax.random.normal(jax.random.key(0), (2, 3, 4, 4))
    context = None if told is None else jax.random.normal(jax.random.key(3), told)
    params = layer.init(jax.random.key(1), x, context, None, False)["params"]
    params["initial"] = jax.random.normal(jax.random.key(2), (2, 2, 2))

    def loss(params, x):
        out = layer.apply({"params": params}, x, context, None, False)
        return (out * jnp.arange(out.size).reshape(out.shape)).sum(), out

    def both(platform):
        monkeypatch.setattr(recurrent.parallel, "platform", lambda: platform)
        return jax.jit(jax.grad(lambda *args: loss(*args), (0, 1), has_aux=True))(params, x)

    for here, there in zip(*map(jax.tree.leaves, map(both, ("cpu", "tpu"))), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-4)


def test_a_diagonal_scan_is_a_loop_over_pixels():
    """Against the recurrence as the paper writes it, with initial states and both directions."""
    height, width, size = 3, 4, 2
    layer = recurrent.DiagonalBiLSTMLayer(size)
    x = jax.random.normal(jax.random.key(0), (1, height, width, 2 * size))
    params = layer.init(jax.random.key(1), x, None, None, False)["params"]
    initial = jax.random.normal(jax.random.key(2), (2, 2, size))
    params = params | {"initial": initial}
    kernel = params["state_kernel"]
    drive = x[0] @ params["MaskedConv_0"]["kernel"] + params["MaskedConv_0"]["bias"]
    both = []
    for side, part in enumerate(jnp.split(drive, 2, -1)):
        part = part[:, ::-1] if side else part
        h = np.zeros((height, width, size), np.float32)
        c = np.zeros_like(h)
        for i in range(height):
            for j in range(width):
                beside = h[i, j - 1] if j else initial[0, side]
                above = h[i - 1, j] if i else initial[0, side]
                earlier = c[i, j - 1] if j else initial[1, side]
                told = jnp.concatenate([beside, above]) @ kernel[side]
                h[i, j], c[i, j] = lstm.lstm(part[i, j] + told, earlier)
        both.append(h[:, ::-1] if side else h)
    h = both[0] + np.concatenate([np.zeros((1, width, size)), both[1][:-1]])
    wanted = h @ params["MaskedConv_1"]["kernel"] + params["MaskedConv_1"]["bias"]
    found = layer.apply({"params": params}, x, None, None, False)[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def made(classes: int = 0, **likelihood) -> tuple[ConfigDict, Spec]:
    network = {"features": 4, "layers": 1, "head": 4, "first_kernel": 3}
    config = autoregressive.config("gated.GatedPixelCNN", **network)
    configs.complete(config)
    config.likelihood.update(name="bernoulli", levels=2, **likelihood)
    config.autoregressive.conditional = bool(classes)
    return config, Spec((4, 4, 1), tuple(map(str, range(classes))))


def test_a_conditional_model_is_told_the_class_everywhere():
    config, spec = made(classes=3)
    model = task.load(config, spec)
    batch = {"image": jnp.zeros((3, 4, 4, 1), jnp.uint8), "label": jnp.arange(3)}
    state = on_one_device(model.init)(jax.random.key(0), batch)
    nll = on_one_device(model.evaluate)(state, batch, jax.random.key(0))["nll"]
    assert len(np.unique(nll)) == 3
    keys = jnp.stack([jax.random.key(1)] * 3)  # the same noise for all
    by_class = on_one_device(model.sample)(state, keys, jnp.arange(3))
    same = on_one_device(model.sample)(state, keys, jnp.zeros(3, jnp.int32))
    assert (same == same[0]).all() and not (by_class == by_class[0]).all()


def test_a_conditional_model_needs_labels():
    config, _ = made(classes=3)
    with pytest.raises(UserError, match=r"autoregressive.conditional: this data has no labels"):
        task.load(config, Spec((4, 4, 1)))


def test_a_mixture_of_one_is_a_logistic():
    params = jax.random.normal(jax.random.key(0), (50, 1, 3))
    values = jax.random.randint(jax.random.key(1), (50, 1), 0, 256)
    one = LogisticMixture(256, 1, 1).log_prob(params, values)
    np.testing.assert_allclose(one, Logistic().log_prob(params[..., 1:], values), rtol=1e-5)


def test_colours_of_a_mixture_share_the_component():
    """Two far components: once red is seen, green is drawn from the same one."""
    likelihood = LogisticMixture(256, 2, 3)
    means = jnp.array([-0.5, 0.5])
    part = jnp.stack([jnp.zeros(2), means, jnp.full(2, -5.0), jnp.zeros(2), jnp.zeros(2)])
    params = jnp.broadcast_to(part.reshape(-1), (3, 10))
    red_low = jnp.array([64, 0, 0])
    green = jax.nn.softmax(likelihood.conditional(params, red_low, 1))
    assert green[:128].sum() > 0.999
    red = jax.nn.softmax(likelihood.conditional(params, red_low, 0))
    assert abs(red[:128].sum() - 0.5) < 1e-3


@pytest.mark.parametrize("colours", [1, 3])
def test_the_picture_of_a_receptive_field_is_the_field(colours):
    config, _ = made()
    spec = Spec((5, 6, colours), ())
    model = task.load(config, spec)
    batch = {"image": jnp.zeros((1, *spec.shape), jnp.uint8), "label": jnp.zeros(1, jnp.int32)}
    state = on_one_device(model.init)(jax.random.key(0), batch)
    picture = pictures.receptive_fields(model, state)[1]  # of row 2, column 3
    field = measured_field(spec.shape, model.network).reshape(5, 6, colours, 5, 6, colours)
    white = (picture == 255).all(-1)
    assert not white[2, 3] and not white[2, 4:].any() and not white[3:].any()
    assert not (white & ~field[2, 3].any((0, -1))).any()
    assert white.sum() > 4


def test_products_are_counted_through_scans_and_gradients():
    def loss(x, w):
        return jax.lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, length=7)[0].sum()

    x, w = jnp.ones((4, 5)), jnp.ones((5, 5))
    forward = 7 * 2 * 4 * 5 * 5
    assert flops.product_flops(jax.make_jaxpr(loss)(x, w).jaxpr) == forward
    slopes = jax.jit(jax.grad(loss, (0, 1)))
    assert flops.product_flops(jax.make_jaxpr(slopes)(x, w).jaxpr) == 3 * forward
