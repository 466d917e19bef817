"""`config.optim`, or its section for one of several players, as an Optax transformation."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import optax
import optax.contrib
from ml_collections import ConfigDict

from genlab.errors import UserError, hint
from genlab.sections.fields import Field, Natural, NonNegative, Rate, Share, check, fields_of
from genlab.sections.shared import AveragedOptim

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


def _factory(name: str, path: str) -> Callable[..., optax.GradientTransformation]:
    check(f"{path}.name", name, str)
    found = getattr(optax, name, None) or getattr(optax.contrib, name, None)
    known = inspect.signature(found).parameters if isinstance(found, FUNCTIONS) else {}
    if found is None or "learning_rate" not in known:
        raise UserError(f"{path}.name: Optax has no optimizer {name!r}; try 'adam'.")
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


def make(config: ConfigDict, steps: int, path: str = "optim") -> optax.GradientTransformation:
    """The optimizer of a section: global-norm clipping, then the Optax optimizer of that name.

    Keys that are not ours (b1, eps, momentum, weight_decay, ...) go to the Optax function, which
    may also be one of `optax.contrib` (muon).
    """
    factory = _factory(config.name, path)
    known = inspect.signature(factory).parameters
    extra = {key: value for key, value in config.items() if key not in fields_of(AveragedOptim)}
    for key in extra.keys() - known.keys():
        raise UserError(f"{path}.{key}: optax.{config.name} has none.{hint(key, known)}")
    optimizer = factory(learning_rate=schedule(config, steps), **extra)
    if config.clip_norm:
        return optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    return optimizer
