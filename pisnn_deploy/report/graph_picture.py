"""Pictures of a graph: populations, the synapses between them, and the cores."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pisnn_deploy.core.output import write_whole
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.report.core_picture import WIDTH as CORES_WIDTH
from pisnn_deploy.report.core_picture import cores_height, fill_with_cores
from pisnn_deploy.report.graph_text import COLOUR, HIDDEN_COLOUR, schedule_sentence, weights_text

_QUANTITY = {"membrane": "mass", "flux": "current"}
_EDGE = {"membrane": "tab:blue", "flux": "tab:orange"}
_HIDDEN_EDGE = "#78909c"
_INK, _SOFT = "#202124", "#5f6368"

# Inches, the unit of the axes.
_BOX = (1.9, 1.15)
_STRIDE = 4.8
_MARGIN = 0.35
_LANE = 0.5
_LINE = 0.19

_STROKE = 1.4


def draw_graph(path: Path, graph: IntegerGraph) -> None:
    """Draw populations as boxes, synapses as arrows, and the cores of a placed graph below.

    Parameters
    ----------
    path : Path
        A ``.png`` file, written atomically and reproducible byte for byte.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    chain = graph.chain
    wide, high = _BOX
    pairs = (*zip(chain, chain[1:], strict=False), (chain[-1], chain[0]))
    labels = {
        pair: [line for s in graph.between(*pair) for line in (f"{s.name}: {s.entries:,} entries", weights_text(s))]
        for pair in pairs
    }
    above = max(len(labels[pair]) for pair in pairs[:-1]) * _LINE
    below = _LANE + len(labels[pairs[-1]]) * _LINE
    width = _STRIDE * (len(chain) - 1) + wide + 2 * _MARGIN
    top = max(high, 2 * above + 0.3) / 2 + _MARGIN + 0.4
    bottom = high / 2 + below + _MARGIN
    # Cores cannot be drawn over a mesh without axes.
    cores = graph.placement is not None and getattr(graph.mesh, "shape", None) is not None
    drawn = max(width, CORES_WIDTH) if cores else width
    figure, part = _figure(drawn, top + bottom, graph if cores else None)
    axes = part.add_axes((0, 0, 1, 1))
    left = -wide / 2 - _MARGIN - (drawn - width) / 2
    axes.set(xlim=(left, left + drawn), ylim=(-bottom, top))
    axes.axis("off")
    place = {name: _STRIDE * index for index, name in enumerate(chain)}
    bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}

    for name, x in place.items():
        box = FancyBboxPatch(
            (x - wide / 2, -high / 2),
            wide,
            high,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=COLOUR.get(name, HIDDEN_COLOUR),
            edgecolor=_EDGE.get(name, _HIDDEN_EDGE),
            linewidth=1.6,
        )
        axes.add_patch(box)
        quantity = _QUANTITY.get(name, "activation")
        width_bits = bits.get((name, quantity))
        details = f"{graph.size(name):,} neurons" + (f"\n{quantity}: {width_bits} bits" if width_bits else "")
        axes.text(x, 0.27, name, ha="center", va="center", fontsize=12, fontweight="bold", color=_INK)
        axes.text(x, -0.17, details, ha="center", va="center", fontsize=10, color=_INK)

    for source, target in pairs[:-1]:
        ends = (place[source] + wide / 2, 0.0), (place[target] - wide / 2, 0.0)
        _arrow(axes, *ends)
        _label(axes, (ends[0][0] + ends[1][0]) / 2, 0.09, "bottom", labels[source, target])
    lane = -high / 2 - _LANE
    first, last = place[chain[0]], place[chain[-1]]
    corners = [last, last, first], [-high / 2, lane, lane]
    axes.plot(*corners, color=_SOFT, linewidth=_STROKE, solid_capstyle="projecting", solid_joinstyle="miter")
    _arrow(axes, (first, lane), (first, -high / 2))
    _label(axes, (first + last) / 2, lane - 0.08, "top", labels[pairs[-1]])

    axes.text(
        (first + last) / 2,
        top - 0.15,
        f"{graph.spec.name}: {schedule_sentence(graph)}",
        ha="center",
        va="top",
        fontsize=12,
        color=_INK,
        parse_math=False,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def _figure(width: float, height: float, below: IntegerGraph | None) -> tuple[Figure, Figure | SubFigure]:
    """Create a figure with a part of the given height in inches, and the cores of a graph below it."""
    if below is None:
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        return figure, figure
    more = cores_height(below)
    figure = Figure(figsize=(width, height + more), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.08))
    FigureCanvasAgg(figure)
    upper, lower = figure.subfigures(2, 1, height_ratios=(height, more))
    fill_with_cores(lower, below)
    return figure, upper


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=14, color=_SOFT, linewidth=_STROKE, shrinkA=0, shrinkB=0
        )
    )


def _label(axes: Axes, x: float, y: float, edge: Literal["top", "bottom"], lines: list[str]) -> None:
    axes.text(x, y, "\n".join(lines), ha="center", va=edge, fontsize=9, color=_INK, linespacing=1.3)
