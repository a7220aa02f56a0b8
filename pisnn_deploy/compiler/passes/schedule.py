"""Pass `schedule`: fix the coding of events and the phases of a PDE step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pisnn_deploy.compiler.facts import QUANTISED, SCHEDULED, Fact
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating


@dataclass(frozen=True)
class Schedule:
    """Spread a PDE step over time steps.

    1. Phase 0: membranes absorb packets and send. Phase l: hidden layer l answers. Last phase: faces fire. Each hop
       through a synapse takes one time step, so the period is 1 plus the depth of the faces.
    2. With ``delta`` coding a population sends the change of its value and its targets accumulate; with ``dense`` it
       sends the value. In integers both are the same, bit for bit.
    3. Stock processes have no phases: all of them do a PDE step in every time step, and cells send their states.

    Parameters
    ----------
    coding : str
        ``delta`` or ``dense``.
    """

    name: ClassVar[str] = "schedule"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (SCHEDULED,)

    coding: Coding = "delta"

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Schedule | None:
        """Always run; stock cells use dense coding."""
        return cls("dense" if options.graph.processes == "stock" else options.graph.first_coding)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Schedule `graph`.

        Raises
        ------
        CompileError
            Stock processes cannot send changes.
        """
        if any(graph.population(channels.population).is_late for channels in graph.channels):
            if self.coding != "dense":
                raise CompileError(self.name, "stock cells send their states, so delta coding is impossible")
            return replace(graph, coding="dense", period=1)
        return replace(graph, coding=self.coding, period=1 + max(graph.depths.values()))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        steps = "1 time step" if graph.period == 1 else f"{graph.period} time steps"
        return f"{steps} per PDE step, {graph.coding} coding"
