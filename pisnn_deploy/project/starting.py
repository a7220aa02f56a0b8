"""The masses that a run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.fields.expressions import averages_of
from pisnn_deploy.fields.formats import read_start
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.own_problem import admitted_mass, is_name, named_start
from pisnn_deploy.project.simulate_request import Start


def initial_mass(graph: IntegerGraph, initial: Start) -> tuple[NDArray[np.int64], str | None]:
    """Masses at the start, int64 [cells], and the name of the initial condition, see `Simulation.start`."""
    if initial is None:
        return admitted_mass(graph, graph.values(graph.initial), "the problem's own start"), ""
    if isinstance(initial, str):
        if is_name(graph, initial):
            return admitted_mass(graph, named_start(graph, initial), initial), initial
        return admitted_mass(graph, averages_of(graph, initial), f"`initial` {initial}"), None
    if isinstance(initial, Path):
        return admitted_mass(graph, read_start(initial, graph), str(initial)), None
    if isinstance(initial, Mapping) and initial and all(isinstance(text, str) for text in initial.values()):
        return admitted_mass(
            graph, averages_of(graph, {name: str(text) for name, text in initial.items()}), "`initial`"
        ), None
    return admitted_mass(graph, _cell_averages(graph, initial), "initial"), None


def _cell_averages(graph: IntegerGraph, initial: ArrayLike | Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    averages: Any = initial
    if isinstance(initial, Mapping):
        names = [field.name for field in graph.fields]
        if sorted(initial) != sorted(names):
            raise UsageError(f"`initial`: has the fields {', '.join(map(str, initial))}, the graph {', '.join(names)}")
        averages = [initial[name] for name in names] if len(names) > 1 else initial[names[0]]
    try:
        values = np.asarray(averages, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`initial`: not an array of numbers ({error})") from error
    if values.shape != graph.shape:
        owner = "the mesh has" if len(graph.fields) == 1 else "the fields have"
        raise UsageError(f"`initial`: has shape {values.shape}, {owner} {graph.shape}")
    bad = np.flatnonzero(~np.isfinite(values.reshape(-1)))
    if bad.size:
        raise UsageError(f"`initial`: cell {int(bad[0]) % graph.mesh.cells} is not finite")
    return values.reshape(-1)
