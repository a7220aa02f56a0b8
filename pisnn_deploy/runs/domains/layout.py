"""Which neurons each domain has, which of them it owns, and which it copies from their owners.

A domain owns some cells, and with them channels, reservoirs and other neurons. It also has the neurons that its own
depend on within some PDE steps, its *halo*, and computes them as well. What is wrong at the outer end of a halo spreads
inwards, but not to what the domain owns before the halo is copied from the owners again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.columns import Columns
from pisnn_deploy.graph.integer import IntegerGraph, Integers

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """Holders and channels of a domain.

    Attributes
    ----------
    holders, channels : int64 array
        Position of each local holder and channel in arrays of the whole graph, see `pisnn_deploy.graph.columns`.
    owns_holder, owns_channel : bool array
        Whether the domain owns it; each has one owner.
    """

    holders: Integers
    channels: Integers
    owns_holder: Mask
    owns_channel: Mask


@dataclass(frozen=True)
class Domain:
    """One part of a divided graph.

    Attributes
    ----------
    graph : IntegerGraph
        Graph of its neurons.
    layout : Layout
        Its holders and channels.
    numbers : mapping of str to int64 array
        Number that each local neuron has in the whole graph, by population.
    owns : mapping of str to bool array
        Whether the domain owns each local neuron, by population.
    """

    graph: IntegerGraph
    layout: Layout
    numbers: Mapping[str, Integers]
    owns: Mapping[str, Mask]


@dataclass(frozen=True)
class Link:
    """What a domain exchanges with another one, as local positions in arrays of holders and channels.

    Attributes
    ----------
    other : int
        Number of the other domain.
    sent_holders, sent_channels : int64 array
        Owned ones of which the other domain has copies.
    taken_holders, taken_channels : int64 array
        Copies of those that the other domain owns.
    """

    other: int
    sent_holders: Integers
    sent_channels: Integers
    taken_holders: Integers
    taken_channels: Integers


def links_of(layouts: Sequence[Layout], columns: Columns) -> tuple[tuple[Link, ...], ...]:
    """Return the links of all domains.

    Parameters
    ----------
    columns : Columns
        Of the whole graph. Ledgers are not copied, because nothing reads them.
    """
    is_cell = np.zeros(columns.holders, np.bool_)
    for field in columns.fields:
        is_cell[field.held_cells] = True
    holders = _copies([(each.holders, each.owns_holder) for each in layouts], is_cell)
    channels = _copies([(each.channels, each.owns_channel) for each in layouts], np.ones(columns.size, np.bool_))
    nothing = (np.zeros(0, np.int64),) * 2
    links: list[list[Link]] = [[] for _ in layouts]
    pairs = {*holders, *channels}
    for here, other in sorted(pairs | {(other, here) for here, other in pairs}):
        (held, _), (carried, _) = holders.get((here, other), nothing), channels.get((here, other), nothing)
        (_, holds), (_, carries) = holders.get((other, here), nothing), channels.get((other, here), nothing)
        links[here].append(Link(other, holds, carries, held, carried))
    return tuple(map(tuple, links))


def _copies(
    parts: Sequence[tuple[Integers, Mask]], is_copied: Mask
) -> dict[tuple[int, int], tuple[Integers, Integers]]:
    """For each domain and owner, local positions of the copies in the first, and of the originals in the second."""
    owner, place = np.full(is_copied.size, -1, np.int32), np.zeros(is_copied.size, np.int64)
    for number, (numbers, is_owned) in enumerate(parts):
        own = np.flatnonzero(is_owned)
        owner[numbers[own]], place[numbers[own]] = number, own
    copies = {}
    for number, (numbers, is_owned) in enumerate(parts):
        taken = np.flatnonzero(~is_owned & is_copied[numbers])
        owners = owner[numbers[taken]]
        for other in np.unique(owners).tolist():
            held = taken[owners == other]
            copies[number, other] = (held, place[numbers[held]])
    return copies
