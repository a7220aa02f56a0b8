"""Figures of a run over time, thinned so that any run fits."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_POINTS = 600


@dataclass
class History:
    """Points of a run, evenly spaced in PDE steps as far as they were seen.

    Attributes
    ----------
    points : list of list of float
        PDE step first, then figures, in ascending order of steps.
    """

    points: list[list[float]] = field(default_factory=list)

    def add(self, point: list[float]) -> None:
        """Add a point; if there are too many, every other one is dropped.

        Parameters
        ----------
        point : list of float
            PDE step and figures; a repeated step replaces its point.
        """
        if self.points and self.points[-1][0] == point[0]:
            self.points[-1] = point
            return
        self.points.append(point)
        if len(self.points) > MOST_POINTS:
            del self.points[1:-1:2]
