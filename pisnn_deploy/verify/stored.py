"""Weights as the target stores them: synapses of mixed sign lose the lowest bit of their mantissas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, added
from pisnn_deploy.graph import IntegerGraph, Synapse

Row = dict[int, int]
"""Weight of each source neuron, without zeros."""


def effective(synapse: Synapse, mantissas: NDArray[np.int64]) -> NDArray[np.int64]:
    """Effective weights of some mantissas of a synapse, int64."""
    distinct = synapse.distinct_mantissas
    if distinct.size and distinct.min() < 0 < distinct.max():
        mantissas = mantissas >> 1 << 1
    return mantissas << synapse.exponent if synapse.exponent >= 0 else mantissas >> -synapse.exponent


def stored(graph: IntegerGraph, source: str, target: str) -> Rows:
    """Effective weights between two populations at the main port, [target, source]."""
    return summed(graph.between(source, target), (graph.size(target), graph.size(source)))


def summed(synapses: Iterable[Synapse], shape: tuple[int, int]) -> Rows:
    """Sum of the effective weights of synapses, without zeros, [target, source]."""
    parts = (synapse.mantissa_matrix().valued(partial(effective, synapse)) for synapse in synapses)
    return added(parts, shape).without_zeros()


def rows_of(synapses: Iterable[Synapse], rows: NDArray[np.int64]) -> Rows:
    """Nonzero effective weights into some neurons, [rows, source], without expanding the other rows."""
    first, *others = (synapse.connections.selected(rows).valued(partial(effective, synapse)) for synapse in synapses)
    return sum(others, first).without_zeros()


def stored_rows(synapses: Iterable[Synapse], rows: NDArray[np.int64]) -> list[Row]:
    """Nonzero effective weights into some neurons as dicts, without expanding the other rows."""
    sums: list[Row] = [{} for _ in range(rows.size)]
    for synapse in synapses:
        for row, (columns, weights) in zip(sums, _rows(synapse, rows), strict=True):
            for column, weight in zip(columns, weights, strict=True):
                row[column] = row.get(column, 0) + weight
    return [{column: weight for column, weight in row.items() if weight} for row in sums]


def _rows(synapse: Synapse, rows: NDArray[np.int64]) -> Iterator[tuple[list[int], list[int]]]:
    part = synapse.connections.selected(rows)
    columns, weights = part.columns.tolist(), effective(synapse, part.values).tolist()
    for first, last in pairwise(part.starts.tolist()):
        yield columns[first:last], weights[first:last]
