"""A picture of a run: the field in space and time, its end against the reference, packets, and the mass balance."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import AXES, CellMesh
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
from pisnn_deploy.runs.run import Run

Field = NDArray[np.float64]

_DOTS_PER_INCH = 150
_CAPTION_CHARACTERS = 120
_MOST_ROWS = 1000
"""Rows of the space-time picture; the panel has fewer dots than that."""


def draw_run(
    path: Path, graph: IntegerGraph, run: Run, reference: Field | None, reference_name: str = "exact", title: str = ""
) -> None:
    """Draw a run into a file.

    Parameters
    ----------
    path : Path
        A ``.png`` file; written whole or not at all, and the same bytes for the same run.
    graph, run, reference, reference_name, title
        As `figure_of_run`.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    buffer = io.BytesIO()
    figure = figure_of_run(graph, run, reference, reference_name, title)
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def figure_of_run(
    graph: IntegerGraph, run: Run, reference: Field | None, reference_name: str = "exact", title: str = ""
) -> Figure:
    """Draw a run.

    Parameters
    ----------
    graph : IntegerGraph
    run : Run
        A run that was stopped at its start has no kept step; its picture holds the caption alone.
    reference : float64 array [cells] or None
        Cell values that the last kept step should have.
    reference_name : str
        What the legend calls the reference.
    title : str
        Opens the caption; the model's name if empty.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    times = np.asarray(run.trace.step * graph.time_step, np.float64)
    values = graph.values(run.trace.mass)
    if times.size:
        _panels(figure, graph, run, times, values, reference, reference_name)
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


def _panels(
    figure: Figure,
    graph: IntegerGraph,
    run: Run,
    times: Field,
    values: Field,
    reference: Field | None,
    reference_name: str,
) -> None:
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
    _field(figure, figure.add_subplot(grid[0, 0]), graph, times, values)
    if reference is None:
        profile = figure.add_subplot(grid[0, 1])
    else:
        halves = grid[0, 1].subgridspec(2, 1, height_ratios=(3, 1.1), hspace=0.02)
        profile = figure.add_subplot(halves[0])
        difference = figure.add_subplot(halves[1], sharex=profile)
        _difference(difference, graph, values[-1] - reference, reference_name)
        profile.tick_params(labelbottom=False)
    _profile(profile, graph, values, reference, reference_name)
    draw_packets(figure.add_subplot(grid[1, 0]), graph, times, run, "(c) packets in flight")
    draw_balance(figure.add_subplot(grid[1, 1]), graph, times, run, "(d) mass balance")


def _caption(graph: IntegerGraph, run: Run, values: Field, reference: Field | None, title: str) -> str:
    verdict = run.verdict.word if run.conserved else run.verdict.word.upper()
    text = f"{title or graph.spec.name}: {verdict}, {graph.mesh.cells} cells, {run.steps} PDE steps on {run.backend}"
    error = relative_l2(values[-1], reference) if len(values) else None
    if error is not None:
        text += f", relative L2 error {error:.1e}"
    parts = (drawable(text), drawable(run.verdict.reason))
    return "\n".join(line for part in parts for line in textwrap.wrap(part, _CAPTION_CHARACTERS))


def _along(graph: IntegerGraph) -> str:
    """Label of the axis that a profile follows."""
    return f"{graph.mesh.middle_line().axis or 'position'} (units of length)"


def _field(figure: Figure, axes: Axes, graph: IntegerGraph, times: Field, values: Field) -> None:
    mesh = graph.mesh
    lowest, highest = float(values.min()), float(values.max())
    # A constant field would leave the colour bar without a range.
    lowest, highest = (lowest, highest) if lowest < highest else (lowest - 0.5, highest + 0.5)
    if isinstance(mesh, CellMesh):
        image: ScalarMappable = _cells(axes, mesh, values[-1], (lowest, highest))
        title = f"cell values at time {times[-1]:.4g}" + (", seen along z" if mesh.dimensions == 3 else "")
    elif len(mesh.shape) == 1:
        shown = np.unique(np.linspace(0, len(times) - 1, min(len(times), _MOST_ROWS)).astype(np.int64))
        at = times[shown]
        last = at[-1] if len(at) > 1 else at[0] + graph.time_step
        rows = np.concatenate([at[:1], (at[:-1] + at[1:]) / 2, [last]])
        columns = np.arange(mesh.cells + 1) * mesh.spacing[0]
        image = axes.pcolormesh(
            columns, rows, values[shown], cmap="viridis", vmin=lowest, vmax=highest, rasterized=True
        )
        axes.set(xlabel="position (units of length)", ylabel="time (units of time)")
        title = "cell values in space and time"
    else:
        plane = values[-1].reshape(mesh.shape)
        plane = plane[mesh.shape[0] // 2] if plane.ndim == 3 else plane
        extent = (0.0, mesh.lengths[-2], 0.0, mesh.lengths[-1])
        image = axes.imshow(
            plane.T, origin="lower", extent=extent, cmap="viridis", vmin=lowest, vmax=highest, aspect="equal"
        )
        names = AXES[: len(mesh.shape)]
        axes.set(xlabel=f"{names[-2]} (units of length)", ylabel=f"{names[-1]} (units of length)")
        title = f"cell values at time {times[-1]:.4g}" + (", middle plane" if len(mesh.shape) == 3 else "")
    headline(axes, f"(a) {title}")
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="cell value (units of the field)", pad=0.02).outline.set_visible(False)  # type: ignore[operator]


def _cells(axes: Axes, mesh: CellMesh, values: Field, limits: tuple[float, float]) -> ScalarMappable:
    """Triangles in their colours; of tetrahedra the centres, those in front last."""
    points = mesh.points
    axes.set(xlabel="x (units of length)", ylabel="y (units of length)", aspect="equal")
    if mesh.dimensions == 2:
        inside = np.flatnonzero(mesh.target < mesh.cells)
        between = inside[mesh.material[mesh.source[inside]] != mesh.material[mesh.target[inside]]]
        image = axes.tripcolor(
            points[:, 0], points[:, 1], mesh.corners, facecolors=values, cmap="viridis", vmin=limits[0], vmax=limits[1]
        )
        _draw_interfaces(axes, mesh, points, between)
        return image
    centres = points[mesh.corners].mean(axis=1)
    order = np.argsort(centres[:, 2], kind="stable")
    return axes.scatter(
        centres[order, 0], centres[order, 1], c=values[order], s=6, cmap="viridis", vmin=limits[0], vmax=limits[1]
    )


def _draw_interfaces(axes: Axes, mesh: CellMesh, points: Field, faces: NDArray[np.int64]) -> None:
    """The edges between different materials: the two corners that the cells beside a face share."""
    lines = []
    for ends in zip(mesh.source[faces].tolist(), mesh.target[faces].tolist(), strict=True):
        shared = np.intersect1d(mesh.corners[ends[0]], mesh.corners[ends[1]])
        lines.append(points[shared])
    axes.add_collection(LineCollection(lines, colors="white", linewidths=0.8))


def _profile(axes: Axes, graph: IntegerGraph, values: Field, reference: Field | None, reference_name: str) -> None:
    line, centres, _, extent = graph.mesh.middle_line()
    # Through a mesh from a file the line may leave it and come back.
    drawn, mark = ("none", ".") if extent is None else ("-", mark_of(centres.size))
    for field, colour, label in ((values[0], GREY, "start"), (values[-1], BLUE, "integers")):
        axes.plot(centres, field[line], linestyle=drawn, color=colour, label=label, linewidth=WIDTH, marker=mark)
    if reference is None:
        axes.set_xlabel(_along(graph))
    else:
        axes.plot(centres, reference[line], color=ORANGE, linestyle=(0, (4, 3)), label=reference_name, lw=WIDTH)
    headline(axes, "(b) profile at the end" + ("" if graph.mesh.is_line else ", through the middle"))
    axes.set_ylabel("cell value (units of the field)")
    if extent is not None:
        axes.set_xlim(0, extent)
    axes.legend(frameon=False, loc="best", fontsize=9)


def _difference(axes: Axes, graph: IntegerGraph, error: Field, reference_name: str) -> None:
    headline(axes, "")
    line, centres, *_ = graph.mesh.middle_line()
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.plot(centres, error[line], color=ORANGE, linewidth=1.2, marker=mark_of(centres.size))
    axes.set(xlabel=_along(graph), ylabel=f"integers\n- {reference_name}")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
