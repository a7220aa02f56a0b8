"""Tiles of the neurons of a node: runs of neurons that read alike, and lists of the others.

In a *run* the weights and constants of all neurons are equal, and each element that a neuron reads is next to the one
that the neuron before it reads. So a loop over a run has its weights as constants; where there are too many kinds of
runs, the rest share a loop that reads the weights of each run. All other neurons are *listed*, with the places and
weights of what they read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.runs.kernels.network import Integers, Mask, Node
from pisnn_deploy.runs.kernels.weights import Weights, joined

TILE = 2048
"""Most neurons of a tile, so that its data fits the first-level cache."""
SPREAD = 1 << 13
"""Neurons among which those of a listed tile are, so that it needs nothing of far away that would hold others up."""
SHORTEST = 8
"""Shortest run; shorter ones are listed."""
MOST_PATTERNS = 8
"""Most kinds of runs of a node, because each becomes code."""
MOST_VALUES = 16
"""Most different values of a constant that make runs of their own; other constants are read from memory."""
LEAST_SHARE = 1 / 256
"""Least share of the neurons that gets code of its own."""
MOST_PADDING = 2
"""Most times the entries that lists may have after each neuron gets as many as the longest one."""


@dataclass(frozen=True)
class Pattern:
    """What the neurons of some runs have in common.

    Attributes
    ----------
    weights : tuple of tuple of int or None
        Weights of each term, entry by entry; None where each run has its own.
    constants : dict of str to int
        Constants of the node that are equal within a run, but not for all neurons.
    """

    weights: tuple[tuple[int | None, ...], ...]
    constants: Mapping[str, int]


@dataclass(frozen=True)
class Listing:
    """Neurons with the places of all that they read; shorter rows are filled up with weights of 0.

    Attributes
    ----------
    neurons : int32 array [listed]
        Their numbers, ascending.
    columns : tuple of int32 array [entries, listed]
        Elements that they read, for each term.
    weights : tuple of int32 or int64 array [entries, listed]
        Weights for each term.
    """

    neurons: NDArray[np.int32]
    columns: tuple[NDArray[np.int32], ...]
    weights: tuple[NDArray[np.int32] | Integers, ...]

    def bits(self, term: int) -> int:
        """Width of the weights of a term."""
        return 8 * self.weights[term].itemsize


@dataclass(frozen=True)
class Tiles:
    """All tiles of a node.

    Attributes
    ----------
    same : dict of str to int
        Constants that are equal for all neurons.
    patterns : tuple of Pattern
        Kinds of runs.
    listings : tuple of Listing
        Neurons that are in no run.
    kind, first, length : int64 array [tiles]
        Number of the pattern or, after the patterns, of the listing; first neuron, or place in the listing; neurons.
    bases : int64 array [tiles, entries]
        For runs, the element that each entry of the first neuron reads.
    factors : int64 array [tiles, entries]
        Weights of the entries of runs that have weights of their own, [tiles, 0] without such runs.
    is_counted : bool array [tiles]
        Whether the spikes and packets of its neurons count.
    begins : tuple of int
        Place in `bases` of the first entry of each term.
    """

    same: Mapping[str, int]
    patterns: tuple[Pattern, ...]
    listings: tuple[Listing, ...]
    kind: Integers
    first: Integers
    length: Integers
    bases: Integers
    factors: Integers
    is_counted: Mask
    begins: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of tiles."""
        return int(self.kind.size)

    def reads(self, constant: str) -> bool:
        """Whether any loop reads a constant from memory."""
        known = (pattern.constants for pattern in self.patterns)
        return constant not in self.same and (bool(self.listings) or not all(constant in each for each in known))


