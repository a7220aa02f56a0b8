"""What the neurons of a node read: which elements, and with which weights.

All kinds of weights answer the same questions: which neurons have the same weights, where a run of neurons ends that
read elements next to each other, and what some neurons read. So connections that repeat over a mesh are never spelled
out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, starts_of
from pisnn_deploy.graph.connections import Stencil
from pisnn_deploy.graph.integer import Integers

MOST_KINDS = 1 << 40
"""Numbers of kinds are made smaller before they exceed this."""


class Weights(ABC):
    """Weighted elements that each neuron adds up."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of neurons."""

    @abstractmethod
    def kinds(self) -> Integers:
        """Numbers from 0, int64 [size], equal only for neurons with equal weights in the same order."""

    @abstractmethod
    def breaks(self) -> NDArray[np.bool_]:
        """Whether each neuron reads anything but the elements after those that the neuron before it reads."""

    @abstractmethod
    def read(self, neurons: Integers) -> tuple[Integers, Integers]:
        """Elements, -1 for none, and weights that some neurons read, int64 [entries, neurons]."""

    @abstractmethod
    def row_sums(self) -> tuple[Integers, Integers]:
        """Sums of the positive and of the negative weights of every different neuron."""


@dataclass(frozen=True, eq=False)
class Spelled(Weights):
    """Weights as rows of a matrix, int64 [size, elements]."""

    rows: Rows

    @property
    def size(self) -> int:
        """See `Weights`."""
        return self.rows.shape[0]

    def kinds(self) -> Integers:
        """See `Weights`."""
        rows = self.rows
        place = np.arange(rows.entries) - np.repeat(rows.starts[:-1], rows.lengths)
        factors = np.random.default_rng(1).integers(1, 1 << 62, int(rows.lengths.max(initial=0)) + 1) * 2 + 1
        sums = starts_of(rows.values * factors[place])
        mixed = sums[rows.starts[1:]] - sums[rows.starts[:-1]] + rows.lengths * factors[-1]
        _, first, kinds = np.unique(mixed, return_index=True, return_inverse=True)
        # Equal sums are compared with the first neuron that has them, because they are no proof.
        model = first[kinds]
        differs = rows.lengths != rows.lengths[model]
        at = np.minimum(np.repeat(rows.starts[model], rows.lengths) + place, max(0, rows.entries - 1))
        wrong = starts_of((rows.values != rows.values[at]).astype(np.int64)) if rows.entries else np.zeros(1, np.int64)
        differs |= wrong[rows.starts[1:]] != wrong[rows.starts[:-1]]
        return np.asarray(np.where(differs, first.size + np.arange(self.size), kinds), np.int64)

    def breaks(self) -> NDArray[np.bool_]:
        """See `Weights`."""
        rows = self.rows
        before = np.maximum(np.arange(rows.entries) - np.repeat(rows.lengths, rows.lengths), 0)
        jumps = starts_of((rows.columns - rows.columns[before] != 1).astype(np.int64))
        breaks = jumps[rows.starts[1:]] != jumps[rows.starts[:-1]]
        breaks[:1] = True
        return np.asarray(breaks, np.bool_)

    def read(self, neurons: Integers) -> tuple[Integers, Integers]:
        """See `Weights`."""
        rows = self.rows
        lengths = rows.lengths[neurons]
        place = np.arange(int(lengths.max(initial=0)))[:, None]
        is_entry = place < lengths
        if not rows.entries:
            return is_entry.astype(np.int64), is_entry.astype(np.int64)
        at = np.where(is_entry, rows.starts[neurons] + place, 0)
        return np.where(is_entry, rows.columns[at], -1), np.where(is_entry, rows.values[at], 0)

    def row_sums(self) -> tuple[Integers, Integers]:
        """See `Weights`."""
        rows = self.rows
        totals = [starts_of(part(rows.values, 0)) for part in (np.maximum, np.minimum)]
        positive, negative = (total[rows.starts[1:]] - total[rows.starts[:-1]] for total in totals)
        return positive, negative


