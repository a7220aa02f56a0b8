"""Raster picture: which probed neurons sent spikes at which time, and how large the payloads were."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.printable import printable
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.report.panels import GREY, INK
from pisnn_deploy.runs.probes import SPIKES, Probed
from pisnn_deploy.runs.run import Trace

Integers = NDArray[np.int64]
_DOTS_PER_INCH = 150
_MOST_COLUMNS, _MOST_ROWS = 1000, 500
"""Largest number of points along time and neurons, about those of a panel."""
_MOST_PANELS = 12


def draw_raster(path: Path, graph: IntegerGraph, trace: Trace) -> None:
    """Draw the spikes of all probed neurons to a file.

    Parameters
    ----------
    path : Path
        A ``.png`` file, written atomically and reproducible byte for byte.
    graph, trace
        As for `raster_of`.

    Raises
    ------
    UsageError
        Nothing was probed.
    FileError
        The file cannot be written.
    """
    buffer = io.BytesIO()
    raster_of(graph, trace).savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def raster_of(graph: IntegerGraph, trace: Trace) -> Figure:
    """Draw the spikes of all probed neurons: a panel for each output, coloured by payload; white is silence.

    Where a panel has more points than pixels, the largest payload of those that fall together is drawn, so that no
    spike disappears.

    Raises
    ------
    UsageError
        Nothing was probed.
    """
    shown = [
        (probed, name, rows)
        for probed in trace.probes
        for name, rows in probed.values.items()
        if name.partition(".")[0] == SPIKES
    ]
    if not shown:
        raise UsageError("raster: no neurons that send were probed; name some with `probe`")
    left_out = len(shown) - _MOST_PANELS
    shown = shown[:_MOST_PANELS]
    figure = Figure(figsize=(11, 0.8 + 2.6 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(len(shown), 1, sharex=True))
    ends = _ends(trace, graph.time_step)
    for panel, (probed, name, rows) in zip(panels, shown, strict=True):
        _draw(figure, panel, probed, name, rows, ends)
    panels[-1].set_xlabel("time")
    more = f", {left_out} more outputs not drawn" if left_out > 0 else ""
    figure.suptitle(printable(f"{graph.spec.name}: spikes{more}"), fontsize=12.5, color=INK, parse_math=False)
    return figure


def _ends(trace: Trace, time_step: float) -> tuple[float, float]:
    """Physical times of the first and the last row."""
    if not trace.step.size:
        return 0.0, 1.0
    return float(trace.step[0] * time_step), float(max(trace.step[-1], trace.step[0] + 1) * time_step)


def _draw(figure: Figure, panel: Axes, probed: Probed, name: str, rows: Integers, ends: tuple[float, float]) -> None:
    numbers = probed.probe.neurons
    spikes = pooled(pooled(rows, _MOST_COLUMNS, 0), _MOST_ROWS, 1).T.astype(np.float64)
    largest = max(1.0, float(np.abs(spikes).max(initial=0)))
    spikes[spikes == 0] = np.nan  # drawn as nothing
    image = panel.imshow(
        spikes,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(*ends, -0.5, numbers.size - 0.5),
        cmap="coolwarm",
        norm=SymLogNorm(1.0, vmin=-largest, vmax=largest),
    )
    ticks = np.unique(np.linspace(0, numbers.size - 1, min(5, numbers.size)).astype(np.int64))
    panel.set_yticks(ticks, [str(number) for number in numbers[ticks].tolist()])
    output = name.partition(".")[2]
    panel.set_ylabel("neuron")
    count = int(np.count_nonzero(rows))
    title = f"{probed.probe.population}{f' {output}' if output else ''}: {count} spikes of {numbers.size} neurons"
    panel.set_title(printable(title), fontsize=10, loc="left", color=INK, parse_math=False)
    panel.tick_params(colors=GREY)
    figure.colorbar(image, ax=panel, label="payload", fraction=0.03, pad=0.01)


def pooled(values: Integers, most: int, axis: int) -> Integers:
    """Merge neighbours along an axis until at most `most` are left; each keeps the payload that is largest in size.

    Parameters
    ----------
    values : int64 array [rows, neurons]
        Payloads.

    Returns
    -------
    int64 array
        With at most `most` entries along the axis.
    """
    length = values.shape[axis]
    if length <= most:
        return values
    starts = (np.arange(most) * length) // most
    high, low = np.maximum.reduceat(values, starts, axis), np.minimum.reduceat(values, starts, axis)
    return np.where(high >= -low, high, low)
