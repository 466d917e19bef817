"""What the fields of a config may hold. A field's annotation says it, and `check` checks it.

Sections, networks and optimizers declare their fields alike:

    batch_size: Count = 32
    dropout: Rate = 0.0
    dtype: Dtype = "float32"
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import flax.linen as nn

from genlab.errors import UserError, hint


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`.

    above: whether `low` itself is refused.
    below: whether `high` itself is refused.
    odd: whether even numbers are refused.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    odd: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is in the range."""
        over = value > self.low if self.above else value >= self.low
        under = value < self.high if self.below else value <= self.high
        return over and under and not (self.odd and value % 2 == 0)

    def __str__(self) -> str:
        """The advice in messages: "take 1 or more"."""
        if self.odd:
            return f"take an odd number, {self.low:g} or more"
        if self.high == math.inf:
            return (
                f"take a number above {self.low:g}" if self.above else f"take {self.low:g} or more"
            )
        low = f"above {self.low:g}" if self.above else f"{self.low:g}"
        return (
            f"take {low} or more, below {self.high:g}"
            if self.below
            else f"take {low} to {self.high:g}"
        )


@dataclass(frozen=True)
class OneOf:
    """One of a few names."""

    names: tuple[str, ...]


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
OddCount = Annotated[int, Range(1, odd=True)]
Positive = Annotated[float, Range(0.0, above=True)]
NonNegative = Annotated[float, Range(0.0)]
Share = Annotated[float, Range(0.0, 1.0)]
Rate = Annotated[float, Range(0.0, 1.0, below=True)]  # dropout, momentum, decay: not all of it
Dtype = Annotated[str, OneOf(("float32", "bfloat16", "float16"))]


@dataclass(frozen=True)
class Field:
    """A field of a config section.

    kind: the annotation, which says what it may hold.
    default: `dataclasses.MISSING` where the section has to give a value.
    """

    kind: Any
    default: Any = dataclasses.MISSING


def fields_of(section: type, given: Iterable[str] = ()) -> dict[str, Field]:
    """{name: field} of a dataclass or a Flax module, without those named in `given`."""
    kinds = typing.get_type_hints(section, include_extras=True)
    hidden = {"parent", "name", *given} if issubclass(section, nn.Module) else set(given)
    return {
        f.name: Field(kinds[f.name], f.default)
        for f in dataclasses.fields(section)
        if f.name not in hidden
    }


def plain(kind: Any) -> Any:
    """A field's type without its range: int, float, bool, str, tuple or a class."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return get_origin(kind) or kind


def spelled(value: Any, kind: Any) -> Any:
    """The value in the type of its field: whole numbers in a float field become floats."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if plain(kind) is float and whole else value


def check(path: str, value: Any, kind: Any, owner: str = "") -> None:
    """Raises UserError, with the whole key path, for a value that the kind does not allow.

    Args:
      path: where the field stands in the config, "model.dropout".
      owner: what needs the field, for the message: the name of a network.
    """
    wanted = plain(kind)
    if not _is_a(value, wanted):
        needs = f", which {owner} needs" if owner else ""
        raise UserError(f"{path}: {value!r} is not {wanted.__name__}{needs}.")
    if wanted is float and not math.isfinite(value):
        raise UserError(f"{path}={value}: take a finite number.")
    limits = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    for limit in limits:
        if isinstance(limit, OneOf) and value not in limit.names:
            raise UserError(f"{path}: {value!r} is not known.{hint(value, limit.names)}")
        if isinstance(limit, Range) and not limit.holds(value):
            raise UserError(f"{path}={value}: {limit}.")
    if wanted is tuple:
        _check_members(path, value, get_args(kind), owner)


def _check_members(path: str, value: tuple[Any, ...], kinds: tuple[Any, ...], owner: str) -> None:
    if kinds[1:] == (Ellipsis,):
        kinds = kinds[:1] * len(value)
    elif kinds and len(kinds) != len(value):
        raise UserError(f"{path}={value}: take {len(kinds)} values.")
    for index, (member, kind) in enumerate(zip(value, kinds, strict=False)):
        check(f"{path}[{index}]", member, kind, owner)


def _is_a(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)
