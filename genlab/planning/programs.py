"""What a config has compiled, on devices that need not be there: its training step, its evaluation
and its samplers, with the shapes that they are called with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import data, evaluate, parallel
from genlab import task as tasks
from genlab.capabilities import Completes, Samples
from genlab.condition import Spec
from genlab.planning.topologies import Described
from genlab.state import State
from genlab.task import Task
from genlab.training.compiled import compile_steps, compile_together
from genlab.training.population import members, population

SIZES = {
    "tfds:mnist": 60_000, "tfds:fashion_mnist": 60_000, "tfds:binarized_mnist": 50_000,
    "tfds:cifar10": 50_000, "tfds:celeb_a": 162_770, "tfds:lfw": 13_233, "digits": 1_797,
}  # fmt: skip
KINDS = ("train", "evaluate", "sample")
ASSUMED = 50_000  # examples of a set of which nothing is known


@dataclass(frozen=True)
class Planned:
    """A program, ready to be lowered.

    call: compiled by `jit`.  arguments: their shapes, placed.
    steps: of one call.  images: that one call goes through, on all `chips` together.
    exact: whether its products are of the highest precision.
    """

    name: str
    call: Any
    arguments: tuple[Any, ...]
    steps: int
    images: int
    chips: int
    exact: bool


@dataclass(frozen=True)
class Blank:
    """Stands for a split that nobody has to read: blank images of its shape, as many as it has."""

    spec: Spec
    count: int
    files: bool = False

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
        return np.zeros(self.spec.shape, np.uint8), 0

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """See `Split`."""
        images = np.zeros((*rows.shape, *self.spec.shape), np.uint8)
        one = tasks.abstract_batch(self.spec)["label"]
        labels = np.zeros((*rows.shape, *one.shape[1:]), one.dtype)
        return {"image": images, "label": labels}

    def read_marked(self, rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """See `Split`."""
        return self.read(rows), np.ones(rows.shape, bool)


def examples_of(config: ConfigDict) -> tuple[int, bool]:
    """How many training examples a config has, and whether that is known or assumed."""
    whole = SIZES.get(config.data.source)
    inside = re.fullmatch(r"train(?:\[(\d*)(%?):(\d*)(%?)\])?", config.data.train_split)
    if not whole or not inside:
        return ASSUMED, False
    first, in_percent, last, to_percent = inside.groups(default="")
    place = lambda text, percent, none: (  # noqa: E731
        none if not text else whole * int(text) // 100 if percent else min(int(text), whole)
    )
    return place(last, to_percent, whole) - place(first, in_percent, 0), True


def programs(
    config: ConfigDict, spec: Spec, replicas: Described, examples: int, kinds: tuple[str, ...]
) -> Iterator[Planned]:
    """The programs of a config, for images of that shape, of those kinds (of KINDS)."""
    task = tasks.load(config, spec)
    state = tasks.abstract_state(task, spec)
    split = cast(data.Split, Blank(spec, examples))
    if "train" in kinds:
        yield _training(config, replicas, task, state, split)
    if "evaluate" in kinds:
        yield _evaluation(config, replicas, task, state, split)
    if "sample" in kinds and isinstance(task, Samples):
        yield from _samplers(config, replicas, task, state)


def _training(
    config: ConfigDict, replicas: Described, task: Task, state: State, split: data.Split
) -> Planned:
    together = members(config, "")
    steps, size, runs = config.train.steps_per_call, config.data.batch_size, len(together)
    feed = data.feed(split, replicas, config.data.resident_mb)
    rows = data.Rows(1, lambda _: np.zeros((steps * runs, size), np.int64))
    part = next(iter(feed.calls(rows)))
    call: Any = compile_steps(task, replicas, feed, config)
    states = replicas.replicate(state)
    if runs > 1:
        call = compile_together(population(together, split.spec), split.spec, replicas, feed)
        states = (states,) * runs
    images = steps * size * runs
    return Planned("train", call, (states, feed.shared, part), steps, images, replicas.count, False)


def _evaluation(
    config: ConfigDict, replicas: Described, task: Task, state: State, split: data.Split
) -> Planned:
    size = evaluate.padded_size(config.eval.batch_size, len(split), replicas.count)
    feed = data.feed(split, replicas, config.data.resident_mb)
    part = next(iter(feed.calls(data.Rows(1, lambda _: np.zeros((1, size), np.int64)))))
    call = evaluate.compile_evaluation(task, replicas, feed, config.seed)
    number = replicas.replicate(np.int32(0))
    given = number, (replicas.replicate(state), feed.shared), part
    return Planned("evaluate", call, given, 1, size, replicas.count, True)


def _samplers(
    config: ConfigDict, replicas: Described, task: Any, state: State
) -> Iterator[Planned]:
    """One for each method but `naive`, which takes an evaluation for every value; each chip draws
    images of its own."""
    size = config.sample.batch_size
    key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), size))
    labels = jax.eval_shape(lambda: task.condition.no_labels(size))
    device = replicas.mesh.devices.flat[0]
    methods = ("cached", "fixed_point") if isinstance(task, Completes) else ("auto",)
    for method in methods:
        call = parallel.on_one_device(
            lambda s, k, t, m=method: task.sample(s, k, t, method=m), device
        )
        name = f"sample: {method}" if len(methods) > 1 else "sample"
        images = size * replicas.count
        yield Planned(name, call, (state, key, labels), 1, images, replicas.count, True)
