"""Reads the text of a compiled program: computations, operations, and the bytes of their shapes.

Only what a cost is made of is read. In a layout, T(8,128) tiles the two minor axes, which are
padded to whole tiles, and S(1) is memory on the chip itself (VMEM), not HBM.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass

BITS = {"pred": 8, "token": 0} | {
    f"{kind}{bits}": bits
    for kind, sizes in {"s": (4, 8, 16, 32, 64), "u": (4, 8, 16, 32, 64), "f": (16, 32, 64),
                        "bf": (16,), "c": (64, 128)}.items()
    for bits in sizes
}  # fmt: skip
_SHAPE = re.compile(r"([a-z]+\d*)\[([\d,]*)\](\{[^}]*\})?")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{")
_OPERATION = re.compile(r"^\s+(ROOT )?%([\w.\-]+) = (.*)$")
_TILES = re.compile(r"\{([\d,]*):.*?T\((\d+)(?:,(\d+))?\)")


@dataclass(frozen=True)
class Shape:
    """An array: its type, its dimensions, and its layout as the text has it."""

    dtype: str
    dims: tuple[int, ...]
    layout: str

    @property
    def in_hbm(self) -> bool:
        """Whether it lives in the memory that all of a chip shares."""
        return "S(" not in self.layout

    @property
    def bytes(self) -> float:
        """Without padding."""
        return math.prod(self.dims) * BITS.get(self.dtype, 0) / 8

    @property
    def padded(self) -> float:
        """Bytes, with the tiles of the layout whole."""
        tiles = _TILES.search(self.layout)
        if not tiles or not self.dims:
            return self.bytes
        order = [int(axis) for axis in tiles.group(1).split(",") if axis]  # minor first
        sizes = [int(side) for side in tiles.groups()[1:] if side][::-1]
        dims = list(self.dims)
        for axis, side in zip(order, sizes, strict=False):
            dims[axis] = -(-dims[axis] // side) * side
        return math.prod(dims) * BITS.get(self.dtype, 0) / 8


def shapes(text: str) -> tuple[Shape, ...]:
    """All arrays of a type, which may be a tuple's."""
    found = _SHAPE.findall(text)
    return tuple(
        Shape(dtype, tuple(int(d) for d in dims.split(",") if d), layout)
        for dtype, dims, layout in found
        if dtype in BITS
    )


@dataclass(frozen=True)
class Operation:
    """A line of a computation.

    kind: "fusion", "while", "copy".  operands: names of what it reads.  rest: the line after the
    type.  root: whether it is what the computation returns.
    """

    name: str
    shapes: tuple[Shape, ...]
    kind: str
    operands: tuple[str, ...]
    rest: str
    root: bool

    def called(self, role: str) -> str:
        """The computation that it calls in a role ("calls", "body", "condition"); "" if none."""
        found = re.search(rf"\b{role}=%?([\w.\-]+)", self.rest)
        return found.group(1) if found else ""

    @property
    def branches(self) -> list[str]:
        """The computations of a conditional, or of a call."""
        listed = re.search(r"branch_computations=\{([^}]*)\}", self.rest)
        if listed:
            return re.findall(r"%([\w.\-]+)", listed.group(1))
        return re.findall(r"(?:to_apply|true_computation|false_computation)=%([\w.\-]+)", self.rest)

    @property
    def cycles(self) -> int:
        """What the TPU compiler estimates that it takes; 0 where it does not say."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.rest)
        return int(found.group(1)) if found else 0

    @property
    def label(self) -> str:
        """Its kind, the shape that it makes, and where in our code it comes from; layers of one
        kind have one label."""
        found = re.search(r'op_name="((?:[^"\\]|\\.)*)"', self.rest)
        source = found.group(1).replace("\\", "") if found else self.name
        source = re.sub(r"_\d+", "_*", re.sub(r"^jit\(\w+\)/|shard_map/", "", source))
        made = self.shapes[0] if self.shapes else None
        shape = f"{made.dtype}[{','.join(map(str, made.dims))}]" if made else ""
        return f"{self.kind} {shape} {source[-90:]}"


Computation = dict[str, Operation]


@dataclass(frozen=True)
class Program:
    """All computations by name, and the name of the one where it starts."""

    computations: dict[str, Computation]
    entry: str


def parse(text: str) -> Program:
    """The program of an optimised HLO module's text."""
    computations: dict[str, Computation] = {}
    entry, current = "", None
    for line in text.splitlines():
        head = None if line.startswith(" ") else _HEAD.match(line)
        if head:
            current = computations.setdefault(head.group(2), {})
            entry = head.group(2) if head.group(1) else entry
        elif current is not None and (found := _OPERATION.match(line)):
            current[found.group(2)] = _operation(*found.groups())
    return Program(computations, entry)


def _operation(root: str | None, name: str, body: str) -> Operation:
    end = _end_of_type(body)
    rest = body[end + 1 :]
    kind, _, after = rest.partition("(")
    operands = tuple(re.findall(r"%([\w.\-]+)", after.split("), ")[0]))
    return Operation(name, shapes(body[:end]), kind, operands, rest, bool(root))


def _end_of_type(body: str) -> int:
    depth = 0
    for place, letter in enumerate(body):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and not depth:
            return place
    return len(body)


def trips(program: Program, loop: Operation) -> int:
    """How often a while runs; 0 if the program does not say, as when it waits for a condition."""
    known = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.rest)
    if known:
        return int(known.group(1))
    condition = program.computations.get(loop.called("condition"), {})
    inside = list(condition.values())
    for operation in condition.values():
        inside += program.computations.get(operation.called("calls"), {}).values()
    compares = [op for op in inside if op.kind == "compare" and "direction=LT" in op.rest]
    bounds = {int(n) for op in inside for n in re.findall(r"^constant\((\d+)\)", op.rest)} - {0}
    return bounds.pop() if len(compares) == 1 and len(bounds) == 1 else 0


@functools.cache
def free(kind: str) -> bool:
    """Whether an operation only names what is there already."""
    return kind in (
        "parameter", "get-tuple-element", "tuple", "bitcast", "constant", "after-all",
        "partition-id", "replica-id", "opt-barrier",
    )  # fmt: skip
