"""All neurons at once: a PDE step in every clock cycle."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.formats.c.plan import Array
from pisnn_deploy.formats.verilog.architecture import Architecture
from pisnn_deploy.formats.verilog.statements import INDENT, literal, signed, times
from pisnn_deploy.formats.verilog.units import Hardware, Unit


def top(hardware: Hardware) -> Iterator[str]:
    """The module ``pisnn``."""
    yield "module pisnn ("
    yield f"{INDENT}input wire clk, reset, step,"
    yield from (f"{INDENT}{end}," for array in hardware.masses for end in mass_ends(array))
    yield f"{INDENT}output wire busy"
    yield ");"
    body = [*_declared(hardware), *_wired(hardware), *_registers(hardware)]
    yield from (f"{INDENT}{line}" for line in body)
    yield "endmodule"


def mass_ends(array: Array) -> Iterator[str]:
    """Ports through which the masses of a field are read and written."""
    yield f"input wire {array.name}_write"
    yield f"input wire [{address_bits(array) - 1}:0] {array.name}_address"
    yield f"input wire {signed(array.bounds.bits)} {array.name}_data"
    yield f"output wire {signed(array.bounds.bits)} {array.name}_value"


def address_bits(array: Array) -> int:
    """Bits of an address in an array."""
    return max(1, (array.size - 1).bit_length())


def _declared(hardware: Hardware) -> Iterator[str]:
    yield "assign busy = 1'b0;"
    for array in hardware.masses:
        yield f"assign {array.name}_value = {array.name}[{array.name}_address];"
    for array in hardware.arrays:
        of = f"{signed(array.bounds.bits)} {array.name}"
        if array in hardware.kept:
            yield f"reg {of} [0:{array.size - 1}];"
            yield f"wire {of}_next [0:{array.size - 1}];"
        else:
            yield f"wire {of} [0:{array.size - 1}];"
    yield "integer n;"


def _wired(hardware: Hardware) -> Iterator[str]:
    """Instances of all neurons."""
    written: set[str] = set()

    def read(array: Array) -> str:
        return f"{array.name}_next" if array in hardware.kept and array.name in written else array.name

    for unit in hardware.units:
        if unit.copies is not None:
            # Registers change at the end of the step, so all read what they held before it.
            ((copy, _),) = unit.writes
            yield from (f"assign {copy.name}[{n}] = {unit.copies.name}[{n}];" for n in range(unit.size))
        else:
            arrays = {connection.array.name: read(connection.array) for connection in unit.connections}
            yield from _neurons(hardware, unit, arrays)
        written.update(array.name for array, _ in unit.writes)


def _neurons(hardware: Hardware, unit: Unit, arrays: dict[str, str]) -> Iterator[str]:
    for port in unit.ports:
        yield f"wire {signed(unit.values[port].bits)} {unit.name}${port} [0:{unit.size - 1}];"
        sums = [""] * unit.size
        for connection in unit.connections:
            if connection.reads.port == port:
                matrix = connection.reads.matrix
                entries = zip(matrix.row_of.tolist(), matrix.columns.tolist(), matrix.values.tolist(), strict=True)
                for row, column, weight in entries:
                    sums[row] += times(weight, f"{arrays[connection.array.name]}[{column}]")
        for neuron, text in enumerate(sums):
            yield f"assign {unit.name}${port}[{neuron}] ={text.removeprefix(' +') or ' 0'};"
    for neuron in range(unit.size):
        ends = [f".v_{port}({unit.name}${port}[{neuron}])" for port in unit.ports]
        ends += [f".v_{state}({array.name}[{neuron}])" for state, array in unit.states.items()]
        ends += [f".v_{name}({_sized(unit, name, int(values[neuron]))})" for name, values in unit.parameters.items()]
        for array, _ in unit.writes:
            ends.append(f".out_{array.name}({array.name}{'_next' * (array in hardware.kept)}[{neuron}])")
        yield f"{unit.name}_neuron {unit.name}${neuron} ({', '.join(ends)});"


def _sized(unit: Unit, name: str, number: int) -> str:
    return literal(number, unit.values[name].bits)


def _registers(hardware: Hardware) -> Iterator[str]:
    yield "always @(posedge clk) begin"
    yield f"{INDENT}if (reset) begin"
    for array, start in hardware.kept.items():
        yield f"{INDENT * 2}for (n = 0; n < {array.size}; n = n + 1) {array.name}[n] <= 0;"
        for neuron, number in enumerate(start.tolist()):
            if number:
                yield f"{INDENT * 2}{array.name}[{neuron}] <= {literal(number)};"
    yield f"{INDENT}end else begin"
    for array in hardware.kept:
        yield f"{INDENT * 2}if (step) for (n = 0; n < {array.size}; n = n + 1) {array.name}[n] <= {array.name}_next[n];"
    for array in hardware.masses:
        yield f"{INDENT * 2}if ({array.name}_write) {array.name}[{array.name}_address] <= {array.name}_data;"
    yield f"{INDENT}end"
    yield "end"


def _no_tables(_: Hardware) -> dict[str, bytes]:
    """All constants are part of the circuit."""
    return {}


def _seen(hardware: Hardware) -> Iterator[tuple[str, str]]:
    """Loops over all that a testbench compares."""
    for array in hardware.seen:
        yield f"n = 0; n < {array.size}", f"dut.{array.name}{'_next' * (array in hardware.kept)}[n]"


PARALLEL = Architecture("parallel", top, _no_tables, _seen, True, 4096, lambda _: 1)
