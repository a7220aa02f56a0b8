"""Pass `construct`: the integer graph of a law, from its recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.facts import QUANTISED, Fact
from pisnn_deploy.compiler.options import CompileOptions
from pisnn_deploy.compiler.runner import Floating
from pisnn_deploy.graph import IntegerGraph
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
    """

    name: ClassVar[str] = "construct"
    requires: ClassVar[tuple[Fact, ...]] = ()
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    shape: tuple[int, ...]
    multiplies: bool = True

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Construct | None:
        """None: only `compile_law` builds it."""
        return None

    def __call__(self, spec: LawSpec) -> IntegerGraph:
        """Construct the graph of `spec`.

        Raises
        ------
        UsageError
            A term of the law cannot be computed in fixed point.
        """
        return construct(spec, self.shape, multiplies=self.multiplies)

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        quanta = ", ".join(f"{field.name} 2^-{quantum_bits(field.value_per_quantum)}" for field in graph.fields)
        size = f"{len(graph.populations)} populations, {graph.neurons} neurons"
        return f"{size}; time step {graph.time_step:.6g}, quanta {quanta}"


def quantum_bits(value: float) -> int:
    """``b`` for a value of a quantum of ``2^-b``."""
    return 1 - math.frexp(value)[1]
