"""Picture of errors over the width of cells, with lines of whole orders to compare slopes with."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pisnn_deploy.core.output import write_whole
from pisnn_deploy.report.panels import BLUE, GREY, INK, ORANGE, WIDTH, drawable, headline

_DOTS_PER_INCH = 150
_ORDERS = (1, 2, 4)
"""Orders of the lines that slopes are compared with."""


Lines = Mapping[str, Sequence[float | None]]
"""Errors of up to four methods on all meshes by the name of the method, coarsest mesh first; None or 0 is not drawn."""
_STYLES = ((BLUE, "-", "o"), (INK, "--", "s"), (GREY, ":", "v"), (ORANGE, "-", "^"))


def draw_orders(
    path: Path, title: str, meshes: Sequence[tuple[int, ...]], fields: Mapping[str, Lines], norm: str
) -> None:
    """Draw errors to a file.

    Parameters
    ----------
    path : Path
        A ``.png`` file, written atomically and reproducible byte for byte.
    title, meshes, fields, norm
        As for `figure_of_orders`.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    buffer = io.BytesIO()
    figure = figure_of_orders(title, meshes, fields, norm)
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def figure_of_orders(title: str, meshes: Sequence[tuple[int, ...]], fields: Mapping[str, Lines], norm: str) -> Figure:
    """Draw errors over the number of cells per axis, both logarithmic: one panel for each field.

    Parameters
    ----------
    title : str
        Title of the picture.
    meshes : sequence of tuple of int
        Cells along each axis, coarsest mesh first.
    fields : mapping of str to mapping of str to sequence
        Errors by field and method.
    norm : str
        Name of the error on the vertical axis.
    """
    figure = Figure(figsize=(1.2 + 4.8 * len(fields), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    across = [float(np.prod(mesh) ** (1 / len(mesh))) for mesh in meshes]
    for number, (field, lines) in enumerate(fields.items()):
        axes = figure.add_subplot(1, len(fields), number + 1)
        headline(axes, drawable(field) if len(fields) > 1 else "")
        _lines(axes, across, lines)
        axes.set(xscale="log", xlabel="cells per axis", ylabel=norm if not number else "")
        axes.set_xticks(across, ["x".join(map(str, mesh)) for mesh in meshes])
        axes.minorticks_off()
        if axes.lines:
            axes.set_yscale("log")
            axes.legend(frameon=False, fontsize=8.5)
        else:
            axes.text(0.5, 0.5, "no error above 0", ha="center", transform=axes.transAxes, color=GREY)
    figure.suptitle(drawable(title), fontsize=11.5, fontweight="bold", color=INK, parse_math=False)
    return figure


def _lines(axes: Axes, across: Sequence[float], lines: Lines) -> None:
    for (name, errors), (colour, style, mark) in zip(lines.items(), _STYLES, strict=False):
        drawn = [(x, error) for x, error in zip(across, errors, strict=True) if error]
        if drawn:
            axes.plot(*zip(*drawn, strict=True), style, color=colour, marker=mark, label=name, linewidth=WIDTH)
    first = [errors[0] for errors in lines.values() if errors[0]]
    for order in _ORDERS if first else ():
        start, (coarse, fine) = max(filter(None, first)), (across[0], across[-1])
        end = start * (coarse / fine) ** order
        axes.plot((coarse, fine), (start, end), color=GREY, linewidth=0.7, zorder=0)
        axes.annotate(f"order {order}", (fine, end), fontsize=7.5, color=GREY, ha="right")
