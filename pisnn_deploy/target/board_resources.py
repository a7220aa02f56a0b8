"""Resources of a board, with their limits in its profile and their use by an export of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target.boards import Board, Fpga, Microcontroller
from pisnn_deploy.target.schema import Figure

if TYPE_CHECKING:
    from pisnn_deploy.target.work import CircuitWork, CWork

_CELL_RAM_WORDS = 32
"""Memories of fewer words are made of cells."""


@dataclass(frozen=True)
class Spread:
    """A quantity that is known within a range.

    Attributes
    ----------
    value, low, high : float or None
        None if a figure is missing.
    """

    value: float | None
    low: float | None
    high: float | None

    def __add__(self, other: Spread) -> Spread:
        ends = zip(self.ends, other.ends, strict=True)
        return Spread(*(None if a is None or b is None else a + b for a, b in ends))

    def times(self, factor: float) -> Spread:
        """Product with a number that is not negative."""
        return Spread(*(None if end is None else factor * end for end in self.ends))

    @property
    def ends(self) -> tuple[float | None, float | None, float | None]:
        """Value, low and high."""
        return self.value, self.low, self.high


def spread(figure: Figure[float | None]) -> Spread:
    """Range of a figure."""
    low = figure.value if figure.low is None else figure.low
    return Spread(figure.value, low, figure.value if figure.high is None else figure.high)


def exactly(amount: float) -> Spread:
    """A quantity that is counted."""
    return Spread(amount, amount, amount)


@dataclass(frozen=True)
class BoardResource:
    """A limited resource of a board.

    Attributes
    ----------
    name, text : str
        Key in reports, and name for people.
    limit : callable
        Limit in a profile.
    use : callable
        Use, from a profile and the work of a graph.
    """

    name: str
    text: str
    limit: Callable[[Any], Figure[int | None]]
    use: Callable[[Any, Any], Spread]


@dataclass(frozen=True)
class Use:
    """Use of a resource by a graph."""

    resource: BoardResource
    amount: Spread
    limit: Figure[int | None]


@dataclass(frozen=True)
class Demand:
    """What a graph needs of a board.

    Attributes
    ----------
    work : CWork or CircuitWork
        Counts from which the uses follow.
    uses : tuple of Use
        One for each resource of the board.
    """

    work: Any
    uses: tuple[Use, ...]


def _flash(board: Microcontroller, work: CWork) -> Spread:
    code = board.code
    parts = (
        (code.fixed_bytes, 1),
        (code.operation_bytes, work.written),
        (code.wide_operation_bytes, work.wide_written),
        (code.loop_bytes, work.loops),
    )
    total = Spread(work.table_bytes, work.table_bytes, work.table_bytes + work.repeated_bytes)
    for figure, count in parts:
        total += spread(figure).times(count)
    return total


def _ram(board: Microcontroller, work: CWork) -> Spread:
    return exactly(work.ram_bytes + board.memory.stack_bytes.value)


def _cells(board: Fpga, work: CircuitWork) -> Spread:
    circuit = board.circuit
    bits = spread(circuit.operation_bit_cells).times(work.operation_bits)
    return spread(circuit.fixed_cells) + bits + spread(circuit.array_bit_cells).times(work.array_bits)


def _block_memory(board: Fpga, work: CircuitWork) -> Spread:
    """Bits in blocks, of which each memory takes whole ones; a block has words of 16 bits, at most 256 or more."""
    block = board.fabric.block_bits.value
    bits = [-(-words * bits // block) * block for words, bits in work.memories if words > _CELL_RAM_WORDS]
    most = [-(-max(words, block // 16) * -(-bits // 16) * 16 // block) * block for words, bits in work.memories]
    return Spread(sum(most), sum(bits), sum(most))


def _multipliers(board: Fpga, work: CircuitWork) -> Spread:
    size = board.circuit.multiplier_bits.value
    blocks = sum(-(-a // size) * -(-b // size) for a, b in work.products)
    return Spread(blocks, len(work.products), blocks)


RESOURCES_OF: Mapping[type[Board], tuple[BoardResource, ...]] = {
    Microcontroller: (
        BoardResource("flash", "bytes of flash", lambda board: board.memory.flash_bytes, _flash),
        BoardResource("ram", "bytes of RAM", lambda board: board.memory.ram_bytes, _ram),
    ),
    Fpga: (
        BoardResource("cells", "logic cells", lambda board: board.fabric.cells, _cells),
        BoardResource(
            "block_memory", "bits of block memory", lambda board: board.fabric.block_memory_bits, _block_memory
        ),
        BoardResource("multipliers", "multipliers", lambda board: board.fabric.multipliers, _multipliers),
    ),
}
"""Resources by the kind of a board."""
_WORK_OF: Mapping[type[Board], str] = {Microcontroller: "c_work", Fpga: "circuit_work"}
"""Function that counts the work, in a module that is loaded when asked: only boards need the writers of exports."""


def demand(graph: IntegerGraph, board: Board) -> Demand:
    """What a graph needs of a board.

    Raises
    ------
    UsageError
        The graph cannot be exported for it.
    """
    work = getattr(import_module("pisnn_deploy.target.work"), _WORK_OF[type(board)])(graph)
    uses = (Use(resource, resource.use(board, work), resource.limit(board)) for resource in RESOURCES_OF[type(board)])
    return Demand(work, tuple(uses))
