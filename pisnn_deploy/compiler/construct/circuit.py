"""Straight lines of integer operations with bounds, cut into programs of a neuron's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pisnn_deploy.compiler.construct.cutting import Cutter, Part, used
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.programs.interval import Interval, Intervals
from pisnn_deploy.programs.language import MAX_TABLE_ENTRIES, SIGNATURES, Operand, Table
from pisnn_deploy.programs.whole import Whole

WORD = 24
"""Signed width of every named value for the targets; products have twice as many bits before their shift."""
_PRODUCT = 63


class TooWide(UsageError):
    """A value that leaves its word, whatever its scale.

    Attributes
    ----------
    reason : str
        The message without the place.
    bits : int
        By how many bits, at least.
    """

    def __init__(self, reason: str, where: str = "", bits: int = 1) -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason, self.bits = reason, bits


class Circuit:
    """Operations on ports and parameters, each with its interval; equal operations are shared.

    Parameters
    ----------
    name : str
        Name of its programs.
    where : str
        Place in the law, for messages.
    word : int
        Signed width of every named value.
    """

    def __init__(self, name: str, where: str = "", word: int = WORD) -> None:
        self.name, self.where, self.word = name, where, word
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
        if interval.bits > self.word or any(product.bits > _PRODUCT for product in reader.products):
            raise TooWide(f"{name} needs {interval.bits} signed bits; {self.word} are possible", self.where)
        result = f"v{len(self.operations)}"
        self.operations.append(Operation((result,), name, operands))
        self.intervals[result] = interval
        self._results[key] = result
        return result

    def rounded(self, operand: Operand, shift: int) -> Operand:
        """``operand / 2^shift`` rounded to the nearest integer, halves upwards, for a shift of 1 or more.

        Where half a unit more would leave the word, the same result takes an operation more.
        """
        half = 1 << (shift - 1)
        if self.interval(operand).upper + half < 1 << (self.word - 1):
            return self.apply("asr", self.apply("add", operand, half), shift)
        if shift == 1:
            return self.apply("neg", self.apply("asr", self.apply("neg", operand), 1))
        return self.apply("asr", self.apply("add", self.apply("asr", operand, shift - 1), 1), 1)

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
        characters = {name: len(str(Table(name, entries))) for entries, name in self._tables.items()}
        parts = Cutter(self.operations, outputs, self.parameters, characters).parts()
        if parts is None:
            raise UsageError(f"{self.name}: its operations cannot be cut into programs; shorten the law")
        return [self._stage(part, number, len(parts)) for number, part in enumerate(parts, 1)]

    def _stage(self, part: Part, number: int, count: int) -> Stage:
        names = list(dict.fromkeys(used(part.operations)))
        produced = {operation.results[0] for operation in part.operations}
        parameters = tuple(name for name in self.parameters if name in names)
        ports = tuple(name for name in names if name not in produced and name not in parameters)
        tables = {str(operation.operands[-1]) for operation in part.operations if operation.signature.reads_table}
        program = Program(
            self.name,
            ports,
            (),
            parameters,
            part.operations,
            (),
            part.sends,
            tuple(Table(name, entries) for entries, name in self._tables.items() if name in tables),
        )
        return Stage(self.name if count == 1 else f"{self.name}-{number}", program)


@dataclass(frozen=True)
class Stage:
    """A part of a circuit that is one program; the names of its ports and results are the circuit's."""

    name: str
    program: Program


def _values(name: str) -> int:
    return SIGNATURES[name].values
