"""A trained model for scripts: `genlab.restore(workdir)`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from genlab import parallel
from genlab import task as tasks
from genlab.errors import UserError
from genlab.state import State
from genlab.task import Spec
from genlab.workdir import configs
from genlab.workdir.checkpoint import Checkpoints


def restore(workdir: str, step: str | int = "latest", weights: str = "ema") -> Model:
    """The model that a run has trained; needs nothing but its workdir.

    Args:
      step: "latest", "best" (by config.train.best_metric) or the number of a kept checkpoint.
      weights: "ema" (averaged where the run keeps an average) or "raw".

    Raises: UserError if there is no such checkpoint, or it is damaged.
    """
    if weights not in ("ema", "raw"):
        raise UserError(f"weights={weights!r}: take 'ema' or 'raw'.")
    config = configs.read(workdir)
    checkpoints = Checkpoints(workdir, config.train.best_metric, config.train.best_mode)
    try:
        chosen = checkpoints.choose(step)
        about = checkpoints.about(chosen)
        spec = Spec(tuple(about["shape"]), tuple(about["classes"]))
        task = tasks.load(config, spec)
        state = checkpoints.restore(chosen, tasks.abstract_state(task, spec))
    finally:
        checkpoints.close()
    used = weights if state.ema else "raw"
    state = jax.tree.map(jnp.asarray, state.with_weights(used))
    return Model(config, chosen, used, task, spec, state, workdir)


@dataclass(frozen=True, eq=False)
class Model:
    """config, step, task and state are the pure parts, for scripts that go further.

    state holds the weights that were asked for; `weights` says which those are.
    """

    config: ConfigDict
    step: int
    weights: str
    task: Any
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
        if count < 1:
            raise UserError(f"sample.count={count}: take 1 or more.")
        method = method or self.config.sample.method
        if hasattr(self.task, "check_sample"):
            self.task.check_sample(self.state, method)
        if labels is None:
            labels = np.arange(count) % max(len(self.classes), 1)
        if hasattr(self.task, "complete"):  # of a blank image: one program for both
            blank = np.zeros((count, *self.spec.shape), np.uint8)
            return self.complete(key, blank, blank > 0, method, temperature, labels, progress)
        run, temperature = self.compiled("sample", method), self._temperature(temperature)
        given = (self._labels(labels, count),)
        return self._in_chunks(run, given, key, count, temperature, progress=progress)

    def complete(
        self,
        key: jax.Array,
        images: np.ndarray,
        known: np.ndarray,
        method: str | None = None,
        temperature: float | None = None,
        labels: np.ndarray | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """u8[N,H,W,C] with the pixels outside `known` (bool, same shape) drawn anew."""
        run = self.compiled("complete", method or self.config.sample.method)
        count = len(images)
        given = (
            self._labels(labels, count),
            np.asarray(images),
            np.broadcast_to(known, images.shape),
        )
        temperature = self._temperature(temperature)
        return self._in_chunks(run, given, key, count, temperature, progress=progress)

    def log_prob(
        self,
        images: np.ndarray,
        key: jax.Array | None = None,
        samples: int | None = None,
        labels: np.ndarray | None = None,
    ) -> np.ndarray:
        """u8[N,H,W,C] -> f32[N], nats; exact, or for a VAE the bound of that many draws."""
        return self.apply("log_prob", images, labels, key, samples=samples)

    def encode(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """u8[N,H,W,C] -> f32[N,codes]; of a VAE the posterior mean."""
        return self.apply("encode", images, labels)

    def decode(self, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """f32[N,codes] -> u8[N,H,W,C]."""
        run, size = self.compiled("decode"), self.config.sample.batch_size
        labels = self._labels(labels, len(codes))
        found = [
            np.asarray(run(self.state, *(_pad(x[i : i + size], size) for x in (codes, labels))))
            for i in range(0, len(codes), size)
        ]
        return np.concatenate(found)[: len(codes)]

    def reconstruct(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """u8[N,H,W,C] -> u8[N,H,W,C], through the code."""
        return self.apply("reconstruct", images, labels)

    def denoise(self, images: np.ndarray) -> np.ndarray:
        """Corrupted u8[N,H,W,C] -> u8[N,H,W,C]."""
        return self.apply("denoise", images)

    def score(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """u8[N,H,W,C] -> f32[N]: how badly the model explains each image; the task says how."""
        return self.apply("score", images, labels)

    def apply(
        self,
        capability: str,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        key: jax.Array | None = None,
        **options: Any,
    ) -> np.ndarray:
        """[N,...]: a method (state, batch, key) of the task over any number of images.

        The i-th chunk of `sample.batch_size` images gets the key folded with i.
        """
        run = self.compiled(capability, **{k: v for k, v in options.items() if v is not None})
        size, found = self.config.sample.batch_size, []
        batch = {"image": np.asarray(images), "label": self._labels(labels, len(images))}
        key = jax.random.key(0) if key is None else key
        for start in range(0, len(images), size):
            chunk = {name: _pad(x[start : start + size], size) for name, x in batch.items()}
            found.append(np.asarray(run(self.state, chunk, jax.random.fold_in(key, start))))
        return np.concatenate(found)[: len(images)]

    def _labels(self, labels: np.ndarray | None, count: int) -> np.ndarray:
        conditional = getattr(self.task, "classes", 0)
        if labels is None:
            if conditional:
                raise UserError("this model is class-conditional: give labels, one for each image.")
            return np.full(count, -1, np.int32)
        labels = np.asarray(labels, np.int32)
        bad = labels.shape != (count,) or (conditional and not np.all(labels < conditional))
        if bad or (conditional and labels.min() < 0):
            raise UserError(f"labels: {count} of them are needed, from 0 to {conditional - 1}.")
        return labels

    def _temperature(self, temperature: float | None) -> np.float32:
        value = self.config.sample.temperature if temperature is None else temperature
        if not value > 0:
            raise UserError(f"sample.temperature={value}: take a number above 0.")
        return np.float32(value)

    def _in_chunks(
        self,
        run: Callable[..., jax.Array],
        arrays: tuple[np.ndarray, ...],
        key: jax.Array,
        count: int,
        *more: Any,
        progress: bool = False,
    ) -> np.ndarray:
        """Runs one compiled program on `sample.batch_size` images at a time, the last padded.

        One shape for any count: another shape may round another way, and so draw another image.
        """
        size, found = self.config.sample.batch_size, []
        for start in tqdm(range(0, count, size), unit="batch", disable=None if progress else True):
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, start + np.arange(size))
            chunk = [_pad(x[start : start + size], size) for x in arrays]
            found.append(np.asarray(run(self.state, keys, *chunk, *more)))
        return np.concatenate(found)[:count]

    def compiled(
        self, capability: str, method: str | None = None, **options: Any
    ) -> Callable[..., Any]:
        """The task's method of that name, compiled for one device.

        Raises: UserError naming the families that have it, if this one has not.
        """
        if not hasattr(self.task, capability):
            having = ", ".join(tasks.families_with(capability)) or "none yet"
            raise UserError(
                f"{self.config.task} has no {capability}; families that have it: {having}."
            )
        return _compile(self.task, capability, method, tuple(options.items()))


@functools.lru_cache(maxsize=32)
def _compile(
    task: Any, capability: str, method: str | None, options: tuple[tuple[str, Any], ...]
) -> Callable[..., Any]:
    call = functools.partial(getattr(task, capability), **dict(options))
    if method is None:
        return parallel.on_one_device(call)

    def with_method(state: State, keys: jax.Array, *rest: jax.Array) -> jax.Array:
        *arrays, temperature = rest
        return call(state, keys, *arrays, method=method, temperature=temperature)

    return parallel.on_one_device(with_method)


def _pad(images: np.ndarray, size: int) -> np.ndarray:
    """[N,...] -> [size,...], the last one repeated."""
    return images[np.minimum(np.arange(size), len(images) - 1)]
