"""Draw coloured cells of any shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from pisnn_deploy.mesh import View


def draw_shapes(
    axes: Axes, view: View, values: NDArray[Any], colours: str | Colormap, limits: tuple[float, float]
) -> ScalarMappable:
    """Draw triangles, or dots at the centres of cells.

    Parameters
    ----------
    view : View
        View with vertices.
    values : array [cells]
        Values to show as colours.
    limits : (float, float)
        Values of the first and the last colour.
    """
    assert view.vertices is not None
    axes.set_aspect("equal")
    x, y = view.vertices.reshape(-1, 2).T
    drawn, (low, high) = values[view.cells], limits
    if view.kind == "points":
        return axes.scatter(x, y, c=drawn, s=6, cmap=colours, vmin=low, vmax=high)
    corners = np.arange(x.size).reshape(-1, 3)
    return axes.tripcolor(x, y, corners, facecolors=drawn, cmap=colours, vmin=low, vmax=high)
