"""Neurons one after the other: a synapse in every clock cycle, with all tables and states in memory.

Four stages: a synapse is read, then the value that it weighs and the states of its neuron, then the product is added,
and behind the last synapse of a neuron its program runs and writes. Nothing within a unit reads what the unit writes,
and the next unit waits until the last neuron has written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from pisnn_deploy.formats.verilog.architecture import Architecture
from pisnn_deploy.formats.verilog.parallel import address_bits, mass_ends
from pisnn_deploy.formats.verilog.statements import INDENT, literal, signed
from pisnn_deploy.formats.verilog.units import Hardware, Unit
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.programs.interval import hull

SYNAPSES = "synapses.hex"
_STAGES = 3
"""Cycles between the last synapse of a unit and the first one of the next."""


def top(hardware: Hardware) -> Iterator[str]:
    """The module ``pisnn``."""
    machine = _Machine(hardware)
    yield "module pisnn ("
    yield f"{INDENT}input wire clk, reset, step,"
    yield from (f"{INDENT}{end}," for array in hardware.masses for end in mass_ends(array))
    yield f"{INDENT}output wire busy"
    yield ");"
    yield from (f"{INDENT}{line}" for line in machine.lines())
    yield "endmodule"


def tables(hardware: Hardware) -> dict[str, bytes]:
    """Files of the tables, by name."""
    return _Machine(hardware).tables()


class _Machine:
    """The hardware with the encoding of its synapses."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._arrays = {array.name: number for number, array in enumerate(hardware.arrays)}
        self._synapses = [self._of(unit) for unit in hardware.units]

    def _of(self, unit: Unit) -> dict[str, Integers]:
        """Fields of the synapses of a unit, in the order of its neurons; one of weight 0 where a neuron has none."""
        parts = [np.zeros((5, 0), np.int64)]
        for connection in unit.connections:
            matrix, port = connection.reads.matrix, unit.ports.index(connection.reads.port)
            about = np.full((2, matrix.entries), [[port], [self._arrays[connection.array.name]]])
            parts.append(np.stack([matrix.row_of, *about, matrix.columns, matrix.values]))
        silent = np.setdiff1d(np.arange(unit.size), np.concatenate([part[0] for part in parts]))
        parts.append(np.stack([silent, *np.zeros((4, silent.size), np.int64)]))
        row, port, source, column, weight = np.concatenate(parts, axis=1)
        order = np.argsort(row, kind="stable")
        last = np.append(np.diff(row[order]) != 0, True).astype(np.int64)
        named = {"last": last, "port": port[order], "source": source[order]}
        return named | {"column": column[order], "weight": weight[order]}

    @cached_property
    def _all(self) -> dict[str, Integers]:
        return {name: np.concatenate([part[name] for part in self._synapses]) for name in self._synapses[0]}

    @cached_property
    def _widths(self) -> dict[str, int]:
        """Bits of each field of a synapse, the lowest first."""
        weights = self._all["weight"]
        return {
            "weight": hull((0, int(weights.min()), int(weights.max()))).bits,
            **{name: max(1, int(self._all[name].max()).bit_length()) for name in ("column", "source", "port", "last")},
        }

    @cached_property
    def _ends(self) -> list[int]:
        """Last synapse of each unit."""
        return [end - 1 for end in itertools.accumulate(part["last"].size for part in self._synapses)]

    @property
    def _bits(self) -> dict[str, int]:
        """Bits of the number of a unit, of a synapse and of a neuron."""
        most = max(unit.size for unit in self._hardware.units)
        counts = {"phase": len(self._hardware.units), "at": self._ends[-1] + 1, "neuron": most}
        return {name: max(1, (count - 1).bit_length()) for name, count in counts.items()}

    def tables(self) -> dict[str, bytes]:
        words = [0] * self._all["weight"].size
        shift = 0
        for name, bits in self._widths.items():
            mask = (1 << bits) - 1
            words = [
                word | (number & mask) << shift for word, number in zip(words, self._all[name].tolist(), strict=True)
            ]
            shift += bits
        files = {SYNAPSES: hex_lines(words, shift)}
        for unit in self._hardware.units:
            for name, values in unit.parameters.items():
                if not _is_constant(values):
                    files[f"{unit.name}_{name}.hex"] = hex_lines(values.tolist(), unit.values[name].bits)
        for array, start in self._hardware.kept.items():
            files[f"{array.name}.hex"] = hex_lines(start.tolist(), array.bounds.bits)
        return files

    def lines(self) -> Iterator[str]:
        yield from self._memory()
        yield from self._control()
        yield from self._reading()
        for number, unit in enumerate(self._hardware.units):
            yield from self._unit(number, unit)
        yield from self._writing()

    def _memory(self) -> Iterator[str]:
        word = sum(self._widths.values())
        yield "integer entry;"
        yield f"reg [{word - 1}:0] synapses [0:{self._ends[-1]}];"
        yield f'initial $readmemh("{SYNAPSES}", synapses);'
        for array in self._hardware.arrays:
            yield f"reg {signed(array.bounds.bits)} {array.name} [0:{array.size - 1}];"
            yield f"reg {signed(array.bounds.bits)} {array.name}_read;"
            if array in self._hardware.kept:
                yield f'initial $readmemh("{array.name}.hex", {array.name});'
            else:  # a synapse of weight 0 may read it before anything was written
                yield f"initial for (entry = 0; entry < {array.size}; entry = entry + 1) {array.name}[entry] = 0;"

    def _control(self) -> Iterator[str]:
        """Counters, and the fields of synapses on their way."""
        bits, ends = self._bits, self._ends
        yield "reg running, issuing, valid_b, valid_c, valid_d, first_b, first_c;"
        yield f"reg [{bits['phase'] - 1}:0] phase;"
        yield f"reg [{bits['at'] - 1}:0] at;"
        yield f"reg [{bits['neuron'] - 1}:0] neuron_b, neuron_c, neuron_d;"
        yield f"reg [{sum(self._widths.values()) - 1}:0] synapse;"
        low = 0
        for name, width in self._widths.items():
            sign = "signed " if name == "weight" else ""
            yield f"wire {sign}[{width - 1}:0] {name}_b = synapse[{low + width - 1}:{low}];"
            yield f"reg {sign}[{width - 1}:0] {name}_c;"
            low += width
        yield f"reg [{bits['at'] - 1}:0] end_of_unit;"
        yield f"reg [{bits['neuron'] - 1}:0] last_neuron;"
        yield "always @* case (phase)"
        for number, unit in enumerate(self._hardware.units):
            label = "default" if number == len(ends) - 1 else str(number)
            yield f"{INDENT}{label}: begin end_of_unit = {ends[number]}; last_neuron = {unit.size - 1}; end"
        yield "endcase"
        yield "assign busy = running;"
        yield from _CONTROL.format(last_phase=len(ends) - 1).splitlines()

    def _reading(self) -> Iterator[str]:
        """Memory is read at the number of the neuron by the unit whose state it is, else where a synapse points."""
        for array in self._hardware.arrays:
            owners = [n for n, unit in enumerate(self._hardware.units) if array in unit.states.values()]
            is_own = " || ".join(f"phase == {number}" for number in owners)
            address = f"({is_own}) ? neuron_b : column_b" if owners else "column_b"
            if array in self._hardware.masses:
                address = f"!running ? {array.name}_address : {address}"
                yield f"assign {array.name}_value = {array.name}_read;"
            yield f"wire [{address_bits(array) - 1}:0] {array.name}_at = {address};"
            yield f"always @(posedge clk) {array.name}_read <= {array.name}[{array.name}_at];"
        widest = max(array.bounds.bits for array in self._hardware.arrays)
        yield f"reg {signed(widest)} weighed;"
        yield "always @* case (source_c)"
        sources = sorted({int(number) for number in np.unique(self._all["source"])})
        names = [*self._arrays]
        for number in sources:
            label = "default" if number == sources[-1] else str(number)
            yield f"{INDENT}{label}: weighed = {names[number]}_read;"
        yield "endcase"
        yield f"wire {signed(widest + self._widths['weight'])} product = weight_c * weighed;"

    def _unit(self, number: int, unit: Unit) -> Iterator[str]:
        """Sums, states and the program of a unit; all units compute, and only the one whose turn it is writes."""
        ends = []
        for index, port in enumerate(unit.ports):
            total = f"{unit.name}${port}"
            yield f"reg {signed(unit.values[port].bits)} {total};"
            yield (
                f"always @(posedge clk) if (valid_c) {total} <= (first_c ? 1'sd0 : {total}) + "
                f"((port_c == {index}) ? product : 1'sd0);"
            )
            ends.append(f".v_{port}({total})")
        for state, array in unit.states.items():
            yield f"reg {signed(array.bounds.bits)} {unit.name}_{state}_d;"
            yield f"always @(posedge clk) {unit.name}_{state}_d <= {array.name}_read;"
            ends.append(f".v_{state}({unit.name}_{state}_d)")
        for name, values in unit.parameters.items():
            bits, text = unit.values[name].bits, f"{unit.name}_{name}"
            if _is_constant(values):
                ends.append(f".v_{name}({literal(int(values[0]), bits)})")
                continue
            yield f"reg {signed(bits)} {text} [0:{unit.size - 1}];"
            yield f'initial $readmemh("{text}.hex", {text});'
            yield f"reg {signed(bits)} {text}_c, {text}_d;"
            yield f"always @(posedge clk) begin {text}_c <= {text}[neuron_b]; {text}_d <= {text}_c; end"
            ends.append(f".v_{name}({text}_d)")
        for array, _ in unit.writes:
            yield f"wire {signed(array.bounds.bits)} {unit.name}_to_{array.name};"
            ends.append(f".out_{array.name}({unit.name}_to_{array.name})")
        if unit.copies is None:
            yield f"{unit.name}_neuron {unit.name}_one ({', '.join(ends)});"
        else:
            ((copy, state),) = unit.writes
            yield f"assign {unit.name}_to_{copy.name} = {unit.name}_{state}_d;"

    def _writing(self) -> Iterator[str]:
        """One write to each array, or it would not become memory."""
        for array in self._hardware.arrays:
            name, content = array.name, ""
            turns: list[str] = []
            for number, unit in enumerate(self._hardware.units):
                if array in (written for written, _ in unit.writes):
                    content = (
                        f"(phase == {number}) ? {unit.name}_to_{name} : {content}"
                        if turns
                        else f"{unit.name}_to_{name}"
                    )
                    turns.append(f"phase == {number}")
            when, at = f"valid_d && ({' || '.join(turns)})", "neuron_d"
            if array in self._hardware.masses:
                when = f"running ? {when} : {name}_write"
                at, content = f"running ? neuron_d : {name}_address", f"running ? {content} : {name}_data"
            yield f"wire {name}_writes = {when};"
            yield f"wire [{address_bits(array) - 1}:0] {name}_to = {at};"
            yield f"wire {signed(array.bounds.bits)} {name}_written = {content};"
            yield f"always @(posedge clk) if ({name}_writes) {name}[{name}_to] <= {name}_written;"


