"""Charts as SVG that inherit the colours of the page, for light and dark themes and print."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure

from pisnn_deploy.report.frames import Frames
from pisnn_deploy.report.panels import BLUE, GREY, INK, ORANGE, RED, drawable

COLOUR_MAP = "viridis"
"""Perceptually uniform and suitable for colour-blind readers (S. van der Walt, N. Smith, 2015)."""
_VARIABLES = {
    to_hex(BLUE): "var(--series)",
    to_hex(ORANGE): "var(--series-2)",
    to_hex(RED): "var(--bad)",
    GREY: "var(--muted)",
    INK: "var(--ink)",
    "#000000": "var(--ink)",
}
_POINTS_PER_INCH = 72.0
_WIDTH = 5.2
"""In inches: about the width of a phone's screen, so that the text stays readable."""


@dataclass(frozen=True)
class Chart:
    """A chart for a page.

    Attributes
    ----------
    svg : str
        The SVG element, as wide as its container.
    box : (float, float, float, float)
        Position of the axes in percent of the chart: left, top, width, height.
    limits : (float, float, float, float)
        Limits of the axes: lower and upper horizontally, then vertically.
    """

    svg: str
    box: tuple[float, float, float, float]
    limits: tuple[float, float, float, float]


def chart(name: str, height: float, draw: Callable[[Axes], None]) -> Chart:
    """Draw a chart.

    Parameters
    ----------
    name : str
        Name of the chart, unique within a page.
    height : float
        Height in inches.
    draw : callable
        Draws into the axes.

    Returns
    -------
    Chart
        Reproducible for the same name and content.
    """
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.set_title("", loc="left")  # the page has a caption for each chart
    buffer = io.StringIO()
    # Identifiers are hashes of salt and content, and must be unique within a page.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg ") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    text = text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    place = axes.get_window_extent().transformed(figure.transFigure.inverted())
    box = tuple(float(100 * part) for part in (place.x0, 1 - place.y1, place.width, place.height))
    return Chart(text, (box[0], box[1], box[2], box[3]), (*axes.get_xlim(), *axes.get_ylim()))


def profile_frame(frames: Frames, label: str, suffix: str = "") -> Chart:
    """Axes of a profile, which a script draws.

    Parameters
    ----------
    label : str
        Label of the horizontal axis.
    suffix : str
        Ends the name, so that names of several fields are unique within a page.
    """
    low, high = widened(frames.lowest, frames.highest)
    margin = 0.05 * (high - low)

    def draw(axes: Axes) -> None:
        axes.set(xlim=frames.shown.extent[-2:], ylim=(low - margin, high + margin))
        axes.set(xlabel=label, ylabel=_unit(frames))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GREY, alpha=0.25, linewidth=0.6)

    return chart(f"profile{suffix}", 3.1, draw)


def space_time_frame(frames: Frames, times: tuple[float, float], label: str, suffix: str = "") -> Chart:
    """Axes and colours of a space-time picture, which a script draws.

    Parameters
    ----------
    times : (float, float)
        Times of the first and the last frame.
    label : str
        Label of the horizontal axis.
    suffix : str
        Ends the name, so that names of several fields are unique within a page.
    """

    def draw(axes: Axes) -> None:
        axes.set(xlim=frames.shown.extent[:2], ylim=times, xlabel=label, ylabel="time (units of time)")
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
        _colour_bar(axes, frames)

    return chart(f"space-time{suffix}", 3.1, draw)


def map_frame(frames: Frames, labels: tuple[str, str], suffix: str = "") -> Chart:
    """Axes and colours of a map, which a script draws.

    Parameters
    ----------
    labels : (str, str)
        Labels of the horizontal and vertical axis.
    suffix : str
        Ends the name, so that names of several fields are unique within a page.
    """
    left, right, low, high = frames.shown.extent
    ratio = (high - low) / (right - left) if right > left else 1.0

    def draw(axes: Axes) -> None:
        axes.set(xlim=(left, right), ylim=(low, high), xlabel=labels[0], ylabel=labels[1])
        if 1 / _LONGEST < ratio < _LONGEST:
            axes.set_aspect("equal")
        _colour_bar(axes, frames)

    return chart(f"map{suffix}", 0.6 + 3.7 * min(max(ratio, 0.25), 1.4), draw)


_LONGEST = 5.0
"""Ratio of the sides of a map above which the axes have different scales."""


def _colour_bar(axes: Axes, frames: Frames) -> None:
    assert axes.figure is not None
    colours = ScalarMappable(Normalize(*widened(frames.lowest, frames.highest)), COLOUR_MAP)
    bar = axes.figure.colorbar(colours, ax=axes, label=_unit(frames), pad=0.03)
    cast(Artist, bar.solids).set_rasterized(True)
    cast(Artist, bar.outline).set_visible(False)


def _unit(frames: Frames) -> str:
    """Label of cell values."""
    return drawable(f"cell value ({frames.columns.field.unit or 'units of the field'})")


def widened(lowest: float, highest: float) -> tuple[float, float]:
    """Widen an empty interval, because the scale of a constant field needs a range."""
    return (lowest, highest) if lowest < highest else (lowest - 0.5, highest + 0.5)


def colour_table() -> list[str]:
    """The 256 colours of maps as ``#rrggbb``, from the lowest to the highest value."""
    return [to_hex(colour) for colour in mpl.colormaps[COLOUR_MAP](np.arange(256))]