@dataclass(frozen=True, eq=False)
class Columns(Weights):
    """A few elements for each neuron, with the same weights for all or with weights of their own.

    Attributes
    ----------
    elements : tuple of int64 array [size]
        Element of each entry, -1 for none.
    weights : tuple of int or int64 array [size]
        Weight of each entry.
    """

    elements: tuple[Integers, ...]
    weights: tuple[int | Integers, ...]
    neurons: int

    @property
    def size(self) -> int:
        """See `Weights`."""
        return self.neurons

    def kinds(self) -> Integers:
        """See `Weights`."""
        kinds = np.zeros(self.size, np.int64)
        for elements, weights in zip(self.elements, self.weights, strict=True):
            kinds = joined(kinds, (elements >= 0).astype(np.int64))
            if isinstance(weights, np.ndarray) and not (weights == weights[:1]).all():
                kinds = joined(kinds, np.unique(weights, return_inverse=True)[1])
        return kinds

    def breaks(self) -> NDArray[np.bool_]:
        """See `Weights`."""
        breaks = np.zeros(self.size, np.bool_)
        breaks[:1] = True
        for elements in self.elements:
            breaks[1:] |= (elements[1:] - elements[:-1] != 1) & ((elements[1:] >= 0) | (elements[:-1] >= 0))
        return breaks

    def read(self, neurons: Integers) -> tuple[Integers, Integers]:
        """See `Weights`."""
        elements = [each[neurons] for each in self.elements]
        weights = [
            np.where(read >= 0, each[neurons] if isinstance(each, np.ndarray) else each, 0)
            for read, each in zip(elements, self.weights, strict=True)
        ]
        shape = len(elements), neurons.size
        return np.array(elements, np.int64).reshape(shape), np.array(weights, np.int64).reshape(shape)

    def row_sums(self) -> tuple[Integers, Integers]:
        """See `Weights`."""
        positive = negative = np.zeros(1, np.int64)
        for elements, weights in zip(self.elements, self.weights, strict=True):
            values = np.where(elements >= 0, weights, 0)
            positive, negative = positive + np.maximum(values, 0), negative + np.minimum(values, 0)
        return positive, negative

    def part(self, begin: int, end: int) -> Columns:
        """Weights of the neurons from `begin` to `end`."""
        weights = tuple(each[begin:end] if isinstance(each, np.ndarray) else each for each in self.weights)
        return Columns(tuple(elements[begin:end] for elements in self.elements), weights, end - begin)


@dataclass(frozen=True, eq=False)
class Repeating(Weights):
    """Weights of a stencil, with one output a face.

    Attributes
    ----------
    weights : int64 array [entries of a face of each box]
        Effective weights.
    """

    stencil: Stencil
    weights: Integers

    @property
    def size(self) -> int:
        """See `Weights`."""
        return self.stencil.outputs

    @cached_property
    def _faces(self) -> list[Integers]:
        stencil = self.stencil
        return [stencil.boxes.faces(stencil.mesh, box) for box in range(stencil.boxes.axis.size)]

    def _entries(self, box: int) -> slice:
        return slice(int(self.stencil.starts[box]), int(self.stencil.starts[box + 1]))

    def kinds(self) -> Integers:
        """See `Weights`."""
        rows: dict[tuple[int, ...], int] = {}
        kinds = np.zeros(self.size, np.int64)
        for box, faces in enumerate(self._faces):
            weights = tuple(self.weights[self._entries(box)].tolist())
            kinds[faces] = rows.setdefault(weights, len(rows))
        return kinds

    def breaks(self) -> NDArray[np.bool_]:
        """See `Weights`."""
        breaks = np.zeros(self.size, np.bool_)
        width = self.stencil.mesh.shape[-1]
        for box, faces in enumerate(self._faces):
            length, lower = int(self.stencil.boxes.shape[box, -1]), int(self.stencil.boxes.lower[box, -1])
            lines = faces.reshape(-1, length)
            last = (lower + self.stencil.offsets[self._entries(box), -1]) % width
            for turned in np.unique(width - last).tolist():  # where an entry passes the end of a row of cells
                if turned < length:
                    breaks[lines[:, turned]] = True
            heads, ends = self._at(box, lines[:, 0]), self._at(box, lines[:, -1])
            goes_on = (lines[1:, 0] - lines[:-1, -1] == 1) & (heads[:, 1:] - ends[:, :-1] == 1).all(axis=0)
            breaks[lines[1:, 0][~goes_on]] = True
            breaks[lines[:1, 0]] = True
        return breaks

    def _at(self, box: int, faces: Integers) -> Integers:
        """Elements that some faces of a box read, [entries, faces]."""
        stencil, shape = self.stencil, self.stencil.boxes.shape[box]
        index = np.searchsorted(self._faces[box], faces)
        place = np.stack(np.unravel_index(index, tuple(shape)), axis=1) + stencil.boxes.lower[box]
        offsets = stencil.offsets[self._entries(box)]
        cells = (place[None, :, :] + offsets[:, None, :]) % np.array(stencil.mesh.shape)
        return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(cells, 2, 0)), stencil.mesh.shape), np.int64)

    def read(self, neurons: Integers) -> tuple[Integers, Integers]:
        """See `Weights`."""
        boxes = self.stencil.boxes.axis.size
        most = max([0, *(self._entries(box).stop - self._entries(box).start for box in range(boxes))])
        elements = np.full((most, neurons.size), -1, np.int64)
        weights = np.zeros((most, neurons.size), np.int64)
        for box, faces in enumerate(self._faces):
            if not faces.size:
                continue
            at = np.minimum(np.searchsorted(faces, neurons), faces.size - 1)
            here = np.flatnonzero(faces[at] == neurons)
            part = self._entries(box)
            count = part.stop - part.start
            if here.size:
                elements[:count, here] = self._at(box, neurons[here])
                weights[:count, here] = self.weights[part][:, None]
        return elements, weights

    def row_sums(self) -> tuple[Integers, Integers]:
        """See `Weights`."""
        return Spelled(
            Rows(self.stencil.starts, np.arange(self.weights.size), self.weights, self.weights.size)
        ).row_sums()


