"""Integer types and names of generated C: the narrowest that hold what the bounds of a graph allow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs.interval import Interval, hull
from pisnn_deploy.programs.intervals import invariant

CONSTANTS = "0"
"""Key of the bounds of all constants of a program; no value can have this name."""
WORD = 32
"""Signed bits of the values that neurons compute with, where all fit."""
KEYWORDS = frozenset(
    (
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
        "n",
        "i",
        "j",
        "k",
    )
)
"""Names that a value must not have in C."""


@dataclass(frozen=True)
class Reads:
    """Connections of a port from one output.

    Attributes
    ----------
    matrix : Rows
        Effective weights, int64 [neurons, sources].
    """

    port: str
    source: str
    output: int
    matrix: Rows


@dataclass(frozen=True)
class Widths:
    """Bounds of everything that a program of a population computes.

    Attributes
    ----------
    values : dict of str to Interval
        By name, and those of all constants; the full product behind a result of ``mul_shr`` under its name and ``*``.
    sums : dict of str to Interval
        Any partial sum of what arrives at each port.
    """

    values: dict[str, Interval]
    sums: dict[str, Interval]

    @property
    def word(self) -> int:
        """Bits of the type to compute in: 32, or 64 where a value, also before a shift, does not fit."""
        # An addition of half of theta before a shift may need one bit more than both.
        sums = [interval.bits - 1 for interval in self.sums.values()]
        values = [interval.bits for name, interval in self.values.items() if not name.endswith("*")]
        bits = max([1, *sums, *values])
        return WORD if bits < WORD else 64

    @property
    def narrow_products(self) -> frozenset[str]:
        """Results of ``mul_shr`` whose full product fits the word."""
        return frozenset(
            name[:-1] for name, interval in self.values.items() if name.endswith("*") and interval.bits <= self.word
        )


def known_bounds(graph: IntegerGraph) -> dict[tuple[str, str], Interval]:
    """Declared bounds by population and quantity."""
    return {(bound.population, bound.quantity): Interval(bound.lower, bound.upper) for bound in graph.bounds}


def widths(
    population: Population,
    reads: Iterable[Reads],
    known: dict[tuple[str, str], Interval],
    sent: dict[str, Interval],
    parameters: dict[str, Interval],
) -> Widths:
    """Bounds of the values of a population.

    Parameters
    ----------
    known : dict of (str, str) to Interval
        Declared bounds of the graph.
    sent : dict of str to Interval
        Bounds of the outputs that it reads, by `sent_name`.
    parameters : dict of str to Interval
        Bounds of its parameters.
    """
    program = population.program
    sums = dict.fromkeys(program.ports, Interval(0, 0))
    for part in reads:
        sums[part.port] = _added(sums[part.port], _sums(part.matrix, sent[sent_name(part.source, part.output)]))
    limits = {
        name: known[population.name, population.quantity(name)]
        for name in program.names
        if (population.name, population.quantity(name)) in known
    }
    inputs = {port: limits.get(port, interval) for port, interval in sums.items()}
    inputs |= parameters
    starts = {state: hull(map(int, (v.min(initial=0), v.max(initial=0)))) for state, v in population.started().items()}
    known_values = {**inputs, **invariant(program, inputs, limits, starts)}
    constants = (operand for operation in program.operations for operand in operation.values)
    known_values[CONSTANTS] = hull((0, *(operand for operand in constants if isinstance(operand, int))))
    return Widths(known_values, sums)


def sent_name(population: str, output: int) -> str:
    """Name of an output of a population, for tables."""
    return f"{population}.{output}"


def _sums(matrix: Rows, sent: Interval) -> Interval:
    """Bounds of any partial sum of a row."""
    largest = max(abs(sent.lower), abs(sent.upper))
    sizes = matrix.valued(np.abs).sums()
    most = largest * int(sizes.max(initial=0))
    return Interval(-most, most)


def _added(a: Interval, b: Interval) -> Interval:
    return Interval(a.lower + b.lower, a.upper + b.upper)


def type_of(interval: Interval) -> str:
    """Name of the narrowest signed type for values within bounds."""
    for bits in (8, 16, 32, 64):
        if interval.bits <= bits:
            return f"int{bits}_t"
    raise ValueError(f"{interval.bits} bits fit no type of C99")


def type_of_values(values: Integers) -> str:
    """Name of the narrowest signed type for some values."""
    return type_of(hull((int(values.min()), int(values.max())))) if values.size else "int8_t"


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Distinct names in C of names of a graph."""
    chosen: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = f"p_{plain}" if not plain[:1].isalpha() or plain in KEYWORDS else plain
        free, number = plain, 2
        while free in chosen.values():
            free, number = f"{plain}_{number}", number + 1
        chosen[name] = free
    return chosen


def literal(number: int) -> str:
    """A number as an operand; numbers beyond 16 bits say their type, for machines whose ``int`` has 16."""
    if -(1 << 15) < number < 1 << 15:
        return f"({number})" if number < 0 else str(number)
    if number == -(1 << 63):
        return "INT64_MIN"
    if number == -(1 << 31):
        return "INT32_MIN"
    text = f"INT{32 if -(1 << 31) < number < 1 << 31 else 64}_C({abs(number)})"
    return f"(-{text})" if number < 0 else text
