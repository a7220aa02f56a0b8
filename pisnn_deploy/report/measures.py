"""Measures of a run over time: accuracy against a reference, and conservation from the integers themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import FieldColumns, divergence
from pisnn_deploy.runs.run import Run, Trace

Field = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Measures:
    """Measures at the kept PDE steps of a run.

    Attributes
    ----------
    time : float64 array [n]
        Physical time.
    relative_l2 : float64 array [n]
        ``|u - reference| / |reference|`` of all cells; NaN without a reference.
    errors : dict of str to float64 array [n]
        The same for each field.
    drift : int64 array [n]
        Change of the total mass of cells and ledgers since the start, in quanta; the largest of all sets of fields that
        channels join.
    residual : int64 array [n]
        Largest violation of local conservation since the previous kept step, in quanta:
        ``|m_new - m_old - D (sum of packets)|`` over all holders.
    overshoot : int64 array [n]
        Largest distance of a cell from the range of the initial field and the reservoirs, in quanta; 0 by the maximum
        principle.
    energy : float64 array [n]
        ``sum(u^2)`` over the cells, relative to the start.
    """

    time: Field
    relative_l2: Field
    errors: dict[str, Field]
    drift: Integers
    residual: Integers
    overshoot: Integers
    energy: Field


def measure_run(graph: IntegerGraph, run: Run, reference: Callable[[float], Field | None]) -> Measures:
    """Measure a run at each of its kept PDE steps.

    Parameters
    ----------
    run : Run
        Run with at least one kept step.
    reference : callable
        Exact cell averages, float64 [cells], at a physical time; None if unknown.
    """
    trace = run.trace
    holdings = trace.columns.merged(trace.mass, trace.ledger)
    time = np.asarray(trace.step * graph.time_step, np.float64)
    totals = [trace.totals(fields) for fields in trace.columns.joined]
    drifts = np.array([[total - every[0] for total in every] for every in totals], np.int64)
    residual = np.zeros(time.size, np.int64)
    for row in range(1, time.size):
        moved = divergence(graph, trace.transported[row] - trace.transported[row - 1])
        residual[row] = np.abs(holdings[row] - holdings[row - 1] - moved).max()
    values = graph.values(trace.mass)
    exact = [reference(float(at)) for at in time]
    energy = (values**2).sum(axis=1)
    return Measures(
        time=time,
        relative_l2=_errors(values, exact, slice(None)),
        errors={part.name: _errors(values, exact, part.cells) for part in trace.columns.fields},
        drift=drifts[np.abs(drifts).argmax(axis=0), np.arange(time.size)],
        residual=residual,
        overshoot=np.max([_overshoot(trace, part) for part in trace.columns.fields], axis=0),
        energy=energy / energy[0] if energy[0] > 0 else energy,
    )


def _errors(values: Field, exact: list[Field | None], cells: slice) -> Field:
    """Relative L2 error of some cells in each row."""
    pairs = zip(values, exact, strict=True)
    return np.array([relative_l2(u[cells], None if v is None else v[cells]) for u, v in pairs], np.float64)


def _overshoot(trace: Trace, columns: FieldColumns) -> Integers:
    """Largest distance of a cell from the range of the field's start and reservoirs, in each row."""
    mass = trace.mass[:, columns.cells]
    levels = np.concatenate([mass[0], columns.field.reservoirs])
    above, below = mass.max(axis=1) - levels.max(), levels.min() - mass.min(axis=1)
    return np.asarray(np.maximum(0, np.maximum(above, below)), np.int64)


def error_text(measured: float, reference_error: float | None) -> str:
    """Format a relative L2 error, and say so if it is within the error of the reference."""
    if reference_error is not None and measured <= reference_error:
        return f"{measured:.2e}, within the reference's own error of {reference_error:.1e}"
    return f"{measured:.2e}"
