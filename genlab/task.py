"""The contract of a task: a learning problem as a few pure functions, loaded by its name.

A family is a folder of `genlab/tasks`. Its `task.py` holds a class `Task` that derives from the
`Task` below or, with one network and one optimizer, from `OnePlayer`. A family gives what is
abstract here; everything else has a default. What only some families can do is a Protocol at the
end of this file, and `isinstance(task, Samples)` asks for it.

Everything a task computes runs inside `parallel`, where the `data` axis is bound.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import importlib
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from genlab import parallel, updates
from genlab.capabilities import CAPABILITIES, Samples
from genlab.condition import UNCONDITIONAL, Condition, Spec
from genlab.errors import UserError, hint
from genlab.nn.build import module
from genlab.state import State, Tree
from genlab.updates import Batch, Metrics

if TYPE_CHECKING:  # for annotations: these rooms stand above this file
    from genlab.data.splits import Data, Split
    from genlab.model import Model
    from genlab.pictures.figures import Picture

Restore = Callable[[str], "Model"]
PLAYER = "model"  # the player of a task with one network
SHEET = 16  # images on a progress sheet, 4x4


class Task(abc.ABC):
    """A learning problem: pure functions of a state, a batch and a key.

    shape: (H, W, C) of its images.
    units: units of its metrics, by name.
    sections: the config sections of the family by their path ("" is outside all sections). They add
      to those of `genlab.sections.shared` or replace them; None drops one.
    networks: the paths of network sections, and the fields that the task sets in them.
    adjustable: beginnings of the config keys that an evaluation may set otherwise than training.
    methods: what `sample` takes as its method, besides "auto".
    condition: what the model is told beside an image, if anything.
    """

    shape: tuple[int, int, int]
    units: ClassVar[dict[str, str]]
    sections: ClassVar[dict[str, type | None]]
    networks: ClassVar[dict[str, frozenset[str]]]
    adjustable: ClassVar[tuple[str, ...]] = ()
    methods: ClassVar[tuple[str, ...]] = ()
    condition: Condition = UNCONDITIONAL

    @property
    def needs_labels(self) -> bool:
        """Whether an evaluation needs the labels of images."""
        return bool(self.condition)

    @classmethod
    @abc.abstractmethod
    def make(cls, config: ConfigDict, spec: Spec) -> Task:
        """The task of a complete config. Raises UserError where settings contradict each other."""

    @classmethod
    def smoke(cls, config: ConfigDict) -> None:
        """Cuts a config down to what runs in seconds; by default it stays as it is."""
        return

    @property
    @abc.abstractmethod
    def headline(self) -> str:
        """The metric of the loss curve."""

    @property
    def protocol(self) -> dict[str, Any]:
        """What the numbers of an evaluation were measured on, which is stamped on them."""
        return {"likelihood": "none"}

    @abc.abstractmethod
    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state. Shapes come from batch["image"] u8[B,H,W,C]."""

    @abc.abstractmethod
    def step(self, state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One training step; metrics are f32[]."""

    @abc.abstractmethod
    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> Metrics:
        """{name: f32[B,...]} for each example; a masked mean over the split reduces them."""

    def summarise(self, means: dict[str, Any]) -> dict[str, Any]:
        """The numbers to report, derived from the means of `evaluate`."""
        return means

    def for_evaluation(
        self, state: State, evaluation: ConfigDict, restore: Restore
    ) -> tuple[Task, State]:
        """The task and state that `--mode=eval` measures, for a tighter bound or a comparison.

        Args:
          evaluation: `config.eval`.
          restore: gives the model of a workdir.
        """
        return self, state

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """What a reader of an evaluation must know."""
        return []

    def finish(self, state: State, data: Data) -> State:
        """The state before it is saved, with what is fitted after training."""
        return state

    def progress(self, model: Model, batch: dict[str, np.ndarray], key: jax.Array) -> Any:
        """u8[N,H,W,C], the progress sheet, or None for a task that draws nothing.

        By default it shows samples, drawn with the same noise at every step.

        Args: batch: validation images.
        """
        return model.sample(key, SHEET) if isinstance(self, Samples) else None

    def pictures(self, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
        """The figures of the family, drawn at the end of a training."""
        return {}

    def side_by_side(self, state: State) -> dict[str, tuple[np.ndarray, str]]:
        """{name: (u8[N,H,W,C], note)}: rows that a sweep shows next to those of its other runs."""
        return {}

    def check_sample(self, state: State, method: str) -> None:
        """Raises UserError for an unknown method, or where sampling would mislead."""
        if method not in ("auto", *self.methods):
            near = hint(method, ("auto", *self.methods))
            raise UserError(f"sample.method: no method {method!r}.{near}")


@dataclass(frozen=True, kw_only=True)
class OnePlayer(Task):
    """A task of one network and one optimizer; its player is called "model".

    ema: decay of the averaged weights, 0 for none.
    """

    network: nn.Module
    optimizer: optax.GradientTransformation
    ema: float
    shape: tuple[int, int, int]

    @abc.abstractmethod
    def loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """f32[], and (the metrics to log, the new statistics of the player)."""

    def network_inputs(self, labels: jax.Array) -> tuple[Any, ...]:
        """The inputs of the network besides an image, for labels i32[B]."""
        return ()

    def initial_stats(self) -> dict[str, Tree]:
        """The statistics of a fresh state."""
        return {}

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state. Shapes come from batch["image"] u8[B,H,W,C]."""
        x = jnp.zeros((1, *batch["image"].shape[1:]), jnp.float32)
        more = self.network_inputs(self.condition.no_labels(1))
        return State.create(
            {PLAYER: self.network.init(key, x, *more)["params"]},
            {PLAYER: self.optimizer},
            stats=self.initial_stats(),
            averaged=(PLAYER,) if self.ema else (),
        )

    def step(self, state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One descent on the loss."""
        return updates.descend(PLAYER, self.optimizer, self.loss, self.ema)(state, batch, key)


def in_float32(part: Any) -> Any:
    """A task or a network whose networks all compute in float32, whatever they were trained in."""
    if isinstance(part, tuple):
        each = tuple(map(in_float32, part))
        return part if all(map(operator.is_, each, part)) else each
    if not isinstance(part, (nn.Module, Task)) or not dataclasses.is_dataclass(part):
        return part
    own = {f.name: getattr(part, f.name) for f in dataclasses.fields(part) if f.name != "parent"}
    exact = {name: in_float32(value) for name, value in own.items()}
    if isinstance(part, nn.Module) and "dtype" in own:
        exact["dtype"] = "float32"
    changed = {n: x for n, x in exact.items() if x is not own[n] and x != own[n]}
    if not changed:
        return part
    clone: Any = part.clone if isinstance(part, nn.Module) else functools.partial(
        dataclasses.replace, part
    )  # fmt: skip
    return clone(**changed)


def abstract_batch(spec: Spec, size: int = 1) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of a batch."""
    label = jax.ShapeDtypeStruct((size,), jnp.int32)
    if spec.attributes:
        label = jax.ShapeDtypeStruct((size, len(spec.attributes)), jnp.bool_)
    return {"image": jax.ShapeDtypeStruct((size, *spec.shape), jnp.uint8), "label": label}


def abstract_state(task: Task, spec: Spec) -> State:
    """The shapes and dtypes of a task's state, without computing it."""
    return jax.eval_shape(lambda b: task.init(jax.random.key(0), b), abstract_batch(spec))


def names() -> list[str]:
    """Every family."""
    return sorted(p.parent.name for p in (Path(__file__).parent / "tasks").glob("*/task.py"))


def family(name: str) -> type[Task]:
    """The class of the family that `config.task` names: a folder of `genlab/tasks`, or any module
    that has a `Task`. Raises UserError if there is none."""
    if name in names():
        return importlib.import_module(f"genlab.tasks.{name}.task").Task
    found = getattr(module(name), "Task", None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise UserError(f"config.task: no task {name!r}.{hint(str(name), names())}")
    return found


def load(config: ConfigDict, spec: Spec) -> Task:
    """The task of a config, for images of that shape. Raises UserError under JAX_ENABLE_X64."""
    parallel.refuse_float64()
    return family(config.task).make(config, spec)


def families_with(capability: str) -> list[str]:
    """The families that have a method of that name."""
    return [name for name in names() if issubclass(family(name), CAPABILITIES[capability])]
