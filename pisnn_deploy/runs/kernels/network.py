"""What a PDE step computes, as loops over arrays: buffers, sums over their elements, and nodes.

A *node* is a loop over the neurons of a population, or over what the audit checks of them. For each neuron it reads
sums (weighted elements of buffers), elements of buffers at its own place, and constants; its parts write results. Parts
are loops of their own over the same tile of neurons, so that a later one reads what an earlier one stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.runs.kernels.weights import Weights

if TYPE_CHECKING:
    from pisnn_deploy.runs.kernels.turns import Turn

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Buffer:
    """An array of integers that lives as long as the run.

    Attributes
    ----------
    interval : Interval
        Bounds of its elements when they are read.
    bits : int
        Width of an element, in which also those fit that the audit has not checked.
    is_doubled : bool
        Whether a step writes a second array, which takes the place of the first one after the step.
    """

    name: str
    size: int
    interval: Interval
    bits: int
    is_doubled: bool = False


@dataclass(frozen=True)
class Source:
    """A buffer as a node reads or writes it.

    Attributes
    ----------
    is_new : bool
        Whether it is the array that the step writes.
    """

    buffer: str
    is_new: bool = False


@dataclass(frozen=True)
class Term:
    """Part of a sum: elements of one buffer."""

    source: Source
    weights: Weights


@dataclass(frozen=True)
class Sum:
    """What a neuron hears at a port.

    Attributes
    ----------
    interval : Interval
        Bounds of the sum.
    """

    name: str
    terms: tuple[Term, ...]
    interval: Interval


@dataclass(frozen=True)
class Part:
    """One loop of a node.

    Attributes
    ----------
    sums : tuple of str
        Names of the sums that it reads.
    write : callable
        Writes what one turn of the loop does.
    """

    sums: tuple[str, ...]
    write: Callable[[Turn], None]


@dataclass(frozen=True)
class Node:
    """A loop over neurons.

    Attributes
    ----------
    constants : dict of str to int64 array [size]
        Numbers of each neuron.
    own : tuple of Source
        Buffers of which it reads or writes the elements at its own places.
    tables : tuple of tuple of int
        Entries of the tables of its programs.
    is_sent : bool
        Whether it only prepares the next PDE step, and is left out after the last one.
    spiking : str or None
        Population whose spikes or packets it counts; its neurons are then those of this population.
    """

    name: str
    size: int
    sums: tuple[Sum, ...]
    parts: tuple[Part, ...]
    constants: Mapping[str, Integers] = field(default_factory=dict)
    own: tuple[Source, ...] = ()
    tables: tuple[tuple[int, ...], ...] = ()
    is_sent: bool = False
    spiking: str | None = None

    def counted(self, network: Network, owned: Mapping[str, Mask]) -> Mask:
        """Neurons that count for the results of the whole run.

        Parameters
        ----------
        owned : mapping of str to bool array
            Whether each neuron does, by population; all neurons do of those that are not named.
        """
        is_counted = np.ones(self.size, np.bool_)
        if self.spiking is not None and self.spiking in owned:
            places = network.places.get(self.spiking, np.arange(self.size))
            is_counted[places] = owned[self.spiking][: self.size]  # cells only; ledgers send nothing
        return is_counted

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms of all sums, in order."""
        return tuple(term for each in self.sums for term in each.terms)


FLAGS, PACKETS, QUANTA, FIRST_RESULT = range(4)
"""First places of the results of a share of the work; populations and fields follow."""


@dataclass(frozen=True)
class Results:
    """Places of the results of a step, and what becomes of each at its end.

    Attributes
    ----------
    spikes : dict of str to int
        Place of the count of each population's spikes.
    masses : tuple of tuple of int
        Places of the masses of each set of fields that channels join; their sum never changes.
    chains : tuple of int
        Places of sums of states before a step; those after it are one further.
    size : int
        Number of places.
    """

    spikes: Mapping[str, int]
    masses: tuple[tuple[int, ...], ...]
    chains: tuple[int, ...]
    size: int

    @property
    def counts(self) -> tuple[int, ...]:
        """Places of all that is counted: packets, quanta and spikes."""
        return PACKETS, QUANTA, *self.spikes.values()


@dataclass(frozen=True)
class Network:
    """All loops of a PDE step, in an order in which one thread may run them.

    Attributes
    ----------
    places : dict of str to int64 array
        Place of each neuron in the buffers of its population, where that is not its number.
    """

    buffers: Mapping[str, Buffer]
    nodes: tuple[Node, ...]
    results: Results
    places: Mapping[str, Integers]


def reach(interval: Interval) -> int:
    """Largest absolute value of an interval."""
    return max(abs(interval.lower), abs(interval.upper))


def bounds_of_sum(parts: list[tuple[Weights, Interval]]) -> Interval:
    """Bounds of the sums of weighted elements, over all neurons.

    Parameters
    ----------
    parts : list of (Weights, Interval)
        Weights, and bounds of the elements that they weigh.
    """
    lower = upper = 0
    for weights, elements in parts:
        positive, negative = weights.row_sums()
        largest = max(int(positive.max(initial=0)), -int(negative.min(initial=0)))
        if largest * reach(elements) >= 1 << 61:  # a sum of products might wrap
            positive, negative = positive.astype(np.object_), negative.astype(np.object_)
        lower += int((positive * elements.lower + negative * elements.upper).min(initial=0))
        upper += int((positive * elements.upper + negative * elements.lower).max(initial=0))
    return Interval(lower, upper)
