"""Plausibility of a run, which conservation does not imply: wrong numbers may add up.

Two properties are checked. Diffusion and transport keep a field between the smallest and the largest value of the start
and the reservoirs; how far the trace exceeds that range is measured. And an operator that multiplies a mode by more
than 1 makes it grow; the certificate has that factor. If neither can be judged, the result says so. Fields of laws are
compared with their operating ranges and with the reference (`field_plausibility`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pisnn_deploy.graph.claims import Claim
from pisnn_deploy.graph.integer import Floats, IntegerGraph
from pisnn_deploy.programs.facts import decay_constants
from pisnn_deploy.runs.field_plausibility import FieldJudged, judged_fields
from pisnn_deploy.runs.run import Integers, Run

LARGEST_ALLOWANCE = 1e-3
"""Largest part of the operating range that rounding may take; above it, bounds have no meaning."""
_OF_MODES = ("maximum-principle", "fourier", "axis-eigenvalues")
"""Methods of proof that bound every mode; limits of masses, and a constant sum above a floor, do not."""
_CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class Excess:
    """The value of a run that is furthest outside the range of its start and reservoirs.

    Attributes
    ----------
    value : float
        Value of the cell.
    quanta : int
        Distance from the range, in units of the operating window.
    """

    step: int
    cell: int
    value: float
    quanta: int


@dataclass(frozen=True)
class Allowance:
    """How far rounding of packets may move a cell outside the range.

    Attributes
    ----------
    quanta : int
        Allowance in units of the operating window.
    value : float
        Allowance as a cell value.
    operating_range : float
        Width of the operating range.
    """

    quanta: int
    value: float
    operating_range: float

    @property
    def is_small(self) -> bool:
        """Whether the allowance is small compared with the operating range, so that bounds have a meaning."""
        return self.value <= LARGEST_ALLOWANCE * self.operating_range


@dataclass(frozen=True)
class Bounded:
    """Comparison of a run with the maximum principle of its law.

    Attributes
    ----------
    bounds : (float, float)
        Smallest and largest cell value of start and reservoirs.
    extremes : (float, float)
        Smallest and largest cell value of the trace.
    excess : Excess or None
        Largest excess in the trace, if any.
    """

    bounds: tuple[float, float]
    extremes: tuple[float, float]
    excess: Excess | None
    allowance: Allowance

    @property
    def is_exceeded(self) -> bool:
        """Whether the trace exceeds the bounds by more than rounding explains."""
        return self.excess is not None and self.excess.quanta > self.allowance.quanta

    @property
    def text(self) -> str:
        """Ranges of the trace and, with an excess, of start and reservoirs."""
        text = f"values range from {self.extremes[0]:.6g} to {self.extremes[1]:.6g}"
        if self.excess is not None:
            text += f", start and reservoirs from {self.bounds[0]:.6g} to {self.bounds[1]:.6g}"
        return text


@dataclass(frozen=True)
class Plausibility:
    """Measured range of a run, and its certificate's claim on growth.

    Attributes
    ----------
    bounded : Bounded or None
        None if the law has no maximum principle (a wave), or the trace is empty.
    stability : Claim or None
        Claim of the certificate, which is not proved again.
    failure : str
        Reason of a violated run; empty if mass is conserved.
    fields : tuple of FieldJudged
        Fields of a law; empty for other graphs.
    """

    bounded: Bounded | None
    stability: Claim | None
    failure: str = ""
    fields: tuple[FieldJudged, ...] = ()

    @property
    def amplification(self) -> float | None:
        """Largest factor of a mode in one PDE step, from the certificate, if it has one."""
        modulus = None if self.stability is None else self.stability.figures.get("modulus")
        return None if modulus is None else float(modulus)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """One sentence for each implausible property."""
        sentences = [sentence for field in self.fields for sentence in field.sentences]
        if self.bounded is not None and self.bounded.excess is not None and self.bounded.is_exceeded:
            (lower, upper), excess = self.bounded.bounds, self.bounded.excess
            side = "above" if excess.value > upper else "below"
            sentences.append(
                f"cell {excess.cell} has the value {excess.value:.6g} at PDE step {excess.step}, "
                f"{excess.quanta} quanta {side} the range of start and reservoirs, {lower:.6g} to {upper:.6g}"
            )
        if self.amplification is not None and self.amplification > 1:
            sentences.append(
                f"the operator multiplies a mode by {self.amplification:.6g} in each PDE step, so it grows"
            )
        return tuple(sentences)

    @property
    def doubt(self) -> str:
        """Why plausibility cannot be judged, or an empty string."""
        if self.failure:
            return "the run is violated"
        if self.bounded is None:
            return (
                ""
                if self._is_calm or self.fields
                else "no maximum principle applies, and no proof excludes growing modes"
            )
        allowance = self.bounded.allowance
        if not allowance.is_small:
            return (
                f"an allowance of {allowance.value:.6g} for rounding ({allowance.quanta} quanta) in an operating range "
                f"of {allowance.operating_range:.6g}"
            )
        return ""

    @property
    def holds(self) -> bool | None:
        """Whether the run is plausible; None if that cannot be judged."""
        if self.sentences:
            return False
        return None if self.doubt else True

    @property
    def summary(self) -> str:
        """Result in one line, for tables."""
        if self.sentences:
            return "no: " + "; ".join(self.sentences)
        if self.fields and not self.doubt:
            return "yes: " + "; ".join(field.text for field in self.fields)
        seen = "no maximum principle applies" if self.bounded is None else self.bounded.text
        if self.doubt:
            return f"cannot be judged: {self.doubt}" + ("" if self.bounded is None else f"; {seen}")
        return f"yes: {seen}; {self._growth}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object ``plausible`` of ``simulate``."""
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
            "fields": [field.to_dict() for field in self.fields],
            "doubt": self.doubt or None,
            "warnings": list(self.sentences),
        }

    @property
    def _is_calm(self) -> bool:
        """Whether the certificate proves that no mode grows."""
        return self.stability is not None and self.stability.status == "proved" and self.stability.method in _OF_MODES

    @property
    def _growth(self) -> str:
        if self._is_calm:
            return "no mode grows, according to the certificate"
        if self.stability is None:
            return "no certificate says whether modes grow"
        if self.stability.status == "proved":
            return f"whether modes grow is not proved, only that {self.stability.details}"
        return f"whether modes grow is not proved: {self.stability.details}"


