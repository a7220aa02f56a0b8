"""Pass `encode`: payloads as binary spikes, for targets whose spikes carry no integers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.facts import BOUNDED, ENCODED, Fact
from pisnn_deploy.core.errors import DoesNotFit
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating


@dataclass(frozen=True)
class Encode:
    """Give every population a line for each bit of its payload.

    1. The number of lines is the declared width of the payload or packet, so no bit can be missing.
    2. Line `b` has the population's synapses with ``2^b`` times the weight: first by the exponent, and beyond the
       largest one by the mantissas. Where these leave what a target can hold, the payload has too many bits and a
       coarser quantum is tried.

    Parameters
    ----------
    largest_mantissa : int
        Absolute value of weights of mixed sign that the target holds.
    """

    name: ClassVar[str] = "encode"
    requires: ClassVar[tuple[Fact, ...]] = (BOUNDED,)
    ensures: ClassVar[tuple[Fact, ...]] = (ENCODED,)

    largest_mantissa: int

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Encode | None:
        """Run for binary spikes."""
        return cls(options.profile.weights.mantissa_limit_mixed.value) if options.has_binary_spikes else None

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Encode `graph`.

        Raises
        ------
        CompileError
            A payload has more bits than weights can represent.
        """
        payloads = {b.population: b.bits for b in graph.bounds if b.quantity in ("payload", "packet")}
        encoded = replace(graph, populations=tuple(replace(p, lines=payloads[p.name]) for p in graph.populations))
        for line in stored_synapses(encoded):
            largest = int(np.abs(line.synapse.distinct_mantissas).max(initial=0))
            if largest > self.largest_mantissa:
                lines = payloads[line.synapse.source]
                raise DoesNotFit(
                    self.name,
                    f"payloads of {line.synapse.source} have {lines} bits, and synapse {line.synapse.name} would need "
                    f"the mantissa {largest} with exponent {line.synapse.exponent}; the target holds "
                    f"{self.largest_mantissa}",
                    remedy="narrow the operating range or its slope, or choose a target with graded spikes",
                )
        return encoded

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        return "binary spikes on " + ", ".join(f"{p.lines} lines of {p.name}" for p in graph.populations)
