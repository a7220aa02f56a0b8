"""Whether a run is plausible, which is another question than whether it conserved: wrong numbers may add up.

Two things are told. A law of diffusion or transport keeps its field between the least and the largest value of the
start and of what is held at sides: how far a kept row lies beyond that is measured on the run. And an operator that
multiplies a mode by more than 1 makes it grow: that stands in the certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.backends.run import Integers, Run
from pisnn_deploy.graph.integer import IntegerGraph

_CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class Excess:
    """The value of a run that lies furthest beyond the bounds of its start and reservoirs.

    Attributes
    ----------
    step, cell : int
    value : float
        Cell value there.
    quanta : int
        How far beyond, in units of the operating window; 0 for a value within.
    """

    step: int
    cell: int
    value: float
    quanta: int


@dataclass(frozen=True)
class Plausibility:
    """What is measured on a run, and what its certificate says of growth.

    Attributes
    ----------
    bounds : (float, float) or None
        Least and largest cell value of start and reservoirs; None where the law has no maximum principle (a wave), or
        no row was kept.
    excess : Excess or None
        Of the kept rows; None without bounds.
    allowance : int
        Quanta that the rounding of the packets of a cell explains.
    amplification : float or None
        Largest factor of a mode in one PDE step, as the certificate has it; None where it names none.
    stability : str or None
        Status of the certificate's claim.
    """

    bounds: tuple[float, float] | None
    excess: Excess | None
    allowance: int
    amplification: float | None
    stability: str | None

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What is implausible, a sentence each; none for a plausible run."""
        found = []
        if self.bounds is not None and self.excess is not None and self.excess.quanta > self.allowance:
            lower, upper = self.bounds
            side = "above" if self.excess.value > upper else "below"
            found.append(
                f"cell {self.excess.cell} has the value {self.excess.value:.6g} at PDE step {self.excess.step}, "
                f"{self.excess.quanta} quanta {side} what start and reservoirs bound it by, {lower:.6g} to {upper:.6g}"
            )
        if self.amplification is not None and self.amplification > 1:
            found.append(
                f"the operator multiplies a mode by {self.amplification:.6g} in each PDE step, so that it grows"
            )
        return tuple(found)

    @property
    def holds(self) -> bool:
        """Whether nothing implausible was found."""
        return not self.sentences

    @property
    def summary(self) -> str:
        """In a line, for tables."""
        if not self.holds:
            return "no: " + "; ".join(self.sentences)
        growth = "no mode grows" if self.stability == "proved" else "growth of modes: not proved to be absent"
        if self.bounds is None:
            return f"no maximum principle to hold it against; {growth}"
        return f"yes: kept steps lie within {self.bounds[0]:.6g} to {self.bounds[1]:.6g}; {growth}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object ``plausible`` of ``simulate``."""
        excess = self.excess
        return {
            "holds": self.holds,
            "bounds": None if self.bounds is None else list(self.bounds),
            "excess": None if excess is None else {**vars(excess), "allowance": self.allowance},
            "amplification": self.amplification,
            "stability": self.stability,
            "warnings": list(self.sentences),
        }


def plausibility(graph: IntegerGraph, run: Run) -> Plausibility:
    """Look at the kept rows of a run and at the certificate of its graph.

    Parameters
    ----------
    graph : IntegerGraph
    run : Run

    Returns
    -------
    Plausibility
    """
    claim = None if graph.certificate is None else graph.certificate.stability
    modulus = None if claim is None else claim.figures.get("modulus")
    amplification = None if modulus is None else float(modulus)
    status = None if claim is None else claim.status
    # A wave (a damped one, too) swings beyond its start.
    if graph.spec.damping is not None or graph.flux.leak < MEMORYLESS or not run.trace.step.size:
        return Plausibility(None, None, 0, amplification, status)
    start = graph.levels(np.asarray(run.trace.mass[0]))
    values = np.concatenate([start, graph.membrane.reservoirs])
    lower, upper = int(values.min()), int(values.max())
    scale = graph.value_per_quantum
    excess = _excess(graph, run, lower, upper)
    return Plausibility((lower * scale, upper * scale), excess, _allowance(graph), amplification, status)


def _excess(graph: IntegerGraph, run: Run, lower: int, upper: int) -> Excess:
    trace = run.trace
    number = max(1, _CHUNK_BYTES // (8 * graph.mesh.cells))
    worst, place, value = 0, (0, 0), int(graph.levels(np.asarray(trace.mass[0]))[0])
    for first in range(0, trace.step.size, number):
        levels: Integers = graph.levels(np.asarray(trace.mass[first : first + number]))
        if int(levels.max()) - upper <= worst and lower - int(levels.min()) <= worst:
            continue
        beyond = np.maximum(levels - upper, lower - levels)
        row, cell = (int(index) for index in np.unravel_index(int(beyond.argmax()), beyond.shape))
        worst, place, value = int(beyond[row, cell]), (first + row, cell), int(levels[row, cell])
    return Excess(int(trace.step[place[0]]), place[1], value * graph.value_per_quantum, worst)


def _allowance(graph: IntegerGraph) -> int:
    """A face keeps back at most one packet of what its flux asks for, so a cell is off by one for each of its faces."""
    mesh = graph.mesh
    faces = np.bincount(np.concatenate([mesh.source, mesh.target]), minlength=mesh.cells)[: mesh.cells]
    if graph.medium is not None:
        faces = faces * graph.medium.inverse_volume
    return int(faces.max(initial=0))
