"""The compiled parts of training: the state at step 0, and the steps of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import data, parallel, updates
from genlab import task as tasks
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.model import restore
from genlab.parallel import Replicas
from genlab.state import State
from genlab.task import abstract_batch, abstract_state
from genlab.training.population import Numbers, Population, with_numbers
from genlab.workdir import places

OneStep = Callable[[State, Any, Any], tuple[State, Any]]  # (state, shared, part) -> and metrics


def initial_state(task: Any, sets: data.Data, seed: int) -> State:
    """The host state at step 0."""
    key = jax.random.fold_in(jax.random.key(seed), 0)
    return jax.device_get(parallel.on_one_device(task.init)(key, sets.train.read(np.arange(1))))


def initialised_from(state: State, source: str) -> State:
    """The state with the parameters of the run, or of the pretrained:NAME, that `train.init_from`
    names, if it names one."""
    if not source:
        return state
    place, step = places.stepped(source)
    weights = "ema" if places.is_pretrained(place) else "raw"  # the former keep one kind
    params = jax.device_get(restore(place, step or "latest", weights).state.params)
    spell = lambda tree: jax.tree.map(np.shape, tree)  # noqa: E731
    if spell(params) != spell(state.params):
        raise UserError(
            f"train.init_from={source}: its parameters have other names or shapes than this"
            " model's; take the same model section."
        )
    return state.replace(params=params, ema={player: params[player] for player in state.ema})


def metrics_of_a_step(task: Any, spec: Spec, size: int) -> list[str]:
    """What a training step on `size` images logs, without computing it."""
    call = parallel.on_one_device(task.step)
    given = abstract_state(task, spec), abstract_batch(spec, size), jax.random.key(0)
    return list(jax.eval_shape(call, *given)[1])


def compile_steps(task: Any, replicas: Replicas, feed: data.Feed, config: ConfigDict) -> Any:
    """(state, shared, split) -> (state, {name: f32[steps_per_call]}), compiled for all replicas.

    The key of a step depends on (seed, attempt, step) alone, so a resumed run draws what an
    uninterrupted one would have drawn.
    """
    call = _call(_step(task, feed, config, loop_key(config.seed)), config.train.steps_per_call)
    return replicas.compile(call, config.train.precision)


def compile_together(
    population: Population, spec: Spec, replicas: Replicas, feed: data.Feed
) -> Any:
    """The same for the runs of a population at once: states, and metrics, are tuples of theirs.

    The rows of a step are those of all runs, one after another: [replicas,steps*runs,B/n].
    """
    count, config = len(population.configs), population.configs[0]
    keys = jnp.stack([loop_key(each.seed) for each in population.configs])
    numbers, scan = population.numbers, config.train.steps_per_call

    def one(states: State, shared: Any, parts: Any) -> tuple[State, Any]:
        def of_run(state: State, part: Any, key: jax.Array, own: Numbers) -> tuple[State, Any]:
            task = tasks.load(with_numbers(config, own), spec)
            return _step(task, feed, config, key)(state, shared, part)

        return jax.vmap(of_run)(states, parts, keys, numbers)

    def together(states: tuple[State, ...], shared: Any, parts: Any) -> tuple[Any, Any]:
        stacked = jax.tree.map(lambda *each: jnp.stack(each), *states)
        parts = jax.tree.map(lambda x: x.reshape(scan, count, *x.shape[1:]), parts)
        stacked, metrics = _call(one, scan)(stacked, shared, parts)  # metrics: f32[steps,runs]
        own = lambda tree, i: jax.tree.map(lambda x: x[i], tree)  # noqa: E731
        of = lambda i: {name: x[:, i] for name, x in metrics.items()}  # noqa: E731
        return tuple(own(stacked, i) for i in range(count)), tuple(map(of, range(count)))

    return replicas.compile(together, config.train.precision)


def loop_key(seed: int) -> jax.Array:
    """What the keys of all steps of a run are folded from."""
    return jax.random.fold_in(jax.random.key(seed), 1)


def _step(task: Any, feed: data.Feed, config: ConfigDict, run_key: jax.Array) -> OneStep:
    def one(state: State, shared: Any, part: Any) -> tuple[State, Any]:
        key = jax.random.fold_in(jax.random.fold_in(run_key, state.attempt), state.step)
        with updates.in_micro_batches(config.train.accumulate):
            state, metrics = task.step(state, feed.fetch(shared, part), key)
        return state.replace(step=state.step + 1), metrics

    return one


def _call(one: OneStep, scan: int) -> OneStep:
    """`scan` steps of a call; part: [steps,...]."""

    def call(state: State, shared: Any, parts: Any) -> tuple[State, Any]:
        if scan == 1:  # not a loop: XLA's CPU convolutions lose their fast path inside one
            state, metrics = one(state, shared, jax.tree.map(lambda x: x[0], parts))
            return state, jax.tree.map(lambda x: jnp.asarray(x)[None], metrics)
        return jax.lax.scan(lambda s, part: one(s, shared, part), state, parts)

    return call
