"""Streamed by rows: a position of the raster in every clock cycle, with a copy of each program for each lane.

Values wait in delay lines, whose longest have memory for some rows of the grid. In a cycle the weighed values are
added; in the next the program runs and writes. All units of a PDE step overlap; PDE steps do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.plan import Array
from pisnn_deploy.formats.verilog.architecture import Architecture
from pisnn_deploy.formats.verilog.parallel import mass_ends
from pisnn_deploy.formats.verilog.placement import Lane, NotStreamable, factored
from pisnn_deploy.formats.verilog.schedule import Schedule, Stream
from pisnn_deploy.formats.verilog.statements import INDENT, literal, signed, times
from pisnn_deploy.formats.verilog.units import Hardware, Unit
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.programs.interval import hull

LONGEST_OF_REGISTERS = 3
"""Longer delays are memory."""


class _Lines:
    """Lines of the module ``pisnn``."""

    def __init__(self, schedule: Schedule) -> None:
        self._of = schedule

    def lines(self) -> Iterator[str]:
        yield from self._control()
        yield from self._memory()
        yield from self._old_streams()
        yield from self._delay_lines()
        for unit in self._of.hardware.units:
            if unit.copies is None:
                yield from self._unit(unit)

    def _control(self) -> Iterator[str]:
        bits = self._of.last.bit_length()
        yield f"reg running;\nreg [{bits - 1}:0] cycle;"
        yield "assign busy = running;"
        yield "always @(posedge clk)"
        yield f"{INDENT}if (reset) begin running <= 1'b0; cycle <= 0; end"
        yield f"{INDENT}else if (!running) begin running <= step; cycle <= 0; end"
        yield f"{INDENT}else begin cycle <= cycle + 1'b1; if (cycle == {self._of.last}) running <= 1'b0; end"

    def _memory(self) -> Iterator[str]:
        for array, number, lane in self._of.stored():
            yield f"reg {signed(array.bounds.bits)} {array.name}_{number} [0:{lane.neurons.size - 1}];"
            if array in self._of.hardware.kept:
                yield f'initial $readmemh("{array.name}_{number}.hex", {array.name}_{number});'

    def _counters(self, name: str, start: int) -> Iterator[str]:
        """Indices of the position at which a unit is, and whether it runs."""
        end = start + math.prod(self._of.raster)
        from_start = f"cycle >= {start} && " if start else ""
        yield f"wire {name}$on = running && {from_start}cycle < {end};"
        names = [f"{name}$at{axis}" for axis in range(len(self._of.raster))]
        for at, count in zip(names, self._of.raster, strict=True):
            yield f"reg [{max(1, (count - 1).bit_length()) - 1}:0] {at};"
        yield f"always @(posedge clk) if (!running) begin {' '.join(f'{at} <= 0;' for at in names)} end"
        yield f"{INDENT}else if ({name}$on) begin"
        carries = ""
        for at, count in reversed([*zip(names, self._of.raster, strict=True)]):
            wraps = f"{at} == {count - 1}"
            yield f"{INDENT * 2}{carries}{at} <= ({wraps}) ? 0 : {at} + 1'b1;"
            carries = f"{carries}if ({wraps}) "
        yield f"{INDENT}end"

    def _classes(self, name: str, unit: str, classes: Integers) -> Iterator[str]:
        """The class of the neuron at a position, from the codes of its indices."""
        width = max(1, int(classes.max()).bit_length())
        axes = factored(classes)
        codes = []
        for axis, (firsts, code) in enumerate(axes):
            if firsts.size > 1:
                bits = (firsts.size - 1).bit_length()
                yield f"reg [{bits - 1}:0] {name}$code{axis};"
                yield f"always @* case ({unit}$at{axis})"
                usual = int(np.bincount(code).argmax())
                for index, number in enumerate(code.tolist()):
                    if number != usual:
                        yield f"{INDENT}{index}: {name}$code{axis} = {number};"
                yield f"{INDENT}default: {name}$code{axis} = {usual};"
                yield "endcase"
                codes.append((f"{name}$code{axis}", bits))
        if not codes:
            yield f"wire [{width - 1}:0] {name}$class = {int(classes.flat[0])};"
            return
        few = classes[np.ix_(*(firsts for firsts, _ in axes))]
        usual = int(np.bincount(few.reshape(-1)).argmax())
        yield f"reg [{width - 1}:0] {name}$class;"
        yield f"always @* case ({{{', '.join(code for code, _ in codes)}}})"
        for indices in np.ndindex(few.shape):
            number = int(few[indices])
            if number != usual:
                digits = [i for i, (firsts, _) in zip(indices, axes, strict=True) if firsts.size > 1]
                value = 0
                for digit, (_, bits) in zip(digits, codes, strict=True):
                    value = value << bits | digit
                yield f"{INDENT}{value}: {name}$class = {number};"
        yield f"{INDENT}default: {name}$class = {usual};"
        yield "endcase"

    def _index(self, name: str, unit: str, lane: Lane) -> Iterator[str]:
        """Number of the neuron in its lane: positions without one are not counted."""
        yield from self._classes(name, unit, lane.classes)
        yield f"wire {name}$valid = {unit}$on && {name}$class != 0;"
        yield f"reg [{_bits(lane) - 1}:0] {name}$index;"
        yield f"always @(posedge clk) if (!running) {name}$index <= 0;"
        yield f"{INDENT}else if ({name}$valid) {name}$index <= {name}$index + 1'b1;"

    def _old_streams(self) -> Iterator[str]:
        """Streams of what memory holds; a unit that writes there is never ahead of them."""
        if self._of.before:
            yield from self._counters("old", 0)
        for (array_name, number), array in self._of.before.items():
            lane = self._of.owner(array)[number]
            name = f"{array_name}$old{number}"
            lane = Lane(lane.neurons, lane.positions, (lane.classes > 0).astype(np.int64), {}, {}, {})
            yield from self._index(name, "old", lane)
            yield f"reg {signed(array.bounds.bits)} {name};"
            yield f"always @(posedge clk) {name} <= {array_name}_{number}[{name}$index];"

    def _delay_lines(self) -> Iterator[str]:
        longest = max((max(stream.delays, default=0) for stream in self._of.streams.values()), default=0)
        yield "integer entry;"
        if longest > LONGEST_OF_REGISTERS:
            yield f"reg [{longest.bit_length()}:0] turn;"
            yield "always @(posedge clk) if (reset) turn <= 0; else turn <= turn + 1'b1;"
        for stream in self._of.streams.values():
            if "$new" in stream.name:
                yield f"reg {signed(stream.bits)} {stream.name};"
            before = 0
            for delay in sorted(stream.delays - {0}):
                yield from _delayed(stream, before, delay)
                before = delay

    def _unit(self, unit: Unit) -> Iterator[str]:
        yield from self._counters(unit.name, self._of.starts[unit.name])
        for number, lane in enumerate(self._of.lanes[unit.name]):
            name = f"{unit.name}$lane{number}"
            yield from self._index(name, unit.name, lane)
            yield f"reg {name}$valid_b;\nreg [{_bits(lane) - 1}:0] {name}$index_b;"
            yield f"always @(posedge clk) begin {name}$valid_b <= {name}$valid; {name}$index_b <= {name}$index; end"
            ends = []
            for port in unit.ports:
                yield from self._sum(unit, number, lane, port)
                ends.append(f".v_{port}({name}${port})")
            for state, array in unit.states.items():
                yield f"reg {signed(array.bounds.bits)} {name}${state};"
                at = f"{name}$index"
                if array in self._of.hardware.masses:
                    at = f"running ? {at} : {array.name}_address"
                    yield f"assign {array.name}_value = {name}${state};"
                yield f"wire [{_bits(lane) - 1}:0] {name}${state}_at = {at};"
                yield f"always @(posedge clk) {name}${state} <= {array.name}_{number}[{name}${state}_at];"
                ends.append(f".v_{state}({name}${state})")
            for parameter in unit.parameters:
                yield from self._parameter(unit, number, lane, parameter)
                ends.append(f".v_{parameter}({name}${parameter})")
            for array, _ in unit.writes:
                to = f"{name}$to_{array.name}"
                yield f"wire {signed(array.bounds.bits)} {to};"
                ends.append(f".out_{array.name}({to})")
                yield f"always @(posedge clk) {array.name}$new{number} <= {to};"
                if array in self._of.hardware.kept or array in self._of.hardware.seen:
                    yield from self._write(array, number, lane, name)
            yield f"{unit.name}_neuron {name} ({', '.join(ends)});"

    def _write(self, array: Array, number: int, lane: Lane, name: str) -> Iterator[str]:
        when, at, content = f"{name}$valid_b", f"{name}$index_b", f"{name}$to_{array.name}"
        if array in self._of.hardware.masses:
            when = f"running ? {when} : {array.name}_write"
            at, content = f"running ? {at} : {array.name}_address", f"running ? {content} : {array.name}_data"
        write = f"{array.name}$write{number}"
        yield f"wire {write} = {when};"
        yield f"wire [{_bits(lane) - 1}:0] {write}_at = {at};"
        yield f"wire {signed(array.bounds.bits)} {write}_data = {content};"
        yield f"always @(posedge clk) if ({write}) {array.name}_{number}[{write}_at] <= {write}_data;"

    def _parameter(self, unit: Unit, number: int, lane: Lane, parameter: str) -> Iterator[str]:
        name, bits = f"{unit.name}$lane{number}", unit.values[parameter].bits
        target = f"{name}${parameter}"
        if parameter in lane.tables:
            memory = f"{unit.name}_{parameter}_{number}"
            yield f"reg {signed(bits)} {memory} [0:{lane.neurons.size - 1}];"
            yield f'initial $readmemh("{memory}.hex", {memory});'
            yield f"reg {signed(bits)} {target};"
            yield f"always @(posedge clk) {target} <= {memory}[{name}$index];"
            return
        values = lane.constants[parameter]
        if (values == values[0]).all():
            yield f"wire {signed(bits)} {target} = {literal(int(values[0]), bits)};"
            return
        yield f"reg {signed(bits)} {target};"
        yield f"always @(posedge clk) case ({name}$class)"
        found, counts = np.unique(values[1:], return_counts=True)
        usual = int(found[counts.argmax()])
        for label, value in enumerate(values.tolist()):
            if label and value != usual:
                yield f"{INDENT}{label}: {target} <= {literal(value, bits)};"
        yield f"{INDENT}default: {target} <= {literal(usual, bits)};"
        yield "endcase"

    def _sum(self, unit: Unit, number: int, lane: Lane, port: str) -> Iterator[str]:
        """Weighed values of a port; which weights count follows from the class."""
        name, text = f"{unit.name}$lane{number}", ""
        for index, (tap, weights) in enumerate(lane.weights[port].items()):
            stream, delay = self._of.wanted[unit.name, number, port, tap]
            value = _name_of(stream, delay)
            used = sorted(set(weights[1:].tolist()) - {0})
            if len(set(weights[1:].tolist())) == 1:
                text += times(used[0], value)
                continue
            bits = hull((0, *used)).bits + stream.bits
            weighed = f"{name}${port}{index}"
            yield f"reg {signed(bits)} {weighed};"
            yield f"always @* case ({name}$class)"
            for weight in used:
                labels = ", ".join(map(str, np.flatnonzero(weights == weight).tolist()))
                yield f"{INDENT}{labels}: {weighed} ={times(weight, value).removeprefix(' +')};"
            yield f"{INDENT}default: {weighed} = 0;"
            yield "endcase"
            text += f" + {weighed}"
        yield f"reg {signed(unit.values[port].bits)} {name}${port};"
        yield f"always @(posedge clk) {name}${port} <={text.removeprefix(' +') or ' 0'};"


def _bits(lane: Lane) -> int:
    return max(1, (lane.neurons.size - 1).bit_length())


def _name_of(stream: Stream, delay: int) -> str:
    return f"{stream.name}_{delay}" if delay else stream.name


def _delayed(stream: Stream, before: int, delay: int) -> Iterator[str]:
    """A stream some cycles later: registers, or a memory around which a pointer turns."""
    source, length, kind = _name_of(stream, before), delay - before, signed(stream.bits)
    if length <= LONGEST_OF_REGISTERS:
        steps = [_name_of(stream, before + n) for n in range(1, length + 1)]
        yield f"reg {kind} {', '.join(steps)};"
        moves = " ".join(f"{to} <= {of};" for to, of in zip(steps, [source, *steps], strict=False))
        yield f"always @(posedge clk) begin {moves} end"
        return
    target = _name_of(stream, delay)
    bits = (length - 1).bit_length()
    yield f"reg {kind} {target};"
    yield f"reg {kind} {target}$line [0:{(1 << bits) - 1}];"
    yield f"wire [{bits - 1}:0] {target}$to = turn[{bits - 1}:0];"
    yield f"wire [{bits - 1}:0] {target}$from = turn[{bits - 1}:0] - {bits}'d{length - 1};"
    yield "always @(posedge clk) begin"
    yield f"{INDENT}{target}$line[{target}$to] <= {source};"
    yield f"{INDENT}{target} <= {target}$line[{target}$from];"
    yield "end"


def top(hardware: Hardware) -> Iterator[str]:
    """The module ``pisnn``."""
    yield "module pisnn ("
    yield f"{INDENT}input wire clk, reset, step,"
    yield from (f"{INDENT}{end}," for array in hardware.masses for end in mass_ends(array))
    yield f"{INDENT}output wire busy"
    yield ");"
    yield from (f"{INDENT}{line}" for line in _Lines(Schedule(hardware)).lines())
    yield "endmodule"


def tables(hardware: Hardware) -> dict[str, bytes]:
    """Files of the tables, by name."""
    return Schedule(hardware).tables()


def cycles(hardware: Hardware) -> int:
    """Clock cycles of a PDE step.

    Raises
    ------
    UsageError
        The graph cannot be streamed.
    """
    reason = refused(hardware)
    if reason:
        raise UsageError(f"not streamed: {reason}")
    return Schedule(hardware).cycles


def refused(hardware: Hardware) -> str:
    """Why a graph cannot be streamed; empty if it can."""
    try:
        Schedule(hardware)
    except NotStreamable as reason:
        return str(reason)
    return ""


def _seen(hardware: Hardware) -> Iterator[tuple[str, str]]:
    """Loops over all that a testbench compares."""
    return Schedule(hardware).seen()


STREAMED = Architecture("streamed", top, tables, _seen, False, 1 << 20, cycles, refused)
