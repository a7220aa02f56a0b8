"""Where the cells of a graph are drawn: at the coordinates of the recipe, whose domain need not begin at 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.places import origin_of
from pisnn_deploy.mesh.view import Line, Plane, View


def view_of(graph: IntegerGraph, most_cells: int | None = None) -> View:
    """The view of a graph's mesh, see `pisnn_deploy.mesh.view.View`.

    Parameters
    ----------
    most_cells : int, optional
        Maximum number of cells to draw.
    """
    view = graph.mesh.view(most_cells)
    drawn = len(view.extent) // 2
    starts = [start for start in origin_of(graph)[-drawn:] for _ in range(2)]
    if not any(starts):
        return view
    return replace(view, extent=tuple(end + start for end, start in zip(view.extent, starts, strict=True)))


def parse_plane(text: str) -> Plane:
    """Parse a plane such as ``z=0.5``.

    Raises
    ------
    UsageError
        It is not an axis and a number.
    """
    axis, _, number = text.partition("=")
    try:
        position = float(number)
    except ValueError:
        position = math.nan
    if not axis.strip() or not math.isfinite(position):
        raise UsageError(f"`plane` {text}: expected an axis and a position along it, such as z=0.5")
    return Plane(axis.strip(), position)


def planes_of(graph: IntegerGraph, plane: Plane | None) -> tuple[View, ...]:
    """The views of a graph's mesh, at the coordinates of the recipe; see `pisnn_deploy.mesh.base.FaceMesh.planes`.

    Parameters
    ----------
    plane : Plane or None
        At the coordinates of the recipe.
    """
    starts = dict(zip(graph.mesh.axes, origin_of(graph), strict=True))
    if plane is not None:
        plane = plane._replace(position=plane.position - starts.get(plane.axis, 0.0))
    views = graph.mesh.planes(plane)
    if len(graph.mesh.axes) < 3:
        return (view_of(graph),)
    return tuple(replace(view, extent=_moved(view, starts)) for view in views)


def _moved(view: View, starts: Mapping[str, float]) -> tuple[float, ...]:
    """The extent of a plane, from the lower corner of the domain."""
    pairs = zip(view.extent[::2], view.extent[1::2], strict=True)
    return tuple(starts[axis] + end for axis, pair in zip(view.axes, pairs, strict=True) for end in pair)


def place_text(graph: IntegerGraph, view: View) -> str:
    """Where the plane of a view lies, such as ``z = 0.47``; empty for other views."""
    if view.plane is None or graph.mesh.grid is None:
        return ""
    axis, index, count = view.plane
    number = graph.mesh.axes.index(axis)
    position = origin_of(graph)[number] + (index + 0.5) * graph.mesh.grid.lengths[number] / count
    return f"{axis} = {position:.4g}"


def line_of(graph: IntegerGraph) -> Line:
    """The middle line of a graph's mesh."""
    line = graph.mesh.middle_line()
    return line._replace(positions=line.positions + origin_of(graph)[-1])
