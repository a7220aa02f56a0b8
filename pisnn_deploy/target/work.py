"""What an export of a graph has to do in a PDE step, and to keep: counts from which the needs of a board follow.

Counts of C and of circuits are those of `pisnn_deploy.formats.c` and `pisnn_deploy.formats.verilog`, before any
compiler sees them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pisnn_deploy.formats.c.audit import total_count
from pisnn_deploy.formats.c.neurons import needed_operations
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.c.types import WORD, Widths
from pisnn_deploy.formats.c.writer import memory, source
from pisnn_deploy.formats.verilog.serial import SERIAL, synapses_of
from pisnn_deploy.formats.verilog.units import Hardware, Unit, hardware_of
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.programs.language import Operation

_TABLE = re.compile(r"^static (const )?(int(\d+)_t) \w+\[(\d+)\] = {([^}]*)}", re.MULTILINE)
_FIXED_BYTES = 24
"""Memory of the number of the step and of the first violation."""
_TOTAL_BYTES = 8


@dataclass(frozen=True)
class CWork:
    """Work of ``export --to c``.

    Attributes
    ----------
    operations, wide_operations : int
        Operations of all neurons in a PDE step, in 32 and in 64 bits.
    synapses, neurons : int
        Synapses and neurons that a PDE step visits, holders and ledgers included.
    written, wide_written : int
        Operations in the source, in 32 and in 64 bits.
    loops : int
        Loops in the source.
    table_bytes, repeated_bytes : int
        Bytes of tables, each counted once, and of tables with the content of another, which compilers may merge.
    ram_bytes : int
        Bytes of changing arrays, the audit's included.
    """

    operations: int
    wide_operations: int
    synapses: int
    neurons: int
    written: int
    wide_written: int
    loops: int
    table_bytes: int
    repeated_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class CircuitWork:
    """Work of ``export --to verilog --serial``.

    Attributes
    ----------
    operation_bits : int
        Bits of the results of all operations of programs.
    array_bits : int
        Widths of all arrays and sums.
    memories : tuple of (int, int)
        Words and bits of each memory.
    products : tuple of (int, int)
        Bits of the factors of each product.
    cycles : int
        Clock cycles of a PDE step.
    """

    operation_bits: int
    array_bits: int
    memories: tuple[tuple[int, int], ...]
    products: tuple[tuple[int, int], ...]
    cycles: int


def c_work(graph: IntegerGraph) -> CWork:
    """Count the work of a graph in C.

    Raises
    ------
    UsageError
        The graph cannot be exported.
    """
    parts = plan(graph)
    counts = dict.fromkeys(("operations", "wide_operations", "written", "wide_written"), 0)
    synapses = neurons = 0
    for part in parts.neurons:
        operations, _ = needed_operations(part.population.program, part.stored)
        for operation in operations:
            wide = "wide_" * _is_wide(operation, part.widths)
            counts[f"{wide}operations"] += part.population.size
            counts[f"{wide}written"] += 1
        synapses += sum(read.matrix.entries for read in part.reads)
        neurons += part.population.size
    for holders in parts.holders:
        synapses += sum(read.matrix.entries for read in holders.reads)
        neurons += holders.field.size
    text = source(parts)
    constants, repeated, variables = _tables(text)
    changing = sum(memory(parts).values()) + _TOTAL_BYTES * total_count(parts) + _FIXED_BYTES
    return CWork(
        **counts,
        synapses=synapses,
        neurons=neurons,
        loops=text.count("for ("),
        table_bytes=constants + variables,
        repeated_bytes=repeated,
        ram_bytes=changing + variables,
    )


def _is_wide(operation: Operation, widths: Widths) -> bool:
    """Whether an operation needs 64 bits: all of a program with a wide value do, and wide products."""
    products = (widths.values.get(f"{result}*") for result in operation.results)
    return widths.word > WORD or any(product is not None and product.bits > WORD for product in products)


def _tables(text: str) -> tuple[int, int, int]:
    """Bytes of the arrays with values in a source: constant ones, those that repeat another, and those that change."""
    once, repeated, changing = {}, 0, 0
    for constant, kind, bits, entries, values in _TABLE.findall(text):
        size = int(bits) // 8 * int(entries)
        if not constant:
            changing += size
        elif (kind, values) in once:
            repeated += size
        else:
            once[kind, values] = size
    return sum(once.values()), repeated, changing


def circuit_work(graph: IntegerGraph) -> CircuitWork:
    """Count the work of a graph as a circuit of neurons one after the other.

    Raises
    ------
    UsageError
        The graph cannot be exported.
    """
    hardware = hardware_of(plan(graph))
    synapses = [synapses_of(unit) for unit in hardware.units]
    widest = max(array.bounds.bits for array in hardware.arrays)
    memories = [(array.size, array.bounds.bits) for array in hardware.arrays]
    for unit in hardware.units:
        memories += [(v.size, unit.values[n].bits) for n, v in unit.parameters.items() if (v != v[:1]).any()]
    memories.append((sum(synapses), _synapse_bits(hardware)))
    weight = max((_weight_bits(unit) for unit in hardware.units), default=1)
    products = [(weight, widest), *(pair for unit in hardware.units for pair in _products(unit))]
    return CircuitWork(
        sum(unit.values[result].bits for unit in hardware.units for o in unit.operations for result in o.results),
        sum(bits for _, bits in memories)
        + sum(unit.values[port].bits for unit in hardware.units for port in unit.ports),
        tuple(memories),
        tuple(products),
        SERIAL.cycles(hardware),
    )


def _weight_bits(unit: Unit) -> int:
    sizes = [abs(c.reads.matrix.values).max(initial=0) for c in unit.connections]
    return max((int(size).bit_length() + 1 for size in sizes), default=1)


def _synapse_bits(hardware: Hardware) -> int:
    """Bits of a synapse in memory: weight, neuron, array, port and the mark of the last one."""
    longest = max(array.size for array in hardware.arrays)
    ports = max((len(unit.ports) for unit in hardware.units), default=1)
    fields = (max(1, (count - 1).bit_length()) for count in (longest, len(hardware.arrays), max(2, ports)))
    return max(map(_weight_bits, hardware.units)) + sum(fields) + 1


def _products(unit: Unit) -> list[tuple[int, int]]:
    """Bits of the factors of each product of two values."""
    pairs = []
    for operation in unit.operations:
        if operation.name == "mul_shr":
            bits = [
                unit.values[v].bits if isinstance(v, str) else int(v).bit_length() + 1 for v in operation.operands[:2]
            ]
            pairs.append((bits[0], bits[1]))
    return pairs
