"""Random programs whose every value fits 62 bits, with bounds of their inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.programs import Operand, Operation, Program, Table
from pisnn_deploy.programs.interval import Interval, Intervals
from pisnn_deploy.programs.language import SIGNATURES

Integers = NDArray[np.int64]
BITS = 62


@dataclass
class _Draft:
    rng: np.random.Generator
    known: dict[str, Interval]
    tables: list[Table]
    operations: list[Operation] = field(default_factory=list)

    def operand(self) -> Operand:
        if self.rng.random() < 0.2:
            return int(self.rng.integers(-50, 50))
        return str(self.rng.choice(list(self.known)))

    def interval(self, operand: Operand) -> Interval:
        return self.known[operand] if isinstance(operand, str) else Interval(operand, operand)

    def add(self) -> None:
        """Append an operation, unless a value or a product of it could leave the word."""
        name = str(self.rng.choice(sorted(SIGNATURES)))
        signature = SIGNATURES[name]
        values = tuple(self.operand() for _ in range(signature.values))
        intervals = [self.interval(value) for value in values]
        extra: tuple[Operand, ...] = ()
        arguments: list[object] = list(intervals)
        if signature.has_shift:
            extra = (int(self.rng.integers(1, 14)),)
            arguments += extra
        if signature.reads_table:
            table = self.tables[int(self.rng.integers(len(self.tables)))]
            extra = (table.name,)
            arguments.append(table.entries)
        reader = Intervals()
        made = getattr(reader, name)(*arguments)
        parts = made if signature.results > 1 else (made,)
        slack = [Interval(part.lower - (1 << 14), part.upper + (1 << 14)) for part in (*parts, *intervals)]
        if any(interval.bits > BITS for interval in (*slack, *reader.products)):
            return
        results = tuple(f"x{len(self.operations)}_{number}" for number in range(len(parts)))
        self.operations.append(Operation(results, name, (*values, *extra)))
        self.known.update(zip(results, parts, strict=True))


@dataclass(frozen=True)
class Drawn:
    """A program and bounds of what goes in."""

    program: Program
    bounds: dict[str, Interval]

    def inputs(self, rng: np.random.Generator, neurons: int) -> dict[str, Integers]:
        """Values within the bounds; the ends and 0 are likely."""
        drawn = {}
        for name, interval in self.bounds.items():
            values = rng.integers(interval.lower, interval.upper, neurons, endpoint=True)
            special = rng.choice([interval.lower, interval.upper, min(max(0, interval.lower), interval.upper)], neurons)
            drawn[name] = np.where(rng.random(neurons) < 0.3, special, values)
        return drawn


def random_program(seed: int, *, stateless: bool = False) -> Drawn:
    """Draw a program of up to 40 operations."""
    rng = np.random.default_rng(seed)
    ports, states, parameters = (
        tuple(f"{letter}{number}" for number in range(int(rng.integers(1, 3)))) for letter in "psq"
    )
    states = () if stateless else states
    bounds = {}
    for name in (*ports, *states, *parameters):
        ends = sorted(int(end) for end in rng.integers(-(1 << int(rng.integers(1, 24))), 1 << 24, 2))
        bounds[name] = Interval(ends[0], ends[1])
    tables = [
        Table(f"t{number}", tuple(map(int, rng.integers(-(1 << 23), 1 << 23, int(rng.integers(1, 20))))))
        for number in range(2)
    ]
    draft = _Draft(rng, dict(bounds), tables)
    for _ in range(int(rng.integers(1, 41))):
        draft.add()
    names = list(draft.known)
    after = tuple(str(name) for name in rng.choice(names, len(states))) if states else ()
    sends = tuple(str(name) for name in rng.choice(names, int(rng.integers(1, 3))))
    program = Program("drawn", ports, states, parameters, tuple(draft.operations), after, sends, tuple(tables))
    return Drawn(program, bounds)
