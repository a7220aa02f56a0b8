"""Pass `construct`: the integer graph of a law, from its recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.facts import QUANTISED, Fact
from pisnn_deploy.compiler.options import CompileOptions
from pisnn_deploy.compiler.runner import Floating
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.flux_network import TrainedFluxes
from pisnn_deploy.laws.spec import LawSpec


@dataclass(frozen=True)
class Construct:
    """Build fixed-point programs, channels and ledgers of a law on a grid.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    multiplies : bool
        Whether the target's neurons multiply two values.
    fluxes : TrainedFluxes or None
        Fluxes of a law whose method is ``trained``; the provenance has the hash of their file.
    """

    name: ClassVar[str] = "construct"
    requires: ClassVar[tuple[Fact, ...]] = ()
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    shape: tuple[int, ...]
    multiplies: bool = True
    fluxes: TrainedFluxes | None = field(default=None, metadata={"recorded": False})

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Construct | None:
        """None: only `compile_law` builds it."""
        return None

    def __call__(self, spec: LawSpec) -> IntegerGraph:
        """Construct the graph of `spec`.

        Raises
        ------
        UsageError
            A term of the law cannot be computed in fixed point, or its trained fluxes lack or do not fit.
        """
        return construct(spec, self.shape, multiplies=self.multiplies, trained=self.fluxes)

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        quanta = ", ".join(f"{field.name} 2^-{quantum_bits(field.value_per_quantum)}" for field in graph.fields)
        size = f"{len(graph.populations)} populations, {graph.neurons} neurons"
        return f"{size}; time step {graph.time_step:.6g}, quanta {quanta}"


def quantum_bits(value: float) -> int:
    """``b`` for a value of a quantum of ``2^-b``."""
    return 1 - math.frexp(value)[1]
