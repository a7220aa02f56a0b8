"""Field that a run ends with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.residues import values_with_residues
from pisnn_deploy.runs.run import Run


def last_values(graph: IntegerGraph, run: Run) -> NDArray[np.float64]:
    """Cell values at the last kept step, with the residues of the end where faces see them.

    Parameters
    ----------
    run : Run
        With at least one kept step.

    Returns
    -------
    float64 array [cells]
        Cell averages, field by field.
    """
    ends_there = run.end is not None and run.end.step == int(run.trace.step[-1])
    residue = run.end.residue if run.end is not None and ends_there else None
    return values_with_residues(graph, run.trace.mass[-1], residue)
