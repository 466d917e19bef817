"""Checks what scripts hand to a model: it is taken as meant, or refused in one line."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genlab.condition import Condition
from genlab.errors import UserError


def images(values: Any, shape: tuple[int, int, int], name: str = "images") -> np.ndarray:
    """u8[N,H,W,C] of images of that (H, W, C): integers 0..255 of any integer type, or a list.

    Raises: UserError for floats, booleans, values out of range, or another shape.
    """
    array = _array(values, name)
    wanted = f"{name}: {_spelled(array)} given, u8[N,{','.join(map(str, shape))}] needed"
    if array.dtype == bool or not np.issubdtype(array.dtype, np.integer):
        remedy = "; multiply by 255 and round" if array.dtype.kind in "fb" else ""
        raise UserError(f"{wanted}: integers 0..255{remedy}.")
    if array.shape[1:] != tuple(shape):
        hint = "; for a single image, images[None]" if array.shape == tuple(shape) else ""
        raise UserError(f"{wanted}{hint}.")
    if array.size and (array.min() < 0 or array.max() > 255):
        raise UserError(f"{name}: values from {array.min()} to {array.max()}; take 0..255.")
    return array.astype(np.uint8)


def known(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """bool[N,H,W,C] of a mask that broadcasts to the images it is for."""
    array = _array(values, "known")
    if array.dtype != bool:
        raise UserError(f"known: {_spelled(array)} given; take booleans, True for given pixels.")
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise UserError(
            f"known: {list(array.shape)} does not fit images of {list(shape)}; give a mask of that"
            " shape, or one that broadcasts to it."
        ) from None


def labels(values: Any, count: int, condition: Condition) -> np.ndarray:
    """The labels of that many images: i32[count] of classes, or bool[count,K] of attributes. A
    model that is told neither takes any labels, by default -1.

    Raises: UserError for a conditional model without labels, or labels that are none.
    """
    if values is None:
        if condition:
            raise UserError("this model is conditional: give labels, one for each image.")
        return np.full(count, -1, np.int32)
    array = _array(values, "labels")
    if condition.attributes:
        return _attributes(array, (count, condition.size))
    whole = np.issubdtype(array.dtype, np.integer) or array.size == 0
    inside = not condition or not array.size or (array.min() >= 0 and array.max() < condition.size)
    if not whole or array.shape != (count,) or not inside:
        span = f" from 0 to {condition.size - 1}" if condition else ""
        raise UserError(f"labels: {_spelled(array)} given; take {count} whole numbers{span}.")
    return array.astype(np.int32)


def _attributes(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if array.shape != shape or not np.isin(array, (0, 1)).all():
        raise UserError(f"labels: {_spelled(array)} given; take attributes, bool{list(shape)}.")
    return array.astype(bool)


def codes(values: Any, size: int) -> np.ndarray:
    """f32[N,size] of finite numbers."""
    array = _array(values, "codes")
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] != size:
        hint = "; for a single code, codes[None]" if array.shape == (size,) else ""
        raise UserError(f"codes: {_spelled(array)} given, f32[N,{size}] needed{hint}.")
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        array = array.astype(np.float32)
    if not np.all(np.isfinite(array)):
        raise UserError("codes: not all of them are finite numbers.")
    return array


def temperature(value: Any) -> np.float32:
    """A number that is above 0 as a float32 too."""
    try:
        with np.errstate(over="ignore"):
            number = np.float32(value)
    except (TypeError, ValueError):
        raise UserError(f"temperature={value!r}: take a number above 0.") from None
    if not (number.ndim == 0 and number > 0 and math.isfinite(number)):
        raise UserError(f"temperature={value}: take a number above 0, within float32.")
    return number


def count(value: Any, name: str = "count", low: int = 1) -> int:
    """A whole number, `low` or more."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise UserError(f"{name}={value}: take {low} or more.")
    return int(value)


def key(value: Any) -> jax.Array:
    """One random key, new style or old."""
    if isinstance(value, jax.Array) and value.ndim == 0 and _is_key(value):
        return value
    old_style = isinstance(value, (jax.Array, np.ndarray)) and value.dtype == np.uint32
    if old_style and value.shape == (2,):
        return jax.random.wrap_key_data(jnp.asarray(value))
    raise UserError("key: take one random key, such as jax.random.key(0).")


def _is_key(value: jax.Array) -> bool:
    return jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _array(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except Exception:  # ragged lists, keys, things of all kinds
        raise UserError(f"{name}: this is no array; give one of numbers.") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name}: an array of {array.dtype} given; give one of numbers.")
    return array


def _spelled(array: np.ndarray) -> str:
    return f"{array.dtype}[{','.join(map(str, array.shape))}]"
