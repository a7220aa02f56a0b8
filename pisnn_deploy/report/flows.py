"""Charts over time for reports of runs: what ledgers took, and a raster of the packets of all channels."""

from __future__ import annotations

from typing import cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.report.panels import COLOURS, GREY, WIDTH, drawable, headline, mark_of, time_axis
from pisnn_deploy.report.raster import pooled
from pisnn_deploy.runs.run import Run
from pisnn_deploy.runs.verdict import exact_sums

Field = NDArray[np.float64]

MOST_LEDGERS = 8
"""Maximum number of lines: those of the ledgers that end with the largest amounts."""
MOST_ROWS = 240
"""Maximum number of rows of the raster, about the pixels of a chart."""
_STYLES = ("-", "--")


def draw_ledgers(axes: Axes, graph: IntegerGraph, times: Field, run: Run) -> None:
    """Draw what each ledger has taken since the start, in physical units.

    Parameters
    ----------
    times : float64 array [n]
        Physical times of the kept steps, at least one.
    """
    lines: list[tuple[str, Field]] = []
    for part in run.trace.columns.fields:
        held = run.trace.ledger[:, part.reservoirs]
        for name, reservoirs in part.ledgers.items():
            label = name if len(run.trace.columns.fields) == 1 else f"{part.name}, {name}"
            lines.append((label, np.array(exact_sums(held[:, reservoirs]), np.float64) * part.field.quantum))
    shown = sorted(lines, key=lambda line: -abs(line[1][-1]))[:MOST_LEDGERS]
    headline(axes, "ledgers")
    axes.set_ylabel("amount taken")
    time_axis(axes, graph, times, run)
    for number, (label, amounts) in enumerate(shown):
        colour, style = COLOURS[number % len(COLOURS)], _STYLES[number // len(COLOURS)]
        mark, name = mark_of(times.size), drawable(label)
        axes.plot(times, amounts, color=colour, linestyle=style, linewidth=WIDTH, marker=mark, label=name)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
    axes.legend(frameon=False, loc="best", fontsize=9)


def draw_spikes(axes: Axes, graph: IntegerGraph, times: Field, run: Run) -> None:
    """Draw the mean packets of every channel between kept steps; no colour is silence.

    Parameters
    ----------
    times : float64 array [n]
        Physical times of the kept steps, at least one.
    """
    trace, channels = run.trace, run.trace.columns.channels
    headline(axes, "packets")
    time_axis(axes, graph, times, run)
    pairs = zip(trace.transported[:-1], trace.transported[1:], strict=True)
    # Row by row, because a trace mapped from disk may be far larger than the memory.
    rows = [pooled((after - before)[None], MOST_ROWS, 1)[0] for before, after in pairs]
    size = trace.columns.size
    axes.set_ylim(0, size)
    if len(channels) > 1:
        middles = [each.first + each.count / 2 for each in channels]
        axes.set_yticks(middles, [drawable(each.population) for each in channels], fontsize=8)
        axes.hlines([each.first for each in channels[1:]], times[0], times[-1], color=GREY, linewidth=0.5)
    else:
        axes.set_ylabel(drawable(f"channel of {channels[0].population}"))
    if not any(row.any() for row in rows):
        axes.text(0.5, 0.5, "no packets", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    packets = np.stack(rows).T / np.diff(trace.step)  # kept steps need not be evenly spaced
    largest = float(np.abs(packets).max())
    packets[packets == 0] = np.nan  # drawn as nothing
    mesh = axes.pcolormesh(
        times,
        np.linspace(0, size, len(packets) + 1),
        packets,
        cmap="coolwarm",
        norm=SymLogNorm(1.0, vmin=-largest, vmax=largest),
        rasterized=True,
    )
    assert axes.figure is not None
    bar = axes.figure.colorbar(mesh, ax=axes, label="quanta per PDE step", pad=0.03)
    cast(Artist, bar.solids).set_rasterized(True)
    cast(Artist, bar.outline).set_visible(False)
