"""Measures of a run over time: accuracy against a reference, and conservation from the integers themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs.run import Run

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
        ``|u - reference| / |reference|``; NaN without a reference.
    drift : int64 array [n]
        Change of the total mass of cells and ledgers since the start, in quanta.
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
    mass = np.concatenate([trace.mass, trace.ledger], axis=1)
    time = np.asarray(trace.step * graph.time_step, np.float64)
    levels = np.concatenate([trace.mass[0], graph.sole_field.reservoirs])
    above = trace.mass.max(axis=1) - levels.max()
    below = levels.min() - trace.mass.min(axis=1)
    totals = trace.totals()
    residual = np.zeros(time.size, np.int64)
    for row in range(1, time.size):
        moved = graph.mesh.divergence(trace.transported[row] - trace.transported[row - 1])
        residual[row] = np.abs(mass[row] - mass[row - 1] - moved).max()
    values = graph.values(trace.mass)
    energy = (values**2).sum(axis=1)
    return Measures(
        time=time,
        relative_l2=np.array(
            [relative_l2(u, reference(float(t))) for u, t in zip(values, time, strict=True)], np.float64
        ),
        drift=np.array([total - totals[0] for total in totals], np.int64),
        residual=residual,
        overshoot=np.maximum(0, np.maximum(above, below)),
        energy=energy / energy[0] if energy[0] > 0 else energy,
    )


def error_text(measured: float, reference_error: float | None) -> str:
    """Format a relative L2 error, and say so if it is within the error of the reference."""
    if reference_error is not None and measured <= reference_error:
        return f"{measured:.2e}, within the reference's own error of {reference_error:.1e}"
    return f"{measured:.2e}"
