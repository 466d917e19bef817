"""A trained model: a task with its state, and what scripts ask of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from genlab import programs
from genlab import task as tasks
from genlab.capabilities import CAPABILITIES, Completes, Decodes, of_images
from genlab.coding import codec
from genlab.condition import Spec
from genlab.data import gate
from genlab.errors import UserError
from genlab.state import State
from genlab.task import Task


@dataclass(frozen=True, eq=False)
class Model:
    """A task with its trained state.

    config, step, task, spec, state: the pure parts, for scripts that go further.
    weights: which weights the state holds, "ema" or "raw".
    """

    config: ConfigDict
    step: int
    weights: str
    task: Task
    spec: Spec
    state: State
    workdir: str

    def with_config(self, config: ConfigDict) -> Model:
        """The same model with other sampling settings."""
        return dataclasses.replace(self, config=config)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of its data."""
        return self.spec.classes

    def sample(
        self,
        key: jax.Array,
        count: int,
        method: str | None = None,
        temperature: float | None = None,
        labels: np.ndarray | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """u8[count,H,W,C]. Image i depends on (key, i) alone, so fewer are the first of more.

        labels: i32[count] for a class-conditional model; by default all classes in turn.
        """
        count = gate.count(count, "sample.count")
        method = method or self.config.sample.method
        run = self.function("sample", method)  # says which families sample
        self.task.check_sample(self.state, method)
        if labels is None:
            labels = self.labels_in_turn(count)
        if isinstance(self.task, Completes):  # of a blank image: one program for both
            blank = np.zeros((count, *self.spec.shape), np.uint8)
            return self.complete(key, blank, blank > 0, method, temperature, labels, progress)
        arrays = (self._labels(labels, count),)
        return self._draw(run, arrays, key, count, temperature, progress)

    def complete(
        self,
        key: jax.Array,
        images: np.ndarray,
        known: np.ndarray,
        method: str | None = None,
        temperature: float | None = None,
        labels: np.ndarray | None = None,
        progress: bool = False,
        order: str | None = None,
    ) -> np.ndarray:
        """u8[N,H,W,C] with the pixels outside `known` (bool, same shape) drawn anew.

        order: one of `config.autoregressive.orders`; by default the identity, and for an image of
          which nothing is known one drawn by its key.
        """
        method = method or self.config.sample.method
        run = self.function("complete", method, **({"order": order} if order else {}))
        self.task.check_sample(self.state, method)
        images = gate.images(images, self.spec.shape)
        known = gate.known(known, images.shape)
        arrays = (self._labels(labels, len(images)), images, known)
        return self._draw(run, arrays, key, len(images), temperature, progress)

    def log_prob(
        self,
        images: np.ndarray,
        key: jax.Array | None = None,
        samples: int | None = None,
        labels: np.ndarray | None = None,
    ) -> np.ndarray:
        """u8[N,H,W,C] -> f32[N], nats: exact, or for a VAE the bound of `samples` draws."""
        draws = {} if samples is None else {"samples": gate.count(samples, "samples")}
        return self.apply("log_prob", images, labels, key, False, **draws)

    def encode(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """u8[N,H,W,C] -> f32[N,codes]; for a VAE, the posterior mean."""
        return self.apply("encode", images, labels)

    def decode(self, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """f32[N,codes] -> u8[N,H,W,C]."""
        run = self.function("decode")
        assert isinstance(self.task, Decodes)  # `function` has refused what is not
        codes = gate.codes(codes, self.task.code_size())
        arrays = (codes, self._labels(labels, len(codes)))
        return self._in_chunks(run, lambda start, rows: tuple(rows), arrays)

    def reconstruct(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """u8[N,H,W,C] -> u8[N,H,W,C], through the code."""
        return self.apply("reconstruct", images, labels)

    def denoise(self, images: np.ndarray) -> np.ndarray:
        """Corrupted u8[N,H,W,C] -> u8[N,H,W,C]."""
        return self.apply("denoise", images)

    def score(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """u8[N,H,W,C] -> f32[N]: how badly the model explains each image, in the task's unit."""
        return self.apply("score", images, labels)

    def compress(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        store_labels: bool = True,
        verify: bool = True,
        progress: bool = False,
    ) -> bytes:
        """u8[N,H,W,C] -> a `.glz` file, from which this model has them back: see
        `genlab.coding.codec`."""
        told = images, labels, store_labels, verify
        return b"".join(codec.compress(self, *told, progress=progress))

    def decompress(
        self, data: bytes, labels: np.ndarray | None = None, progress: bool = False
    ) -> np.ndarray:
        """A `.glz` file -> u8[N,H,W,C]. labels: i32[N], if they were not stored."""
        return codec.decompress(self, data, labels, progress)[0]

    def apply(
        self,
        capability: str,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        key: jax.Array | None = None,
        progress: bool = False,
        **options: Any,
    ) -> np.ndarray:
        """[N,...]: a method (state, batch, key) of the task over any number of images.

        The i-th chunk of `sample.batch_size` images gets the key folded with i.

        Raises: UserError for a method that the task has not, or that takes something else.
        """
        self._needs(capability)
        if capability not in (known := of_images(self.task)):
            raise UserError(f"{capability!r} is no method of images; {', '.join(known)} are.")
        run = self.function(capability, **options)
        images = gate.images(images, self.spec.shape)
        key = jax.random.key(0) if key is None else gate.key(key)

        def given(start: int, rows: list[np.ndarray]) -> tuple[Any, ...]:
            return {"image": rows[0], "label": rows[1]}, jax.random.fold_in(key, start)

        arrays = images, self._labels(labels, len(images))
        return self._in_chunks(run, given, arrays, progress)

    def function(
        self, capability: str, method: str | None = None, **options: Any
    ) -> Callable[..., Any]:
        """The task's method of that name, to be compiled; in float32, whatever it was trained in.

        Raises: UserError naming the families that have it, if this one has not.
        """
        self._needs(capability)
        return programs.function(
            tasks.in_float32(self.task), capability, method, tuple(options.items())
        )

    def _needs(self, capability: str) -> None:
        wanted = CAPABILITIES.get(capability)
        if wanted and not isinstance(self.task, wanted):
            having = ", ".join(tasks.families_with(capability)) or "none yet"
            raise UserError(
                f"{self.config.task} has no {capability}; families that have it: {having}."
            )

    def labels_in_turn(self, count: int) -> np.ndarray:
        """i32[count], all classes in turn; of attributes bool[count,K], one at a time."""
        condition = self.task.condition
        turn = np.arange(count) % max(condition.size or len(self.classes), 1)
        return np.eye(condition.size, dtype=bool)[turn] if condition.attributes else turn

    def _labels(self, labels: np.ndarray | None, count: int) -> np.ndarray:
        return gate.labels(labels, count, self.task.condition)

    def _draw(
        self,
        run: Callable[..., jax.Array],
        arrays: tuple[np.ndarray, ...],
        key: jax.Array,
        count: int,
        temperature: float | None,
        progress: bool,
    ) -> np.ndarray:
        """Runs a sampling program; image i gets the key folded with i."""
        if temperature is None:
            temperature = self.config.sample.temperature
        warmth, key = gate.temperature(temperature), gate.key(key)
        size = self.config.sample.batch_size

        def given(start: int, rows: list[np.ndarray]) -> tuple[Any, ...]:
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, start + np.arange(size))
            return keys, *rows, warmth

        return self._in_chunks(run, given, arrays, progress)

    def _in_chunks(
        self,
        run: Callable[..., jax.Array],
        given: programs.Given,
        arrays: tuple[np.ndarray, ...],
        progress: bool = False,
    ) -> np.ndarray:
        size = self.config.sample.batch_size
        return programs.in_chunks(run, self.state, given, arrays, size, progress)
