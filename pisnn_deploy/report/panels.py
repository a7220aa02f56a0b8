"""Panels over time for pictures and reports of runs: packets, mass balance, error."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from pisnn_deploy.core.printable import printable, spelled_out
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs.run import Run

Field = NDArray[np.float64]

BLUE, ORANGE, RED = "tab:blue", "tab:orange", "tab:red"
GREY, INK = "#9aa0a6", "#202124"
COLOURS = (BLUE, ORANGE, INK, GREY)
"""Colours of several lines."""
WIDTH = 1.8
"""Line width in points."""
_FEW_POINTS = 32
"""Lines of up to this many points also get marks, so that a single point is visible."""
_DECADES = 100
"""Ratio of the largest to the smallest number above which an axis is logarithmic."""


def drawable(text: str) -> str:
    """Escape characters of a text that are not printable or missing in the pictures' font."""
    glyphs = _glyphs()
    return "".join(c if ord(c) in glyphs else spelled_out(c) for c in printable(text))


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """Characters in the pictures' font."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def headline(axes: Axes, text: str) -> None:
    """Set the title of a panel, without interpreting math, and the common style of line panels."""
    axes.set_title(text, loc="left", fontsize=10.5, color=INK, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def mark_of(points: int) -> str:
    """Marker for the points of a line; empty if there are many."""
    return "o" if points <= _FEW_POINTS else ""


def time_axis(axes: Axes, graph: IntegerGraph, times: Field, run: Run) -> None:
    """Set up the time axis, from the start to the last completed step or to the one that failed.

    Parameters
    ----------
    times : float64 array [n]
        Physical times of the kept steps, at least one.
    """
    axes.set_xlabel("time (units of time)")
    steps = run.steps + 1 if run.failure else run.steps
    margin = 0.02 * max(steps, 1) * graph.time_step
    axes.set_xlim(times[0] - margin, max(steps, 1) * graph.time_step + margin)
    # Time steps can be tiny, and labels with many digits would overlap.
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 4))
    if run.failure:
        axes.axvline(steps * graph.time_step, color=RED, linewidth=1.2, linestyle=":", label="run stopped")


def draw_packets(axes: Axes, graph: IntegerGraph, times: Field, run: Run, title: str = "packets in flight") -> None:
    """Draw the number of quanta that arrive in each kept PDE step.

    Parameters
    ----------
    times : float64 array [n]
        Physical times of the kept steps, at least one.
    title : str
        Title of the panel.
    """
    arriving = run.trace.in_flight[1:]
    headline(axes, title)
    axes.set_ylabel("quanta per PDE step")
    time_axis(axes, graph, times, run)
    if not arriving.any():
        axes.set_ylim(0, 1)
        axes.set_yticks([0])
        axes.text(
            0.5,
            0.5,
            "no packets" if arriving.size else "no step completed",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=GREY,
        )
    if not arriving.size:
        return
    axes.plot(times[1:], arriving, color=BLUE, linewidth=WIDTH, marker=mark_of(arriving.size), clip_on=False)
    some = arriving[arriving > 0]
    if some.size and some.max() > _DECADES * some.min():
        # A steady field sends nothing, and zero has no logarithm.
        axes.set_yscale("log" if some.size == arriving.size else "symlog")
    elif some.size:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(EngFormatter())


def draw_balance(axes: Axes, graph: IntegerGraph, times: Field, run: Run, title: str = "mass balance") -> None:
    """Draw the change of the total mass of cells and ledgers since the start, for each set of joined fields.

    Parameters
    ----------
    times : float64 array [n]
        Physical times of the kept steps, at least one.
    title : str
        Start of the panel's title, which also gives the mass of a single set.
    """
    axes.axhspan(-1, 1, color=GREY, alpha=0.22, linewidth=0, label="±1 quantum")
    sets, is_broken, first = run.trace.columns.joined, False, 0
    for number, fields in enumerate(sets):
        totals = run.trace.totals(fields)
        first = totals[0]
        drift = np.array([total - first for total in totals], np.float64)
        broken = drift != 0
        of = f" of {' and '.join(field.name for field in fields)}" if len(sets) > 1 else ""
        label = f"drift{of}, {len(totals):,} kept step{'s' * (len(totals) > 1)}"
        colour, size = COLOURS[number % len(COLOURS)], WIDTH + 1.5 * (len(sets) - 1 - number)
        axes.plot(times, drift, color=colour, linewidth=size, marker=mark_of(times.size), label=label)
        if broken.any():
            is_broken = True
            axes.plot(times[broken], drift[broken], "X", color=RED, markersize=7, label=f"not 0{of}", linestyle="")
    start = f": {first:,} quanta" if len(sets) == 1 else f" of {len(sets)} sets of fields"
    if is_broken:
        headline(axes, f"{title}{start}" + (" at the start" if len(sets) == 1 else ""))
    else:
        axes.set_ylim(-2.4, 2.4)
        headline(axes, f"{title}{start}" + (", ledgers included" if run.trace.columns.reservoirs else ""))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("drift (quanta)")
    time_axis(axes, graph, times, run)
    # With drift the line may be anywhere; without, there is room at the top.
    place, columns = ("best", 1) if is_broken else ("upper right", 2)
    axes.legend(frameon=False, loc=place, ncol=columns, fontsize=9)


def draw_error(axes: Axes, graph: IntegerGraph, times: Field, run: Run, errors: Mapping[str, Field]) -> None:
    """Draw the relative L2 error of each field against the reference.

    Parameters
    ----------
    times : float64 array [n]
        Times, at least one.
    errors : mapping of str to float64 array [n]
        Errors by field; those that are not finite or not positive are omitted.
    """
    headline(axes, "relative L2 error")
    axes.set_ylabel("|integers - exact| / |exact|")
    time_axis(axes, graph, times, run)
    known = {name: np.isfinite(error) & (error > 0) for name, error in errors.items()}
    drawn = {name: errors[name][shown] for name, shown in known.items() if shown.any()}
    if not drawn:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no error", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    for number, (name, error) in enumerate(drawn.items()):
        colour, mark = COLOURS[number % len(COLOURS)], mark_of(error.size)
        axes.plot(times[known[name]], error, color=colour, linewidth=WIDTH, marker=mark, label=drawable(name))
    if len(errors) > 1:
        axes.legend(frameon=False, loc="best", fontsize=9)
    if max(error.max() for error in drawn.values()) > _DECADES * min(error.min() for error in drawn.values()):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
