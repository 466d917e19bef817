"""An LSTM whose states see several others: its cell, and its scan with a gradient of our own.

Gates stand in the order output, forget, input, content (van den Oord et al., arXiv 1601.06759,
equation 3).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from genlab import parallel

Around = Callable[[jax.Array], jax.Array]  # states -> what each state sees of the others
Arrays = tuple[jax.Array, ...]
State = tuple[jax.Array, jax.Array]  # h and c


def _cell(gates: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The new h and c; and for the gradient, the three sigmoids in one array, and the content."""
    opened, content = jnp.split(gates, [3 * c.shape[-1]], -1)
    sigmoids, content = nn.sigmoid(opened), jnp.tanh(content)
    o, f, i = jnp.split(sigmoids, 3, -1)
    c = f * c + i * content
    return o * jnp.tanh(c), c, sigmoids, content


def lstm(gates: jax.Array, c: jax.Array) -> State:
    """Gates f32[...,4h] (output, forget, input, content) and c f32[...,h] -> the new (h, c)."""
    return _cell(gates, c)[:2]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_scan(around: Around, drive: jax.Array, kernel: jax.Array, c: jax.Array) -> jax.Array:
    """The states of an LSTM at all times, given its drive; h starts at zero.

    Its gradient is written by hand. The gradient of the kernel is then one product over all times
    instead of a small one at each, and only the opened gates and c are kept.

    Args:
      around: linear, f32[G,...,h] -> f32[G,...,k*h], the states that each state sees.
      drive: f32[T,G,...,4h], what the input adds to the gates.
      kernel: f32[G,k*h,4h].
      c: f32[G,...,h], before the first time.

    Returns: f32[T,G,...,h].
    """
    return _lstm_forward(around, drive, kernel, c)[0]


def by_time(x: jax.Array) -> jax.Array:
    """[T,...], its times apart in memory, so that a scan reads each as one piece.

    A TPU else puts time among the minor axes, and half a Diagonal BiLSTM's step is strided reading.
    On a CPU arrays lie like this anyway.
    """
    if parallel.platform() == "cpu":
        return x
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


def _lstm_forward(
    around: Around, drive: jax.Array, kernel: jax.Array, start: jax.Array
) -> tuple[jax.Array, Arrays]:
    def forward(state: State, drive: jax.Array) -> tuple[State, Arrays]:
        h, c = state
        gates = drive + jnp.einsum("g...i,gio->g...o", around(h), kernel)
        stepped = _cell(gates, c)
        return stepped[:2], stepped

    drive = by_time(drive)
    h, c, sigmoids, content = jax.lax.scan(forward, (jnp.zeros_like(start), start), drive)[1]
    return h, (h, c, sigmoids, content, kernel, start)


def _lstm_backward(around: Around, kept: Arrays, slope: jax.Array) -> Arrays:
    h, c, sigmoids, content, kernel, start = kept
    earlier_h = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])
    earlier_c = jnp.concatenate([start[None], c[:-1]])
    to_states = jax.linear_transpose(around, start)

    def backward(slopes: State, inputs: Arrays) -> tuple[State, jax.Array]:
        dh, dc = slopes
        slope, earlier_c, c, sigmoids, g = inputs
        o, f, i = jnp.split(sigmoids, 3, -1)
        dh, t = dh + slope, jnp.tanh(c)
        dc = dc + dh * o * (1 - t * t)
        opened = jnp.concatenate([dh * t, dc * earlier_c, dc * g], -1) * sigmoids * (1 - sigmoids)
        gates = jnp.concatenate([opened, dc * i * (1 - g * g)], -1)
        (dh,) = to_states(jnp.einsum("g...o,gio->g...i", gates, kernel))
        return (dh, dc * f), gates

    zero = jnp.zeros_like(start)
    inputs = (slope, earlier_c, c, sigmoids, content)
    (_, dc), gates = jax.lax.scan(backward, (zero, zero), inputs, reverse=True)
    seen = jax.vmap(around)(earlier_h)
    return gates, jnp.einsum("tg...i,tg...o->gio", seen, gates), dc


lstm_scan.defvjp(_lstm_forward, _lstm_backward)
