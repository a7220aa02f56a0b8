"""Files of a graph in C99: a library, its header, a self-test, and two ways to build them."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.audit import audit, audit_arrays, sums, total_count
from pisnn_deploy.formats.c.neurons import INDENT, array_of_values, holders, population, program_tables
from pisnn_deploy.formats.c.plan import Array, Plan
from pisnn_deploy.formats.c.setter import declared_sides, in_place_of_sent, set_boundary, values_of_sides
from pisnn_deploy.formats.c.texts import CMAKE, HEADER, MAIN, MAKE, PREAMBLE, VIOLATED
from pisnn_deploy.formats.trace import traced

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
    yield from declared_sides(parts)


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
    lines += values_of_sides(parts)
    lines += _begin(parts)
    lines += _step(parts)
    lines += set_boundary(parts)
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
        yield from _runs(parts)
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


def _runs(parts: Plan) -> Iterator[str]:
    """Calls that run the populations that hold no mass; values that were set take the place of what is sent."""
    for neurons in parts.neurons:
        yield f"{INDENT}{neurons.name}_run();"
        yield from in_place_of_sent(parts, neurons)


def _step(parts: Plan) -> Iterator[str]:
    copies = [pair for neurons in parts.neurons for pair in neurons.heard.values()]
    yield "void pisnn_step(void)"
    yield "{"
    yield from [f"{INDENT}pisnn_index n;"] if copies else []
    for state, copy in copies:
        yield f"{INDENT}for (n = 0; n < {state.size}; n++) {{"
        yield f"{INDENT * 2}{copy.name}[n] = {state.name}[n];"
        yield f"{INDENT}}}"
    yield from _runs(parts)
    for part in parts.holders:
        yield from (f"{INDENT}{array.name}_run();" for array, _ in part.parts if array.size)
    yield f"{INDENT}pisnn_steps++;"
    yield "}"
    yield ""


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
