"""Where the cells of a graph are drawn: at the coordinates of the recipe, whose domain need not begin at 0."""

from __future__ import annotations

from dataclasses import replace

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.places import origin_of
from pisnn_deploy.mesh.view import Line, View


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


def line_of(graph: IntegerGraph) -> Line:
    """The middle line of a graph's mesh."""
    line = graph.mesh.middle_line()
    return line._replace(positions=line.positions + origin_of(graph)[-1])
