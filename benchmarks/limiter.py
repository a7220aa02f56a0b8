"""Effect and cost of ``--limiter``: writes ``docs/results/limiter.md``.

Run it from the root of a checkout: ``python -m benchmarks.limiter``. Each initial field runs with and without the
limiter on the same mesh, kernel and quantum; withheld quanta are derived from the trace. Speeds are PDE steps per
second of processor time on one thread, medians of rounds measured in turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import PAGES, line, medians_in_turns, page_parser, publish, seconds, table, times
from benchmarks.parts.rounds import COLUMNS as COLUMNS_OF_ROUNDS
from benchmarks.parts.rounds import rows as rows_of_rounds
from benchmarks.parts.zoo import compiled, exact, horizon_steps, relative_l2
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, Stepper

Field = NDArray[np.float64]
Reference = Callable[[IntegerGraph, float], Field]

PAGE = PAGES / "limiter.md"
MODES = 400
"""Cosines in the exact solution of a box; higher ones decay within the first PDE step."""
ROUNDS = 7
ROUND_SECONDS = 0.3
LIMITERS: tuple[Limiter, ...] = ("none", "positivity", "bounds")

HEAD = """# The limiter

With `compile --limiter positivity`, faces ask before they send and cells grant no more than they have above a floor;
with `--limiter bounds`, also no more than they have room for below a ceiling. Here the same initial fields run with
and without them, on the same mesh, kernel and quantum, compiled without the search for better integers so that the
kernels agree. Errors are relative L2 against exact cell averages. A packet counts as *withheld* if a face carries
less than would have fired; *share* is the withheld part of all quanta that would have fired.

Where every cell has what it is asked for, the integers are the same with and without the limiter. A cell does not
count on what enters in the same PDE step: with friction, the currents of Laplace move more through a cell near a side
at 0 than the cell has above a floor of 0, and are cut there. With limits that the field keeps away from, nothing is.

"""
COLUMNS = (
    "model",
    "start",
    "limiter",
    "limits",
    "PDE steps",
    "relative L2",
    "lowest value",
    "lowest mass",
    "highest value",
    "packets withheld",
    "quanta withheld",
    "share",
)
ASK_AGAIN = """
## Why Laplace is cut near a floor

With friction, a face fires about `r 4096 / leak` times the difference of its cells in a PDE step (3.7 times here), so
that a flow towards a side at 0 moves more through the last cells than they hold, and each of them can only pass on
what another one brings in the same PDE step. No rule that looks a fixed number of cells far can both leave every flow
alone that stays above a floor, and prove the floor: it would have to know of a cell far upstream that has nothing. But
a cell can be told what its neighbours have granted it for sure, and grant that as well. This is what a study in numpy
gives with so many rounds of asking; the compiler has one, and each more would cost two more time steps. A flow over
cells of `1/2, 3/2, 5/2, ...` of a difference needs the square root of twice 3.7, so three rounds. Without a limiter
the field falls to -21 quanta, so that a floor of 0 must change it, and one of -24 must not.

"""
SPEED = """
## Speed

PDE steps per second of processor time, one thread, `fast`; kernels with their audit, without the time to compile them.
All columns of a row are medians of rounds in turns. *Cost* is the speed without a limiter over that with one.

