"""Pass `limit`: a face never takes more than its source can give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.facts import LIMITED, QUANTISED, Fact
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph, kinds
from pisnn_deploy.graph.integer import ARRIVAL
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.layout import share_synapses

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating


@dataclass(frozen=True)
class Limit:
    """Give flux compartments the masses at their ends, and packets a limit.

    1. A cell gives at most ``max(m, 0) >> s`` through each of its faces; ``2^s`` is the largest number of faces of a
       cell, rounded up to a power of two. So a cell never gives more than it has.
    2. Two synapse populations bring each face the masses at its ends; reservoirs give without limit.
    3. The operating range begins at 0 or above. Refused where that leaves nothing, or a reservoir shows less than 0.
    """

    name: ClassVar[str] = "limit"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED, LIMITED)

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Limit | None:
        """Run if a limiter is requested."""
        return cls() if options.graph.limiter == "positivity" else None

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Limit `graph`.

        Raises
        ------
        CompileError
            The operating range or a reservoir is negative.
        """
        window, reservoirs = graph.window, graph.sole_field.reservoirs
        if window.upper <= 0:
            raise CompileError(
                self.name,
                f"the operating range ends at {window.upper} quanta, but the limiter allows no values below 0",
                remedy="choose another `value_range`, or compile without `limiter`",
            )
        if int(reservoirs.min(initial=0)) < 0:
            index = int(np.argmin(reservoirs))
            raise CompileError(
                self.name,
                f"reservoir {index} shows {reservoirs[index]} quanta, but the limiter allows no values below 0",
                remedy="choose another `boundary`, or compile without `limiter`",
            )
        shift = (max(1, most_faces(graph)) - 1).bit_length()
        limits = graph.model_spec.operating_range
        spec = graph.spec.model_copy(
            update={"operating_range": limits.model_copy(update={"lower": max(0.0, limits.lower)})}
        )
        limited = replace(
            kinds.with_faces(graph, share_bits=shift),
            spec=spec,
            synapses=(*graph.synapses[:-1], *share_synapses(graph.mesh), graph.synapses[-1]),
        )
        return limited.with_field(window=replace(window, lower=max(0, window.lower)))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        shift = known_face(graph).share_bits
        return (
            f"a cell of at most {most_faces(graph)} faces gives at most m >> {shift} through each; "
            f"masses from {graph.window.lower} on"
        )


def unlimited(graph: IntegerGraph) -> IntegerGraph:
    """Remove the limiter from a graph; the result is not bounded and not proved."""
    synapses = tuple(synapse for synapse in graph.synapses if synapse.port == ARRIVAL)
    return replace(kinds.with_faces(graph, share_bits=None), synapses=synapses, bounds=(), certificate=None)


def most_faces(graph: IntegerGraph) -> int:
    """Largest number of faces of a cell."""
    ends = np.concatenate([graph.mesh.source, graph.mesh.target])
    return int(np.bincount(ends, minlength=graph.mesh.holders)[: graph.mesh.cells].max())
