"""The view of a mesh that pages and pictures draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
Kind = Literal["line", "plane", "triangles", "points"]


@dataclass(frozen=True)
class View:
    """The cells that are drawn, and where they lie.

    Attributes
    ----------
    kind : str
        ``line``: cells side by side; ``plane``: a map; ``triangles``; ``points``: centres of cells.
    cells : int64 array [drawn]
        Flat indices, in drawing order.
    shape : tuple of int
        Cells along each drawn axis; for ``triangles`` and ``points`` the number of cells.
    extent : tuple of float
        Lower and upper end of each drawn axis: ``(x0, x1)`` or ``(x0, x1, y0, y1)``.
    axes : tuple of str
        Names of the drawn axes.
    vertices : float64 array [drawn, 3 or 1, 2] or None
        Corners of triangles, or centres; None for a line or a plane.
    borders : float64 array [borders, 2, 2]
        Lines between triangles of different materials.
    plane : (str, int, int) or None
        For a box: the axis normal to the drawn plane of cells, the index of the plane, and the number of planes.
    seen_along : str
        Spatial axis along which the drawing is projected; empty without projection.
    stride : int
        Every `stride`-th cell is drawn, on a plane along each axis.
    """

    kind: Kind
    cells: NDArray[np.int64]
    shape: tuple[int, ...]
    extent: tuple[float, ...]
    axes: tuple[str, ...]
    vertices: Field | None = None
    borders: Field = field(default_factory=lambda: np.zeros((0, 2, 2)))
    plane: tuple[str, int, int] | None = None
    seen_along: str = ""
    stride: int = 1

    @property
    def profile(self) -> range | None:
        """Drawn cells of a profile: all of a line; of a plane, the middle row along its last axis."""
        if self.vertices is not None:
            return None
        along = self.shape[-1]
        first = 0 if self.kind == "line" else self.shape[0] // 2 * along
        return range(first, first + along)


class Plane(NamedTuple):
    """A plane normal to an axis.

    Attributes
    ----------
    axis : str
        Name of the axis.
    position : float
        Position along it, from the lower corner of the mesh.
    """

    axis: str
    position: float


class Line(NamedTuple):
    """Cells along a line through the middle of a mesh.

    Attributes
    ----------
    cells : int64 array [n]
        Flat indices.
    positions : float64 array [n]
        Positions of the centres along the line, in units of length.
    axis : str
        Name of the axis that the line follows.
    extent : float or None
        Length of the mesh along the line, from 0; None if unknown.
    """

    cells: NDArray[np.int64]
    positions: Field
    axis: str
    extent: float | None
