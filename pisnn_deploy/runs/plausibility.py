"""Whether a run is plausible, which is another question than whether it conserved: wrong numbers may add up.

Two things are told. A law of diffusion or transport keeps its field between the least and the largest value of the
start and of what is held at sides: how far a kept row lies beyond that is measured on the run. And an operator that
multiplies a mode by more than 1 makes it grow: that stands in the certificate. Where neither can be judged, it is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pisnn_deploy.graph.claims import Claim
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.programs.facts import decay_constants
from pisnn_deploy.runs.run import Integers, Run

LARGEST_ALLOWANCE = 1e-3
"""Share of the operating range that rounding may explain; with more, a run that stays within it says nothing."""
_OF_MODES = ("maximum-principle", "fourier", "axis-eigenvalues")
"""Methods whose proof holds for every mode; that masses stay nonnegative and add up lets modes grow."""
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
        How far beyond, in units of the operating window.
    """

    step: int
    cell: int
    value: float
    quanta: int


@dataclass(frozen=True)
class Allowance:
    """How far beyond the bounds the rounding of packets may carry a cell.

    Attributes
    ----------
    quanta : int
        In units of the operating window.
    value : float
        As a cell value.
    operating_range : float
        Largest less least value of the operating range.
    """

    quanta: int
    value: float
    operating_range: float

    @property
    def is_small(self) -> bool:
        """Whether it is small enough beside the operating range for bounds to mean something."""
        return self.value <= LARGEST_ALLOWANCE * self.operating_range


@dataclass(frozen=True)
class Bounded:
    """A run beside the maximum principle of its law.

    Attributes
    ----------
    bounds : (float, float)
        Least and largest cell value of start and reservoirs.
    extremes : (float, float)
        Least and largest cell value of all kept rows.
    excess : Excess or None
        Of the kept rows; None if none lies beyond the bounds.
    allowance : Allowance
    """

    bounds: tuple[float, float]
    extremes: tuple[float, float]
    excess: Excess | None
    allowance: Allowance

    @property
    def is_exceeded(self) -> bool:
        """Whether a kept row lies further beyond the bounds than rounding explains."""
        return self.excess is not None and self.excess.quanta > self.allowance.quanta

    @property
    def text(self) -> str:
        """Where the kept rows lie."""
        text = f"kept steps lie within {self.extremes[0]:.6g} to {self.extremes[1]:.6g}"
        if self.excess is not None:
            text += f", start and reservoirs within {self.bounds[0]:.6g} to {self.bounds[1]:.6g}"
        return text


