"""Draw the cores over the mesh: cells of each core, borders of chips, and utilisation."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from pisnn_deploy.core.connected import connected_sets
from pisnn_deploy.graph import IntegerGraph, Placement
from pisnn_deploy.mesh import View
from pisnn_deploy.report.graph_text import placement_sentence
from pisnn_deploy.report.panels import drawable
from pisnn_deploy.report.shapes import draw_shapes
from pisnn_deploy.target import load_profile
from pisnn_deploy.target import names as profile_names
from pisnn_deploy.target.resources import RESOURCES, limits

Integers = NDArray[np.int64]

WIDTH, HEIGHT = 9.0, 5.4
"""Size in inches of the cores within a picture of several parts."""
_STRIP_HEIGHT = 5.0
_MAP_WIDTH, _MAP_STRIP_HEIGHT = 5.2, 1.7
"""Size in inches of a picture of the cores alone."""
_INK, _SOFT = "#202124", "#5f6368"
_COLOURS = ListedColormap(
    ["#a6cee3", "#fdbf6f", "#b2df8a", "#cab2d6", "#fb9a99", "#ffe79a", "#9fd8cb", "#e0c4a8", "#c7d0d9", "#f4b6d6"]
)
_MOST_LABELS = 60
"""Up to this many cores are labelled with their numbers."""
_MOST_OUTLINES = 400
"""Up to this many cores are outlined; more are distinguished by colour only, because lines would cover them."""
_EMPTY, _FULL, _OVER = "#e8eaed", "#8ab4d8", "#d62728"
_BAR = 0.36


@dataclass(frozen=True)
class CoreUse:
    """Use of one resource by the cores.

    Attributes
    ----------
    what : str
        Name of the resource for people, such as ``words of synaptic memory``.
    highest : int
        Use of the fullest core.
    median : float
        Use of the median core.
    limit : int or None
        Limit of a core; None if there is none, or the profile is not available.
    """

    what: str
    highest: int
    median: float
    limit: int | None


def core_uses(graph: IntegerGraph) -> tuple[CoreUse, ...]:
    """Use of each resource by the cores of a graph, in display order; empty without a placement."""
    placement = graph.placement
    if placement is None:
        return ()
    most = _limits(graph.profile)
    return tuple(
        CoreUse(resource.text, int(uses.max()), float(np.median(uses)), most.get(name) or None)
        for name, resource in RESOURCES.items()
        for uses in (placement.utilisation[name],)
    )


def core_map(graph: IntegerGraph) -> bytes | None:
    """Draw the cores over the mesh, without utilisation.

    Returns
    -------
    bytes or None
        PNG picture, reproducible byte for byte; None without a placement.
    """
    if graph.placement is None:
        return None
    figure = Figure(figsize=(_MAP_WIDTH, _MAP_STRIP_HEIGHT if _is_strip(graph) else _MAP_WIDTH), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _map(axes, graph, graph.placement)
    return _png(figure, 144)


def _png(figure: Figure, dots_per_inch: int = 150) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return buffer.getvalue()


def cores_height(graph: IntegerGraph) -> float:
    """Height in inches of the cores of a graph at `WIDTH`."""
    return _STRIP_HEIGHT if _is_strip(graph) else HEIGHT


def _is_strip(graph: IntegerGraph) -> bool:
    return graph.mesh.is_line


def fill_with_cores(figure: Figure | SubFigure, graph: IntegerGraph) -> None:
    """Draw the cores over the mesh into a figure or a part of one.

    Parameters
    ----------
    graph : IntegerGraph
        Without a placement, a line of text is drawn instead.
    """
    placement = graph.placement
    if placement is None:
        figure.text(0.5, 0.5, "not placed on cores", ha="center", va="center", fontsize=12, color=_SOFT)
        return
    plane = not _is_strip(graph)
    widths = {"width_ratios": (1.6, 1)} if plane else {"height_ratios": (1, 3.2)}
    cores, uses = figure.subplots(*((1, 2) if plane else (2, 1)), gridspec_kw=widths)
    _map(cores, graph, placement)
    _uses(uses, graph)
    figure.suptitle(drawable(placement_sentence(graph, placement)), fontsize=12, color=_INK, parse_math=False)


def _map(axes: Axes, graph: IntegerGraph, placement: Placement) -> None:
    """Draw cells in the colours of their cores."""
    view = graph.mesh.view()
    if view.vertices is None:
        _map_rows(axes, graph, view, placement)
    else:
        _map_shapes(axes, graph, view, placement)
    axes.tick_params(labelsize=9)


def _map_rows(axes: Axes, graph: IntegerGraph, view: View, placement: Placement) -> None:
    """Draw cells of a line or a plane, with outlines and numbers of their cores."""
    core = placement.core[graph.holders[0]][view.cells].reshape(view.shape)
    if view.kind == "line":
        # A single row of unit height.
        core, across, up = core[:, None], view.extent[1], 1.0
        axes.set_yticks([])
        axes.set_xlabel(f"{view.axes[0]} (units of length)")
    else:
        across, up = view.extent[1], view.extent[3]
        axes.set(xlabel=f"{view.axes[0]} (units of length)", ylabel=f"{view.axes[1]} (units of length)")
    extent = (0.0, across, 0.0, up)
    colours = _colours(core, placement.cores)
    axes.imshow(
        colours[core].T,
        origin="lower",
        extent=extent,
        cmap=_COLOURS,
        vmin=-0.5,
        vmax=_COLOURS.N - 0.5,
        interpolation="nearest",
        aspect="auto" if view.kind == "line" else "equal",
    )
    shown = np.unique(core).size
    if shown <= _MOST_OUTLINES:
        _outline(axes, core, across, up, _SOFT, 0.7)
    if placement.chips > 1:
        _outline(axes, placement.chip[core], across, up, _INK, 2.4)
    if shown <= _MOST_LABELS:
        _labels(axes, core, across, up)
    heading = "cores over the mesh" + (f", middle plane normal to {view.plane[0]}" if view.plane else "")
    lines = "; thick lines: chips" if placement.chips > 1 else ""
    axes.set_title(f"{heading}{lines}", loc="left", fontsize=10, color=_INK)


def _map_shapes(axes: Axes, graph: IntegerGraph, view: View, placement: Placement) -> None:
    mesh = graph.mesh
    core = placement.core[graph.holders[0]][: mesh.cells]
    inside = mesh.target < mesh.cells
    pairs = np.column_stack([core[mesh.source[inside]], core[mesh.target[inside]]])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    joined = np.asarray(np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0), np.int64)
    draw_shapes(axes, view, _coloured(joined, placement.cores)[core], _COLOURS, (-0.5, _COLOURS.N - 0.5))
    axes.set(xlabel=f"{view.axes[0]} (units of length)", ylabel=f"{view.axes[1]} (units of length)")
    axes.set_title("cores over the mesh", loc="left", fontsize=10, color=_INK)


def _neighbours(core: Integers) -> Integers:
    """Pairs of cores that share a face or a corner, also across the ends of an axis, int64 [pairs, 2]."""
    pairs = [np.zeros((0, 2), np.int64)]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        pairs.append(np.stack([core.reshape(-1), np.roll(core, shift, (0, 1)).reshape(-1)], axis=1))
    joined = np.concatenate(pairs)
    joined = joined[joined[:, 0] != joined[:, 1]]
    return np.asarray(np.unique(np.concatenate([joined, joined[:, ::-1]]), axis=0), np.int64)


def _colours(core: Integers, cores: int) -> Integers:
    """Choose a colour for each core so that neighbours differ."""
    return _coloured(_neighbours(core), cores)


def _coloured(pairs: Integers, cores: int) -> Integers:
    """Give each core the least used colour that its neighbours do not have, from the sorted pairs of neighbours."""
    first = np.searchsorted(pairs[:, 0], np.arange(cores + 1))
    colours = np.full(cores, -1, np.int64)
    used = np.zeros(_COLOURS.N, np.int64)
    for number in range(cores):
        nearby = colours[pairs[first[number] : first[number + 1], 1]]
        counts = np.bincount(nearby[nearby >= 0], minlength=_COLOURS.N)
        # If neighbours have all colours, the one that the fewest of them have.
        colours[number] = np.lexsort((used, counts))[0]
        used[colours[number]] += 1
    return colours


def _outline(axes: Axes, number: Integers, across: float, up: float, colour: str, width: float) -> None:
    """Draw lines between cells with different numbers."""
    columns, rows = number.shape
    i, j = np.nonzero(number[1:] != number[:-1])
    upright = np.stack([np.stack([i + 1, j], 1), np.stack([i + 1, j + 1], 1)], 1)
    i, j = np.nonzero(number[:, 1:] != number[:, :-1])
    level = np.stack([np.stack([i, j + 1], 1), np.stack([i + 1, j + 1], 1)], 1)
    segments = np.concatenate([upright, level]) * np.array([across / columns, up / rows])
    axes.add_collection(LineCollection(list(segments), colors=colour, linewidths=width, capstyle="projecting"))


def _labels(axes: Axes, core: Integers, across: float, up: float) -> None:
    """Label each core in the middle of its largest piece; periodic sides may split it."""
    columns, rows = core.shape
    piece = _pieces(core)
    for number in np.unique(core):
        x, y = np.nonzero((core == number) & (piece == np.argmax(np.bincount(piece[core == number]))))
        # The cell nearest to the mean lies inside the piece, whatever its shape.
        nearest = int(((x - x.mean()) ** 2 + (y - y.mean()) ** 2).argmin())
        at = (x[nearest] + 0.5) / columns * across, (y[nearest] + 0.5) / rows * up
        axes.text(*at, str(number), ha="center", va="center", fontsize=8, color=_INK)


def _pieces(core: Integers) -> Integers:
    """Number of the connected piece of cells with the same core that each cell belongs to."""
    cell = np.arange(core.size, dtype=np.int64).reshape(core.shape)
    across, up = core[1:] == core[:-1], core[:, 1:] == core[:, :-1]
    first = np.concatenate([cell[:-1][across], cell[:, :-1][up]])
    second = np.concatenate([cell[1:][across], cell[:, 1:][up]])
    return connected_sets(core.size, first, second).reshape(core.shape)


def _uses(axes: Axes, graph: IntegerGraph) -> None:
    """Draw the use of the fullest and of the median core, relative to the limit."""
    uses = core_uses(graph)
    for line, use in enumerate(reversed(uses)):
        if use.limit:
            share = use.highest / use.limit
            label = f"{use.what}: {use.highest:,} of {use.limit:,} ({share:.1%})"
            axes.barh(line, 1.0, color=_EMPTY, height=_BAR)
            axes.barh(line, min(share, 1.0), color=_FULL if share <= 1 else _OVER, height=_BAR)
            at = min(use.median / use.limit, 1.0)
            axes.plot([at] * 2, [line - _BAR / 2, line + _BAR / 2], color=_INK, linewidth=1.4)
        else:
            label = f"{use.what}: {use.highest:,}" + (", no limit" if any(other.limit for other in uses) else "")
        axes.text(0.0, line + 0.27, label, ha="left", va="bottom", fontsize=9, color=_INK)
    axes.set(xlim=(0, 1.02), ylim=(-0.5, len(RESOURCES) - 0.2))
    axes.set_title("use of the fullest core; mark: median", loc="left", fontsize=10, color=_INK)
    axes.axis("off")


def _limits(name: str) -> dict[str, int]:
    """Limits of a core in a profile of the library; empty for other profiles, which are not available."""
    if name not in profile_names():
        return {}
    return {resource.name: limit for resource, limit in limits(load_profile(name))}
