"""The optim section: schedules, clipping, averaging, and mistakes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import config as configs
from genlab import optim, updates
from genlab.errors import UserError
from genlab.parallel import on_one_device
from genlab.state import State


def section(**changes):
    found = configs.base().optim
    with found.unlocked():
        found.update(**changes)
    return found


def rates(steps: int = 100, **changes) -> np.ndarray:
    schedule = optim.schedule(section(learning_rate=2.0, **changes), steps)
    return np.array([float(schedule(step)) for step in range(steps + 1)])


def test_schedules_warm_up_and_end_where_they_should():
    np.testing.assert_allclose(rates(schedule="constant"), 2.0)
    linear = rates(schedule="linear", warmup_steps=20, end_scale=0.25)
    np.testing.assert_allclose(linear[[0, 10, 20, 60, 100]], [0.0, 1.0, 2.0, 1.25, 0.5], rtol=1e-5)
    cosine = rates(schedule="cosine", decay_steps=50)
    np.testing.assert_allclose(cosine[[0, 25, 50, 100]], [2.0, 1.0, 0.0, 0.0], atol=1e-6)
    exponential = rates(schedule="exponential", end_scale=0.01)
    np.testing.assert_allclose(exponential[[0, 50, 100]], [2.0, 0.2, 0.02], rtol=1e-4)


def test_clipping_bounds_the_global_norm():
    tx = optim.make(section(name="sgd", learning_rate=1.0, clip_norm=0.5), 10)
    grads = {"a": jnp.full(3, 4.0), "b": jnp.full(4, -3.0)}
    moved, _ = tx.update(grads, tx.init(grads), grads)
    norm = float(jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(moved))))
    assert norm == pytest.approx(0.5, rel=1e-5)


def test_averaged_weights_follow_their_closed_form():
    """With a gradient of -1 and SGD at rate 1 the weight after step t is t + 1."""
    tx = optim.make(section(name="sgd", learning_rate=1.0), 10)
    step = on_one_device(updates.descend("p", tx, lambda w, *_: (-w, ({}, {})), ema=0.9))
    state = State.create({"p": jnp.float32(0)}, {"p": tx}, averaged=("p",))
    average = 0.0
    for t in range(30):
        state, _ = step(state, {}, jax.random.key(0))
        state = state.replace(step=state.step + 1)
        decay = min(0.9, (1 + t) / (10 + t))
        average = decay * average + (1 - decay) * (t + 1)
    assert float(state.with_weights("ema").params["p"]) == pytest.approx(average, rel=1e-5)
    assert float(state.with_weights("raw").params["p"]) == 30.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "adamm"}, "optim.name: Optax has no optimizer 'adamm'"),
        ({"name": "clip"}, "optim.name"),
        ({"b3": 0.1}, "optim.b3: optax.adam has none. Did you mean 'b1'"),
    ],
)
def test_a_section_with_a_mistake_is_one_line(changes, told):
    with pytest.raises(UserError) as caught:
        optim.make(section(**changes), 10)
    assert told.split(" Did")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["adam", "nadam", "rmsprop", "sgd", "muon"])
def test_optimizers_go_by_their_optax_names(name):
    tx = optim.make(section(name=name, learning_rate=0.1), 10)
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    moved, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    assert all(float(x.max()) < 0 for x in jax.tree.leaves(moved))
