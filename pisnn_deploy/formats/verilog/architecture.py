"""A way to lay out the neurons of a graph in hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pisnn_deploy.formats.verilog.units import Hardware


@dataclass(frozen=True)
class Architecture:
    """A layout.

    Attributes
    ----------
    module : callable
        Lines of the module ``pisnn``.
    tables : callable
        Files of the tables, by name.
    ending : str
        Ending of the wires of what registers are about to hold, by which a testbench compares a step before its clock
        edge; empty if it waits until the step is over.
    most_neurons : int
        Most neurons of a graph.
    remedy : str
        What to do about a graph with more.
    """

    module: Callable[[Hardware], Iterator[str]]
    tables: Callable[[Hardware], dict[str, bytes]]
    ending: str
    most_neurons: int
    remedy: str