def tiles_of(node: Node, is_counted: Mask | None = None) -> Tiles:
    """Find the runs of a node, and list the other neurons.

    Parameters
    ----------
    is_counted : bool array [size], optional
        Neurons whose spikes and packets count (default: all).
    """
    terms = [term.weights for term in node.terms]
    different = {name: _different(values) for name, values in node.constants.items()}
    same = {name: int(values[0]) for name, values in node.constants.items() if different[name] == 1 and values.size}
    varying = {name: values for name, values in node.constants.items() if 1 < different[name] <= MOST_VALUES}
    kinds, breaks = np.zeros(node.size, np.int64), np.zeros(node.size, np.bool_)
    breaks[:1] = True
    for weights in terms:
        kinds = joined(kinds, weights.kinds())
        breaks |= weights.breaks()
    for values in varying.values():
        kinds = joined(kinds, np.unique(values, return_inverse=True)[1])
    breaks[1:] |= kinds[1:] != kinds[:-1]
    starts = np.flatnonzero(breaks)
    lengths = np.diff(np.append(starts, node.size))
    patterns: list[Pattern] = []
    pieces: list[Integers] = []
    in_run = np.zeros(node.size, np.bool_)

    def add_runs(runs: Integers) -> None:
        tiles = _cut(starts[runs], lengths[runs])
        pieces.append(np.column_stack([np.full(len(tiles), len(patterns) - 1), tiles]))
        for begin, length in zip(starts[runs].tolist(), lengths[runs].tolist(), strict=True):
            in_run[begin : begin + length] = True

    for kind in _chosen(kinds[starts], lengths):
        runs = np.flatnonzero((kinds[starts] == kind) & (lengths >= SHORTEST))
        model = starts[runs[:1]]
        weights_of = tuple(tuple(weights.read(model)[1][:, 0].tolist()) for weights in terms)
        patterns.append(Pattern(weights_of, {name: int(values[model[0]]) for name, values in varying.items()}))
        add_runs(runs)
    others = np.flatnonzero((lengths >= SHORTEST) & ~in_run[starts])
    if len(terms) and lengths[others].sum() >= LEAST_SHARE * node.size:
        present = [weights.read(starts[others])[0] >= 0 for weights in terms]
        masks, place, counts = np.unique(np.concatenate(present), axis=1, return_inverse=True, return_counts=True)
        usual = int(counts.argmax())
        rows = np.split(masks[:, usual], np.cumsum([len(each) for each in present])[:-1])
        patterns.append(Pattern(tuple(tuple(None if each else 0 for each in row) for row in rows), {}))
        add_runs(others[place.reshape(-1) == usual])
    listings = [_listing(terms, neurons) for neurons in _lists(terms, np.flatnonzero(~in_run))]
    for number, listing in enumerate(listings, len(patterns)):
        parts = np.flatnonzero(np.diff(listing.neurons // SPREAD, prepend=-1))
        tiles = _cut(parts, np.diff(parts, append=listing.neurons.size))
        pieces.append(np.column_stack([np.full(len(tiles), number), tiles]))
    table = np.concatenate([np.zeros((0, 3), np.int64), *pieces])
    counting: Mask = np.ones(len(table), np.bool_)
    if is_counted is not None and not is_counted.all():
        table, counting = _divided(table, len(patterns), listings, is_counted)
    kind_of, first, length_of = np.ascontiguousarray(table.T)
    bases, factors, begins = _bases(terms, kind_of, first, patterns)
    return Tiles(same, tuple(patterns), tuple(listings), kind_of, first, length_of, bases, factors, counting, begins)


def _cut(starts: Integers, lengths: Integers) -> Integers:
    """Cut runs into tiles: first neuron and length of each, int64 [tiles, 2]."""
    counts = -(-lengths // TILE)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.repeat(starts, counts) + place * TILE
    return np.column_stack([begin, np.minimum(TILE, np.repeat(starts + lengths, counts) - begin)])


def _divided(table: Integers, patterns: int, listings: list[Listing], is_counted: Mask) -> tuple[Integers, Mask]:
    """Divide tiles so that either all neurons of a tile count or none; also return whether they do."""
    pieces, counts = [], []
    orders = [is_counted] * patterns + [is_counted[listing.neurons] for listing in listings]
    for kind, counted in enumerate(orders):
        first, length = table[table[:, 0] == kind, 1:].T
        changes = np.flatnonzero(counted[1:] != counted[:-1]) + 1
        begin, end = np.searchsorted(changes, first, "right"), np.searchsorted(changes, first + length, "left")
        tile = np.repeat(np.arange(first.size), end - begin + 1)
        within = np.arange(tile.size) - np.repeat(np.cumsum(end - begin + 1) - (end - begin + 1), end - begin + 1)
        starts = first[tile]
        starts[within > 0] = changes[(begin[tile] + within - 1)[within > 0]]
        is_last = within == (end - begin)[tile]
        ends = (first + length)[tile]
        ends[~is_last] = starts[np.flatnonzero(~is_last) + 1]
        pieces.append(np.column_stack([np.full(tile.size, kind), starts, ends - starts]))
        counts.append(counted[starts])
    return np.concatenate([table[:0], *pieces]), np.concatenate([np.zeros(0, np.bool_), *counts])


def _different(values: Integers) -> int:
    """Number of different values, 1 for none."""
    return 1 if values.size == 0 or (values == values[0]).all() else int(np.unique(values).size)


def _chosen(keys: Integers, lengths: Integers) -> list[int]:
    """Kinds that get code of their own: those of the most neurons in long runs."""
    long = lengths >= SHORTEST
    kinds, place = np.unique(keys[long], return_inverse=True)
    totals = np.bincount(place, lengths[long], kinds.size)
    least = lengths.sum() * LEAST_SHARE
    order = np.argsort(-totals, kind="stable")[:MOST_PATTERNS]
    return [int(kinds[at]) for at in order if totals[at] >= least]


def _lists(terms: list[Weights], neurons: Integers) -> list[Integers]:
    """Divide neurons so that filling up their rows does not waste too much."""
    if not neurons.size:
        return []
    lengths = np.array([(weights.read(neurons)[0] >= 0).sum(axis=0) for weights in terms], np.int64)
    lengths = lengths.reshape(len(terms), neurons.size)
    if lengths.max(axis=1, initial=0).sum() * neurons.size <= MOST_PADDING * lengths.sum() + 16 * neurons.size:
        return [neurons]
    total = lengths.sum(axis=0)
    is_long = total > np.median(total)
    if not is_long.any():
        is_long = total == total.max()
        if is_long.all():
            return [neurons]
    return [neurons[~is_long], neurons[is_long]]


def _listing(terms: list[Weights], neurons: Integers) -> Listing:
    columns, weights = [], []
    for term in terms:
        elements, values = _packed(*term.read(neurons))
        columns.append(np.maximum(elements, 0).astype(np.int32))
        weights.append(_narrowed(values))
    return Listing(neurons.astype(np.int32), tuple(columns), tuple(weights))


def _packed(elements: Integers, values: Integers) -> tuple[Integers, Integers]:
    """Move the entries of each neuron to the front, and leave out rows without any."""
    is_entry = elements >= 0
    order = np.argsort(~is_entry, axis=0, kind="stable")
    rows = int(is_entry.sum(axis=0).max(initial=0))
    packed = (np.take_along_axis(each, order, axis=0)[:rows] for each in (elements, values))
    first, second = packed
    return first, second


def _narrowed(values: Integers) -> NDArray[np.int32] | Integers:
    fits = values.size == 0 or (values.min() >= -(1 << 31) and values.max() < 1 << 31)
    return values.astype(np.int32) if fits else values.astype(np.int64)


def _bases(
    terms: list[Weights], kind: Integers, first: Integers, patterns: list[Pattern]
) -> tuple[Integers, Integers, tuple[int, ...]]:
    """Element that each entry of the first neuron of each run reads, its weight, and where each term begins."""
    runs = np.flatnonzero(kind < len(patterns))
    entries = [weights.read(first[runs]) for weights in terms]
    begins = np.cumsum([0, *(len(elements) for elements, _ in entries)])
    bases, factors = np.zeros((2, kind.size, int(begins[-1])), np.int64)
    for (elements, weights), begin in zip(entries, begins.tolist(), strict=False):
        bases[runs, begin : begin + len(elements)] = np.maximum(elements, 0).T
        factors[runs, begin : begin + len(elements)] = weights.T
    is_read = any(None in row for pattern in patterns for row in pattern.weights)
    return bases, factors if is_read else factors[:, :0], tuple(begins[:-1].tolist())
