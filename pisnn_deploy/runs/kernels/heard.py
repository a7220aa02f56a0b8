"""What a run of neurons reads, with few addresses and few loads.

In a *row* are elements that stay at the same distances from each other in all tiles of a kind, so that one address and
constant distances find them. A stencil has the same weights in several places: faces along a row of cells weigh the
cells above, at and below each distance alike, but for the sign. Such a *column* of weighted rows is added up once for
each place, in memory of the tile, and read by all neurons that hear it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pisnn_deploy.runs.kernels.ir import Function, Value
from pisnn_deploy.runs.kernels.tiles import Tiles

FARTHEST = 64
"""Most elements from the first to the last element of a row."""


@dataclass(frozen=True)
class Row:
    """Elements of one term at fixed distances.

    Attributes
    ----------
    term : int
        Number of the term in its node.
    first : int
        Entry of the first element.
    distances : dict of int to int
        Distance of each entry from the first one.
    """

    term: int
    first: int
    distances: dict[int, int]

    @property
    def span(self) -> int:
        """Distance of the last element."""
        return max(self.distances.values())


def rows_of(tiles: Tiles, kind: int) -> tuple[Row, ...]:
    """Return the rows of a kind of runs."""
    bases, rows = tiles.bases[tiles.kind == kind], []
    for term, (weights, begin) in enumerate(zip(tiles.patterns[kind].weights, tiles.begins, strict=True)):
        left = [entry for entry, weight in enumerate(weights) if weight != 0]
        while left:
            apart = {}
            for entry in left:
                distances = bases[:, begin + entry] - bases[:, begin + left[0]]
                if (distances == distances[0]).all() and abs(distances[0]) <= FARTHEST // 2:
                    apart[entry] = int(distances[0])
            first = min(apart, key=apart.__getitem__)
            rows.append(Row(term, first, {entry: distance - apart[first] for entry, distance in apart.items()}))
            left = [entry for entry in left if entry not in apart]
    return tuple(rows)


@dataclass(frozen=True)
class Columns:
    """Weighted sums of rows that neighbours share.

    Attributes
    ----------
    rows : tuple of (Row, int)
        Rows, and where each begins.
    weights : tuple of tuple of int
        Weights of the rows in each different column.
    places : tuple of (int, int)
        First and last place of each different column.
    uses : tuple of (int, int, int)
        Place, number of the column, and its sign, of all columns that a neuron adds up.
    """

    rows: tuple[tuple[Row, int], ...]
    weights: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, int], ...]
    uses: tuple[tuple[int, int, int], ...]

    @property
    def accesses(self) -> int:
        """Elements of memory that are read or written for a neuron."""
        loads = sum(
            sum(any(self.weights[each][row] for each in alike) for row in range(len(self.rows)))
            for _, alike in self.loops()
        )
        return loads + len(self.weights) + len(self.uses)

    def loops(self) -> Iterator[tuple[tuple[int, int], list[int]]]:
        """Places and numbers of the columns that are added up in a loop."""
        for place in dict.fromkeys(self.places):
            yield place, [each for each, other in enumerate(self.places) if other == place]


def columns_of(rows: tuple[Row, ...], weights: tuple[tuple[int | None, ...], ...]) -> Columns | None:
    """Return the columns of some rows; None if weights are not known, or adding up columns saves nothing.

    Parameters
    ----------
    rows : tuple of Row
        All rows of a sum.
    weights : tuple of tuple of int or None
        Weights of the entries of each term of the node.
    """
    if not rows or any(weights[row.term][entry] is None for row in rows for entry in row.distances):
        return None
    span = max(row.span for row in rows)
    placed = tuple((row, (span - row.span) // 2) for row in rows)
    heard: dict[int, list[int]] = {}
    for at, (row, begin) in enumerate(placed):
        for entry, distance in row.distances.items():
            heard.setdefault(begin + distance, [0] * len(rows))[at] += weights[row.term][entry] or 0
    different: dict[tuple[int, ...], int] = {}
    uses = []
    for place, column in sorted(heard.items()):
        if any(column):
            sign = 1 if next(weight for weight in column if weight) > 0 else -1
            key = tuple(sign * weight for weight in column)
            uses.append((place, different.setdefault(key, len(different)), sign))
    # What lies between elements that a row hears may be read, too; where rows are equally long, that is all of them.
    is_whole = all(row.span == span for row in rows)
    ends = [[place for place, each, _ in uses if each == column] for column in range(len(different))]
    places = tuple((0, span) if is_whole else (min(each), max(each)) for each in ends)
    columns = Columns(placed, tuple(different), places, tuple(uses))
    return columns if columns.accesses < sum(len(row.distances) for row in rows) else None


def weighted(code: Function, entries: Sequence[tuple[int, Callable[[], Value]]], bits: int, total: Value) -> Value:
    """Add weighted values to a total; those with the same weight, or its negative, are added before multiplication.

    Parameters
    ----------
    entries : sequence of (int, callable)
        Weight, and what reads the value.
    """
    groups: dict[int, list[tuple[int, Callable[[], Value]]]] = {}
    for weight, read in entries:
        if weight:
            groups.setdefault(abs(weight), []).append((weight, read))
    for size, alike in groups.items():
        sign = 1 if any(weight > 0 for weight, _ in alike) else -1
        inner = Value("0", bits)
        for weight, read in sorted(alike, key=lambda each: -sign * each[0]):
            inner = (code.add if weight * sign > 0 else code.sub)(inner, read(), bits)
        total = (code.add if sign > 0 else code.sub)(total, code.times(inner, size, bits), bits)
    return total
