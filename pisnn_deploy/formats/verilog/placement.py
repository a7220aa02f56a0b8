"""Where neurons stand in a stream: lanes, positions of a raster, and the taps through which they read each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.formats.c.plan import Array
from pisnn_deploy.formats.verilog.units import Hardware, Unit
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.mesh import PERIODIC, Mesh

MOST_CLASSES = 64
"""Most different neurons of a lane: weights that differ from cell to cell are no stream."""
MOST_TAPS = 256
MOST_AT_ONE_PLACE = 16
MOST_CODES = 1024
FEW_VALUES = 8
"""Parameters with more values are memory."""


class NotStreamable(Exception):
    """A graph whose neurons do not read each other at few fixed distances; says why."""


@dataclass(frozen=True)
class Places:
    """Places of the neurons of a unit.

    Attributes
    ----------
    lane, position : int64 arrays [neurons]
        Copy of the program that runs each neuron, and when: its position in the raster.
    """

    lane: Integers
    position: Integers

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return int(self.lane.max()) + 1


@dataclass(frozen=True)
class Tap:
    """A value that a lane reads: the element of an array whose position is `offset` from that of the neuron."""

    array: Array
    lane: int
    offset: int


@dataclass(frozen=True)
class Lane:
    """Neurons of a unit that one copy of its program runs, in the order of their positions.

    Attributes
    ----------
    neurons, positions : int64 arrays [neurons]
        Ascending.
    classes : int64 array [shape of the raster]
        Class of the neuron at each position, 0 where there is none. Neurons of a class have equal weights, and equal
        values of the parameters in `constants`.
    weights : dict of str to dict of Tap to int64 array
        Weight of each tap of each port, by class; 0 for class 0.
    constants : dict of str to int64 array
        Parameters by class.
    tables : dict of str to int64 array
        Other parameters, by neuron.
    """

    neurons: Integers
    positions: Integers
    classes: Integers
    weights: dict[str, dict[Tap, Integers]]
    constants: dict[str, Integers]
    tables: dict[str, Integers]


def raster_of(mesh: Mesh) -> tuple[int, ...]:
    """Shape of the raster: one more along an axis with walls, where a face may stand behind the last cell."""
    return tuple(n + _has_walls(sides) for n, sides in zip(mesh.shape, mesh.boundary, strict=True))


def _has_walls(sides: tuple[str, str]) -> int:
    """1 if faces of an axis may stand before its first cell: then face ``i`` is the lower one of cell ``i``."""
    return int(sides[0] != PERIODIC)


def grid_of(hardware: Hardware) -> Mesh:
    """The mesh, if it is a grid.

    Raises
    ------
    NotStreamable
        It is not.
    """
    if not isinstance(hardware.mesh, Mesh):
        raise NotStreamable("a mesh of cells has no rows")
    return hardware.mesh


def placed(hardware: Hardware) -> dict[str, Places]:
    """Places of the elements of all arrays, by name.

    Any place gives the same integers, so of those that suit the size of a unit the one with the fewest taps is taken.

    Raises
    ------
    NotStreamable
        The size of a unit is not one of cells, faces or reservoirs.
    """
    candidates = list(_candidates(grid_of(hardware)))
    places = {array.name: candidates[0] for array in hardware.masses}
    for unit in hardware.units:
        if unit.writes[0][0] in hardware.masses:
            continue
        if unit.copies is not None:
            # Copied before the unit whose state it is has run.
            own = next(part for part in hardware.units if unit.copies in (array for array, _ in part.writes))
            best = _best(own, candidates, places)
        else:
            best = _best(unit, candidates, places)
        places.update((array.name, best) for array, _ in unit.writes)
        places.update((array.name, best) for array in unit.states.values())
    return places


def _best(unit: Unit, candidates: list[Places], places: dict[str, Places]) -> Places:
    fitting = [*_fitting(unit, candidates), *_beside(unit, places)]
    if not fitting:
        raise NotStreamable(f"{unit.name} has {unit.size} neurons, not some for each cell, face or reservoir")
    return min(fitting, key=lambda choice: _taps(unit, choice, places))


def _candidates(mesh: Mesh) -> Iterator[Places]:
    raster, axes = raster_of(mesh), len(mesh.shape)
    strides = np.array([math.prod(raster[axis + 1 :]) for axis in range(axes)], np.int64)
    cells = np.stack(np.unravel_index(np.arange(mesh.cells), mesh.shape), axis=-1) @ strides
    yield Places(np.zeros(mesh.cells, np.int64), cells)
    walls = np.array([_has_walls(sides) for sides in mesh.boundary], np.int64)
    is_inside = mesh.source < mesh.cells
    lower = np.where(is_inside, mesh.source, mesh.target)
    position = cells[lower] + np.where(is_inside, walls[mesh.axis] * strides[mesh.axis], 0)
    yield Places(mesh.axis, position)
    for axis in range(axes):
        faces = position[mesh.axis == axis]
        yield Places(np.zeros(faces.size, np.int64), faces)
        if walls[axis]:  # with the faces of walls that nothing passes
            shape = tuple(n + (number == axis) for number, n in enumerate(mesh.shape))
            indices = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=-1)
            yield Places(np.zeros(math.prod(shape), np.int64), indices @ strides)
    for alone in (0, math.prod(raster) - 1):
        yield Places(np.zeros(1, np.int64), np.array([alone]))
    if mesh.reservoirs:
        # In the order of their faces.
        outer = np.maximum(mesh.source, mesh.target) >= mesh.cells
        number = np.maximum(mesh.source, mesh.target)[outer] - mesh.cells
        lane, where = np.zeros((2, mesh.reservoirs), np.int64)
        _, lane[number] = np.unique(mesh.axis[outer], return_inverse=True)
        where[number] = position[outer]
        yield Places(lane, where)


def _fitting(unit: Unit, candidates: list[Places]) -> list[Places]:
    """Places for as many neurons; several neurons at one place take lanes of their own."""
    fitting = []
    for places in candidates:
        several, left = divmod(unit.size, max(1, places.lane.size))
        if left == 0 and 1 <= several <= MOST_AT_ONE_PLACE:
            for repeat in {1: (np.repeat,)}.get(several, (np.repeat, np.tile)):
                number = np.tile(np.arange(several), places.lane.size)
                if repeat is np.tile:
                    number = np.repeat(np.arange(several), places.lane.size)
                lane = repeat(places.lane, several) * several + number
                fitting.append(Places(lane, repeat(places.position, several)))
    return fitting


def _beside(unit: Unit, places: dict[str, Places]) -> Iterator[Places]:
    """Places where the first value that each neuron reads stands, as for ledgers of sides and sources."""
    lane, position = np.full((2, unit.size), -1, np.int64)
    lanes = 0
    for connection in unit.connections:
        source = places.get(connection.array.name)
        if source is not None:
            rows, first = np.unique(connection.reads.matrix.row_of, return_index=True)
            is_open = lane[rows] < 0
            rows, columns = rows[is_open], connection.reads.matrix.columns[first[is_open]]
            lane[rows], position[rows] = lanes + source.lane[columns], source.position[columns]
            lanes += source.lanes
    if (lane >= 0).all():
        _, lane = np.unique(lane, return_inverse=True)
        lane = lane.reshape(-1)
        if np.unique(np.stack([lane, position]), axis=1).shape[1] == unit.size:
            yield Places(lane, position)


def _taps(unit: Unit, choice: Places, places: dict[str, Places]) -> tuple[int, int]:
    """Taps that a unit would have at these places, and lanes."""
    taps: set[tuple[object, ...]] = set()
    for connection in unit.connections:
        source = places.get(connection.array.name)
        if source is not None:
            matrix = connection.reads.matrix
            offset = source.position[matrix.columns] - choice.position[matrix.row_of]
            lanes = zip(choice.lane[matrix.row_of].tolist(), source.lane[matrix.columns].tolist(), strict=True)
            taps.update(zip(lanes, offset.tolist(), [connection.array.name] * offset.size, strict=True))
    return len(taps), choice.lanes


def lanes_of(unit: Unit, places: dict[str, Places], raster: tuple[int, ...]) -> list[Lane]:
    """Lanes of a unit.

    Raises
    ------
    NotStreamable
        Its neurons differ in too many ways.
    """
    own = places[unit.writes[0][0].name]
    return [_lane(unit, number, own, places, raster) for number in range(own.lanes)]


def _lane(unit: Unit, number: int, own: Places, places: dict[str, Places], raster: tuple[int, ...]) -> Lane:
    neurons = np.flatnonzero(own.lane == number)
    neurons = neurons[np.argsort(own.position[neurons], kind="stable")]
    positions = own.position[neurons]
    if np.unique(positions).size < positions.size:
        raise NotStreamable(f"two neurons of {unit.name} stand in the same place")
    index = np.full(unit.size, -1, np.int64)
    index[neurons] = np.arange(neurons.size)
    dense: dict[tuple[str, Tap], Integers] = {}
    for connection in unit.connections:
        matrix, source = connection.reads.matrix, places[connection.array.name]
        here = index[matrix.row_of] >= 0
        rows, columns, values = index[matrix.row_of[here]], matrix.columns[here], matrix.values[here]
        lanes, offsets = source.lane[columns], source.position[columns] - positions[rows]
        for lane, offset in sorted(set(zip(lanes.tolist(), offsets.tolist(), strict=True))):
            chosen = (lanes == lane) & (offsets == offset)
            key = connection.reads.port, Tap(connection.array, lane, offset)
            np.add.at(dense.setdefault(key, np.zeros(neurons.size, np.int64)), rows[chosen], values[chosen])
            if len(dense) > MOST_TAPS:
                raise NotStreamable(f"a neuron of {unit.name} reads at more than {MOST_TAPS} distances")
    varying = {name: values[neurons] for name, values in unit.parameters.items()}
    few = {name: values for name, values in varying.items() if np.unique(values).size <= FEW_VALUES}
    for constants in (few, {name: values for name, values in few.items() if np.unique(values).size == 1}):
        classes, first = _classes([*dense.values(), *constants.values()], positions, raster)
        if first.size <= MOST_CLASSES + 1 and math.prod(len(codes) for codes, _ in factored(classes)) <= MOST_CODES:
            break
    else:
        raise NotStreamable(f"neurons of {unit.name} have weights that differ from place to place")
    weights: dict[str, dict[Tap, Integers]] = {port: {} for port in unit.ports}
    for (port, tap), values in dense.items():
        weights[port][tap] = np.append(0, values[first[1:]])
    by_class = {name: np.append(values[:1], values[first[1:]]) for name, values in constants.items()}
    tables = {name: values for name, values in varying.items() if name not in constants}
    return Lane(neurons, positions, classes, weights, by_class, tables)


def _classes(rows: list[Integers], positions: Integers, raster: tuple[int, ...]) -> tuple[Integers, Integers]:
    """Class at each position of the raster, and a neuron of each class (none, -1, of class 0)."""
    signature = np.stack([np.zeros(positions.size, np.int64), *rows], axis=1)
    _, first, inverse = np.unique(signature, axis=0, return_index=True, return_inverse=True)
    classes = np.zeros(math.prod(raster), np.int64)
    classes[positions] = inverse.reshape(-1) + 1
    return classes.reshape(raster), np.append(-1, first)


def factored(classes: Integers) -> list[tuple[Integers, Integers]]:
    """Codes of the indices along each axis: where two indices have one code, the classes are equal.

    Returns
    -------
    list of (int64 array, int64 array)
        An index with each code, and the code of each index, by axis.
    """
    parts = []
    for axis, count in enumerate(classes.shape):
        slices = np.moveaxis(classes, axis, 0).reshape(count, -1)
        _, first, inverse = np.unique(slices, axis=0, return_index=True, return_inverse=True)
        parts.append((first, inverse.reshape(-1)))
    return parts