@dataclass(frozen=True)
class Plausibility:
    """What is measured on a run, and what its certificate says of growth.

    Attributes
    ----------
    bounded : Bounded or None
        None where the law has no maximum principle (a wave), or no row was kept.
    stability : Claim or None
        Of the certificate, which the run does not prove again.
    failure : str
        Why the run is violated; empty if it is conserved.
    """

    bounded: Bounded | None
    stability: Claim | None
    failure: str = ""

    @property
    def amplification(self) -> float | None:
        """Largest factor of a mode in one PDE step, as the certificate has it; None where it names none."""
        modulus = None if self.stability is None else self.stability.figures.get("modulus")
        return None if modulus is None else float(modulus)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What is implausible, a sentence each; none for a plausible run."""
        sentences = []
        if self.bounded is not None and self.bounded.excess is not None and self.bounded.is_exceeded:
            (lower, upper), excess = self.bounded.bounds, self.bounded.excess
            side = "above" if excess.value > upper else "below"
            sentences.append(
                f"cell {excess.cell} has the value {excess.value:.6g} at PDE step {excess.step}, "
                f"{excess.quanta} quanta {side} what start and reservoirs bound it by, {lower:.6g} to {upper:.6g}"
            )
        if self.amplification is not None and self.amplification > 1:
            sentences.append(
                f"the operator multiplies a mode by {self.amplification:.6g} in each PDE step, so that it grows"
            )
        return tuple(sentences)

    @property
    def doubt(self) -> str:
        """Why nothing can be said for the run; empty if something can."""
        if self.failure:
            return "the run is violated"
        if self.bounded is None:
            return "" if self._is_calm else "no maximum principle to hold it against, and no proof that no mode grows"
        allowance = self.bounded.allowance
        if not allowance.is_small:
            return (
                f"an allowance of {allowance.value:.6g} for rounding ({allowance.quanta} quanta) in an operating range "
                f"of {allowance.operating_range:.6g}"
            )
        return ""

    @property
    def holds(self) -> bool | None:
        """Whether nothing implausible was seen; None if that cannot be judged."""
        if self.sentences:
            return False
        return None if self.doubt else True

    @property
    def summary(self) -> str:
        """In a line, for tables."""
        if self.sentences:
            return "no: " + "; ".join(self.sentences)
        seen = "no maximum principle to hold it against" if self.bounded is None else self.bounded.text
        if self.doubt:
            return f"cannot be judged: {self.doubt}" + ("" if self.bounded is None else f"; {seen}")
        return f"yes: {seen}; {self._growth}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object ``plausible`` of ``simulate``."""
        bounded, claim = self.bounded, self.stability
        excess = None if bounded is None else bounded.excess
        return {
            "holds": self.holds,
            "bounds": None if bounded is None else list(bounded.bounds),
            "extremes": None if bounded is None else list(bounded.extremes),
            "excess": None if excess is None else vars(excess),
            "allowance": None if bounded is None else vars(bounded.allowance),
            "amplification": self.amplification,
            "stability": None if claim is None else claim.status,
            "stability_method": None if claim is None else claim.method,
            "doubt": self.doubt or None,
            "warnings": list(self.sentences),
        }

    @property
    def _is_calm(self) -> bool:
        """Whether the certificate says that no mode grows."""
        return self.stability is not None and self.stability.status == "proved" and self.stability.method in _OF_MODES

    @property
    def _growth(self) -> str:
        if self._is_calm:
            return "no mode grows, by the certificate"
        if self.stability is None:
            return "no certificate says whether modes grow"
        if self.stability.status == "proved":
            return f"whether modes grow is not proved, only that {self.stability.details}"
        return f"whether modes grow is not proved: {self.stability.details}"


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
    # A wave (a damped one, too) swings beyond its start.
    swings = graph.spec.damping is not None or bool(decay_constants(graph.sole_channels.program))
    bounded = None if swings or not run.trace.step.size else _bounded(graph, run)
    return Plausibility(bounded, claim, run.verdict.reason)


def _bounded(graph: IntegerGraph, run: Run) -> Bounded:
    trace, scale = run.trace, graph.value_per_quantum
    start = graph.sole_field.levels(np.asarray(trace.mass[0]))
    values = np.concatenate([start, graph.sole_field.reservoirs])
    lower, upper = int(values.min()), int(values.max())
    least, largest = int(start.min()), int(start.max())
    number = max(1, _CHUNK_BYTES // (8 * graph.mesh.cells))
    worst, excess = 0, None
    for first in range(0, trace.step.size, number):
        levels: Integers = graph.sole_field.levels(np.asarray(trace.mass[first : first + number]))
        lowest, highest = int(levels.min()), int(levels.max())
        least, largest = min(least, lowest), max(largest, highest)
        beyond = max(highest - upper, lower - lowest)
        if beyond > worst:
            worst = beyond
            places = [levels.argmax()] if highest - upper == beyond else []
            places += [levels.argmin()] if lower - lowest == beyond else []
            row, cell = divmod(int(min(places)), graph.mesh.cells)
            excess = Excess(int(trace.step[first + row]), cell, int(levels[row, cell]) * scale, worst)
    allowance = _allowance(graph)
    allowed = Allowance(allowance, allowance * scale, (graph.window.upper - graph.window.lower) * scale)
    return Bounded((lower * scale, upper * scale), (least * scale, largest * scale), excess, allowed)


def _allowance(graph: IntegerGraph) -> int:
    """A face keeps back at most one packet of what its flux asks for, so a cell is off by one for each of its faces."""
    mesh = graph.mesh
    faces = np.bincount(np.concatenate([mesh.source, mesh.target]), minlength=mesh.cells)[: mesh.cells]
    return int((faces * graph.sole_field.inverse_volume).max(initial=0))
