"""Code generation for programs of faces: loops that fire along a run of faces, and loops that audit the results.

The generated code depends only on the form of a program. Its constants are read from an array, so that few compilations
serve all graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.firing import firing_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.limiter import SOURCE_MASS, TARGET_MASS
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.programs.neurons import LOW
from pisnn_deploy.programs.source import NUMBA_WORDS, Statements
from pisnn_deploy.runs.kernels.places import lines_mask

Integers = NDArray[np.int64]

ARRIVAL, CURRENT = "arrival", "current"
MASKS = {SOURCE_MASS: "source_inside", TARGET_MASS: "target_inside"}
"""Mask for each mass port of a face: -1 if that end is a cell, else 0."""
ON_A_GRID = {SOURCE_MASS: "mass[i]", TARGET_MASS: "mass[i + stride]", LOW: "row.low[x]"}
ANYWHERE = {SOURCE_MASS: "mass[ends[0, i]]", TARGET_MASS: "mass[ends[1, i]]"}
"""Expressions of the masses at the ends, and of what residues add up to."""


class UnservedError(Exception):
    """The kernels do not support a program."""


@dataclass(frozen=True)
class FaceText:
    """Generated functions of a program of faces.

    Attributes
    ----------
    text : str
        Source of ``fire_run`` and ``audit_run``.
    numbers : tuple of int
        Constants for the functions.
    arrays : tuple of str
        Parameters and masks with a value for each face.
    widths : tuple of str
        Values whose widths are checked, in the order of the limits.
    """

    text: str
    numbers: tuple[int, ...]
    arrays: tuple[str, ...]
    widths: tuple[str, ...]


class Numbers:
    """Constants and tables of generated code, in order."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.reading: list[str] = []
        """Statements that load them from the array ``numbers``."""

    def __call__(self, number: int) -> str:
        """Expression of a constant."""
        if number in (0, 1):
            return f"t({number})"
        name = f"c{len(self.values)}"
        self.reading.append(f"{name} = t(numbers[{len(self.values)}])")
        self.values.append(number)
        return name

    def mask(self, lines: int) -> str:
        """Expression of the mask of binary lines, always in 64 bits."""
        self.values.append(lines_mask(lines))
        return f"numbers[{len(self.values) - 1}]"

    def tables(self, program: Program) -> dict[str, str]:
        """Expression of each table of a program."""
        names = {}
        for table in program.tables:
            begin, name = len(self.values), f"e{len(self.values)}"
            self.values += table.entries
            self.reading += [
                f"{name} = numbers[{begin} : {len(self.values)}]",
                f"{name}_last = t({len(table.entries) - 1})",
            ]
            names[table.name] = name
        return names


def folded(program: Program) -> str:
    """Return the parameter that is only added to the input, and so can be its initial value, or an empty string."""
    uses = [name for operation in program.operations for name in operation.values]
    for operation in program.operations:
        others = [str(name) for name in operation.values if name != ARRIVAL]
        is_sum = operation.name == "add" and len(others) == 1 and others[0] in program.parameters
        if is_sum and uses.count(ARRIVAL) == uses.count(others[0]) == 1:
            return others[0]
    return ""


def begins_with(population: Population) -> Integers:
    """Initial value of the input sum of each neuron, int64 [size]."""
    name = folded(population.program)
    return population.parameters[name] if name else np.zeros(population.size, np.int64)


def values_of(graph: IntegerGraph, population: Population) -> dict[str, Integers]:
    """Parameters of faces, masks of mass ports, and room for what residues add up to, int64 [faces] each."""
    values, mesh = dict(population.parameters), graph.mesh
    for port, holder in ((SOURCE_MASS, mesh.source), (TARGET_MASS, mesh.target)):
        if port in population.program.ports:
            values[MASKS[port]] = np.where(holder < mesh.cells, -1, 0).astype(np.int64)
    if LOW in population.program.ports:
        values[LOW] = np.zeros(population.size, np.int64)
    return values


def fired(program: Program) -> str:
    """Name of the packets that reduce the residue; later operations may withhold some of them."""
    for operation in program.operations:
        if operation.name == "fire":
            return operation.results[0]
    return program.sends[0]


def after_firing(program: Program) -> tuple[Operation, ...]:
    """Return the operations between the fired and the sent packet.

    Raises
    ------
    UnservedError
        If they depend on values other than the fired packet and the masses at the ends.
    """
    needed, operations = {program.sends[0]} - {fired(program)}, []
    for operation in reversed(program.operations):
        if needed & set(operation.results):
            operations.append(operation)
            needed -= set(operation.results)
            needed |= {name for name in operation.values if isinstance(name, str)} - {fired(program)}
    unknown = needed - set(MASKS) - set(program.parameters)
    if unknown:
        raise UnservedError(
            f"program {program.name}: the sent packet depends on {', '.join(sorted(unknown))}, which is not supported"
        )
    return tuple(reversed(operations))


