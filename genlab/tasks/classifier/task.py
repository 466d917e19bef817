"""Classifiers: the class of an image, and the features that sets of samples are compared by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from genlab import noise, optim
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.nn import build
from genlab.nn.apply import outputs_of
from genlab.nn.classifier import ConvClassifier
from genlab.state import State, Tree
from genlab.task import PLAYER, OnePlayer
from genlab.tasks.classifier import defaults
from genlab.updates import Batch, Metrics


@dataclass(frozen=True, kw_only=True)
class Task(OnePlayer):
    """A network with `embed`, the features before its last layer.

    shift: by how many pixels at most training moves an image, each way.
    """

    network: ConvClassifier
    shift: int

    sections: ClassVar[dict[str, type | None]] = defaults.SECTIONS
    networks: ClassVar[dict[str, frozenset[str]]] = {"model": frozenset({"outputs"})}
    headline: ClassVar[str] = "cross_entropy"
    units: ClassVar[dict[str, str]] = {
        "cross_entropy": "nats per image",
        "accuracy": "share of images",
    }

    @property
    def needs_labels(self) -> bool:
        """See `genlab.task.Task`."""
        return True

    @classmethod
    def make(cls, config: ConfigDict, spec: Spec) -> Task:
        """See `genlab.task.Task`."""
        if not spec.classes:
            raise UserError("task=classifier: this data has no labels; take a set that has.")
        shift, most = config.classifier.shift, min(spec.shape[:2]) // 2
        if shift > most:
            raise UserError(f"classifier.shift={shift}: take 0 (none) to {most} pixels.")
        return cls(
            network=build.build(config.model, "model", ConvClassifier, outputs=len(spec.classes)),
            shift=shift,
            optimizer=optim.make(config.optim, config.train.steps),
            ema=config.optim.ema,
            shape=spec.shape,
        )

    @classmethod
    def smoke(cls, config: ConfigDict) -> None:
        """See `genlab.task.Task`."""
        config.model.update(features=(4, 4, 8), hidden=8)

    def loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """The mean cross-entropy of shifted images."""
        shift_key, dropout_key = jax.random.split(key)
        x = shifted(shift_key, batch["image"] / 255.0, self.shift)
        logits = outputs_of(self.network, params, x, True, rngs={"dropout": dropout_key})
        means = {name: value.mean() for name, value in _errors(logits, batch["label"]).items()}
        return means["cross_entropy"], (means, {})

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> Metrics:
        """{"cross_entropy", "accuracy": f32[B]}, of images as they are."""
        return _errors(self._logits(state, batch), batch["label"])

    def classify(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,classes], probabilities."""
        return jax.nn.softmax(self._logits(state, batch))

    def features(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,d], what the network's last layer sees."""
        x = batch["image"] / 255.0
        return outputs_of(self.network, state.params[PLAYER], x, method="embed")

    def _logits(self, state: State, batch: Batch) -> jax.Array:
        return outputs_of(self.network, state.params[PLAYER], batch["image"] / 255.0)


def shifted(key: jax.Array, x: jax.Array, most: int) -> jax.Array:
    """f32[B,H,W,C] -> same, each image moved by its own whole number of pixels, up to `most` each
    way, its border repeated."""
    if not most:
        return x
    places = jnp.floor(noise.uniform(key, (x.shape[0], 2)) * (2 * most + 1)).astype(jnp.int32)
    sides = (0, 0), (most, most), (most, most), (0, 0)
    padded = jnp.pad(x, sides, mode="edge")  # f32[B,H+2m,W+2m,C]
    cut = lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), x.shape[1:])  # noqa: E731
    return jax.vmap(cut)(padded, places)


def _errors(logits: jax.Array, labels: jax.Array) -> Metrics:
    return {
        "cross_entropy": optax.softmax_cross_entropy_with_integer_labels(logits, labels),
        "accuracy": (logits.argmax(-1) == labels).astype(jnp.float32),
    }
