"""Pass `limit`: no cell falls below a floor or rises above a ceiling."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.analysis.low_flux import LowFlux, low_flux, overdraws
from pisnn_deploy.compiler.facts import LIMITED, QUANTISED, Fact
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph, kinds
from pisnn_deploy.graph.fields import OperatingWindow
from pisnn_deploy.graph.integer import ARRIVAL, FLUX, MEMBRANE
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.limiter import ANSWERS, ChannelEnds, Joined, answer_to, answering, limiter_synapses

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating


@dataclass(frozen=True)
class Limit:
    """Let faces ask cells before they send, and cells answer (flux-corrected transport).

    1. A face sends a low flux, which never overdraws a cell: upwind where constant fields flow, else that of
       diffusion. It asks the cells at its ends for the rest of its packet.
    2. A new population of one neuron a cell adds up what is asked. If it is more than what the cell has above the
       floor, or has room for below the ceiling, it answers with the part that it refuses, else it is silent.
    3. The operating range begins at the floor and ends at the ceiling. Refused where that leaves nothing, where a
       reservoir lies outside, or where the low flux might overdraw.

    Parameters
    ----------
    limiter : str
        ``positivity`` for a floor, ``bounds`` for a floor and a ceiling.
    floor, ceiling : float or None
        Values of the limits. Without, the floor of ``positivity`` is 0, and those of ``bounds`` are the operating
        range's ends.
    """

    name: ClassVar[str] = "limit"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED, LIMITED)

    limiter: str = "positivity"
    floor: float | None = None
    ceiling: float | None = None

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Limit | None:
        """Run if a limiter is requested."""
        chosen = options.graph
        if chosen.limiter == "none":
            return None
        require_target(cls.name, options)
        return cls(chosen.limiter, chosen.floor, chosen.ceiling)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Limit `graph`.

        Raises
        ------
        CompileError
            The operating range or a reservoir lies outside the limits, or the low flux might overdraw a cell.
        """
        window, mesh = graph.window, graph.mesh
        limits = self._limits(graph)
        has_ceiling = self.limiter == "bounds"
        if limits.upper <= limits.lower:
            raise CompileError(
                self.name,
                f"the operating range of {window.lower} to {window.upper} quanta leaves nothing between the limits, "
                f"{limits.lower} and {limits.upper}",
                remedy="choose another `value_range`, or compile without `limiter`",
            )
        self._require_reservoirs(graph, limits)
        low = low_flux(graph, limits.lower, limits.upper, has_ceiling=has_ceiling)
        defect = overdraws(mesh, low, limits.lower, limits.upper if has_ceiling else None)
        if defect:
            raise CompileError(
                self.name, f"{defect}, so nothing is proved", remedy="choose another `boundary`, or a floor of 0 alone"
            )
        return _joined(graph, low, limits, has_ceiling=has_ceiling)

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        window, limiter = graph.window, known_face(graph).limiter
        ends = f"{window.lower} to {window.upper}" if self.limiter == "bounds" else f"{window.lower} on"
        carried = "" if limiter is None or not limiter.has_low else f", a low flux of {limiter.weight} >> F"
        return f"masses from {ends}{carried}"

    def _limits(self, graph: IntegerGraph) -> OperatingWindow:
        """The operating window within the limits."""
        window, scale = graph.window, graph.value_per_quantum
        lower, upper = window.lower, window.upper
        if self.floor is not None or self.limiter == "positivity":
            lower = max(lower, math.ceil((self.floor or 0.0) / scale))
        if self.ceiling is not None:
            upper = min(upper, math.floor(self.ceiling / scale))
        return replace(window, lower=lower, upper=upper)

    def _require_reservoirs(self, graph: IntegerGraph, limits: OperatingWindow) -> None:
        shown = graph.sole_field.reservoirs
        above = shown > limits.upper if self.limiter == "bounds" else np.zeros(shown.shape, np.bool_)
        outside = np.flatnonzero((shown < limits.lower) | above)
        if outside.size:
            index = int(outside[0])
            word, limit = ("above", limits.upper) if above[index] else ("below", limits.lower)
            raise CompileError(
                self.name,
                f"reservoir {index} shows {shown[index]} quanta, but the limiter allows no values {word} {limit}",
                remedy="choose another `boundary`, or compile without `limiter`",
            )


def require_target(name: str, options: CompileOptions) -> None:
    """Refuse a target that cannot compute or send what a limiter needs.

    Parameters
    ----------
    name : str
        Name of the pass.

    Raises
    ------
    CompileError
        It has no products of two values, or spikes are binary.
    """
    if options.profile.microcode.multiply.value is False:
        raise CompileError(
            name,
            f"the target {options.profile.name} has no products of two values, which packets are limited by",
            remedy="choose another target, such as loihi2, or compile without `limiter`",
        )
    if options.has_binary_spikes:
        raise CompileError(
            name,
            "a face sends its packet, a flux and requests, and binary spikes have lines for one value of a neuron",
            remedy="use graded `spikes`, or compile without `limiter`",
        )


def _joined(graph: IntegerGraph, low: LowFlux, limits: OperatingWindow, *, has_ceiling: bool) -> IntegerGraph:
    """Add the limiter's populations and synapses."""
    mesh, field = graph.mesh, graph.sole_field
    constants = replace(known_face(graph), limiter=low.limiter(has_ceiling=has_ceiling))
    channels = graph.sole_channels
    faces = replace(
        kinds.faces(mesh, constants, others={**channels.parameters, **low.parameters}), lines=channels.lines
    )
    answers = answering(field, answer_to(faces.program), limits)
    ends = ChannelEnds(mesh.source, mesh.target, field.cells, field.size)
    joining = limiter_synapses(ends, faces.program, Joined(MEMBRANE, FLUX, ANSWERS))
    scale, of_model = graph.value_per_quantum, graph.model_spec.operating_range
    within = of_model.model_copy(
        update={
            "lower": max(of_model.lower, limits.lower * scale) if limits.lower > graph.window.lower else of_model.lower,
            "upper": min(of_model.upper, limits.upper * scale) if limits.upper < graph.window.upper else of_model.upper,
        }
    )
    return replace(
        graph,
        spec=graph.spec.model_copy(update={"operating_range": within}),
        populations=(*graph.populations[:-1], answers, faces),
        synapses=(*graph.synapses[:-1], *joining, graph.synapses[-1]),
    ).with_field(window=limits)


def unlimited(graph: IntegerGraph) -> IntegerGraph:
    """Remove the limiter from a graph; the result is not bounded and not proved."""
    answers = graph.order.answers
    synapses = tuple(s for s in graph.synapses if s.port == ARRIVAL and s.target not in answers)
    without = replace(
        graph,
        populations=tuple(p for p in graph.populations if p.name not in answers),
        synapses=synapses,
        bounds=(),
        certificate=None,
        period=None if graph.period is None else graph.period - 2,
    )
    return kinds.with_faces(without, limiter=None)
