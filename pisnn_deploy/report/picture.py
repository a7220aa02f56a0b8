"""Picture of a run: field in space and time, final field and reference, packets, and mass balance."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import NDArray

from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import FieldColumns
from pisnn_deploy.graph.places import origin_of
from pisnn_deploy.mesh import View
from pisnn_deploy.mesh.view import Plane
from pisnn_deploy.report.frames import evenly
from pisnn_deploy.report.panels import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    WIDTH,
    draw_balance,
    draw_packets,
    drawable,
    headline,
    mark_of,
)
from pisnn_deploy.report.places import line_of, place_text, planes_of
from pisnn_deploy.report.shapes import draw_shapes
from pisnn_deploy.runs.run import Run

Field = NDArray[np.float64]

_DOTS_PER_INCH = 150
_CAPTION_CHARACTERS = 120
MOST_FIELDS = 8
"""Maximum number of fields that are drawn."""
_MOST_ROWS = 1000
"""Maximum number of rows of the space-time picture, more than the panel has pixels."""


def draw_run(
    path: Path,
    graph: IntegerGraph,
    run: Run,
    reference: Field | None,
    reference_name: str = "exact",
    title: str = "",
    plane: Plane | None = None,
) -> None:
    """Draw a run to a file.

    Parameters
    ----------
    path : Path
        A ``.png`` file, written atomically and reproducible byte for byte.
    graph, run, reference, reference_name, title, plane
        As for `figure_of_run`.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    buffer = io.BytesIO()
    figure = figure_of_run(graph, run, reference, reference_name, title, plane)
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def figure_of_run(
    graph: IntegerGraph,
    run: Run,
    reference: Field | None,
    reference_name: str = "exact",
    title: str = "",
    plane: Plane | None = None,
) -> Figure:
    """Draw a run.

    Parameters
    ----------
    run : Run
        If the run has no kept step, the picture consists of the caption.
    reference : float64 array [cells] or None
        Exact cell values at the last kept step, field by field.
    reference_name : str
        Name of the reference in the legend.
    title : str
        Start of the caption (default: the model's name).
    plane : Plane, optional
        The plane of a box to draw (default: a middle plane normal to each axis).

    Raises
    ------
    UsageError
        There is no such plane.
    """
    views = planes_of(graph, plane)
    shown = run.trace.columns.fields[:MOST_FIELDS]
    figure = Figure(figsize=(11, 3.04 + 4.56 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    times = np.asarray(run.trace.step * graph.time_step, np.float64)
    values = graph.values(run.trace.mass)
    if times.size:
        grid = figure.add_gridspec(len(shown) + 1, 2, height_ratios=(*(3 for _ in shown), 2))
        for row, columns in enumerate(shown):
            exact = None if reference is None else reference[columns.cells]
            place = _Place(
                grid[row, 0], grid[row, 1], _letters(2 * row), _heading(graph, columns), _unit(graph, columns)
            )
            _field(figure, place, graph, views, times, values[:, columns.cells])
            _profile_panels(figure, place, graph, values[:, columns.cells], exact, reference_name)
        packets, balance = _letters(2 * len(shown))
        draw_packets(figure.add_subplot(grid[-1, 0]), graph, times, run, f"({packets}) packets in flight")
        draw_balance(figure.add_subplot(grid[-1, 1]), graph, times, run, f"({balance}) mass balance")
    else:
        figure.text(0.5, 0.5, "no step was kept", ha="center", va="center", fontsize=14, color=GREY)
    figure.suptitle(
        _caption(graph, run, values, reference, title),
        fontsize=12.5,
        fontweight="bold",
        color=INK if run.conserved else RED,
        parse_math=False,
    )
    return figure


class _Place(NamedTuple):
    """Where a field is drawn, and how its panels are labelled."""

    left: SubplotSpec
    right: SubplotSpec
    letters: tuple[str, str]
    heading: str
    unit: str


def _letters(first: int) -> tuple[str, str]:
    """Letters of two panels."""
    return ascii_lowercase[first], ascii_lowercase[first + 1]


def _heading(graph: IntegerGraph, columns: FieldColumns) -> str:
    return f"{columns.name}: " if len(graph.fields) > 1 else ""


def _of(graph: IntegerGraph, name: str) -> str:
    return f" of {name}" if len(graph.fields) > 1 else ""


def _unit(graph: IntegerGraph, columns: FieldColumns) -> str:
    """Label of an axis of cell values."""
    unit = columns.field.unit
    named = f"{columns.name}, " if len(graph.fields) > 1 else ""
    return drawable(f"{named}cell value ({unit or 'units of the field'})")


def _profile_panels(
    figure: Figure, place: _Place, graph: IntegerGraph, values: Field, reference: Field | None, reference_name: str
) -> None:
    if reference is None:
        profile = figure.add_subplot(place.right)
    else:
        halves = place.right.subgridspec(2, 1, height_ratios=(3, 1.1), hspace=0.02)
        profile = figure.add_subplot(halves[0])
        difference = figure.add_subplot(halves[1], sharex=profile)
        _difference(difference, graph, values[-1] - reference, reference_name)
        profile.tick_params(labelbottom=False)
    _profile(profile, graph, values, reference, reference_name)
    middle = "" if graph.mesh.is_line else ", through the middle"
    headline(profile, f"({place.letters[1]}) {place.heading}profile at the end{middle}")
    profile.set_ylabel(place.unit)


def _caption(graph: IntegerGraph, run: Run, values: Field, reference: Field | None, title: str) -> str:
    verdict = run.verdict.word if run.conserved else run.verdict.word.upper()
    text = f"{title or graph.spec.name}: {verdict}, {graph.mesh.cells} cells, {run.steps} PDE steps on {run.backend}"
    if reference is not None and len(values):
        fields = run.trace.columns.fields
        errors = ((f.name, relative_l2(values[-1, f.cells], reference[f.cells])) for f in fields)
        known = ", ".join(f"{error:.1e}{_of(graph, name)}" for name, error in errors if error is not None)
        text += f", relative L2 error {known}" if known else ""
    parts = (drawable(text), drawable(run.verdict.reason))
    return "\n".join(line for part in parts for line in textwrap.wrap(part, _CAPTION_CHARACTERS))


def _field(
    figure: Figure, place: _Place, graph: IntegerGraph, views: tuple[View, ...], times: Field, values: Field
) -> None:
    lowest, highest = float(values.min()), float(values.max())
    # The colour bar of a constant field needs a range.
    limits = (lowest, highest) if lowest < highest else (lowest - 0.5, highest + 0.5)
    side = 1 if len(views) == 1 else 2
    grid = place.left.subgridspec(side, side)
    panels = [figure.add_subplot(grid[number // side, number % side]) for number in range(len(views))]
    for axes, view in zip(panels, views, strict=True):
        if view.kind == "line":
            rows = evenly(len(times), _MOST_ROWS)
            image: ScalarMappable = _space_time(axes, graph, view, times[rows], values[rows], limits)
            title = "cell values in space and time"
        else:
            image = _map(axes, view, values[-1], limits)
            title = f"cell values at time {times[-1]:.4g}"
            title += f", seen along {view.seen_along}" if view.seen_along else ""
        where = place_text(graph, view)
        if len(views) > 1:
            title = f"{where}, time {times[-1]:.4g}" if axes is panels[-1] else where
            axes.set(xlabel=view.axes[0], ylabel=view.axes[1])
        elif where:
            title += f", {where}"
        headline(axes, f"({place.letters[0]}) {place.heading}{title}" if axes is panels[0] else title)
        axes.grid(visible=False)
    bar = figure.colorbar(image, ax=panels, label=place.unit, pad=0.02)
    cast(Artist, bar.outline).set_visible(False)


def _space_time(
    axes: Axes, graph: IntegerGraph, view: View, times: Field, values: Field, limits: tuple[float, float]
) -> ScalarMappable:
    last = times[-1] if len(times) > 1 else times[0] + graph.time_step
    rows = np.concatenate([times[:1], (times[:-1] + times[1:]) / 2, [last]])
    columns = np.linspace(view.extent[0], view.extent[1], view.cells.size + 1)
    axes.set(xlabel=f"{view.axes[0]} (units of length)", ylabel="time (units of time)")
    return axes.pcolormesh(columns, rows, values, cmap="viridis", vmin=limits[0], vmax=limits[1], rasterized=True)


def _map(axes: Axes, view: View, values: Field, limits: tuple[float, float]) -> ScalarMappable:
    if view.vertices is None:
        plane = values[view.cells].reshape(view.shape)
        left, right, low, high = view.extent
        image: ScalarMappable = axes.imshow(
            plane.T,
            origin="lower",
            extent=(left, right, low, high),
            cmap="viridis",
            vmin=limits[0],
            vmax=limits[1],
            aspect="equal",
        )
    else:
        image = draw_shapes(axes, view, values, "viridis", limits)
        axes.add_collection(LineCollection(list(view.borders), colors="white", linewidths=0.8))
    axes.set(xlabel=f"{view.axes[0]} (units of length)", ylabel=f"{view.axes[1]} (units of length)")
    return image


def _profile(axes: Axes, graph: IntegerGraph, values: Field, reference: Field | None, reference_name: str) -> None:
    line = line_of(graph)
    mark = mark_of(line.cells.size)
    # The line may leave a mesh from a file and re-enter it.
    drawn, mark = ("none", ".") if line.extent is None else ("-", mark)
    for field, colour, label in ((values[0], GREY, "start"), (values[-1], BLUE, "integers")):
        axes.plot(
            line.positions, field[line.cells], linestyle=drawn, color=colour, label=label, linewidth=WIDTH, marker=mark
        )
    if reference is None:
        axes.set_xlabel(f"{line.axis} (units of length)")
    else:
        exact = reference[line.cells]
        axes.plot(line.positions, exact, color=ORANGE, linestyle=(0, (4, 3)), label=reference_name, lw=WIDTH)
    if line.extent is not None:
        start = origin_of(graph)[-1]
        axes.set_xlim(start, start + line.extent)
    axes.legend(frameon=False, loc="best", fontsize=9)


def _difference(axes: Axes, graph: IntegerGraph, error: Field, reference_name: str) -> None:
    headline(axes, "")
    line = line_of(graph)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.plot(line.positions, error[line.cells], color=ORANGE, linewidth=1.2, marker=mark_of(line.cells.size))
    axes.set(xlabel=f"{line.axis} (units of length)", ylabel=f"integers\n- {reference_name}")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
