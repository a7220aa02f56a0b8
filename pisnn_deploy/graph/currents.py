"""Currents that channels keep between PDE steps."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Semantics


def first_kept_current(graph: IntegerGraph, mass: Integers) -> Integers:
    """Current that the channels of a graph keep before the first PDE step.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised.
    mass : int64 array [cells]
        Masses of the cells at the start, field by field.

    Returns
    -------
    int64 array [channels]
        The current of these masses for channels that add arrivals one step late, else 0.
    """
    channels = [graph.population(channels.population) for channels in graph.channels]
    if not any(population.is_late for population in channels):  # avoids building the matrices of a large mesh
        return np.zeros(sum(population.size for population in channels), np.int64)
    return Semantics(graph).start(mass).kept_current


def kept_current(graph: IntegerGraph, current: Integers) -> Integers:
    """Current that channels keep from a PDE step, if they are not late.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised.
    current : int64 array [channels]
        Current of the PDE step.

    Returns
    -------
    int64 array [channels]
        The current, or 0 where their program forgets it.
    """
    parts = [np.zeros(0, np.int64)]
    for columns in columns_of(graph).channels:
        part = current[columns.part]
        forgets = len(graph.population(columns.population).program.states) < 2
        parts.append(np.zeros_like(part) if forgets else part)
    return np.concatenate(parts)
