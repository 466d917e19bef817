"""Optimisers by group: one for hidden matrices, one for the first layer, the head and vectors."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genlab import config as configs
from genlab import optim, task
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.task import abstract_state
from genlab.tasks import autoregressive

SMALL = {"features": 4, "layers": 2, "first_kernel": 3, "head": 4}
HEADS = {
    "masked.PixelCNN": ("MaskedConv_0", "MaskedConv_1", "MaskedConv_2"),
    "recurrent.RowLSTM": ("MaskedConv_0", "MaskedConv_3", "MaskedConv_4"),  # with two skips
    "recurrent.DiagonalBiLSTM": ("MaskedConv_0", "MaskedConv_1", "MaskedConv_2"),
    "gated.GatedPixelCNN": ("GatedLayer_0", "MaskedConv_2", "MaskedConv_3"),  # with two skips
}


def section(**changes):
    found = configs.base("autoregressive").optim
    with found.unlocked():
        found.update(**changes)
    return found


def params_of(network: str, **fields):
    config = autoregressive.config(network, **SMALL | fields)
    model = task.load(config, Spec((6, 6, 1)))
    return model.network, abstract_state(model, Spec((6, 6, 1))).params["model"]


@pytest.mark.parametrize("name", HEADS)
def test_a_network_knows_its_first_layer_and_its_head(name):
    """The first layer alone reads the image, and the head alone has the outputs."""
    skip = name in ("recurrent.RowLSTM", "gated.GatedPixelCNN")
    network, params = params_of(name, skip=skip)
    assert network.outer() == HEADS[name]
    assert all(path in params for path in network.outer())
    last = max((p for p in params if p.startswith("MaskedConv")), key=lambda p: int(p[11:]))
    assert network.outer()[-1] == last and params[last]["kernel"].shape[-1] == 256
    labels = optim._groups(network.outer())(params)
    flat = jax.tree_util.tree_leaves_with_path(params)
    for (path, x), label in zip(flat, jax.tree.leaves(labels), strict=True):
        wanted = "outer" if path[0].key in HEADS[name] or x.ndim < 2 else "hidden"
        assert label == wanted, path
    assert {"hidden", "outer"} == set(jax.tree.leaves(labels))


def test_scales_and_skips_are_told_apart():
    part = {"name": "masked.PixelCNN", **SMALL, "skip": True}
    config = autoregressive.config("multiscale.MultiScale", small=part, large=part)
    network = task.load(config, Spec((6, 6, 1))).network
    assert network.outer()[:4] == ("enlarge", "small/MaskedConv_0", "small/MaskedConv_3",
                                   "small/MaskedConv_4")  # fmt: skip


PARAMS = {"first": {"kernel": jnp.ones((2, 3))}, "hidden": {"kernel": jnp.ones((3, 3)),
          "bias": jnp.ones(3)}}  # fmt: skip
GRADS = jax.tree.map(lambda x: x * jnp.linspace(0.1, 1.0, x.size).reshape(x.shape), PARAMS)


def moved(tx, steps: int = 3):
    params, state = PARAMS, tx.init(PARAMS)
    for _ in range(steps):
        updates, state = tx.update(GRADS, state, params)
        params = optax.apply_updates(params, updates)
    return params


def test_each_group_goes_by_its_own_optimizer_and_rate():
    config = section(name="muon", learning_rate=0.1, outer="adam", outer_rate=0.01)
    found = moved(optim.make(config, 10, outer=("first",)))
    muon, adam = moved(optax.contrib.muon(0.1)), moved(optax.adam(0.01))
    np.testing.assert_allclose(found["hidden"]["kernel"], muon["hidden"]["kernel"], rtol=1e-5)
    np.testing.assert_allclose(found["hidden"]["bias"], adam["hidden"]["bias"], rtol=1e-5)
    np.testing.assert_allclose(found["first"]["kernel"], adam["first"]["kernel"], rtol=1e-5)


def test_both_rates_follow_the_schedule():
    config = section(name="sgd", learning_rate=0.1, outer="sgd", outer_rate=0.01)
    with config.unlocked():
        config.update(schedule="linear")
    one, two = (moved(optim.make(config, 2, outer=("first",)), steps) for steps in (2, 4))
    for a, b in zip(*map(jax.tree.leaves, (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)  # at the end of the schedule nothing moves


def test_decay_takes_matrices_down_by_the_rate_and_leaves_vectors():
    zero = jax.tree.map(jnp.zeros_like, GRADS)
    tx = optim.make(section(learning_rate=0.1, schedule="linear", matrix_decay=0.5), 4)
    params, state, wanted = PARAMS, tx.init(PARAMS), 1.0
    for step in range(4):
        updates, state = tx.update(zero, state, params)
        params = optax.apply_updates(params, updates)
        wanted *= 1 - 0.5 * 0.1 * (1 - step / 4)
    np.testing.assert_allclose(params["first"]["kernel"], wanted, rtol=1e-5)
    np.testing.assert_allclose(params["hidden"]["kernel"], wanted, rtol=1e-5)
    np.testing.assert_array_equal(params["hidden"]["bias"], 1.0)


def test_defaults_are_the_optimizer_of_before():
    """The same structure of its state, and the same updates, bit for bit."""
    for name, wanted in (("adam", optax.adam), ("muon", optax.contrib.muon)):
        tx, before = optim.make(section(name=name, learning_rate=0.1), 10), wanted(0.1)
        for a, b in zip(*(jax.tree.leaves(moved(t)) for t in (tx, before)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_cannot_be_grouped_is_one_line():
    with pytest.raises(UserError, match=r"optim.outer: Optax has no optimizer 'adamm'"):
        optim.make(section(outer="adamm"), 10, outer=("first",))
    with pytest.raises(UserError, match=r"optim.outer=adam: only networks of pixels"):
        optim.make(section(outer="adam"), 10)


def test_a_task_trains_by_groups():
    config = autoregressive.config("masked.PixelCNN", **SMALL)
    config.optim.update(name="muon", outer="adam", matrix_decay=0.1)
    model = task.load(config, Spec((6, 6, 1)))
    plain = dataclasses.replace(model, optimizer=optim.make(section(name="muon"), 10))
    state, other = (abstract_state(m, Spec((6, 6, 1))).opt["model"] for m in (model, plain))
    assert jax.tree.structure(state) != jax.tree.structure(other)
