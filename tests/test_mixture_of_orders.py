"""Laws of mixtures of models that know different orders of the pixels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.nn.apply import outputs_of
from genlab.parallel import on_one_device
from genlab.state import State
from genlab.task import PLAYER
from genlab.tasks.autoregressive import mixing
from genlab.tasks.autoregressive.task import Task
from tests.test_orders import drawn_alike, every_image, made, measured

pytestmark = pytest.mark.thorough

BY_ORDER = {
    "one_each": [
        ("masked.PixelCNN", "bernoulli", (3, 3, 1), ("rotate180",)),
        ("recurrent.DiagonalBiLSTM", "categorical", (3, 3, 1), ("identity",)),
        ("gated.GatedPixelCNN", "bernoulli", (3, 3, 1), ("rotate180",)),
    ],
    "some_told_of_several": [
        ("masked.PixelCNN", "categorical", (2, 2, 3), ("transpose", "identity")),
        ("gated.GatedPixelCNN", "categorical", (2, 2, 3), ("rotate90", "transpose")),
        ("recurrent.RowLSTM", "logistic_mixture", (2, 2, 3), ("rotate90",)),
    ],
    "scales": [
        ("multiscale.MultiScale", "bernoulli", (3, 3, 1), ("identity", "rotate180")),
        ("multiscale.MultiScale", "bernoulli", (3, 3, 1), ("rotate180",)),
    ],
}


def mixed_by_order(name: str, classes: int):
    members = {}
    for place, member in enumerate(BY_ORDER[name]):
        task, state = made(*member, classes)
        shaken = jax.tree.map(lambda x, place=place: x * (1.0 + 0.5 * place), state.params)
        members[f"m{place}"] = (task, state.replace(params=shaken))
    return members, *mixing.mix(members)


@pytest.mark.parametrize("name", BY_ORDER)
@pytest.mark.parametrize("classes", [0, 2])
def test_models_of_other_orders_are_mixed_as_whole_images(name, classes):
    """By each order the members that know it are averaged; the mixture of the orders is normalised,
    and each model counts the same in it."""
    members, task, state = mixed_by_order(name, classes)
    every = every_image(BY_ORDER[name][0][2])
    found = measured(task, state, every, classes // 2)
    assert abs(float(jax.nn.logsumexp(-found["nll"]))) < 1e-4
    for order in task.orders.names:
        knowing = {}
        for key, (member, own) in members.items():
            if order not in member.orders.names:
                continue
            if member.orders.several:
                by_one = measured(member, own, every, classes // 2)[f"nll_{order}"]
            else:
                by_one = measured(member, own, every, classes // 2)["nll"]
            knowing[key] = np.asarray(by_one)
        nll = np.asarray(found[f"nll_{order}"])
        assert abs(float(jax.nn.logsumexp(-nll))) < 1e-4
        if len(knowing) == 1:
            np.testing.assert_allclose(nll, *knowing.values(), rtol=1e-4)
        else:  # between the members', as a mean of probabilities is at every pixel
            assert (nll < np.max(list(knowing.values()), 0) + 1e-3).all()
    each = np.stack([found[f"nll_{order}"] for order in task.orders.names]).astype(np.float64)
    known = [member.orders.names for member, _ in members.values()]
    weights = [sum((o in own) / len(own) for own in known) for o in task.orders.names]
    weights = np.array(weights)[:, None] / len(known)  # each model counts the same
    np.testing.assert_allclose(found["nll"], -np.log((weights * np.exp(-each)).sum(0)), rtol=1e-5)
    assert task.protocol["orders"] == " ".join(task.orders.names)


def test_members_of_an_order_do_not_see_the_others():
    """The mixture's likelihood by one order is that of the mixture of its members alone."""
    members, task, state = mixed_by_order("one_each", 2)
    every = every_image((3, 3, 1))
    turned = mixing.mix({name: members[name] for name in ("m0", "m2")})
    np.testing.assert_allclose(
        measured(task, state, every, 1)["nll_rotate180"], measured(*turned, every, 1)["nll"], 1e-5
    )
    x, labels = jnp.asarray(every), jnp.ones(len(every), jnp.int32)
    chosen = jnp.full(len(every), task.orders.place("rotate180"))

    def outputs(task: Task, state: State, *chosen: jax.Array) -> jax.Array:
        return outputs_of(task.network, state.params[PLAYER], x, task.context(labels, *chosen))

    np.testing.assert_allclose(outputs(task, state, chosen), outputs(*turned), 1e-4, 1e-5)


@pytest.mark.parametrize("name", BY_ORDER)
def test_samplers_of_a_mixture_of_orders_agree(name):
    _, task, state = mixed_by_order(name, 2)
    shape, n = BY_ORDER[name][0][2], 12
    keys, labels = jax.random.split(jax.random.key(0), n), jnp.arange(n) % 2
    images = 255 * jax.random.bernoulli(jax.random.key(1), 0.5, (n, *shape)).astype(jnp.uint8)
    known = jax.random.bernoulli(jax.random.key(2), 0.3, images.shape)
    for seen in (known, known & False):
        drawn_alike(task, state, keys, labels, images, seen)


def test_samples_of_a_mixture_of_orders_follow_its_likelihood():
    """Frequencies of all 16 binary 2x2 images against their probabilities (chi-square)."""
    from scipy.stats import chisquare

    members = {}
    for i, order in enumerate(("identity", "transpose", "rotate180", "identity")):
        task, state = made("masked.PixelCNN", "bernoulli", (2, 2, 1), (order,))
        shaken = jax.tree.map(lambda x, i=i: x * (1.0 + 0.5 * i), state.params)
        members[f"m{i}"] = (task, state.replace(params=shaken))
    task, state = mixing.mix(members)
    every, n = every_image((2, 2, 1)), 8000
    probability = np.exp(-np.asarray(measured(task, state, every)["nll"], np.float64))
    keys, labels = jax.random.split(jax.random.key(3), n), jnp.zeros(n, jnp.int32)
    drawn = np.asarray(on_one_device(task.sample)(state, keys, labels))
    counts = np.bincount((drawn.reshape(n, 4) > 0) @ (1 << np.arange(4)), minlength=16)
    assert chisquare(counts, probability / probability.sum() * n).pvalue > 1e-3
