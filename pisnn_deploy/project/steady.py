"""When a field is steady: the first PDE step in which no cell changes faster than a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.run import Progress, row_bytes

MOST_STEPS = 1_000_000
"""PDE steps after which a search ends unless the user gives another limit."""
_STEPS_AT_ONCE = 4096
_BYTES_AT_ONCE = 1 << 27


@dataclass(frozen=True)
class Steady:
    """Where a run is steady.

    Attributes
    ----------
    step : int
        First PDE step whose rate is below the tolerance.
    rate : float
        Largest change of a cell value in it, divided by the time step: in units of the field per unit of time.
    """

    tolerance: float
    step: int
    rate: float


def steady_step(
    graph: IntegerGraph, mass: NDArray[np.int64], tolerance: float, limit: int, progress: Progress | None = None
) -> Steady | None:
    """Find the PDE step at which a run is steady, by running it on ``fast``.

    Parameters
    ----------
    mass : int64 array [cells]
        Masses at the start.
    tolerance : float
        In units of the field per unit of time; of several fields, for each.
    limit : int
        Most PDE steps.

    Returns
    -------
    Steady or None
        None if a violation stops the run before.

    Raises
    ------
    CheckError
        It is not steady within the limit.
    """
    state, before, done, rate = None, mass[None, :], 0, math.inf
    at_once = max(1, min(_STEPS_AT_ONCE, _BYTES_AT_ONCE // row_bytes(graph)))
    while done < limit:
        until = min(limit, done + at_once)
        run = run_graph("fast", graph, mass, RunOptions(limit, start=state, until=until), progress)
        if run.failure or run.end is None:
            return None
        fresh = run.trace.step > done
        rows = np.concatenate([before, run.trace.mass[fresh]])
        rates = np.abs(graph.values(np.diff(rows, axis=0))).max(axis=1) / graph.time_step
        below = np.flatnonzero(rates < tolerance)
        if below.size:
            return Steady(tolerance, int(run.trace.step[fresh][below[0]]), float(rates[below[0]]))
        state, before, done, rate = run.end, rows[-1:], until, float(rates[-1])
    raise CheckError(_unsteady(graph, tolerance, limit, rate))


def _unsteady(graph: IntegerGraph, tolerance: float, limit: int, rate: float) -> str:
    quanta = (float(field.inverse_volume.min()) * field.value_per_quantum for field in graph.fields)
    smallest = min(quanta) / graph.time_step
    hint = "a larger `steps`, or a larger tolerance"
    if tolerance <= smallest:
        hint = f"a larger tolerance: one quantum in a PDE step is already {smallest:.2g}"
    return (
        f"`until_steady` {tolerance:g}: not reached within {limit} PDE steps (time {limit * graph.time_step:.6g}); "
        f"a cell still changes by {rate:.2g} per unit of time; try {hint}"
    )
