"""What a task knows of its data, and what conditions a model: an image's class or attributes."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from genlab.errors import UserError


@dataclass(frozen=True)
class Spec:
    """What a task needs to know of its data.

    shape: (H, W, C) of an image.
    classes: names of the classes, in the order of their labels; () where the set has none.
    attributes: what bool[K] labels say, in their order; () where labels are classes.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """What a model is told beside an image; falsy for nothing.

    size: how many classes or attributes.
    attributes: whether it is told bool[size] attributes, not one class.
    """

    size: int = 0
    attributes: bool = False

    def __bool__(self) -> bool:
        return self.size > 0

    def vector(self, labels: jax.Array) -> jax.Array | None:
        """i32[B], or bool[B,size] of attributes -> f32[B,size]; None for a model told nothing."""
        if not self:
            return None
        if self.attributes:
            return labels.astype(jnp.float32)
        return jax.nn.one_hot(labels, self.size)

    @property
    def protocol(self) -> dict[str, str]:
        """What a likelihood is given, for its stamp."""
        return {"given": "attributes" if self.attributes else "class"} if self else {}

    def no_labels(self, count: int) -> jax.Array:
        """Labels of that many images, to make parameters with."""
        if self.attributes:
            return jnp.zeros((count, self.size), bool)
        return jnp.zeros(count, jnp.int32)


UNCONDITIONAL = Condition()


def condition_of(wanted: bool, spec: Spec, key: str) -> Condition:
    """The condition on the labels of the data, if wanted.

    Raises: UserError, naming the config key, where the data has none.
    """
    if not wanted:
        return UNCONDITIONAL
    if spec.attributes:
        return Condition(len(spec.attributes), attributes=True)
    if not spec.classes:
        raise UserError(f"{key}: this data has no labels; set it to False.")
    return Condition(len(spec.classes))
