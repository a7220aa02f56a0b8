"""Straight lines of integer operations with bounds, cut into programs of a neuron's size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.programs.interval import Interval, Intervals
from pisnn_deploy.programs.language import MAX_OPERATIONS, MAX_TABLE_ENTRIES, SIGNATURES, Operand, Table
from pisnn_deploy.programs.whole import Whole

MOST_PORTS = 8
MOST_OUTPUTS = 4
WORD = 24
"""Signed width of every named value; products have twice as many bits before their shift."""
_PRODUCT = 63


class TooWide(UsageError):
    """A value that leaves its word, whatever its scale."""


class Circuit:
    """Operations on ports and parameters, each with its interval; equal operations are shared.

    Parameters
    ----------
    name : str
        Name of its programs.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.ports: list[str] = []
        self.parameters: list[str] = []
        self.operations: list[Operation] = []
        self.intervals: dict[str, Interval] = {}
        self._results: dict[tuple[str, tuple[Operand, ...]], str] = {}
        self._tables: dict[tuple[int, ...], str] = {}

    def port(self, name: str, interval: Interval) -> str:
        """Add a port whose arrivals lie in an interval."""
        self.ports.append(name)
        self.intervals[name] = interval
        return name

    def parameter(self, name: str, interval: Interval) -> str:
        """Add a parameter whose values lie in an interval."""
        self.parameters.append(name)
        self.intervals[name] = interval
        return name

    def table(self, entries: Sequence[int]) -> str:
        """Add a table; equal ones are shared."""
        key = tuple(entries)
        if not len(key) <= MAX_TABLE_ENTRIES:
            raise ValueError(f"a table of {len(key)} entries")
        return self._tables.setdefault(key, f"table{len(self._tables)}")

    def interval(self, operand: Operand) -> Interval:
        """Interval of a value or constant."""
        return self.intervals[operand] if isinstance(operand, str) else Interval(operand, operand)

    def apply(self, name: str, *operands: Operand) -> Operand:
        """Add an operation and return its result; the result of constants is a constant.

        Raises
        ------
        TooWide
            The result or a full product may exceed its word.
        """
        simple = self._simplified(name, operands)
        if simple is not None:
            return simple
        key = name, operands
        if key in self._results:
            return self._results[key]
        reader = Intervals()
        arguments: list[object] = [self.interval(o) for o in operands[: _values(name)]]
        arguments += [self._entries(str(o)) if name == "table" else o for o in operands[_values(name) :]]
        interval: Interval = getattr(reader, name)(*arguments)
        if interval.bits > WORD or any(product.bits > _PRODUCT for product in reader.products):
            raise TooWide(f"{name} needs {interval.bits} signed bits; {WORD} are possible")
        result = f"v{len(self.operations)}"
        self.operations.append(Operation((result,), name, operands))
        self.intervals[result] = interval
        self._results[key] = result
        return result

    def named(self, operand: Operand) -> str:
        """Result of its own that equals a port, a parameter or a constant."""
        result = f"v{len(self.operations)}"
        self.operations.append(Operation((result,), "add", (operand, 0)))
        self.intervals[result] = self.interval(operand)
        return result

    def _simplified(self, name: str, operands: tuple[Operand, ...]) -> Operand | None:
        """Result of an operation that needs none."""
        if all(isinstance(operand, int) for operand in operands):
            value: int = getattr(Whole(), name)(*operands)
            return value
        a, b = operands[0], operands[-1]
        if name in ("add", "sub", "shl", "asr") and b == 0:
            return a
        if name == "add" and a == 0:
            return b
        # A limit that the interval keeps.
        if name in ("min", "max") and isinstance(b, int):
            interval = self.interval(a)
            if (interval.upper <= b) if name == "min" else (interval.lower >= b):
                return a
        if name == "mul_shr" and 0 in operands[:2]:
            return 0
        return None

    def _entries(self, table: str) -> tuple[int, ...]:
        return next(entries for entries, name in self._tables.items() if name == table)

    def stages(self, outputs: Sequence[str]) -> list[Stage]:
        """Cut the operations that outputs need into as few programs as possible, in their order.

        Parameters
        ----------
        outputs : sequence of str
            Results that leave the circuit.

        Returns
        -------
        list of Stage
            Values pass from earlier stages to later ones.

        Raises
        ------
        UsageError
            No cut keeps the limits of a program.
        """
        operations = _needed(self.operations, outputs)
        last_use = {name: len(operations) for name in outputs}
        for number, operation in enumerate(operations):
            for value in operation.values:
                if isinstance(value, str):
                    last_use[value] = max(last_use.get(value, 0), number)
        best: list[tuple[int, int] | None] = [None] * (len(operations) + 1)
        best[0] = (0, 0)
        for end in range(1, len(operations) + 1):
            for start in self._starts(operations, end, last_use):
                reached, current = best[start], best[end]
                if reached is not None and (current is None or (reached[0] + 1, start) < current):
                    best[end] = reached[0] + 1, start
        if best[-1] is None:
            raise UsageError(f"{self.name}: its {len(operations)} operations cannot be cut into programs")
        ends = [len(operations)]
        while ends[-1]:
            step = best[ends[-1]]
            assert step is not None
            ends.append(step[1])
        ends.reverse()
        return [
            self._stage(operations[start:end], end, last_use, number, len(ends) - 1)
            for number, (start, end) in enumerate(zip(ends[:-1], ends[1:], strict=True))
        ]

    def _starts(self, operations: Sequence[Operation], end: int, last_use: Mapping[str, int]) -> Iterator[int]:
        """First operations of programs that end before `end` and keep the limits."""
        produced: set[str] = set()
        arriving: set[str] = set()
        sent = 0
        for start in range(end - 1, max(0, end - MAX_OPERATIONS) - 1, -1):
            (result,) = operations[start].results
            produced.add(result)
            arriving.discard(result)
            arriving |= {*_used([operations[start]])} - produced - {*self.parameters}
            sent += last_use.get(result, -1) >= end
            if sent > MOST_OUTPUTS:
                return
            if len(arriving) <= MOST_PORTS:
                yield start

    def _stage(
        self, operations: Sequence[Operation], end: int, last_use: Mapping[str, int], number: int, count: int
    ) -> Stage:
        used = list(dict.fromkeys(_used(operations)))
        produced = [operation.results[0] for operation in operations]
        sends = tuple(name for name in produced if last_use.get(name, -1) >= end)
        parameters = tuple(name for name in self.parameters if name in used)
        ports = tuple(name for name in used if name not in parameters and name not in produced)
        tables = {str(operation.operands[-1]) for operation in operations if operation.signature.reads_table}
        program = Program(
            self.name,
            ports,
            (),
            parameters,
            tuple(operations),
            (),
            sends,
            tuple(Table(name, entries) for entries, name in self._tables.items() if name in tables),
        )
        return Stage(self.name if count == 1 else f"{self.name}-{number + 1}", program)


@dataclass(frozen=True)
class Stage:
    """A part of a circuit that is one program; the names of its ports and results are the circuit's."""

    name: str
    program: Program


def _values(name: str) -> int:
    return SIGNATURES[name].values


def _used(operations: Sequence[Operation]) -> Iterator[str]:
    for operation in operations:
        for value in operation.values:
            if isinstance(value, str):
                yield value


def _needed(operations: Sequence[Operation], outputs: Sequence[str]) -> list[Operation]:
    """Operations that outputs depend on, in order."""
    needed, kept = set(outputs), []
    for operation in reversed(operations):
        if operation.results[0] in needed:
            needed.update(_used([operation]))
            kept.append(operation)
    return kept[::-1]