def face_text(
    population: Population,
    constant: Mapping[str, int],
    bounded: Iterable[str],
    narrow_products: frozenset[str] = frozenset(),
    ends: Mapping[str, str] = ON_A_GRID,
) -> FaceText:
    """Generate the loops of a program of faces.

    Parameters
    ----------
    population : Population
        Population of the faces.
    constant : mapping of str to int
        Parameters and masks with the same value at every face.
    bounded : iterable of str
        Values with a declared width.
    narrow_products : frozenset of str
        Results of products that fit the kernels' word.
    ends : mapping of str to str
        Expressions of the masses at the ends, and of what residues add up to unless it is an array.

    Raises
    ------
    UnservedError
        If the kernels do not support the program.
    """
    writer = FaceWriter(population, constant, set(bounded), narrow_products, ends)
    fire, audit = writer.fire(), writer.audit()
    text = "\n".join(
        [*writer.function("fire_run", "", *fire), "", *writer.function("audit_run", ", largest_current", *audit), ""]
    )
    return FaceText(text, tuple(writer.numbers.values), tuple(writer.arrays), (*writer.computed, *writer.stored))


class FaceWriter:
    """Generates the loops of one program; widths of stored values are checked in the audit, others when computed."""

    unpacked = "states, parameters, transported, ends, _"
    """Names of the arrays of a run."""

    def __init__(
        self,
        population: Population,
        constant: Mapping[str, int],
        bounded: set[str],
        narrow_products: frozenset[str],
        ends: Mapping[str, str],
    ) -> None:
        program = self.program = population.program
        self.lines = population.lines
        self.numbers, self.narrow_products, self.ends = Numbers(), narrow_products, ends
        self.names = {name: f"v_{name}" for name in program.inputs} | self.numbers.tables(program)
        self.arrays: list[str] = []
        self.loads = [line for name in (*program.ports, *program.parameters) for line in self.load(name, constant)]
        final_values = {*program.after, *program.sends}
        self.computed = [name for name in program.names if name in bounded and name not in final_values]
        self.stored = [name for name in program.names if name in bounded and name in final_values]
        self.states = list(enumerate(program.states))

    def load(self, name: str, constant: Mapping[str, int]) -> list[str]:
        """Return the statements that load a port or a parameter."""
        if name == ARRIVAL:
            return [f"v_{name} = arrivals[x]"]
        if name in self.program.parameters and name in constant:
            self.names[name] = self.numbers(constant[name])
            return []
        if name == LOW and LOW in self.ends:
            return [f"v_{name} = {self.ends[LOW]}"]
        if name in self.program.parameters or name == LOW:  # what residues add up to is computed before the step
            self.arrays.append(name)
            return [f"v_{name} = t(p{len(self.arrays) - 1}[axis, i])"]
        if name not in MASKS:
            raise UnservedError(f"program {self.program.name}: kernels of faces do not support the port {name}")
        mask, place = MASKS[name], self.ends[name]
        if mask in constant:
            return [f"v_{name} = t({place})"]
        self.arrays.append(mask)
        return [f"v_{name} = t({place} & p{len(self.arrays) - 1}[axis, i])"]

    def fire(self) -> tuple[list[str], list[str], list[str]]:
        """Return the code before, in and after the loop that fires."""
        program, states = self.program, self.states
        statements = Statements(NUMBA_WORDS, "v_", self.numbers, self.narrow_products)
        values = statements.write(program, self.names)
        sent = values[program.sends[0]]
        # Other outputs are residues, which are sent if they change.
        again = [(s, name) for s, name in zip(program.states, program.after, strict=True) if name in program.sends[1:]]
        loop = [
            *(f"v_{state} = t(s{at}[axis, i])" for at, state in states),
            *self.loads,
            *statements.lines,
            *(f"old{at} = t(old{at} + v_{state})" for at, state in states),
            f"before[x] = v_{program.states[-1]}",
            *([] if CURRENT in program.after else [f"arrivals[x] = {values[CURRENT]}"]),
            *(f"s{at}[axis, i] = s{at}_t({values[name]})" for at, name in enumerate(program.after)),
            f"packets[axis, place + x] = {sent}",
            f"transported[axis, i] = t(transported[axis, i] + {sent})",
            f"count = t(count + (t(1) if {sent} != t(0) else t(0)))",
            *(f"changed = t(changed + (t(1) if {values[name]} != v_{state} else t(0)))" for state, name in again),
            f"quanta = t(quanta + max({sent}, t(-{sent})))",
            *([f"line_spikes += spikes({sent}, {self.numbers.mask(self.lines)})"] if self.lines else []),
            *(bits_of(name, values[name]) for name in self.computed),
        ]
        begin = [
            *(f"s{at}_t = s{at}.dtype.type" for at, _ in states),
            *(f"old{at} = t(0)" for at, _ in states),
            "count, changed, quanta = t(0), t(0), t(0)",
            *(["line_spikes = np.int64(0)"] if self.lines else []),
            *(f"b_{name} = t(0)" for name in self.computed),
        ]
        end = [
            "result[PACKETS] += count",
            "result[QUANTA] += quanta",
            f"result[FLUX_SPIKES] += {'line_spikes' if self.lines else 'count'}",
            *(["result[FLUX_SPIKES] += changed"] if again else []),
            *(f"result[STATES + {2 * at}] += old{at}" for at, _ in states),
            *(comparison(name, at) for at, name in enumerate(self.computed)),
        ]
        return begin, loop, end

    def audit(self) -> tuple[list[str], list[str], list[str]]:
        """Return the code before, in and after the loop that audits stored values."""
        program, states, firing = self.program, self.states, firing_of(self.program, 0)
        after = after_firing(program) if firing is not None else ()
        again = Statements(NUMBA_WORDS, "w_", self.numbers, self.narrow_products)
        expected_packet = (
            again.write(program, {**self.names, fired(program): "left"}, after)[program.sends[0]] if after else ""
        )
        shift = self.numbers(0 if firing is None else firing.exponent)
        ends = [line for line in self.loads if not line.startswith(f"v_{ARRIVAL} ")]
        kept_back = [
            "rest = t(v_residue - before[x])",
            f"left = t(t(current - rest) >> {shift})" if after else "left = sent",
            *((*ends, *again.lines, f"wrong = t(wrong | t({expected_packet} ^ sent))") if after else ()),
            f"wrong = t(wrong | t(t(t(left << {shift}) + rest) - current))",
        ]
        loop = [
            *(f"v_{name} = t(s{at}[axis, i])" for at, name in enumerate(program.after)),
            *(f"new{at} = t(new{at} + v_{name})" for at, name in enumerate(program.after)),
            "sent = t(packets[axis, place + x])",
            f"current = {f'v_{CURRENT}' if CURRENT in program.after else 'arrivals[x]'}",
            *(kept_back if firing is not None else ()),
            "largest = max(largest, max(current, t(-current)))",
            *(bits_of(name, "sent" if name == program.sends[0] else f"v_{name}") for name in self.stored),
        ]
        begin = [
            *(f"new{at} = t(0)" for at, _ in states),
            "wrong, largest = t(0), t(0)",
            *(f"b_{name} = t(0)" for name in self.stored),
        ]
        end = [
            "if wrong:",
            "    result[FLAGS] |= FLAG_FLUX",
            "if largest > largest_current:",
            "    result[FLAGS] |= FLAG_RANGE",
            *(f"result[STATES + {2 * at + 1}] += new{at}" for at, _ in states),
            *(comparison(name, len(self.computed) + at) for at, name in enumerate(self.stored)),
        ]
        return begin, loop, end

    def function(self, name: str, others: str, begin: list[str], loop: list[str], end: list[str]) -> list[str]:
        """Return a function with a loop; call it after all loops are generated."""
        opened = [
            f"{self.unpacked} = arrays",
            "arrivals, before, result = row.arrivals, row.before, row.result",
            "axis, at, place, stride, n = run",
            "t = arrivals.dtype.type",
            "sign_bit = t(8 * arrivals.itemsize - 1)",
            *self.numbers.reading,
            *(f"s{at} = states[{at}]" for at, _ in self.states),
            *(f"p{at} = parameters[{at}]" for at in range(len(self.arrays))),
        ]
        return [
            f"def {name}(numbers, widths, mass, arrays, row, packets, run{others}):",
            *(f"    {line}" for line in (*opened, *begin)),
            "    for x in range(n):",
            "        i = at + x",
            *(f"        {line}" for line in loop),
            *(f"    {line}" for line in end),
        ]


def bits_of(name: str, value: str) -> str:
    """Statement that collects the bits in which values differ from their sign; wide values set high bits."""
    return f"b_{name} = t(b_{name} | t({value} ^ t({value} >> sign_bit)))"


def comparison(name: str, at: int) -> str:
    """Statement that compares the collected bits with a width."""
    return f"result[FLAGS] |= FLAG_WIDTH if b_{name} > widths[{at}] else 0"
