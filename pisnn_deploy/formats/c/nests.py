"""Loops over neurons that read at fixed distances, found in sparse matrices.

Connections of a mesh repeat: neuron after neuron, the same weights meet columns that move on by the same distance.
Each such sequence becomes a nest of at most `MOST_LOOPS` loops; what does not repeat stays a list of rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows

Integers = NDArray[np.int64]
MOST_LOOPS = 3
FEWEST_NEURONS = 8
"""Neurons of a nest below which it is not worth its code."""


@dataclass(frozen=True)
class Nest:
    """Neurons ``first + strides . i`` whose entry ``e`` reads column ``columns[e] + steps[e] . i`` with a weight.

    Attributes
    ----------
    counts : tuple of int
        Iterations of each loop, outermost first; ``i`` counts them from 0.
    strides : tuple of int
        Distance of neurons for each loop.
    steps : tuple of tuple of int
        For each entry, distance of columns for each loop.
    parts : tuple of int
        For each entry, number of the part of the matrix that its columns are in.
    """

    first: int
    counts: tuple[int, ...]
    strides: tuple[int, ...]
    columns: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    weights: tuple[int, ...]
    parts: tuple[int, ...]

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.counts, dtype=np.int64))

    @property
    def _kind(self) -> Hashable:
        """What nests have in common that may become one."""
        return self.counts, self.strides, self.steps, self.weights, self.parts


@dataclass(frozen=True)
class Layout:
    """Nests, and the rows that are in none of them.

    Attributes
    ----------
    rest : int64 array [rows]
        Neurons without a nest, ascending.
    """

    nests: tuple[Nest, ...]
    rest: Integers


def layout(matrix: Rows, ends: Integers, most: int) -> Layout:
    """Find the nests of a matrix.

    Parameters
    ----------
    matrix : Rows
        Effective weights, int64 [neurons, columns].
    ends : int64 array [parts]
        First column behind each part of the columns; an entry stays within its part.
    most : int
        Most nests; of more, the smallest become rows of the rest.
    """
    nests = _single_loops(matrix, ends)
    for _ in range(MOST_LOOPS - 1):
        nests = _merged(nests)
    nests = sorted((nest for nest in nests if nest.neurons >= FEWEST_NEURONS), key=lambda nest: -nest.neurons)[:most]
    nests.sort(key=lambda nest: nest.first)
    is_rest = np.ones(matrix.shape[0], bool)
    for nest in nests:
        is_rest[neurons_of(nest)] = False
    return Layout(tuple(nests), np.flatnonzero(is_rest))


def neurons_of(nest: Nest) -> Integers:
    """Numbers of the neurons of a nest, int64 [neurons]."""
    numbers = np.array([nest.first], np.int64)
    for count, stride in zip(nest.counts, nest.strides, strict=True):
        numbers = (numbers[:, None] + stride * np.arange(count, dtype=np.int64)).reshape(-1)
    return numbers


def _single_loops(matrix: Rows, ends: Integers) -> list[Nest]:
    """Sequences of neurons with equal weights and columns at equal distances."""
    nests: list[Nest] = []
    for length in np.unique(matrix.lengths).tolist():
        neurons = np.flatnonzero(matrix.lengths == length)
        entries = matrix.starts[neurons][:, None] + np.arange(length)
        columns, weights = matrix.columns[entries], matrix.values[entries]
        parts = np.searchsorted(ends, columns, side="right")
        alike = np.concatenate([weights, parts], axis=1)
        _, kinds = np.unique(alike, axis=0, return_inverse=True) if length else (None, np.zeros(neurons.size, int))
        order = np.argsort(kinds.reshape(-1), kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(kinds.reshape(-1)[order])) + 1):
            places = np.column_stack([neurons[group], columns[group]])
            row, numbers = (tuple(table[group[0]].tolist()) for table in (weights, parts))
            for at, count in _progressions(places):
                first = places[at].tolist()
                step = (places[at + 1] - places[at]).tolist() if count > 1 else [1] * len(first)
                steps = tuple((distance,) for distance in step[1:])
                nests.append(Nest(first[0], (count,), (step[0],), tuple(first[1:]), steps, row, numbers))
    return nests


def _merged(nests: Sequence[Nest]) -> list[Nest]:
    """Nests of one more loop each."""
    by_kind: dict[Hashable, list[Nest]] = {}
    for nest in nests:
        by_kind.setdefault(nest._kind, []).append(nest)
    merged = []
    for alike in by_kind.values():
        alike.sort(key=lambda nest: nest.first)
        places = np.array([(nest.first, *nest.columns) for nest in alike], np.int64)
        for at, count in _progressions(places):
            nest = alike[at]
            if count == 1:
                merged.append(nest)
                continue
            step = (places[at + 1] - places[at]).tolist()
            steps = tuple((distance, *inner) for distance, inner in zip(step[1:], nest.steps, strict=True))
            counts, strides = (count, *nest.counts), (step[0], *nest.strides)
            merged.append(Nest(nest.first, counts, strides, nest.columns, steps, nest.weights, nest.parts))
    return merged


def _progressions(places: Integers) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each arithmetic progression of rows, from the first row on, as long as possible.

    Parameters
    ----------
    places : int64 array [rows, numbers]
        In ascending order of the first number.
    """
    steps = np.diff(places, axis=0)
    changes = np.flatnonzero((np.diff(steps, axis=0) != 0).any(axis=1)) + 1
    at, rows = 0, len(places)
    while at < rows:
        # The step from row `at` holds up to the next change.
        next_change = int(np.searchsorted(changes, at, side="right"))
        last = int(changes[next_change]) if next_change < changes.size else rows - 1
        # A pair alone is worth no loop: its second row may begin a longer one.
        count = last - at + 1 if last - at != 1 or last == rows - 1 else 1
        yield at, count
        at += count
