"""A picture of a run: the field in space and time, its end against the reference, packets, and the mass balance."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pisnn_deploy.backends.run import Run
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import write_whole

_DOTS_PER_INCH = 150
_BLUE, _ORANGE, _GREY, _RED = "#2b6cb0", "#dd6b20", "#a0aec0", "#c53030"
_WIDTH = 1.6


def draw_run(path: Path, graph: IntegerGraph, run: Run, reference: NDArray[np.float64] | None) -> None:
    """Draw a run.

    Parameters
    ----------
    path : Path
        A ``.png`` file; written whole or not at all, and the same bytes for the same run.
    graph : IntegerGraph
    run : Run
        At least one kept step.
    reference : float64 array [cells] or None
        Cell values that the last kept step should have.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2).tolist()
    grid = left.get_gridspec()
    left.remove()
    right.remove()
    columns = [grid[0].subgridspec(2, 1, height_ratios=(3, 2)), grid[1].subgridspec(3, 1, height_ratios=(3, 1.2, 1.6))]
    times = run.trace.step * graph.time_step
    values = graph.values(run.trace.mass)
    _field(figure, figure.add_subplot(columns[0][0]), graph, times, values)
    profile, difference = figure.add_subplot(columns[1][0]), figure.add_subplot(columns[1][1])
    _profile(profile, difference, graph, values, None if reference is None else reference)
    _packets(figure.add_subplot(columns[0][1]), times, run)
    _balance(figure.add_subplot(columns[1][2]), times, run)
    figure.suptitle(_caption(graph, run, values, reference), fontsize=12)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def _caption(graph: IntegerGraph, run: Run, values: NDArray[np.float64], reference: NDArray[np.float64] | None) -> str:
    verdict = "conserved" if run.conserved else "VIOLATED"
    text = f"{graph.spec.name}: {verdict}, {graph.mesh.cells} cells, {run.steps} PDE steps on {run.backend}"
    if reference is not None:
        error = np.linalg.norm(values[-1] - reference) / np.linalg.norm(reference)
        text += f", relative L2 error {error:.1e}"
    return text


def _middle_line(graph: IntegerGraph, field: NDArray[np.float64]) -> NDArray[np.float64]:
    """The field along its last axis, through the middle of the others."""
    shaped = field.reshape(graph.mesh.shape)
    return np.asarray(shaped[tuple(count // 2 for count in graph.mesh.shape[:-1])], np.float64)


def _field(
    figure: Figure, axes: Axes, graph: IntegerGraph, times: NDArray[np.float64], values: NDArray[np.float64]
) -> None:
    mesh = graph.mesh
    if len(mesh.shape) == 1:
        ends = (times[:-1] + times[1:]) / 2
        tick = graph.time_step / 2
        rows = np.concatenate([[times[0] - tick], ends, [times[-1] + tick]])
        edges = np.arange(mesh.cells + 1) * mesh.spacing[0]
        image: ScalarMappable = axes.pcolormesh(edges, rows, values, cmap="viridis", rasterized=True)
        axes.set(xlabel="position (length)", ylabel="time", title="cell values in space and time")
    else:
        plane = values[-1].reshape(mesh.shape)
        plane = plane[mesh.shape[0] // 2] if plane.ndim == 3 else plane
        extent = (0.0, mesh.lengths[-1], 0.0, mesh.lengths[-2])
        image = axes.imshow(plane, origin="lower", extent=extent, cmap="viridis", aspect="equal")
        axes.set(
            xlabel="last axis (length)", ylabel="axis before (length)", title=f"cell values at time {times[-1]:.4g}"
        )
    figure.colorbar(image, ax=axes, label="cell value")


def _profile(
    axes: Axes,
    difference: Axes,
    graph: IntegerGraph,
    values: NDArray[np.float64],
    reference: NDArray[np.float64] | None,
) -> None:
    centres = (np.arange(graph.mesh.shape[-1]) + 0.5) * graph.mesh.spacing[-1]
    axes.plot(centres, _middle_line(graph, values[0]), color=_GREY, label="start", linewidth=_WIDTH)
    axes.plot(centres, _middle_line(graph, values[-1]), color=_BLUE, label="integers, end", linewidth=_WIDTH)
    axes.set(ylabel="cell value", title="profile at the end")
    axes.tick_params(labelbottom=False)
    difference.axhline(0, color=_GREY, linewidth=0.8)
    if reference is not None:
        exact = _middle_line(graph, reference)
        axes.plot(centres, exact, color=_ORANGE, linestyle=(0, (4, 3)), label="exact", linewidth=_WIDTH)
        difference.plot(centres, _middle_line(graph, values[-1]) - exact, color=_ORANGE, linewidth=1.2)
    axes.legend(frameon=False)
    difference.set(xlabel="position (length)", ylabel="integers\nminus exact")
    difference.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))


def _packets(axes: Axes, times: NDArray[np.float64], run: Run) -> None:
    arriving = run.trace.in_flight[1:]
    axes.plot(times[1:], arriving, color=_BLUE, linewidth=_WIDTH)
    if arriving.size and arriving.min() > 0 and arriving.max() > 30 * arriving.min():
        axes.set_yscale("log")
    elif arriving.size:
        axes.set_ylim(bottom=0)
    axes.set(xlabel="time", ylabel="quanta per PDE step", title="packets in flight")


def _balance(axes: Axes, times: NDArray[np.float64], run: Run) -> None:
    totals = [sum(int(mass) for mass in row) for row in run.trace.mass]
    drift = np.array([total - totals[0] for total in totals], np.float64)
    axes.fill_between(times, -1, 1, color=_GREY, alpha=0.25, linewidth=0, label="one quantum")
    axes.plot(times, drift, color=_BLUE, linewidth=_WIDTH)
    broken = drift != 0
    if broken.any():
        axes.plot(times[broken], drift[broken], "o", color=_RED, markersize=3)
    else:
        axes.set_ylim(-2, 2)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="time", ylabel="drift (quanta)", title=f"mass balance: {totals[0]:,} quanta")
    axes.legend(frameon=False, loc="upper right")