def plausibility(graph: IntegerGraph, run: Run, reference: Mapping[str, Floats] | None = None) -> Plausibility:
    """Judge the plausibility of a run from its trace and the certificate of its graph.

    Parameters
    ----------
    reference : mapping of str to float64 array, optional
        Cell averages of each field of a law at the last recorded step.
    """
    claim = None if graph.certificate is None else graph.certificate.stability
    if graph.spec.equation == "law" and run.trace.step.size:
        return Plausibility(None, claim, run.verdict.reason, judged_fields(graph, run, reference))
    bounded = _bounded(graph, run) if run.trace.step.size and _has_maximum_principle(graph) else None
    return Plausibility(bounded, claim, run.verdict.reason)


def _has_maximum_principle(graph: IntegerGraph) -> bool:
    """Whether values must stay in the range of their start, which waves, also damped ones, may leave."""
    if graph.spec.equation == "law":
        return False
    return graph.spec.damping is None and not decay_constants(graph.sole_channels.program)


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
    """Allowance in quanta: each face holds back at most one packet, so a cell may be off by one for each face."""
    mesh = graph.mesh
    faces = np.bincount(np.concatenate([mesh.source, mesh.target]), minlength=mesh.cells)[: mesh.cells]
    return int((faces * graph.sole_field.inverse_volume).max(initial=0))
