"""`config.optim`, or its section for one of several players, as an Optax transformation."""

from __future__ import annotations

import inspect

import optax
import optax.contrib
from ml_collections import ConfigDict

from genlab.errors import UserError, hint

OURS = {"name", "learning_rate", "schedule", "warmup_steps", "decay_steps", "end_scale"}
OURS |= {"clip_norm", "ema"}


def schedule(config: ConfigDict, steps: int, path: str = "optim") -> optax.Schedule:
    """The learning rate at a step.

    Linear warm-up over `warmup_steps`, then constant, or cosine, linear or exponential decay to
    `end_scale` times the rate over `decay_steps` (0: what is left of `steps`).
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    length = config.decay_steps or max(steps - warmup, 1)
    shapes = {
        "constant": lambda: optax.constant_schedule(peak),
        "cosine": lambda: optax.cosine_decay_schedule(peak, length, config.end_scale),
        "linear": lambda: optax.linear_schedule(peak, peak * config.end_scale, length),
        "exponential": lambda: optax.exponential_decay(peak, length, config.end_scale or 1e-2),
    }
    if config.schedule not in shapes:
        raise UserError(
            f"{path}.schedule: no schedule {config.schedule!r}.{hint(config.schedule, shapes)}"
        )
    body = shapes[config.schedule]()
    if not warmup:
        return body
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), body], [warmup])


def make(config: ConfigDict, steps: int, path: str = "optim") -> optax.GradientTransformation:
    """The optimizer of a section: global-norm clipping, then the Optax optimizer of that name.

    Keys that are not ours (b1, eps, momentum, weight_decay, ...) go to the Optax function, which
    may also be one of `optax.contrib` (muon).
    """
    factory = getattr(optax, config.name, None) or getattr(optax.contrib, config.name, None)
    known = inspect.signature(factory).parameters if callable(factory) else {}
    if "learning_rate" not in known:
        raise UserError(f"{path}.name: Optax has no optimizer {config.name!r}; try 'adam'.")
    extra = {key: value for key, value in config.items() if key not in OURS}
    for key in extra.keys() - known.keys():
        raise UserError(f"{path}.{key}: optax.{config.name} has none.{hint(key, known)}")
    optimizer = factory(learning_rate=schedule(config, steps, path), **extra)
    if config.clip_norm:
        return optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    return optimizer
