"""C of populations: a function for one neuron, and loops over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.formats.c.effects import Sides
from pisnn_deploy.formats.c.nests import Nest, layout
from pisnn_deploy.formats.c.plan import Array, Holders, Neurons, Plan, joint
from pisnn_deploy.formats.c.types import KEYWORDS, WORD, Reads, literal, type_of, type_of_values
from pisnn_deploy.graph.contract import CURRENT
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.language import Operation
from pisnn_deploy.programs.source import Statements, c99

MOST_NESTS = 48
"""Loops of a population; rows beyond them are read from tables."""
LOOPS = ("i", "j", "k")
INDENT = "    "


@dataclass(frozen=True)
class Call:
    """A function that takes a neuron's number and the sums that arrived.

    Attributes
    ----------
    types : tuple of str
        Type of the sum of each port.
    """

    name: str
    ports: tuple[str, ...]
    types: tuple[str, ...]


def population(plan: Plan, neurons: Neurons) -> Iterator[str]:
    """The function of one neuron, and the function that runs all of them."""
    word = f"int{neurons.widths.word}_t"
    ports = neurons.population.program.ports
    call = Call(f"{neurons.name}_neuron", ports, (word,) * len(ports))
    yield from _neuron(neurons, call, plan.sides)
    yield from visits(plan, f"{neurons.name}_run", neurons.population.size, neurons.reads, call, neurons.name)


def program_tables(plan: Plan) -> Iterator[str]:
    """Look-up tables, and parameters that differ from neuron to neuron, each once."""
    written: set[str] = set()
    for neurons in plan.neurons:
        for name, lines in _program_tables(neurons, plan.sides):
            if name not in written:
                written.add(name)
                yield from lines


def _program_tables(neurons: Neurons, sides: Sides) -> Iterator[tuple[str, list[str]]]:
    """Names and lines of the tables and parameters that a program needs."""
    kept = {*neurons.stored, *(value for _, value in _audited(neurons))}
    _, needed = needed_operations(neurons.population.program, kept)
    for table in neurons.population.program.tables:
        if table.name in needed:
            name = f"{neurons.tables}_{table.name}"
            last = f"enum {{ {name}_last = {len(table.entries) - 1} }};"
            yield name, [*array_of_values(name, np.array(table.entries, np.int64)), last]
    for parameter, values in neurons.population.parameters.items():
        name = f"{neurons.tables}_{parameter}"
        if sides.changes(neurons.population.name, parameter):
            ends = sides.range_of(neurons.population.name, parameter, values)
            yield name, [*array_of_values(name, values, f"static {type_of(ends)}")]
        elif parameter in needed and not _is_constant(values):
            yield name, [*array_of_values(name, values)]


def _is_constant(values: Integers) -> bool:
    return values.size == 0 or bool((values == values[0]).all())


def array_of_values(name: str, values: Integers, declared: str = "") -> Iterator[str]:
    """An array with some values, constant unless its type is declared."""
    yield f"{declared or f'static const {type_of_values(values)}'} {name}[{max(1, values.size)}] = {{"
    numbers = [literal(number) for number in values.tolist()] or ["0"]
    line = INDENT
    for number in numbers:
        if len(line) + len(number) > 110:
            yield line.rstrip()
            line = INDENT
        line += f"{number}, "
    yield line.rstrip(", ")
    yield "};"


def _neuron(neurons: Neurons, call: Call, sides: Sides) -> Iterator[str]:
    """Function of one neuron: reads its states, computes, and keeps what its program keeps and sends."""
    program, word = neurons.population.program, neurons.widths.word
    kept = [(array, value) for value, arrays in neurons.stored.items() for array in arrays]
    seen = _audited(neurons)
    operations, needed = needed_operations(program, {value for _, value in (*kept, *seen)})
    tables = {table.name: f"{neurons.tables}_{table.name}" for table in program.tables}
    taken = {*tables.values(), *(array.name for array in neurons.arrays), call.name}
    prefix = "x_" if (KEYWORDS | taken) & {*program.names} else ""
    arguments = "".join(f", {type_} {prefix}{port}" for port, type_ in zip(call.ports, call.types, strict=True))
    yield f"/* {program.name} */"
    yield f"static void {call.name}(pisnn_index n{arguments})"
    yield "{"
    statements = Statements(c99(word), prefix, literal, neurons.widths.narrow_products)
    for name, text in _inputs(neurons, sides).items():
        if name in needed:
            statements.lines.append(f"const int{word}_t {prefix}{name} = {text};")
    texts = statements.write(program, {name: f"{prefix}{name}" for name in program.inputs} | tables, operations)
    yield from (f"{INDENT}{line}" for line in statements.lines)
    read = {operand for operation in operations for operand in operation.operands} | {value for _, value in kept}
    made = {result for operation in operations for result in operation.results}
    yield from (f"{INDENT}(void){texts[name]};" for name in (*call.ports, *sorted(made)) if name not in read)
    yield from (f"{INDENT}{array.name}[n] = {_narrowed(array, texts[value], word)};" for array, value in kept)
    if not kept:
        yield f"{INDENT}(void)n;"
    if seen:
        yield "#if PISNN_AUDIT"
        yield from (f"{INDENT}{array.name}[n] = {_narrowed(array, texts[value], word)};" for array, value in seen)
        yield "#endif"
    yield "}"
    yield ""


def _inputs(neurons: Neurons, sides: Sides) -> dict[str, str]:
    """Text of each state and parameter of a neuron."""
    inputs = {state: f"{array.name}[n]" for state, array in neurons.states.items()}
    for name, values in neurons.population.parameters.items():
        constant = literal(int(values[0])) if values.size else "0"
        is_set = sides.changes(neurons.population.name, name)
        inputs[name] = constant if _is_constant(values) and not is_set else f"{neurons.tables}_{name}[n]"
    return inputs


def needed_operations(program: Program, results: Iterable[str]) -> tuple[list[Operation], set[str]]:
    """Operations on which some values depend, and the names that they read or define."""
    needed = set(results)
    operations = []
    for operation in reversed(program.operations):
        if needed.intersection(operation.results):
            operations.append(operation)
            needed.update(operand for operand in operation.operands if isinstance(operand, str))
            needed.update(operation.results)
    return operations[::-1], needed


def _narrowed(array: Array, text: str, word: int) -> str:
    return text if array.type == f"int{word}_t" else f"({array.type}){text}"


def _audited(neurons: Neurons) -> list[tuple[Array, str]]:
    """Values that are kept for the audit alone: the current and what fired."""
    checked = Fired.of(neurons)
    return [] if checked is None else [(checked.current, CURRENT), *checked.own_packets]


@dataclass(frozen=True)
class Fired:
    """Values of channels that I3 compares: ``theta * packet + residue - last residue = current``.

    Attributes
    ----------
    packets : Array
        What fired, before any of it is withheld.
    exponent : int
        Theta is two to this power.
    own_packets : list of (Array, str)
        The array of `packets` with the name of its value, unless a population sends it anyway.
    """

    current: Array
    packets: Array
    residue: Array
    exponent: int
    own_packets: list[tuple[Array, str]]

    @property
    def last_residue(self) -> Array:
        """Residues as the audit expects them."""
        return Array(f"{self.residue.name}_book", self.residue.size, self.residue.bounds)

    @property
    def fits_a_word(self) -> bool:
        """Whether no term and no sum of the equation needs more than 32 bits."""
        terms = [(self.packets, 1 << self.exponent), (self.residue, 2), (self.current, 1)]
        largest = sum(max(-array.bounds.lower, array.bounds.upper) * factor for array, factor in terms)
        return largest < 1 << WORD - 1

    @staticmethod
    def of(neurons: Neurons) -> Fired | None:
        """Values of a population, or None if it is no population of channels that fire."""
        program = neurons.population.program
        if CURRENT not in program.names:
            return None
        for operation in program.operations:
            if operation.name == "fire" and operation.results[1] in program.after:
                packet, residue = operation.results
                size, values = neurons.population.size, neurons.widths.values
                current = Array(f"{neurons.name}_{CURRENT}_seen", size, values[CURRENT])
                sent = next((neurons.sends[o] for o in neurons.sends if neurons.outputs[o] == packet), None)
                own = Array(f"{neurons.name}_{packet}_fired", size, values[packet])
                state = program.states[program.after.index(residue)]
                extra = [] if sent else [(own, packet)]
                return Fired(current, sent or own, neurons.states[state], int(operation.operands[-1]), extra)
        return None


def holders(plan: Plan, part: Holders) -> Iterator[str]:
    """Functions that add what arrives at cells and at ledgers."""
    matrix, _ = joint(part.reads, part.field.size)
    read = read_arrays(plan, part.reads)
    for array, first in part.parts:
        if array.size:
            type_ = type_to_add(array, read, matrix)
            call = Call(f"{array.name}_add", ("arrival",), (type_,))
            yield f"static void {call.name}(pisnn_index n, {type_} arrival)"
            yield "{"
            yield f"{INDENT}{array.name}[n] = ({array.type})({array.name}[n] + arrival);"
            yield "}"
            yield ""
            rows = np.arange(first, first + array.size, dtype=np.int64)
            reads = [Reads("arrival", r.source, r.output, r.matrix.rows(rows)) for r in part.reads]
            yield from visits(plan, f"{array.name}_run", array.size, reads, call, array.name)


def type_to_add(array: Array, read: Iterable[Array], matrix: Rows) -> str:
    """Type that holds what arrives at an array, from the arrays that it reads."""
    largest = max((abs(end) for part in read for end in (part.bounds.lower, part.bounds.upper)), default=0)
    most = int(matrix.valued(np.abs).sums().max(initial=0)) * largest
    return "int32_t" if most < 1 << WORD - 1 and array.bounds.bits <= WORD else "int64_t"


def read_arrays(plan: Plan, reads: Iterable[Reads]) -> list[Array]:
    """Array with the values that each connection reads."""
    return [_array(plan, part) for part in reads]


def _array(plan: Plan, part: Reads) -> Array:
    """Array with the values that connections read."""
    for holders_ in plan.holders:
        if holders_.field.holder == part.source:
            return holders_.cells
    senders = [neurons for neurons in plan.neurons if neurons.population.name == part.source]
    arrays = ({**sender.sends, **{output: copy for output, (_, copy) in sender.heard.items()}} for sender in senders)
    return next(of_sender[part.output] for of_sender in arrays if part.output in of_sender)


def visits(plan: Plan, name: str, size: int, reads: Sequence[Reads], call: Call, prefix: str) -> Iterator[str]:
    """Function that calls another for each neuron, with the sums of what arrives at its ports."""
    reads = tuple(reads)
    matrix, ends = joint(reads, size)
    arrays = read_arrays(plan, reads)
    parts = layout(matrix, ends, MOST_NESTS)
    rest = parts.rest
    yield from _rest_tables(reads, rest, prefix) if rest.size else ()
    has_entries = any(part.matrix.rows(rest).entries for part in reads)
    depth = max([len(nest.counts) for nest in parts.nests] + ([1 + has_entries] if rest.size else []))
    yield f"static void {name}(void)"
    yield "{"
    yield f"{INDENT}pisnn_index {', '.join(LOOPS[:depth])};"
    for nest in parts.nests:
        yield from _nest(nest, reads, ends, arrays, call)
    if rest.size:
        yield from _rest(reads, rest, arrays, call, prefix)
    yield "}"
    yield ""


def _nest(nest: Nest, reads: Sequence[Reads], ends: Integers, arrays: Sequence[Array], call: Call) -> Iterator[str]:
    loops = LOOPS[: len(nest.counts)]
    for level, (loop, count) in enumerate(zip(loops, nest.counts, strict=True)):
        yield f"{INDENT * (level + 1)}for ({loop} = 0; {loop} < {count}; {loop}++) {{"
    terms: dict[str, list[tuple[int, str]]] = {port: [] for port in call.ports}
    types = dict(zip(call.ports, call.types, strict=True))
    for column, steps, weight, number in zip(nest.columns, nest.steps, nest.weights, nest.parts, strict=True):
        first = int(ends[number]) - reads[number].matrix.width
        index = _index(column - first, loops, steps)
        port = reads[number].port
        array, type_ = arrays[number], types[port]
        element = f"{array.name}[{index}]"
        terms[port].append((weight, element if array.type == type_ else f"({type_}){element}"))
    yield from _called(call, _index(nest.first, loops, nest.strides), terms, len(loops) + 1)
    for level in range(len(loops), 0, -1):
        yield f"{INDENT * level}}}"


def _called(call: Call, neuron: str, terms: dict[str, list[tuple[int, str]]], level: int) -> Iterator[str]:
    sums = [_sum(terms[port]) for port in call.ports]
    if len(sums) < 2:
        yield f"{INDENT * level}{call.name}({', '.join([neuron, *sums])});"
        return
    yield f"{INDENT * level}{call.name}({neuron},"
    for number, text in enumerate(sums):
        yield f"{INDENT * (level + 1)}{text}{',' if number < len(sums) - 1 else ');'}"


def _sum(terms: Sequence[tuple[int, str]]) -> str:
    """Weighted sum, with one product for all terms of the same absolute weight.

    The type holds the sum of the absolute values of all products, so it holds any sum of terms and any partial sum.
    """
    alike: dict[int, list[tuple[int, str]]] = {}
    for weight, text in terms:
        alike.setdefault(abs(weight), []).append((weight, text))
    parts = []
    for size, group in alike.items():
        sign = 1 if group[0][0] > 0 else -1
        inner = _added((weight * sign > 0, text) for weight, text in group)
        if size == 1:
            parts += [(weight > 0, text) for weight, text in group]
        else:
            parts.append((sign > 0, f"{literal(size)} * {f'({inner})' if len(group) > 1 else inner}"))
    return _added(parts) or "0"


def _added(terms: Iterable[tuple[bool, str]]) -> str:
    """Sum of terms, each positive or not."""
    text = "".join(f" {'+' if is_positive else '-'} {term}" for is_positive, term in terms)
    return text.removeprefix(" + ") if text.startswith(" +") else text.replace(" - ", "-", 1)


def _index(first: int, loops: Sequence[str], steps: Sequence[int]) -> str:
    text = "".join(
        f" {'-' if step < 0 else '+'} {'' if abs(step) == 1 else f'{abs(step)} * '}{loop}"
        for loop, step in zip(loops, steps, strict=True)
        if step
    )
    return f"{first}{text}" if first or not text.startswith(" +") else text.removeprefix(" + ")


def _rest_tables(reads: Sequence[Reads], rest: Integers, prefix: str) -> Iterator[str]:
    yield from array_of_values(f"{prefix}_rest", rest)
    for number, part in enumerate(reads):
        rows = part.matrix.rows(rest)
        if rows.entries:
            yield from array_of_values(f"{prefix}_starts_{number}", rows.starts)
            yield from array_of_values(f"{prefix}_columns_{number}", rows.columns)
            yield from array_of_values(f"{prefix}_weights_{number}", rows.values)


def _rest(reads: Sequence[Reads], rest: Integers, arrays: Sequence[Array], call: Call, prefix: str) -> Iterator[str]:
    """Loop over the neurons in no nest, whose connections are in tables."""
    yield f"{INDENT}for (i = 0; i < {rest.size}; i++) {{"
    for port, type_ in zip(call.ports, call.types, strict=True):
        yield f"{INDENT * 2}{type_} {port}_sum = 0;"
    types = dict(zip(call.ports, call.types, strict=True))
    for number, part in enumerate(reads):
        rows: Rows = part.matrix.rows(rest)
        if rows.entries:
            starts, entry = f"{prefix}_starts_{number}", f"{prefix}_columns_{number}[j]"
            yield f"{INDENT * 2}for (j = {starts}[i]; j < {starts}[i + 1]; j++) {{"
            weight = f"({types[part.port]}){prefix}_weights_{number}[j]"
            yield f"{INDENT * 3}{part.port}_sum += {weight} * {arrays[number].name}[{entry}];"
            yield f"{INDENT * 2}}}"
    yield f"{INDENT * 2}{call.name}({', '.join([f'{prefix}_rest[i]', *(f'{port}_sum' for port in call.ports)])});"
    yield f"{INDENT}}}"