@dataclass(frozen=True, eq=False)
class Renumbered(Weights):
    """Weights of neurons in another order, or of elements with other numbers.

    Attributes
    ----------
    neurons : int64 array [size] or None
        Neuron of the weights at each new place; None for the same order.
    elements : int64 array [elements] or None
        New number of each element; None for the same numbers.
    """

    weights: Weights
    neurons: Integers | None = None
    elements: Integers | None = None

    @property
    def size(self) -> int:
        """See `Weights`."""
        return self.weights.size

    def kinds(self) -> Integers:
        """See `Weights`."""
        kinds = self.weights.kinds()
        return kinds if self.neurons is None else kinds[self.neurons]

    def breaks(self) -> NDArray[np.bool_]:
        """See `Weights`."""
        elements, _ = self.read(np.arange(self.size, dtype=np.int64))
        breaks = np.ones(self.size, np.bool_)
        steps = elements[:, 1:] - elements[:, :-1]
        breaks[1:] = ((steps != 1) & ((elements[:, 1:] >= 0) | (elements[:, :-1] >= 0))).any(axis=0)
        return breaks

    def read(self, neurons: Integers) -> tuple[Integers, Integers]:
        """See `Weights`."""
        elements, weights = self.weights.read(neurons if self.neurons is None else self.neurons[neurons])
        if self.elements is None or not self.elements.size:
            return elements, weights
        return np.where(elements >= 0, self.elements[np.maximum(elements, 0)], -1), weights

    def row_sums(self) -> tuple[Integers, Integers]:
        """See `Weights`."""
        return self.weights.row_sums()


def part_of(weights: Weights, begin: int, end: int) -> Weights:
    """Weights of the neurons from `begin` to `end`."""
    if isinstance(weights, Columns):
        return weights.part(begin, end)
    assert isinstance(weights, Spelled)
    return Spelled(weights.rows.rows(np.arange(begin, end, dtype=np.int64)))


def joined(first: Integers, second: Integers) -> Integers:
    """Number pairs of numbers from 0 so that only equal pairs have equal numbers."""
    count = int(second.max(initial=0)) + 1
    pairs = first * count + second
    if int(first.max(initial=0)) * count > MOST_KINDS:
        return np.asarray(np.unique(pairs, return_inverse=True)[1], np.int64)
    return np.asarray(pairs, np.int64)