"""
SPEED_COLUMNS = (
    "model",
    "cells",
    "kernel, no limiter",
    "kernel, floor",
    "kernel, floor and ceiling",
    "numpy, floor and ceiling",
    "cost of a floor",
    "cost of both",
    "kernel over numpy, both",
)


@dataclass(frozen=True)
class Case:
    """A model and a start.

    Attributes
    ----------
    model, start : str
        Names for the page.
    limits : tuple of float
        Range of values that all graphs are compiled for.
    between : tuple of float
        Floor and ceiling of the limiters.
    steps : int or None
        PDE steps; None runs to the problem's horizon.
    initial : callable or None
        Cell averages at the start; None takes the problem's own.
    reference : callable
        Exact cell averages at a time.
    """

    model: str
    start: str
    limits: tuple[float, float]
    between: tuple[float, float]
    initial: Callable[[IntegerGraph], Field] | None
    reference: Reference
    steps: int | None = None


def box(graph: IntegerGraph) -> Field:
    """Cell averages of 1 between 0.2 and 0.4, else 0, on a line of length 1."""
    edges = np.linspace(0.0, 1.0, graph.mesh.cells + 1)
    return np.asarray(np.diff(np.clip(edges, 0.2, 0.4)) * graph.mesh.cells, np.float64)


def exact_box(graph: IntegerGraph, at: float) -> Field:
    """Cell averages of the box after a time on a periodic line: each cosine moves with the velocity and decays."""
    if at == 0:
        return box(graph)
    spec, cells = graph.model_spec, graph.mesh.cells
    waves = 2 * np.pi * np.arange(1, MODES + 1)
    amplitude = 4 * np.sin(waves * 0.1) / waves * np.exp(-spec.diffusivity * waves**2 * at)
    edges = np.linspace(0.0, 1.0, cells + 1) - 0.3 - (spec.velocity or 0.0) * at
    parts = np.diff(np.sin(np.outer(edges, waves)), axis=0) * cells / waves
    return np.asarray(0.2 + parts @ amplitude, np.float64)


WIDE = (-1.0, 2.0)
CASES = (
    Case("heat1d", "own", (0.0, 2.0), (0.0, 2.0), None, exact),
    *(Case("heat1d", "box", WIDE, (0.0, 1.0), box, exact_box, steps) for steps in (4, 40)),
    Case("advection_diffusion1d", "own", WIDE, (0.0, 2.0), None, exact),
    Case("advection_diffusion1d", "own", WIDE, (0.25, 1.75), None, exact),
    *(Case("advection_diffusion1d", "box", WIDE, (0.0, 1.0), box, exact_box, steps) for steps in (4, 40, None)),
    Case("laplace2d", "own", WIDE, (0.0, 2.0), None, exact),
    Case("laplace2d", "own", WIDE, (-0.006, 2.0), None, exact),
    Case("laplace2d", "own", WIDE, WIDE, None, exact),
)


def withheld(graph: IntegerGraph, run: Run) -> tuple[int, int, int]:
    """Count withheld packets, withheld quanta, and all quanta that would have fired."""
    flux, exponent = run.trace.flux, known_face(graph).exponent
    assert flux is not None
    packets, current, residue = flux[1:, 0], flux[1:, 1], flux[:, 2]
    fired = (current - np.diff(residue, axis=0)) >> exponent
    kept_back = np.abs(fired - packets)
    return int(np.count_nonzero(kept_back)), int(kept_back.sum()), int(np.abs(fired).sum())


def lines(case: Case) -> tuple[list[str], bool]:
    """Rows of a case, and whether the limiter changed an integer."""
    rows, masses = [], []
    for limiter in LIMITERS:
        # The models declare slopes of smooth fields; boxes are steeper.
        limits = OperatingRange(lower=case.limits[0], upper=case.limits[1])
        floor = None if limiter == "none" else case.between[0]
        ceiling = case.between[1] if limiter == "bounds" else None
        graph = compiled(
            case.model,
            limits=limits,
            search=False,
            limiter=limiter,
            floor=floor,
            ceiling=ceiling,
            placement="none",
        )
        steps = case.steps or horizon_steps(graph)
        mass: Integers = graph.initial if case.initial is None else graph.mass(case.initial(graph))
        run = run_graph("fast", graph, mass, RunOptions(steps, everything=True))
        assert run.conserved, run.failure
        truth = case.reference(graph, steps * graph.time_step)
        error = f"{relative_l2(graph.values(run.trace.mass[-1]), truth):.2e}"
        count, quanta, fired = withheld(graph, run)
        lowest = int(run.trace.mass.min())
        at_end = (error, f"{graph.values(np.array(lowest)):.3g}", lowest)
        limited = {
            "none": "",
            "positivity": f"{case.between[0]:g}",
            "bounds": f"{case.between[0]:g} to {case.between[1]:g}",
        }
        highest = f"{graph.values(np.array(int(run.trace.mass.max()))):.6g}"
        rows.append(
            line(
                case.model,
                case.start,
                limiter,
                limited[limiter],
                steps,
                *at_end,
                highest,
                count,
                quanta,
                f"{quanta / fired:.2g}",
            )
        )
        masses.append(run.trace.mass)
    return rows, any(not np.array_equal(masses[0], other) for other in masses[1:])


def rate(stepper: Stepper, steps: int) -> float:
    """PDE steps per second of processor time."""
    return steps / seconds(partial(stepper.advance, steps), time.process_time)


def speed(name: str, shape: tuple[int, ...]) -> str:
    """Measure speeds; return a row of the table."""
    graphs = [compiled(name, shape, search=False, limiter=limiter, placement="none") for limiter in LIMITERS]
    many = 1 << 40
    steppers: list[Stepper] = [KernelStepper(graph, start_of(graph, graph.initial), many, 1) for graph in graphs]
    steppers.append(ReferenceStepper(graphs[-1], start_of(graphs[-1], graphs[-1].initial), many))
    rates = {}
    for number, stepper in enumerate(steppers):
        stepper.begin()
        stepper.advance(1)  # compiles
        rates[number] = partial(rate, stepper, max(1, int(rate(stepper, 3) * ROUND_SECONDS)))
    free, floor, both, plain = medians_in_turns(rates, ROUNDS).values()
    ratios = (f"{ratio:.3g}" for ratio in (free / floor, free / both, both / plain))
    return line(name, times(shape), *(f"{median:.3g}" for median in (free, floor, both, plain)), *ratios)


def main() -> None:
    """Measure, and write the page."""
    arguments = page_parser(__doc__).parse_args()
    rows, changed = [], []
    for case in CASES:
        sys.stderr.write(f"{case.model} {case.start}\n")
        case_rows, differs = lines(case)
        rows += case_rows
        changed.append((case, differs))
    same = [
        f"{case.model}, {case.start} start, {case.between[0]:g} to {case.between[1]:g}"
        for case, differs in changed
        if not differs
    ]
    speeds = [speed("heat1d", (1 << 16,)), speed("heat2d", (256, 256))]
    rounds = rows_of_rounds((0.0, -0.006), 4)
    untouched = f"\nSame integers at every PDE step with and without the limiter: {', '.join(same) or 'none'}.\n"
    text = (
        HEAD
        + "\n".join(table(COLUMNS, rows))
        + "\n"
        + untouched
        + ASK_AGAIN
        + "\n".join(table(COLUMNS_OF_ROUNDS, rounds))
        + "\n"
        + SPEED
        + "\n".join(table(SPEED_COLUMNS, speeds))
        + "\n\nMade by `make results`.\n"
    )
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
