"""A way to lay out the neurons of a graph in hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pisnn_deploy.formats.verilog.units import Hardware


def _takes_all(_: Hardware) -> str:
    """A layout that refuses no graph for its structure."""
    return ""


@dataclass(frozen=True)
class Architecture:
    """A layout.

    Attributes
    ----------
    name : str
        Its name in messages.
    module : callable
        Lines of the module ``pisnn``.
    tables : callable
        Files of the tables, by name.
    seen : callable
        Head of a loop over ``n`` and the element in it, for all integers that a testbench compares, in order.
    is_early : bool
        Whether `seen` names the wires of what registers are about to hold, which a testbench reads before the clock
        edge that ends a step; else it waits until the step is over.
    most_neurons : int
        Most neurons of a graph.
    cycles : callable
        Clock cycles of a PDE step.
    reason : callable
        Why the structure of a graph does not suit this layout; empty if it does.
    """

    name: str
    module: Callable[[Hardware], Iterator[str]]
    tables: Callable[[Hardware], dict[str, bytes]]
    seen: Callable[[Hardware], Iterator[tuple[str, str]]]
    is_early: bool
    most_neurons: int
    cycles: Callable[[Hardware], int]
    reason: Callable[[Hardware], str] = _takes_all

    def refuses(self, hardware: Hardware) -> str:
        """Why a graph cannot be laid out like this; empty if it can."""
        neurons = sum(unit.size for unit in hardware.units)
        if neurons > self.most_neurons:
            return f"{neurons} neurons, and it takes at most {self.most_neurons}"
        return self.reason(hardware)
