"""Files of a graph in C99: a library, its header, a self-test, and two ways to build them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.audit import audit, audit_arrays, sums, total_count
from pisnn_deploy.formats.c.boundary import BIAS
from pisnn_deploy.formats.c.neurons import INDENT, array_of_values, holders, population, program_tables
from pisnn_deploy.formats.c.plan import Array, Plan
from pisnn_deploy.formats.c.texts import CMAKE, HEADER, MAIN, MAKE, PREAMBLE, VIOLATED
from pisnn_deploy.formats.c.types import identifiers, literal, type_of
from pisnn_deploy.formats.trace import traced
from pisnn_deploy.graph.integer import Integers

LARGEST_TABLE = 1 << 22
"""Most holders and channels of a graph."""
SMALL = 1 << 14
"""Most neurons and holders that an index of 16 bits can count, with room for sums of indices."""


def c_files(parts: Plan, sha256: str = "") -> dict[str, bytes]:
    """Write a graph as C99.

    Parameters
    ----------
    sha256 : str
        Hash of the artifact, for a comment.

    Returns
    -------
    dict of str to bytes
        Content by file name, reproducible byte for byte.

    Raises
    ------
    UsageError
        The graph has too many neurons for tables in memory.
    """
    graph = parts.graph
    largest = max(population.size for population in graph.populations)
    if largest > LARGEST_TABLE:
        raise UsageError(f"{graph.spec.name} has {largest} neurons in a population; C takes at most {LARGEST_TABLE}")
    about = f"{graph.spec.name}, {'x'.join(map(str, graph.mesh.shape))} cells"
    about += f", artifact {sha256}" if sha256 else ""
    numbers = "\n".join(f" *   {number}  {name}" for name, number in parts.numbers.items())
    steps, digest = traced(graph)
    files = {
        "pisnn.h": HEADER.substitute(about=about, fields="\n".join(_fields(parts)), populations=numbers),
        "pisnn.c": source(parts, about),
        "main.c": MAIN.substitute(about=about, steps=steps, hash=f"{digest:#018x}"),
        "Makefile": MAKE,
        "CMakeLists.txt": CMAKE,
    }
    return {name: text.encode("ascii") for name, text in files.items()}


def _fields(parts: Plan) -> Iterator[str]:
    """Declarations of the header."""
    for part in parts.holders:
        field = part.field
        window = field.window
        unit = f" {field.unit}" if field.unit else ""
        yield f"/* Field {field.name}: a value is mass * {field.value_per_quantum!r}{unit}"
        yield f" * (times the inverse volume of the cell, if they differ); masses stay within {window.lower} to"
        yield f" * {window.upper}, else pisnn_audit() says so. */"
        upper = part.name.upper()
        yield f"#define PISNN_{upper}_CELLS {part.cells.size}"
        yield f"#define PISNN_{upper}_RESERVOIRS {part.ledgers.size}"
        yield f"extern {part.cells.type} pisnn_{part.cells.name}[PISNN_{upper}_CELLS];"
        if part.ledgers.size:
            yield "/* What each reservoir took minus what it gave, in quanta. */"
            yield f"extern {part.ledgers.type} pisnn_{part.ledgers.name}[PISNN_{upper}_RESERVOIRS];"
        yield ""
    yield f"/* One PDE step, in units of the model's time. */\n#define PISNN_TIME_STEP {parts.graph.time_step!r}"
    yield from _declared_sides(parts)


def source(parts: Plan, about: str = "") -> str:
    """Text of ``pisnn.c``."""
    most = max(population.size for population in parts.graph.populations)
    index = "int_fast16_t" if most <= SMALL else "int_fast32_t"
    lines = [PREAMBLE.substitute(about=about, index=index)]
    for part in parts.holders:
        for array, _ in part.parts:
            if array.size:
                lines += [f"{array.type} pisnn_{array.name}[{array.size}];", f"#define {array.name} pisnn_{array.name}"]
    for neurons in parts.neurons:
        lines += [f"PISNN_STATIC {array.declaration};" for array in neurons.arrays]
    lines += ["", "#if PISNN_AUDIT", *(f"PISNN_STATIC {array.declaration};" for array in audit_arrays(parts))]
    lines += [f"static int64_t pisnn_total[{total_count(parts)}];", "#endif", ""]
    for part in parts.holders:
        lines += holders(parts, part)
    lines += program_tables(parts)
    for neurons in parts.neurons:
        lines += population(parts, neurons)
    lines += ["#if PISNN_AUDIT", VIOLATED, *sums(parts), *audit(parts), "#endif", ""]
    lines += _starts(parts)
    lines += _begin(parts)
    lines += _step(parts)
    lines += _set_boundary(parts)
    lines += _hash(parts)
    return "\n".join(lines) + "\n"


def _starts(parts: Plan) -> Iterator[str]:
    """Tables of the initial masses."""
    for part in parts.holders:
        yield from array_of_values(f"{part.name}_start", part.start[: part.cells.size])


def _begin(parts: Plan) -> Iterator[str]:
    """Functions that start a run: from the masses of the artifact, and from those that the caller has set."""
    yield "void pisnn_reset(void)"
    yield "{"
    yield f"{INDENT}pisnn_index n;"
    for part in parts.holders:
        yield f"{INDENT}for (n = 0; n < {part.cells.size}; n++) {{"
        yield f"{INDENT * 2}{part.cells.name}[n] = {part.name}_start[n];"
        yield f"{INDENT}}}"
    yield f"{INDENT}pisnn_begin();"
    yield "}"
    yield ""
    yield "void pisnn_begin(void)"
    yield "{"
    yield f"{INDENT}pisnn_index n;"
    for part in parts.holders:
        if part.ledgers.size:
            yield from _cleared(part.ledgers)
    for neurons in parts.neurons:
        for array in neurons.arrays:
            yield from _cleared(array)
    late = [neurons for neurons in parts.neurons if neurons.population.is_late]
    if late:
        yield f"{INDENT}/* Currents that act one step late start with those of these masses. */"
        yield from (f"{INDENT}{neurons.name}_run();" for neurons in parts.neurons)
        for neurons in parts.neurons:
            kept = neurons.population.hearing_states if neurons in late else ()
            for state, array in neurons.states.items():
                if state not in kept:
                    yield from _cleared(array)
    yield f"{INDENT}pisnn_steps = 0;"
    yield "#if PISNN_AUDIT"
    yield f"{INDENT}pisnn_audit_begin();"
    yield "#endif"
    yield "}"
    yield ""


def _cleared(array: Array) -> Iterator[str]:
    yield f"{INDENT}for (n = 0; n < {array.size}; n++) {{"
    yield f"{INDENT * 2}{array.name}[n] = 0;"
    yield f"{INDENT}}}"


def _step(parts: Plan) -> Iterator[str]:
    copies = [pair for neurons in parts.neurons for pair in neurons.heard.values()]
    yield "void pisnn_step(void)"
    yield "{"
    yield from [f"{INDENT}pisnn_index n;"] if copies else []
    for state, copy in copies:
        yield f"{INDENT}for (n = 0; n < {state.size}; n++) {{"
        yield f"{INDENT * 2}{copy.name}[n] = {state.name}[n];"
        yield f"{INDENT}}}"
    yield from (f"{INDENT}{neurons.name}_run();" for neurons in parts.neurons)
    for part in parts.holders:
        yield from (f"{INDENT}{array.name}_run();" for array, _ in part.parts if array.size)
    yield f"{INDENT}pisnn_steps++;"
    yield "}"
    yield ""


def _declared_sides(parts: Plan) -> Iterator[str]:
    """Declarations of the sides that can be set."""
    if parts.sides.sides:
        low, high = parts.sides.values.lower, parts.sides.values.upper
        yield ""
        yield f"/* Sides whose value may change while the program runs, from {low} to {high} quanta. */"
        yield f"enum pisnn_side {{ {', '.join(_side_name(side.name) for side in parts.sides.sides)} }};"
        yield f"#define PISNN_SMALLEST_BOUNDARY {literal(low)}"
        yield f"#define PISNN_LARGEST_BOUNDARY {literal(high)}"
        yield "/* Set the value of a side; returns 0, or 1 if it is out of range, which changes nothing. */"
        yield "int pisnn_set_boundary(unsigned side, int32_t quanta);"


def _side_name(name: str) -> str:
    return f"PISNN_{identifiers([name])[name].upper()}"


def _set_boundary(parts: Plan) -> Iterator[str]:
    """Function that sets the value of a side, which is linear in the biases of neurons that see it."""
    sides = parts.sides
    if not sides.sides:
        return
    bias = next(f"{n.name}_bias" for n in parts.neurons if n.population.name == sides.population)
    kind = type_of(sides.biases(sides.population, _biases(parts)))
    for number, side in enumerate(sides.sides):
        yield from array_of_values(f"pisnn_side_{number}_neurons", side.neurons)
        yield from array_of_values(f"pisnn_side_{number}_weights", side.weights)
    values = np.array([side.value for side in sides.sides], np.int64)
    yield from array_of_values("pisnn_side_values", values, "static int32_t")
    yield ""
    yield "int pisnn_set_boundary(unsigned side, int32_t quanta)"
    yield "{"
    yield f"{INDENT}pisnn_index n;"
    yield f"{INDENT}int32_t change;"
    low, high = literal(sides.values.lower), literal(sides.values.upper)
    yield f"{INDENT}if (side >= {len(sides.sides)} || quanta < {low} || quanta > {high}) {{"
    yield f"{INDENT * 2}return 1;"
    yield f"{INDENT}}}"
    yield f"{INDENT}change = quanta - pisnn_side_values[side];"
    yield f"{INDENT}pisnn_side_values[side] = quanta;"
    yield f"{INDENT}switch (side) {{"
    for number, side in enumerate(sides.sides):
        at = f"{bias}[pisnn_side_{number}_neurons[n]]"
        yield f"{INDENT}case {_side_name(side.name)}:"
        yield f"{INDENT * 2}for (n = 0; n < {side.neurons.size}; n++) {{"
        yield f"{INDENT * 3}{at} = ({kind})({at} + ({kind})pisnn_side_{number}_weights[n] * change);"
        yield f"{INDENT * 2}}}"
        yield f"{INDENT * 2}break;"
    yield f"{INDENT}default:"
    yield f"{INDENT * 2}break;"
    yield f"{INDENT}}}"
    yield f"{INDENT}return 0;"
    yield "}"
    yield ""


def _biases(parts: Plan) -> Integers:
    return parts.graph.population(parts.sides.population).parameters[BIAS]


def hashed(part: Plan) -> Iterator[Array]:
    """Arrays whose hash the self-test compares, in order: masses and ledgers, then states of channels and packets."""
    for holders_ in part.holders:
        yield from (array for array, _ in holders_.parts if array.size)
    for channels, neurons in part.channels:
        yield from neurons.states.values()
        yield neurons.sends[channels.output]


def _hash(parts: Plan) -> Iterator[str]:
    yield "uint64_t pisnn_hash(uint64_t hash)"
    yield "{"
    yield f"{INDENT}pisnn_index n;"
    for array in hashed(parts):
        yield f"{INDENT}for (n = 0; n < {array.size}; n++) {{"
        yield f"{INDENT * 2}hash = pisnn_hashed(hash, {array.name}[n]);"
        yield f"{INDENT}}}"
    yield f"{INDENT}return hash;"
    yield "}"


def memory(parts: Plan) -> dict[str, int]:
    """Bytes of memory that arrays take: those of a step, and those that the audit needs in addition."""
    state = [array for part in parts.holders for array, _ in part.parts]
    state += [array for neurons in parts.neurons for array in neurons.arrays]
    return {
        "bytes of state": sum(array.bytes for array in state),
        "bytes of the audit": sum(array.bytes for array in audit_arrays(parts)),
    }
