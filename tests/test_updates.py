"""Steps as values: players are isolated, steps compose, replicas average."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genlab import updates
from genlab.parallel import on_one_device
from genlab.state import State

ADAM = {"one": optax.adam(0.1), "two": optax.adam(0.2)}
BATCH = {"x": jnp.arange(12.0).reshape(12, 1)}
KEY = jax.random.key(0)


def start() -> State:
    params = {name: {"w": jnp.ones(1) * i} for i, name in enumerate(ADAM, 1)}
    stats = {name: {"seen": jnp.zeros(())} for name in ADAM}
    return State.create(params, ADAM, stats, averaged=("one", "two"))


def loss(player: str, other: str):
    def measure(params, state, batch, key):
        noise = jax.random.normal(key, ())
        value = jnp.mean((params["w"] * batch["x"] - state.params[other]["w"] + noise) ** 2)
        return value, ({f"{player}/loss": value}, {"seen": state.stats[player]["seen"] + 1.0})

    return measure


one = updates.descend("one", ADAM["one"], loss("one", "two"), ema=0.5)
two = updates.descend("two", ADAM["two"], loss("two", "one"), ema=0.5)


def same(a, b) -> bool:
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_a_player_moves_itself_and_nothing_else():
    before = start()
    after, _ = on_one_device(one)(before, BATCH, KEY)
    for field in ("params", "opt", "stats", "ema"):
        assert same(getattr(before, field)["two"], getattr(after, field)["two"]), field
        assert not same(getattr(before, field)["one"], getattr(after, field)["one"]), field
    assert int(after.step) == 0, "the trainer alone ticks the step"


def test_chain_hands_each_step_its_predecessors_state():
    chained, metrics = on_one_device(updates.chain(one, two))(start(), BATCH, KEY)
    first, _ = on_one_device(one)(start(), BATCH, jax.random.fold_in(KEY, 0))
    second, _ = on_one_device(two)(first, BATCH, jax.random.fold_in(KEY, 1))
    assert same(chained, second)
    assert {"one/loss", "two/loss", "one/grad_norm", "two/update_norm"} <= metrics.keys()


def test_repeat_equals_a_loop_over_slices_of_the_batch():
    repeated, metrics = on_one_device(updates.repeat(3, one))(start(), BATCH, KEY)
    state, losses = start(), []
    for i in range(3):
        part = {"x": BATCH["x"][4 * i : 4 * i + 4]}
        state, found = on_one_device(one)(state, part, jax.random.fold_in(KEY, i))
        losses.append(float(found["one/loss"]))
    assert same(repeated, state)
    np.testing.assert_allclose(metrics["one/loss"], np.mean(losses), rtol=1e-6)
