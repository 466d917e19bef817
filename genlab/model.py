"""A trained model for scripts: `genlab.restore(workdir)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import programs
from genlab import task as tasks
from genlab.capabilities import CAPABILITIES, Completes, Decodes, Mixes
from genlab.coding import codec
from genlab.condition import Spec
from genlab.data import gate
from genlab.errors import UserError
from genlab.state import State
from genlab.task import Task
from genlab.workdir import configs, places
from genlab.workdir.checkpoint import Checkpoints, digest
from genlab.zoo import entries


def restore(workdir: str, step: str | int = "latest", weights: str = "ema") -> Model:
    """The model that a run has trained; needs nothing but its workdir.

    Args:
      workdir: or pretrained:NAME, or a mixture, see `genlab/workdir/places.py`.
      step: "latest", "best" (by config.train.best_metric) or the number of a kept checkpoint.
      weights: "ema" (averaged where the run keeps an average) or "raw".

    Raises: UserError if there is no such checkpoint, or it is damaged.
    """
    if weights not in ("ema", "raw"):
        raise UserError(f"weights={weights!r}: take 'ema' or 'raw'.")
    return _restored(configs.read(workdir), workdir, step, weights)


def restore_for(config: ConfigDict, workdir: str, mode: str) -> Model:
    """The model of a run for a mode of `launch.py`, with what the config asks for otherwise than
    training.

    Raises: UserError for what `restore` refuses, and for a key that the mode does not read.
    """
    configs.refuse_unread(config, workdir, mode)
    return _restored(config, workdir, config.eval.step, config.eval.weights)


def _mixed(config: ConfigDict, place: str, step: str | int, weights: str) -> Model:
    """The model of a mixture; its config is that of the first member."""
    models = [restore(name, own or step, weights) for name, own in places.members(place)]
    first = models[0]
    first.function("mix")  # says which families mix
    assert isinstance(first.task, Mixes)
    names = [m.workdir if places.is_pretrained(m.workdir) else f"{m.workdir}:{m.step}"
             for m in models]  # fmt: skip
    if len(set(names)) < len(names):
        raise UserError(f"mixture: {', '.join(names)}: take each model once.")
    parts = {name: (m.task, m.state) for name, m in zip(names, models, strict=True)}
    task, state = first.task.mix(parts)
    used = " ".join(dict.fromkeys(m.weights for m in models))
    place = places.MIXTURE + ",".join(names)
    return Model(config, first.step, used, task, first.spec, state, place)


def _restored(config: ConfigDict, workdir: str, step: str | int, weights: str) -> Model:
    if places.is_mixture(workdir):
        return _mixed(config, workdir, step, weights)
    if places.is_pretrained(workdir):
        return _pretrained(config, workdir, step, weights)
    checkpoints = Checkpoints(workdir, config.train.best_metric, config.train.best_mode)
    try:
        chosen = checkpoints.choose(step)
        about = checkpoints.about(chosen)
        attributes = tuple(about.get("attributes", ()))  # runs of before had none
        spec = Spec(tuple(about["shape"]), tuple(about["classes"]), attributes)
        task = tasks.load(config, spec)
        state = checkpoints.restore(chosen, tasks.abstract_state(task, spec))
    finally:
        checkpoints.close()
    used = weights if state.ema else "raw"
    state = jax.tree.map(jnp.asarray, state.with_weights(used))
    return Model(config, chosen, used, task, spec, state, workdir)


def _pretrained(config: ConfigDict, place: str, step: str | int, weights: str) -> Model:
    entry = entries.read(place.removeprefix(places.PRETRAINED))
    if entry.members:
        named = places.MIXTURE + ",".join(f"{places.PRETRAINED}{name}" for name in entry.members)
        return dataclasses.replace(_mixed(config, named, step, weights), workdir=place)
    about = entry.about
    if str(step) not in ("latest", "best", str(about["step"])):
        raise UserError(f"{place}: step {step} asked for; it is of step {about['step']}.")
    if weights not in ("ema", about["weights"]):
        raise UserError(f"{place}: {weights} weights asked for; it holds the averaged ones alone.")
    spec = Spec(*(tuple(about[name]) for name in ("shape", "classes", "attributes")))
    task = tasks.load(config, spec)
    state = jax.tree.map(jnp.asarray, entry.state(tasks.abstract_state(task, spec)))
    return Model(config, about["step"], about["weights"], task, spec, state, place)


def _restore_same(workdir: str, step: int, weights: str, config: str, sha256: str) -> Model:
    """A pickled model, which is its place on disk. Raises UserError if it is another by now."""
    model = restore(workdir, step, weights)
    if digest(jax.device_get(model.state)) != sha256:
        raise UserError(f"{workdir}: step {step} is no longer the model that was pickled.")
    return model.with_config(configs.from_json(config))


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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its place on disk, with a digest: for multiprocessing."""
        sha256 = digest(jax.device_get(self.state))
        place = (str(self.workdir), self.step, self.weights)
        return _restore_same, (*place, configs.to_json(self.config), sha256)

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
            labels = self._each_in_turn(count)
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
        return self.apply("log_prob", images, labels, key, **draws)

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
        **options: Any,
    ) -> np.ndarray:
        """[N,...]: a method (state, batch, key) of the task over any number of images.

        The i-th chunk of `sample.batch_size` images gets the key folded with i.
        """
        run = self.function(capability, **options)
        images = gate.images(images, self.spec.shape)
        key = jax.random.key(0) if key is None else gate.key(key)

        def given(start: int, rows: list[np.ndarray]) -> tuple[Any, ...]:
            return {"image": rows[0], "label": rows[1]}, jax.random.fold_in(key, start)

        return self._in_chunks(run, given, (images, self._labels(labels, len(images))))

    def function(
        self, capability: str, method: str | None = None, **options: Any
    ) -> Callable[..., Any]:
        """The task's method of that name, to be compiled; in float32, whatever it was trained in.

        Raises: UserError naming the families that have it, if this one has not.
        """
        wanted = CAPABILITIES.get(capability)
        if wanted and not isinstance(self.task, wanted):
            having = ", ".join(tasks.families_with(capability)) or "none yet"
            raise UserError(
                f"{self.config.task} has no {capability}; families that have it: {having}."
            )
        return programs.function(
            tasks.in_float32(self.task), capability, method, tuple(options.items())
        )

    def _each_in_turn(self, count: int) -> np.ndarray:
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
