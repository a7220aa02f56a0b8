"""Synthesise artifacts for FPGAs, and compare the circuits with the limits of the parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.suggestions import did_you_mean
from pisnn_deploy.formats.verilog.synthesis import PARTS, Circuit, synthesised
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.project.exports import require_proved
from pisnn_deploy.target import Fpga, load_board

SOURCE = "after place and route, not measured on a board"
"""What kind of figure a clock is."""


@dataclass(frozen=True)
class Synthesis:
    """A circuit beside the limits of its part.

    Attributes
    ----------
    limits : dict of str to int
        What the part has of `cells`, `memories` and `multipliers`; those that are published.
    """

    circuit: Circuit
    limits: dict[str, int]

    @property
    def excess(self) -> tuple[str, ...]:
        """Names of what the circuit takes more of than the part has."""
        return tuple(name for name, limit in self.limits.items() if getattr(self.circuit, name) > limit)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Name and text of each figure."""
        circuit = self.circuit
        yield "layout", circuit.layout
        for name in ("cells", "registers", "memories", "multipliers"):
            limit = self.limits.get(name)
            yield name, f"{getattr(circuit, name):,}" + ("" if limit is None else f" of {limit:,}")
        yield "clock cycles of a PDE step", f"{circuit.cycles:,}"
        speed = circuit.steps_per_second
        if speed is None:
            yield "clock", f"none: {circuit.reason}"
        else:
            yield "clock", f"{circuit.mhz} MHz {SOURCE}"
            yield "PDE steps per second", f"{speed:,.0f} at this clock"
        yield "fits", f"no: too many {', '.join(self.excess)}" if self.excess else "yes"
        yield "tools", ", ".join(circuit.tools)

    def plain(self) -> dict[str, Any]:
        """Figures for JSON."""
        figures = asdict(self.circuit) | {"pde_steps_per_second": self.circuit.steps_per_second}
        return figures | {"limits": self.limits, "fits": not self.excess, "source": SOURCE}


def synthesise(graph: IntegerGraph, part: str, layout: str) -> Synthesis:
    """Synthesise a graph.

    Parameters
    ----------
    part : str
        Profile of an FPGA.
    layout : str
        ``parallel``, ``serial`` or ``streamed``.

    Raises
    ------
    UsageError
        The part is not known, the layout does not suit the graph, or yosys is missing.
    CheckError
        The certificate does not hold, or yosys fails.
    """
    if part not in PARTS:
        raise UsageError(f"`synthesise` {part!r}: expected one of {', '.join(PARTS)}{did_you_mean(part, PARTS)}")
    require_proved(graph)
    board = load_board(part)
    assert isinstance(board, Fpga)
    fabric = board.fabric
    bits, block = fabric.block_memory_bits.value, fabric.block_bits.value
    limits = {
        "cells": fabric.cells.value,
        "memories": None if bits is None or not block else bits // block,
        "multipliers": fabric.multipliers.value,
    }
    return Synthesis(
        synthesised(graph, part, layout), {name: int(limit) for name, limit in limits.items() if limit is not None}
    )
