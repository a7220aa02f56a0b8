"""Plausibility of the fields of a law: whether they are in their operating ranges, and near the reference.

No maximum principle holds for laws in general. So their values are compared with the ranges of the recipe, and at the
end with its reference, where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.run import Run

Floats = NDArray[np.float64]
LARGEST_PART_OF_CHANGE = 0.5
"""Largest mean distance of a field to its reference, as a part of how far the reference moved since the start."""
LEAST_OF_RANGE = 0.01
"""Mean distances below this part of the operating range are not judged."""


@dataclass(frozen=True)
class FieldJudged:
    """A field of a run.

    Attributes
    ----------
    extremes : (float, float)
        Smallest and largest cell average of the recorded steps.
    limits : (float, float)
        Operating range.
    distance : float or None
        Mean distance of the cell averages to the reference at the last recorded step; None without a reference.
    moved : float
        Mean change of the reference since the start.
    tolerance : float
        Largest value by which rounding may leave the range.
    """

    name: str
    extremes: tuple[float, float]
    limits: tuple[float, float]
    distance: float | None
    moved: float
    tolerance: float

    @property
    def sentences(self) -> Iterator[str]:
        """One sentence for each implausible property."""
        (least, largest), (lower, upper) = self.extremes, self.limits
        if least < lower - self.tolerance or largest > upper + self.tolerance:
            yield f"{self.name} is from {least:.6g} to {largest:.6g}, beyond its operating range {lower:g} to {upper:g}"
        allowed = max(LARGEST_PART_OF_CHANGE * self.moved, LEAST_OF_RANGE * (upper - lower))
        if self.distance is not None and self.distance > allowed:
            yield (
                f"{self.name} is {self.distance:.3g} away from the reference on average, which moved by "
                f"{self.moved:.3g} since the start"
            )

    @property
    def text(self) -> str:
        """Range of the field, and its distance to the reference."""
        (least, largest), (lower, upper) = self.extremes, self.limits
        text = f"{self.name} {least:.6g} to {largest:.6g} in {lower:g} to {upper:g}"
        return text if self.distance is None else f"{text}, {self.distance:.2g} from the reference on average"

    def to_dict(self) -> dict[str, Any]:
        """Figures for JSON."""
        return {
            "field": self.name,
            "extremes": list(self.extremes),
            "range": list(self.limits),
            "distance": self.distance,
            "moved": None if self.distance is None else self.moved,
        }


def judged_fields(graph: IntegerGraph, run: Run, reference: Mapping[str, Floats] | None) -> tuple[FieldJudged, ...]:
    """Judge each field of a law.

    Parameters
    ----------
    reference : mapping of str to float64 array, optional
        Cell averages of each field at the last recorded step.
    """
    result = []
    for part in run.trace.columns.fields:
        field, mass = part.field, np.asarray(run.trace.mass)[:, part.cells]
        unit = field.value_per_quantum
        levels = [(int(row.min()), int(row.max())) for row in map(field.levels, mass)]
        lows, highs = zip(*levels, strict=True)
        window, limits = field.window, graph.range_of(field)
        tolerance = max(limits[0] - window.lower * unit, window.upper * unit - limits[1], 0.0)
        start, end = field.values(mass[0]).reshape(-1), field.values(mass[-1]).reshape(-1)
        known = None if reference is None else np.asarray(reference[part.name]).reshape(-1)
        distance = None if known is None else float(np.abs(end - known).mean())
        moved = 0.0 if known is None else float(np.abs(known - start).mean())
        extremes = (min(lows) * unit, max(highs) * unit)
        result.append(FieldJudged(part.name, extremes, limits, distance, moved, tolerance))
    return tuple(result)
