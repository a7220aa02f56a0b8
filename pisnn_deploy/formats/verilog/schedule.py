"""When streamed units run: a unit starts as soon as the last value that its first neuron reads has arrived."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pisnn_deploy.formats.c.plan import Array
from pisnn_deploy.formats.verilog.placement import Lane, Places, Tap, grid_of, lanes_of, placed, raster_of
from pisnn_deploy.formats.verilog.serial import hex_lines
from pisnn_deploy.formats.verilog.units import Hardware, Unit


@dataclass
class Stream:
    """Elements of a lane of an array, one a cycle in the order of positions.

    Attributes
    ----------
    ready : int
        Cycle in which the element at position 0 arrives.
    delays : set of int
        Cycles by which consumers want it later; grows.
    """

    name: str
    bits: int
    ready: int
    delays: set[int] = field(default_factory=set)


class Schedule:
    """When each unit of a graph starts, and how long what it reads has to wait.

    Attributes
    ----------
    lanes : dict of str to list of Lane
        Lanes of each unit.
    starts : dict of str to int
        Cycle in which each unit is at position 0.
    wanted : dict of (str, int, str, Tap) to (Stream, int)
        Stream and delay of each tap of a unit, a lane and a port.
    before : dict of (str, int) to Array
        Lanes of arrays that are read as they were before the PDE step.

    Raises
    ------
    NotStreamable
        The structure of the graph does not allow it.
    """

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self.raster = raster_of(grid_of(hardware))
        self._places: dict[str, Places] = placed(hardware)
        self.lanes = {unit.name: lanes_of(unit, self._places, self.raster) for unit in hardware.units}
        self.streams: dict[tuple[str, int], Stream] = {}
        self.starts: dict[str, int] = {}
        self.before: dict[tuple[str, int], Array] = {}
        self.wanted: dict[tuple[str, int, str, Tap], tuple[Stream, int]] = {}
        written: set[str] = set()
        for unit in hardware.units:
            if unit.copies is None:
                self._schedule(unit, written)
            written.update(array.name for array, _ in unit.writes)

    @cached_property
    def cycles(self) -> int:
        """Clock cycles of a PDE step, from `step` to the end of `busy`."""
        return self.last + 2

    @cached_property
    def last(self) -> int:
        """Number of the cycle behind the one in which the last neuron writes."""
        return max(self.starts.values()) + math.prod(self.raster) + 1

    def _schedule(self, unit: Unit, written: set[str]) -> None:
        """Start a unit as early as what it reads allows."""
        needed = [
            (number, port, tap, self._stream(tap, written))
            for number, lane in enumerate(self.lanes[unit.name])
            for port, taps in lane.weights.items()
            for tap in taps
        ]
        start = max((stream.ready + tap.offset for _, _, tap, stream in needed), default=0)
        start = self.starts[unit.name] = max(0, start)
        for number, port, tap, stream in needed:
            delay = start - stream.ready - tap.offset
            stream.delays.add(delay)
            self.wanted[unit.name, number, port, tap] = stream, delay
        for array, _ in unit.writes:
            for number in range(len(self.lanes[unit.name])):
                name = f"{array.name}$new{number}"
                self.streams[name, 0] = Stream(name, array.bounds.bits, start + 2)

    def _stream(self, tap: Tap, written: set[str]) -> Stream:
        """What a tap reads: elements of this PDE step if they were written, else what memory holds."""
        array = self._copied(tap.array)
        is_new = array.name in written and (array is tap.array or array not in self.hardware.kept)
        if is_new:
            return self.streams[f"{array.name}$new{tap.lane}", 0]
        name = f"{array.name}$old{tap.lane}"
        if (name, 0) not in self.streams:
            self.streams[name, 0] = Stream(name, array.bounds.bits, 1)
            self.before[array.name, tap.lane] = array
        return self.streams[name, 0]

    def _copied(self, array: Array) -> Array:
        """The array that a copy holds as it was before the PDE step, or the array itself."""
        for unit in self.hardware.units:
            if unit.copies is not None and array in (copy for copy, _ in unit.writes):
                return unit.copies
        return array

    def owner(self, array: Array) -> list[Lane]:
        """Lanes of the unit that writes an array."""
        unit = next(unit for unit in self.hardware.units if array in (written for written, _ in unit.writes))
        return self.lanes[unit.name]

    def stored(self) -> Iterator[tuple[Array, int, Lane]]:
        """Arrays that are memory, one for each lane: those that last, and those that a testbench looks at."""
        for array in self.hardware.arrays:
            if array in self.hardware.kept or array in self.hardware.seen:
                for number, lane in enumerate(self.owner(array)):
                    yield array, number, lane

    def tables(self) -> dict[str, bytes]:
        """Starts of what lasts, and parameters, as files for ``$readmemh`` by name."""
        files = {}
        for array, number, lane in self.stored():
            if array in self.hardware.kept:
                start = self.hardware.kept[array][lane.neurons]
                files[f"{array.name}_{number}.hex"] = hex_lines(start.tolist(), array.bounds.bits)
        for unit in self.hardware.units:
            for number, lane in enumerate(self.lanes[unit.name]):
                for name, values in lane.tables.items():
                    files[f"{unit.name}_{name}_{number}.hex"] = hex_lines(values.tolist(), unit.values[name].bits)
        return files

    def seen(self) -> Iterator[tuple[str, str]]:
        """Elements that a testbench compares: a memory and an index in it, with ``n`` for that of the array."""
        for array in self.hardware.seen:
            where: list[tuple[int, int]] = [(0, 0)] * array.size
            for number, lane in enumerate(self.owner(array)):
                for index, neuron in enumerate(lane.neurons.tolist()):
                    where[neuron] = number, index - neuron
            first = 0
            for neuron in range(1, array.size + 1):
                if neuron == array.size or where[neuron] != where[first]:
                    number, shift = where[first]
                    yield f"n = {first}; n < {neuron}", f"dut.{array.name}_{number}[n + {shift}]"
                    first = neuron
