"""What some families can do and others cannot: each a Protocol, asked for by `isinstance`."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from genlab.coding.contract import Compresses
from genlab.state import State
from genlab.updates import Batch


@runtime_checkable
class Samples(Protocol):
    """Draws images."""

    def sample(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> jax.Array:
        """key[B], i32[B] -> u8[B,H,W,C]; image i depends on its own key alone."""


@runtime_checkable
class Completes(Protocol):
    """Draws the unknown pixels of an image."""

    def complete(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        images: jax.Array,
        known: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
        order: str | None = None,
    ) -> jax.Array:
        """key[B], i32[B], u8[B,H,W,C], bool[B,H,W,C] -> u8[B,H,W,C]; order: of the pixels, by
        default one that the family chooses."""

    def differences(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        first: np.ndarray,
        second: np.ndarray,
    ) -> tuple[int, int]:
        """Compares two samplers' images u8[B,H,W,C] by the same keys: how many differ, and how many
        of those by more than rounding explains."""


@runtime_checkable
class HasLogProb(Protocol):
    """Has a likelihood, exact or as a bound."""

    def log_prob(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B], nats per image."""


@runtime_checkable
class Mixes(Protocol):
    """Can be one with other models of its family."""

    def mix(self, models: dict[str, tuple[Any, State]]) -> tuple[Any, State]:
        """{name: (task, state)}, this one's among them -> the task and state of all together.

        Raises: UserError for models that do not fit together.
        """


@runtime_checkable
class Encodes(Protocol):
    """Has a code for each image."""

    def encode(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,d]."""

    def reconstruct(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> u8[B,H,W,C], through the code."""


@runtime_checkable
class Decodes(Protocol):
    """Makes images of codes or latents."""

    def code_size(self) -> int:
        """Numbers in a code."""

    def decode(self, state: State, codes: jax.Array, labels: jax.Array) -> jax.Array:
        """f32[B,d], i32[B] -> u8[B,H,W,C]."""


@runtime_checkable
class Denoises(Protocol):
    """Removes noise from images."""

    def denoise(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """Corrupted u8[B,H,W,C] -> u8[B,H,W,C]."""


@runtime_checkable
class Scores(Protocol):
    """Measures how badly a model explains an image."""

    def score(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B]; the task says in which unit."""


@runtime_checkable
class Classifies(Protocol):
    """Gives the class of an image, and features to compare images by."""

    def classify(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,classes], probabilities."""

    def features(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,d]."""


CAPABILITIES: dict[str, type] = {
    "sample": Samples,
    "complete": Completes,
    "log_prob": HasLogProb,
    "mix": Mixes,
    "encode": Encodes,
    "reconstruct": Encodes,
    "decode": Decodes,
    "denoise": Denoises,
    "score": Scores,
    "classify": Classifies,
    "features": Classifies,
    "coder": Compresses,
}


def of_images(task: object) -> tuple[str, ...]:
    """The task's methods that make an array of a state, a batch of images and a key."""
    methods = dict(inspect.getmembers(type(task), inspect.isfunction))
    own = [name for name in methods if name[0] != "_" and name not in ("step", "evaluate")]
    taken = {name: list(inspect.signature(methods[name]).parameters)[1:4] for name in own}
    return tuple(name for name in own if taken[name] == ["state", "batch", "key"])