_CONTROL = """\
always @(posedge clk) begin
    synapse <= synapses[at];
    valid_b <= issuing;
    valid_c <= valid_b;
    valid_d <= valid_c && last_c;
    neuron_c <= neuron_b;
    neuron_d <= neuron_c;
    first_c <= first_b;
    last_c <= last_b;
    port_c <= port_b;
    source_c <= source_b;
    weight_c <= weight_b;
    if (valid_b) begin
        first_b <= last_b;
        if (last_b) neuron_b <= neuron_b + 1'b1;
    end
    if (issuing) begin
        if (at == end_of_unit) issuing <= 1'b0;
        else at <= at + 1'b1;
    end
    if (valid_d && neuron_d == last_neuron) begin
        neuron_b <= 0;
        first_b <= 1'b1;
        if (phase == {last_phase}) running <= 1'b0;
        else begin
            phase <= phase + 1'b1;
            at <= at + 1'b1;
            issuing <= 1'b1;
        end
    end
    if (!running && step) begin
        running <= 1'b1;
        issuing <= 1'b1;
        phase <= 0;
        at <= 0;
        neuron_b <= 0;
        first_b <= 1'b1;
    end
    if (reset) begin
        running <= 1'b0;
        issuing <= 1'b0;
        valid_b <= 1'b0;
        valid_c <= 1'b0;
        valid_d <= 1'b0;
    end
end"""


def hex_lines(numbers: list[int], bits: int) -> bytes:
    """Lines for ``$readmemh``."""
    digits, mask = (bits + 3) // 4, (1 << bits) - 1
    return "".join(f"{number & mask:0{digits}x}\n" for number in numbers).encode()


def _is_constant(values: Integers) -> bool:
    return bool((values == values[0]).all())


def _seen(hardware: Hardware) -> Iterator[tuple[str, str]]:
    """Loops over all that a testbench compares."""
    for array in hardware.seen:
        yield f"n = 0; n < {array.size}", f"dut.{array.name}[n]"


def cycles(hardware: Hardware) -> int:
    """Clock cycles of a PDE step."""
    return sum(map(synapses_of, hardware.units)) + _STAGES * len(hardware.units) + 1  # one starts the step


def synapses_of(unit: Unit) -> int:
    """Synapses of a unit in memory: one of weight 0 where a neuron has none."""
    rows = [np.zeros(0, np.int64), *(connection.reads.matrix.row_of for connection in unit.connections)]
    arrived = np.concatenate(rows)
    return int(arrived.size + unit.size - np.unique(arrived).size)


SERIAL = Architecture("serial", top, tables, _seen, False, 1 << 20, cycles)
