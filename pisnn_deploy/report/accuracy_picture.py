"""Waterfall of where the accuracy of a compilation went: the error after each step, and with one bit more."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pisnn_deploy.core.output import write_whole
from pisnn_deploy.report.panels import BLUE, GREY, INK, ORANGE, WIDTH, drawable, headline

_DOTS_PER_INCH = 150
MOST_BARS = 32
"""Most steps that are drawn; the compiler has about ten."""
_LONGEST_NAME = 60
_ROW = 0.32
"""Height of a bar with its gap, in inches."""
_WORTH_A_COLOUR = 1.005
"""Factor from which a step counts as better or worse than the one before."""


@dataclass(frozen=True)
class Step:
    """An error after a step, beside the one that it is compared with.

    Attributes
    ----------
    before : float or None
        Error of the step before, or of the compiled graph for one bit more; None for the first.
    error : float or None
        Relative L2 error; None where it is not known.
    """

    name: str
    before: float | None
    error: float | None
    note: str

    @property
    def factor(self) -> float | None:
        """Ratio of both errors."""
        return self.error / self.before if self.error is not None and self.before else None


@dataclass(frozen=True)
class Waterfall:
    """Errors after the steps of a compilation.

    Attributes
    ----------
    pde_steps : int
        PDE steps after which errors are measured.
    stages : tuple of Step
        From floats to the compiled graph.
    gains : tuple of Step
        The compiled graph with one bit more.
    problem : str
        Why there are no errors; empty if there are.
    """

    pde_steps: int
    stages: tuple[Step, ...]
    gains: tuple[Step, ...]
    problem: str = ""

    @property
    def height(self) -> float:
        """Height of the picture in inches."""
        return 1.1 + _ROW * (len(self.stages) + len(self.gains) + bool(self.gains))


def waterfall_of(accuracy: object) -> Waterfall | None:
    """Errors as ``compile --explain`` writes them; None for anything else, because files are untrusted.

    Parameters
    ----------
    accuracy : object
        The entry ``accuracy`` of a provenance or of ``compile --json``.
    """
    if not isinstance(accuracy, Mapping):
        return None
    try:
        stages = [*_steps(accuracy["stages"])]
        known = [step.error for step in stages if step.error]
        gains = [*_steps(accuracy["one_more_bit"], known[-1] if known else None)]
        return Waterfall(int(accuracy["steps"]), tuple(stages), tuple(gains), str(accuracy.get("problem") or ""))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _steps(entries: object, last: float | None = None) -> list[Step]:
    """Steps of a list; each is compared with `last`, or with the one before it without."""
    if not isinstance(entries, list) or len(entries) > MOST_BARS:
        raise ValueError("no list of steps")
    steps: list[Step] = []
    before = last
    for entry in entries:
        error = None if entry["error"] is None else float(entry["error"])
        if error is not None and not (math.isfinite(error) and error >= 0):
            raise ValueError("an error that is no number")
        steps.append(Step(str(entry["name"])[:_LONGEST_NAME], before, error, str(entry.get("note", ""))))
        before = last or error or before
    return steps


def draw_accuracy(path: Path, title: str, accuracy: Mapping[str, object]) -> None:
    """Draw the waterfall to a file.

    Parameters
    ----------
    path : Path
        A ``.png`` file, written atomically and reproducible byte for byte.
    accuracy : mapping
        As for `waterfall_of`.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    buffer = io.BytesIO()
    figure_of_accuracy(title, accuracy).savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def figure_of_accuracy(title: str, accuracy: Mapping[str, object]) -> Figure:
    """Draw the error after each step as a bar from the error before it.

    Parameters
    ----------
    title : str
        Beginning of the picture's title.
    accuracy : mapping
        As for `waterfall_of`.
    """
    waterfall = waterfall_of(accuracy) or Waterfall(0, (), (), "there are no errors")
    figure = Figure(figsize=(8.4, max(2.0, waterfall.height + 0.4)), layout="constrained")
    FigureCanvasAgg(figure)
    draw_waterfall(figure.add_subplot(), waterfall)
    title = f"{title}: error after {waterfall.pde_steps} PDE steps"
    figure.suptitle(drawable(title), fontsize=11.5, fontweight="bold", color=INK, parse_math=False)
    return figure


def draw_waterfall(axes: Axes, waterfall: Waterfall) -> None:
    """Draw a bar for each step: blue where it lowers the error, orange where it raises it."""
    headline(axes, "")
    axes.set(xlabel="relative L2 error")
    rows = [*waterfall.stages, *([None] if waterfall.gains else []), *waterfall.gains]
    known = [step.error for step in rows if step is not None and step.error]
    if not known:
        axes.set_axis_off()
        axes.text(0.5, 0.5, drawable(waterfall.problem or "no error above 0"), ha="center", transform=axes.transAxes)
        return
    axes.set_xscale("log")
    low, high = min(known), max(known)
    axes.set_xlim(low / 1.6, high * 4)  # room for the figures beside the bars
    names = []
    for row, step in enumerate(rows):
        names.append("with one bit more in" if step is None else drawable(step.name))
        if step is not None:
            _bar(axes, row, step)
    axes.set_yticks(range(len(rows)), names, fontsize=8.5)
    for label, step in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if step is None else "normal")
        label.set_parse_math(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _bar(axes: Axes, row: int, step: Step) -> None:
    if not step.error:
        axes.text(0.01, row, "not measured", transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=GREY)
        return
    before = step.before or step.error
    worse, better = step.error > before * _WORTH_A_COLOUR, step.error * _WORTH_A_COLOUR < before
    colour = ORANGE if worse else BLUE if better else INK
    left, right = sorted((before, step.error))
    axes.barh(row, right - left, left=left, height=0.55, color=colour, alpha=0.85)
    axes.plot([step.error] * 2, [row - 0.34, row + 0.34], color=colour, linewidth=WIDTH)
    factor = f"  x {step.factor:.2f}" if step.factor is not None else ""
    axes.text(right * 1.08, row, f"{step.error:.2e}{factor}", va="center", fontsize=8, color=INK)
