"""What a compiled program costs on one chip: the compiler's estimates of its operations, summed.

Loops count as often as they run. XLA's own `cost_analysis` takes a loop's body once, and its time
is unusable (it comes out negative).
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from dataclasses import dataclass, field

from genlab.planning.hlo import Computation, Operation, Program, free, parse, trips

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
SLICES = ("dynamic-slice", "gather", "dynamic-update-slice")


@dataclass
class Cost:
    """Of one call.

    cycles: of the chip's clock, estimated by the TPU compiler; 0 for GPUs. Of collectives it
      estimates nothing.
    hbm_bytes: read from and written to HBM.
    reduced_bytes: handed to collectives.
    collectives: how many there are.
    loop_steps: passes through innermost loops.
    endless: loops whose number of passes the program does not say; they count once.
    each: cycles by label of operation.
    """

    cycles: float = 0.0
    hbm_bytes: float = 0.0
    reduced_bytes: float = 0.0
    collectives: float = 0.0
    loop_steps: float = 0.0
    endless: float = 0.0
    each: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, other: Cost, times: float = 1.0) -> None:
        """Adds another cost, that many times."""
        for name in vars(self):
            if name != "each":
                setattr(self, name, getattr(self, name) + times * getattr(other, name))
        for label, cycles in other.each.items():
            self.each[label] += cycles * times

    def largest(self, count: int) -> list[tuple[str, float]]:
        """(label, share of all cycles) of the most expensive operations."""
        most = heapq.nlargest(count, self.each.items(), key=lambda item: item[1])
        return [(label, n / max(self.cycles, 1.0)) for label, n in most]


def cost(text: str) -> Cost:
    """Of the text of an optimised HLO module."""
    program = parse(text)
    return _Costs(program).of(program.entry)


class _Costs:
    """Costs of computations, each computed once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.known: dict[str, Cost] = {}

    def of(self, name: str) -> Cost:
        if name not in self.known:
            found = Cost()
            computation = self.program.computations.get(name, {})
            for operation in computation.values():
                self._add(found, computation, operation)
            self.known[name] = found
        return self.known[name]

    def _add(self, found: Cost, computation: Computation, op: Operation) -> None:
        if free(op.kind):
            return
        if op.kind == "while":
            self._add_loop(found, op)
        elif op.kind in ("conditional", "call"):
            branches = [self.of(name) for name in op.branches]
            found.add(max(branches, key=lambda c: (c.cycles, c.hbm_bytes), default=Cost()))
        else:
            found.cycles += op.cycles
            found.each[op.label] += op.cycles
            found.hbm_bytes += self._hbm(computation, op)
            if op.kind.removesuffix("-start") in COLLECTIVES:
                found.collectives += 1
                found.reduced_bytes += sum(
                    s.bytes for x in op.operands if x in computation for s in computation[x].shapes
                )

    def _add_loop(self, found: Cost, op: Operation) -> None:
        count, body = trips(self.program, op), self.of(op.called("body"))
        found.add(body, max(count, 1))
        found.endless += count == 0
        if not body.loop_steps:
            found.loop_steps += max(count, 1)

    def _hbm(self, computation: Computation, op: Operation) -> float:
        """Bytes that an operation moves from and to HBM."""
        made = sum(s.padded for s in op.shapes if s.in_hbm)
        if op.kind.endswith("-start"):  # its "-done" tells what moved
            return 0.0
        if op.kind.endswith("-done"):  # from or to HBM, or both
            return sum(s.padded for s in op.shapes)
        inside = self.program.computations.get(op.called("calls"), {})
        if op.kind == "fusion":
            made = min(made, _updated(inside, made))
        read = 0.0
        for number, name in enumerate(op.operands):
            if name in computation:
                whole = sum(s.padded for s in computation[name].shapes if s.in_hbm)
                read += min(whole, _read(inside, number, whole)) if inside else whole
        return made + read


def _updated(fused: Computation, made: float) -> float:
    """Bytes that a fusion writes: of an array that it updates in place, the update alone."""
    updates = [op for op in fused.values() if op.kind == "dynamic-update-slice"]
    parts = [fused[op.operands[1]] for op in updates if op.operands[1:] and op.operands[1] in fused]
    return sum(s.padded for part in parts for s in part.shapes) if parts else made


def _read(fused: Computation, number: int, whole: float) -> float:
    """Bytes that a fusion reads of its operand of that number: of one that it only slices, the
    slices alone."""
    names = [n for n, op in fused.items() if re.match(rf"parameter\({number}\)", op.rest)]
    read, todo = 0.0, list(names)
    while todo:
        name = todo.pop()
        for user in (op for op in fused.values() if name in op.operands):
            if user.kind in ("bitcast", "reshape"):
                todo.append(user.name)
            elif user.kind in SLICES and user.operands[0] == name:
                sliced = user.kind != "dynamic-update-slice"
                read += sum(s.padded for s in user.shapes) if sliced else 0.0
            else:
                return whole
    return read if names else whole
