"""How a mesh is drawn: what a page or a picture needs to know of it."""

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
        Flat, in the order in which they are drawn.
    shape : tuple of int
        Cells along each drawn axis; of ``triangles`` and ``points`` their number.
    extent : tuple of float
        Lower and upper end of each drawn axis: ``(x0, x1)`` or ``(x0, x1, y0, y1)``.
    axes : tuple of str
        Names of the drawn axes.
    vertices : float64 array [drawn, 3 or 1, 2] or None
        Corners of triangles, or centres; None of a line or a plane.
    borders : float64 array [borders, 2, 2]
        Lines between triangles of different materials.
    plane : (str, int, int) or None
        Of a box: the axis across which a plane of cells is drawn, the number of the plane, and of how many.
    seen_along : str
        Axis of space that the drawing does not show; empty if it shows all or a plane.
    stride : int
        One cell of so many is drawn, on a plane along each axis.
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
        """The drawn cells of a profile: all of a line, of a plane those along its last axis through the middle."""
        if self.vertices is not None:
            return None
        along = self.shape[-1]
        first = 0 if self.kind == "line" else self.shape[0] // 2 * along
        return range(first, first + along)


class Line(NamedTuple):
    """Cells through the middle of a mesh, one after another.

    Attributes
    ----------
    cells : int64 array [n]
        Their numbers.
    positions : float64 array [n]
        Of their centres along the line, in units of length.
    axis : str
        Name of the axis that it follows.
    extent : float or None
        Length of the mesh along the line, from 0; None where cells may lie anywhere.
    """

    cells: NDArray[np.int64]
    positions: Field
    axis: str
    extent: float | None
