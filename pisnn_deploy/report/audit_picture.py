"""Picture of an audit of a trajectory: drift beside what rounding allows, and what the local balance leaves."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pisnn_deploy.core.output import write_whole
from pisnn_deploy.report.panels import BLUE, GREY, INK, ORANGE, RED, WIDTH, drawable, headline, mark_of
from pisnn_deploy.trajectories.result import Audit, FieldAudit

Field = NDArray[np.float64]
_DOTS_PER_INCH = 150
MOST_FIELDS = 4
"""Fields that are drawn."""


def draw_audit(path: Path, audit: Audit) -> None:
    """Draw an audit to a file.

    Parameters
    ----------
    path : Path
        A ``.png`` file, written atomically and reproducible byte for byte.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    buffer = io.BytesIO()
    figure_of_audit(audit).savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def figure_of_audit(audit: Audit) -> Figure:
    """Draw a row for each of the first `MOST_FIELDS` fields: field, drift, and local balance where there is one."""
    fields = audit.fields[:MOST_FIELDS]
    columns = 3 if any(field.local or field.law for field in fields) else 2
    figure = Figure(figsize=(4.2 * columns, 0.6 + 3.2 * len(fields)), layout="constrained")
    FigureCanvasAgg(figure)
    more = f", {len(fields)} of {len(audit.fields)} fields" if len(fields) < len(audit.fields) else ""
    figure.suptitle(drawable(f"{audit.path.name}: {audit.verdict}{more}"), fontsize=12, color=INK)
    panels = figure.subplots(len(fields), columns, squeeze=False)
    x = np.arange(audit.rows, dtype=np.float64) if audit.times is None else audit.times
    for (first, second, *third), field in zip(panels, fields, strict=True):
        _draw_field(first, audit, field)
        _draw_drift(second, audit, field, x)
        for axes in third:
            _draw_local(axes, audit, field, x)
    return figure


def _over_time(axes: Axes, audit: Audit) -> None:
    axes.set_xlabel("row" if audit.times is None else "time")
    if audit.times is None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_field(axes: Axes, audit: Audit, field: FieldAudit) -> None:
    """First and last row of a line of cells, or the last row of other meshes, in the middle of a third axis."""
    values = audit.arrays[field.name]
    if len(audit.shape) == 1:
        headline(axes, drawable(f"{field.name}: first and last row"))
        for row, colour, label in ((0, GREY, "first"), (-1, BLUE, "last")):
            axes.plot(values[row].astype(np.float64), color=colour, linewidth=WIDTH, label=label)
        axes.set_xlabel("cell")
        axes.legend(frameon=False, fontsize=8)
        return
    last = values[-1].astype(np.float64)
    middle = f", cell {last.shape[2] // 2} along z" if last.ndim > 2 else ""
    headline(axes, drawable(f"{field.name}: last row{middle}"))
    axes.grid(visible=False)
    shown = last if last.ndim == 2 else last[:, :, last.shape[2] // 2]
    image = axes.imshow(shown.T, origin="lower", cmap="viridis", aspect="equal", interpolation="nearest")
    axes.set_xlabel("cell along x")
    axes.set_ylabel("cell along y")
    _mark_breaks(axes, field)
    axes.figure.colorbar(image, ax=axes, shrink=0.85)


def _mark_breaks(axes: Axes, field: FieldAudit) -> None:
    """Mark the cell where the local balance breaks first, or else where the law's stands out."""
    first = field.local.first_break if field.local else None
    if first is None and field.law is not None:
        first = field.law.stands_out
    if first is not None:
        axes.plot(*first[1][:2], marker="s", color=RED, markersize=8, fillstyle="none", linestyle="none")


def _draw_drift(axes: Axes, audit: Audit, field: FieldAudit, x: Field) -> None:
    balance = field.balance
    drift = np.array([0.0, *map(balance.relative, balance.drifts)])
    if balance.tolerance is None:
        band = np.array([0.0, *map(balance.relative, np.cumsum(balance.allowed))])
    else:
        band = np.full(audit.rows, balance.tolerance)
    headline(axes, f"drift: {field.verdict}")
    axes.set_ylabel("relative to the mass at the start")
    if band.any():
        axes.fill_between(x, -band, band, color=GREY, alpha=0.25, linewidth=0, label="allowed")
    axes.plot(x, drift, color=BLUE, linewidth=WIDTH, marker=mark_of(x.size), markersize=3, label="drift")
    _spread(axes, drift, band)
    first = balance.first_break
    if field.is_closed and first is not None:
        axes.axvline(x[first], color=RED, linewidth=1.2, linestyle=":", label=f"first break, step {first}")
    axes.legend(frameon=False, fontsize=8)
    _over_time(axes, audit)


def _spread(axes: Axes, drift: Field, band: Field) -> None:
    """Use a scale on which both drift and band are seen."""
    largest, allowed = float(np.abs(drift).max()), float(band.max())
    if not largest and not allowed:
        axes.set_ylim(-1, 1)
        axes.set_yticks([0])
    elif largest > allowed > 0:
        # The linear part grows with the decades beside it, so that its labels do not touch.
        axes.set_yscale("symlog", linthresh=allowed, linscale=1 + np.log10(largest / allowed) / 4)


def _draw_local(axes: Axes, audit: Audit, field: FieldAudit, x: Field) -> None:
    headline(axes, "local balance: largest rest of a cell")
    drawn = False
    if field.local is not None:
        drawn |= _draw_rest(axes, x[1:], field.local.largest, ORANGE, "by the file's fluxes, mass")
    if field.law is not None:
        drawn |= _draw_rest(axes, x[1:], field.law.largest, BLUE, "by the law's fluxes, rate")
    if not drawn:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", color=GREY)
        axes.set_yticks([])
    else:
        axes.legend(frameon=False, fontsize=8)
    _over_time(axes, audit)


def _draw_rest(axes: Axes, x: Field, largest: Field, colour: str, label: str) -> bool:
    if not largest.any():
        return False
    axes.plot(x, largest, color=colour, linewidth=WIDTH, marker=mark_of(x.size), markersize=3, label=label)
    if (largest > 0).all():
        axes.set_yscale("log")
    else:
        axes.set_yscale("symlog", linthresh=float(largest[largest > 0].min()))
    return True
