"""`config.optim`, or its section for one of several players, as an Optax transformation."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from ml_collections import ConfigDict

from genlab.errors import UserError, hint
from genlab.sections.fields import Field, Natural, NonNegative, Rate, Share, check, fields_of
from genlab.sections.shared import AveragedOptim
from genlab.state import Tree

# Kinds of Optax's parameters: by the names that its optimizers share, else by type.
KINDS: dict[str, Any] = {
    **dict.fromkeys(("b1", "b2", "b3", "decay", "momentum", "decay_rate", "rho"), Rate),
    **dict.fromkeys(("eps", "eps_root", "weight_decay"), NonNegative),
    "beta": Share,  # of muon a decay, of optimistic optimizers a weight
    "lower_bound": float,  # of a loss
}
FUNCTIONS = (types.FunctionType, functools.partial)
KINDS_BY_TYPE: dict[type, Any] = {bool: bool, int: Natural, float: NonNegative, str: str}
SCHEDULES: dict[str, Callable[[float, int, float], optax.Schedule]] = {
    "constant": lambda peak, length, end: optax.constant_schedule(peak),
    "cosine": lambda peak, length, end: optax.cosine_decay_schedule(peak, length, end),
    "linear": lambda peak, length, end: optax.linear_schedule(peak, peak * end, length),
    "exponential": lambda peak, length, end: optax.exponential_decay(peak, length, end or 1e-2),
}


def schedule(config: ConfigDict, steps: int) -> optax.Schedule:
    """The learning rate at a step.

    Linear warm-up over `warmup_steps`, then constant, or cosine, linear or exponential decay to
    `end_scale` times the rate over `decay_steps` (0: what is left of `steps`).
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    length = config.decay_steps or max(steps - warmup, 1)
    body = SCHEDULES[config.schedule](peak, length, config.end_scale)
    if not warmup:
        return body
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), body], [warmup])


def _factory(
    name: str, path: str, key: str = "name"
) -> Callable[..., optax.GradientTransformation]:
    check(f"{path}.{key}", name, str)
    found = getattr(optax, name, None) or getattr(optax.contrib, name, None)
    known = inspect.signature(found).parameters if isinstance(found, FUNCTIONS) else {}
    if found is None or "learning_rate" not in known:
        raise UserError(f"{path}.{key}: Optax has no optimizer {name!r}; try 'adam'.")
    return found


def parameters(name: str, path: str) -> dict[str, Field]:
    """The parameters of an Optax optimizer that a config can set: numbers, booleans and text.

    Raises: UserError if Optax has no optimizer of that name.
    """
    found = {}
    for key, parameter in inspect.signature(_factory(name, path)).parameters.items():
        default, kind = parameter.default, KINDS.get(key.removeprefix("adam_"))
        if default is None and kind is not None:  # such as the momentum of sgd: off
            found[key] = Field(kind, 0.0)
        elif key != "learning_rate" and type(default) in KINDS_BY_TYPE:
            found[key] = Field(kind or KINDS_BY_TYPE[type(default)], default)
    return found


def make(
    config: ConfigDict, steps: int, path: str = "optim", outer: Iterable[str] | None = None
) -> optax.GradientTransformation:
    """The optimizer of a section: global-norm clipping, then the Optax optimizer of that name.

    Keys that are not ours (b1, eps, momentum, weight_decay, ...) go to the Optax function, which
    may also be one of `optax.contrib` (muon). With `outer`, the hidden matrices alone go by it.

    Args:
      outer: paths of the first layer and the head among the parameters; None where a network does
        not say them, and `config.outer` is refused.
    """
    rate = schedule(config, steps)
    optimizer = _decayed(_named(config, rate, path), config, rate)
    if config.outer:
        if outer is None:
            raise UserError(f"{path}.outer={config.outer}: only networks of pixels say which layers"
                            " are the first and the head.")  # fmt: skip
        own = schedule(_with_rate(config, config.outer_rate), steps)
        rest = _decayed(_factory(config.outer, path, "outer")(learning_rate=own), config, own)
        optimizer = optax.partition({"hidden": optimizer, "outer": rest}, _groups(tuple(outer)))
    if config.clip_norm:
        return optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    return optimizer


def _named(config: ConfigDict, rate: optax.Schedule, path: str) -> optax.GradientTransformation:
    factory = _factory(config.name, path)
    known = inspect.signature(factory).parameters
    extra = {key: value for key, value in config.items() if key not in fields_of(AveragedOptim)}
    for key in extra.keys() - known.keys():
        raise UserError(f"{path}.{key}: optax.{config.name} has none.{hint(key, known)}")
    return factory(learning_rate=rate, **extra)


def _with_rate(config: ConfigDict, rate: float) -> ConfigDict:
    return ConfigDict({**config, "learning_rate": rate})


def _decayed(
    optimizer: optax.GradientTransformation, config: ConfigDict, rate: optax.Schedule
) -> optax.GradientTransformation:
    """Also takes `matrix_decay` times the learning rate off every matrix (Loshchilov and Hutter,
    arXiv 1711.05101: not through the gradient)."""
    if not config.matrix_decay:
        return optimizer
    amount = lambda step: -config.matrix_decay * rate(step)  # noqa: E731
    return optax.chain(optimizer, optax.add_decayed_weights(amount, _matrices))


def _matrices(params: Tree) -> Tree:
    return jax.tree.map(lambda x: jnp.ndim(x) >= 2, params)


def _groups(outer: tuple[str, ...]) -> Callable[[Tree], Tree]:
    """Parameters -> "hidden" for matrices within, "outer" for vectors and what lies at a path of
    `outer`, such as "small/MaskedConv_0"."""

    def group(path: tuple[Any, ...], x: Any) -> str:
        place = "/".join(str(key.key) for key in path) + "/"
        ends = any(place.startswith(f"{each}/") for each in outer)
        return "outer" if ends or jnp.ndim(x) < 2 else "hidden"

    return lambda params: jax.tree_util.tree_map_with_path(group, params)
