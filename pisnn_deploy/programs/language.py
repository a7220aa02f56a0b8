"""The language of neurons: a sequence of operations on signed integers, without loops and jumps.

A program has *ports* (inputs of this step), *states* (kept from step to step), *parameters* (constants, common or one
for each neuron) and *tables*. Each operation names its results, and each name is assigned once. As text, one operation
a line::

    neuron flux(arrival; c, r; bias)
    d = add(arrival, bias)
    a = abs(c)
    b = mul_shr(a, 3686, 12)
    e = copysign(b, c)
    c1 = add(e, d)
    v = add(r, c1)
    k, r1 = fire(v, 7)
    keep c = c1, r = r1
    send k

==================  =================================================================================
``add sub``         ``a + b``, ``a - b``
``neg abs``         ``-a``, ``|a|``
``min max``         the smaller, the larger of two
``shl asr``         ``a << n``, ``a >> n`` (floor), ``n`` a constant
``mul_shr``         ``(a * b) >> n`` (floor), ``n`` a constant; the product is exact
``copysign``        ``a`` where ``b > 0``, ``-a`` where ``b < 0``, 0 where ``b = 0``
``lt ge eq``        1 where ``a < b``, ``a >= b``, ``a = b``, else 0
``select``          ``a`` where the first operand is not 0, else ``b``
``table``           entry ``min(max(a, 0), n - 1)`` of a table of ``n`` entries
``fire``            two results: ``k = sign(v) ((|v| + theta/2 - 1) >> F)`` and ``r = v - (k << F)`` with
                    ``theta = 2^F``, ``F`` a constant; so ``|r| <= theta/2``
==================  =================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pisnn_deploy.core.errors import UsageError

Operand = str | int
"""A name, or a constant."""

MAX_OPERATIONS = 64
MAX_SHIFT = 62
MAX_TABLE_ENTRIES = 1 << 11
MAX_TABLE_BITS = 24
WORD_BITS = 64
"""Signed width of every value of a program."""


@dataclass(frozen=True)
class Signature:
    """Syntax of an operation.

    Attributes
    ----------
    results : int
        Number of results.
    values : int
        Number of operands that are names or constants.
    has_shift : bool
        Whether a constant number of bits follows the values.
    reads_table : bool
        Whether the name of a table follows the values.
    """

    results: int
    values: int
    has_shift: bool = False
    reads_table: bool = False

    @property
    def operands(self) -> int:
        """Number of all operands."""
        return self.values + self.has_shift + self.reads_table


SIGNATURES = {
    **dict.fromkeys(("add", "sub", "min", "max", "copysign", "lt", "ge", "eq"), Signature(1, 2)),
    **dict.fromkeys(("neg", "abs"), Signature(1, 1)),
    **dict.fromkeys(("shl", "asr"), Signature(1, 1, has_shift=True)),
    "mul_shr": Signature(1, 2, has_shift=True),
    "select": Signature(1, 3),
    "table": Signature(1, 1, reads_table=True),
    "fire": Signature(2, 1, has_shift=True),
}
"""Signature of every operation."""


@dataclass(frozen=True)
class Operation:
    """One line of a program.

    Attributes
    ----------
    results : tuple of str
        Names of its results: one, or two for ``fire``.
    name : str
        Name of the operation, a key of `SIGNATURES`.
    operands : tuple of str or int
        Values first, then the shift or the table.
    """

    results: tuple[str, ...]
    name: str
    operands: tuple[Operand, ...]

    @property
    def signature(self) -> Signature:
        """Signature of the operation."""
        return SIGNATURES[self.name]

    @property
    def values(self) -> tuple[Operand, ...]:
        """Operands that are names or constants."""
        return self.operands[: self.signature.values]

    def __str__(self) -> str:
        return f"{', '.join(self.results)} = {self.name}({', '.join(map(str, self.operands))})"


@dataclass(frozen=True)
class Table:
    """A lookup table.

    Attributes
    ----------
    name : str
        Name that operations use.
    entries : tuple of int
        1 to 2048 numbers of at most 24 signed bits.
    """

    name: str
    entries: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """The computation of a neuron in one step.

    Attributes
    ----------
    name : str
        Kind of neuron, for messages and manuals; no code depends on it.
    ports : tuple of str
        Inputs: the sum of everything that arrived at a port.
    states : tuple of str
        Values that are kept from step to step.
    parameters : tuple of str
        Constants, common to all neurons or one for each.
    operations : tuple of Operation
        Operations in order, at most 64.
    after : tuple of str
        Name of the new value of each state, in the order of `states`.
    sends : tuple of str
        Name of the sent value of each output.
    tables : tuple of Table
        Tables for ``table``.

    Raises
    ------
    UsageError
        For an unknown operation or name, a name assigned twice, or a shift or table beyond its limits.
    """

    name: str
    ports: tuple[str, ...]
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    operations: tuple[Operation, ...]
    after: tuple[str, ...]
    sends: tuple[str, ...]
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        for defect in _defects(self):
            raise UsageError(f"program {self.name}: {defect}")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all inputs: ports, states and parameters."""
        return (*self.ports, *self.states, *self.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of evaluation."""
        return (*self.inputs, *(result for operation in self.operations for result in operation.results))

    def table(self, name: str) -> Table:
        """Return a table by name.

        Raises
        ------
        KeyError
            If it does not exist.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def __str__(self) -> str:
        keeps = ", ".join(f"{state} = {value}" for state, value in zip(self.states, self.after, strict=True))
        lines = [
            f"neuron {self.name}({', '.join(self.ports)}; {', '.join(self.states)}; {', '.join(self.parameters)})",
            *(f"table {table.name} = {' '.join(map(str, table.entries))}" for table in self.tables),
            *map(str, self.operations),
            *([f"keep {keeps}"] if keeps else []),
            *([f"send {', '.join(self.sends)}"] if self.sends else []),
        ]
        return "\n".join(lines)


RESERVED = frozenset({"neuron", "table", "keep", "send"})
"""Keywords of the language, which cannot name values."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def _defects(program: Program) -> Iterator[str]:
    if not _KIND.fullmatch(program.name):
        yield f"{program.name!r} is not a valid name of a program"
    if len(program.operations) > MAX_OPERATIONS:
        yield f"has {len(program.operations)} operations; at most {MAX_OPERATIONS} are allowed"
    tables = [table.name for table in program.tables]
    for table in program.tables:
        yield from _table_defects(table)
    known: set[str] = set()
    for name in (*program.inputs, *tables):
        yield from _new_name(name, known)
    known -= set(tables)
    for number, operation in enumerate(program.operations, 1):
        at = f"operation {number}, {operation}"
        yield from (f"{at}: {defect}" for defect in _operation_defects(operation, known, tables))
        for result in operation.results:
            yield from (f"{at}: {defect}" for defect in _new_name(result, known, tables))
    if len(program.after) != len(program.states):
        yield f"has {len(program.after)} new values for {len(program.states)} states"
    for name in (*program.after, *program.sends):
        if name not in known:
            yield f"{name} is kept or sent, but not defined"


def _table_defects(table: Table) -> Iterator[str]:
    if not 1 <= len(table.entries) <= MAX_TABLE_ENTRIES:
        yield f"table {table.name} has {len(table.entries)} entries; it must have 1 to {MAX_TABLE_ENTRIES}"
    limit = 1 << (MAX_TABLE_BITS - 1)
    for index, entry in enumerate(table.entries):
        if not -limit <= entry < limit:
            yield f"table {table.name}: entry {index}, {entry}, exceeds {MAX_TABLE_BITS} signed bits"


def _new_name(name: str, known: set[str], reserved: list[str] | None = None) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield f"{name!r} is not a valid name"
    if name in RESERVED:
        yield f"{name} is a keyword and cannot name a value"
    if name in known or name in (reserved or ()):
        yield f"{name} is defined twice"
    known.add(name)


def _operation_defects(operation: Operation, known: set[str], tables: list[str]) -> Iterator[str]:
    signature = SIGNATURES.get(operation.name)
    if signature is None:
        yield f"unknown operation {operation.name}; use {', '.join(sorted(SIGNATURES))}"
        return
    if len(operation.operands) != signature.operands or len(operation.results) != signature.results:
        yield f"{operation.name} takes {signature.operands} operands and has {signature.results} results"
        return
    for operand in operation.values:
        if isinstance(operand, str) and operand not in known:
            yield f"{operand} is not defined yet"
        if isinstance(operand, int) and not -(1 << (WORD_BITS - 1)) <= operand < 1 << (WORD_BITS - 1):
            yield f"{operand} exceeds {WORD_BITS} signed bits"
    last = operation.operands[-1]
    lowest = 1 if operation.name == "fire" else 0
    if signature.has_shift and not (isinstance(last, int) and lowest <= last <= MAX_SHIFT):
        yield f"the shift is {last}; it must be a constant from {lowest} to {MAX_SHIFT}"
    if signature.reads_table and last not in tables:
        yield f"there is no table {last}"


_HEAD = re.compile(r"neuron (\S+)\(([^;()]*);([^;()]*);([^;()]*)\)")
_WHOLE = re.compile(r"-?[0-9]+")
# The next character alone determines the match in each of these, so matching takes linear time.
_TABLE = re.compile(r"table (\w+) = (-?[0-9]+(?: -?[0-9]+)*)")
_OPERATION = re.compile(r"([\w, ]+) = (\w+)\(([^()]*)\)")
_LINES_MAX = MAX_OPERATIONS + 16
_CHARACTERS_MAX = 1 << 16


# The graphs of a process share a few programs, and programs do not change.
@lru_cache(maxsize=64)
def parse(text: str) -> Program:
    """Parse the text of a program, the inverse of ``str(program)``.

    Parameters
    ----------
    text : str
        One operation a line, see the module's docstring.

    Raises
    ------
    UsageError
        For a line that cannot be parsed, or a program that `Program` refuses.
    """
    lines = text.splitlines()
    if len(text) > _CHARACTERS_MAX or len(lines) > _LINES_MAX:
        raise UsageError(f"a program has at most {_LINES_MAX} lines and {_CHARACTERS_MAX} characters")
    head = _HEAD.fullmatch(lines[0]) if lines else None
    if head is None:
        raise UsageError("a program starts with a line such as: neuron membrane(arrival; m; )")
    tables: list[Table] = []
    operations: list[Operation] = []
    after: dict[str, str] = {}
    sends: tuple[str, ...] = ()
    for number, line in enumerate(lines, 1):
        for word in _named(line):
            if word in RESERVED:
                raise UsageError(f"program {head[1]}, line {number}: {word} is a keyword; choose another name")
    for number, line in enumerate(lines[1:], 2):
        if (table := _TABLE.fullmatch(line)) is not None:
            tables.append(Table(table[1], tuple(map(_whole, table[2].split()))))
        elif (operation := _OPERATION.fullmatch(line)) is not None:
            operands = tuple(_operand(word) for word in _words(operation[3]))
            operations.append(Operation(_words(operation[1]), operation[2], operands))
        elif line.startswith("keep "):
            pairs = [word.partition(" = ") for word in _words(line[5:])]
            after = {state: value for state, _, value in pairs}
        elif line.startswith("send "):
            sends = _words(line[5:])
        else:
            raise UsageError(f"program {head[1]}, line {number}: {line!r} is not an operation, table, keep or send")
    ports, states, parameters = (_words(part) for part in head.groups()[1:])
    unkept = [state for state in states if state not in after]
    if unkept or len(after) != len(states):
        raise UsageError(f"program {head[1]}: keep must name each state once: {', '.join(states)}")
    return Program(
        head[1],
        ports,
        states,
        parameters,
        tuple(operations),
        tuple(after[state] for state in states),
        sends,
        tuple(tables),
    )


def _named(line: str) -> tuple[str, ...]:
    """Names that a line defines."""
    if (head := _HEAD.fullmatch(line)) is not None:
        return tuple(word for part in head.groups()[1:] for word in _words(part))
    if (table := _TABLE.fullmatch(line)) is not None:
        return (table[1],)
    operation = _OPERATION.fullmatch(line)
    return () if operation is None else _words(operation[1])


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _operand(word: str) -> Operand:
    return _whole(word) if _WHOLE.fullmatch(word) else word


def _whole(word: str) -> int:
    if len(word) > 20:
        raise UsageError(f"{word[:20]}... exceeds {WORD_BITS} signed bits")
    return int(word)
