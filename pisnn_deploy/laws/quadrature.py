"""Cell averages of expressions of the place, by Gauss quadrature with four points along each axis.

Cells in which ``where``, ``min``, ``max`` or ``abs`` change sides are halved along all axes, and their parts again; so
are cells whose halves have another average.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.expression import Call, Expression, Number, evaluate, free_names, postorder
from pisnn_deploy.laws.grid import AXES, Grid, averaged_down

Field = NDArray[np.float64]
Boxes = tuple[Field, Field]
"""Lower corners and widths, both [boxes, axes]."""
Switch = tuple[Expression, Expression]
"""Two sides of a comparison."""


def gauss_points(count: int) -> tuple[Field, Field]:
    """Places between 0 and 1 and weights that average polynomials of degree ``2 count - 1`` exactly."""
    nodes, weights = np.polynomial.legendre.leggauss(count)  # type: ignore[no-untyped-call]
    return (nodes + 1) / 2, weights / 2


_NODES, _WEIGHTS = gauss_points(4)
_HALVINGS = {1: 40, 2: 8, 3: 4}
"""How often a cell with a kink is halved, by the number of axes."""
_SMOOTH_HALVINGS, _CLOSE = 5, 1e-9
"""How often a cell without kink is halved whose average is not within this part of the largest one of its halves'."""
_BOXES_AT_ONCE, _POINTS_AT_ONCE = 1 << 14, 1 << 20
_MOST_POINTS = 1 << 24
"""Points beyond which the cells are taken to be small enough."""


def cell_averages(expressions: Sequence[Expression], values: Mapping[str, float | Field], grid: Grid) -> Field:
    """Averages of functions of the place over the cells of a grid.

    Parameters
    ----------
    expressions : sequence of Expression
        Functions of the coordinates.
    values : mapping of str to float
        Parameters.

    Returns
    -------
    float64 array [expressions, *shape]
        Exact up to rounding for polynomials of degree 7, and for jumps on edges of cells. Where a curved jump passes, a
        cell of a plane has an error below 1e-4 of the jump. NaN or infinite where a point of a cell is.
    """
    return np.stack([_averages(expression, values, grid) for expression in expressions])


def _averages(expression: Expression, values: Mapping[str, float | Field], grid: Grid) -> Field:
    dimensions = len(grid.shape)
    if not free_names(expression) & set(AXES):
        return np.full(grid.shape, float(evaluate(expression, values)))
    result = _smooth_averages(expression, values, grid)
    if not np.isfinite(result).all():
        return result
    switches = list(_switches(expression))
    corners, widths = _boxes_of(grid)
    changing = _changes(switches, values, (corners, widths))
    if result.size * 8**dimensions <= _MOST_POINTS:
        halved = averaged_down(_smooth_averages(expression, values, grid.refined(2)), 2)
        coarse = np.abs(halved - result).reshape(-1) > _CLOSE * np.abs(halved).max()
        result, changing = halved, changing | coarse
    if changing.any():
        result.reshape(-1)[changing] = box_averages(expression, values, corners[changing], widths[changing])
    return result


def _boxes_of(grid: Grid) -> Boxes:
    rows = [grid.edges(axis)[:-1] for axis in range(len(grid.shape))]
    corners = np.stack([part.ravel() for part in np.meshgrid(*rows, indexing="ij")], axis=-1)
    return corners, np.broadcast_to(np.array(grid.spacing), corners.shape)


def box_averages(expression: Expression, values: Mapping[str, float | Field], corners: Field, widths: Field) -> Field:
    """Averages of a function of the place over boxes of any size.

    Parameters
    ----------
    expression : Expression
        Function of the coordinates.
    values : mapping of str to float
        Parameters.
    corners, widths : float64 array [boxes, axes]
        Lower corner and extent of each box.

    Returns
    -------
    float64 array [boxes]
        As exact as those of `cell_averages`.
    """
    result, dimensions = np.zeros(len(corners)), corners.shape[1]
    switches = list(_switches(expression))
    boxes, weight = np.arange(len(corners)), 1.0
    offsets = np.array(list(product((0.0, 1.0), repeat=dimensions)))
    whole = _integrals(expression, values, (corners, widths))
    for halving in range(_HALVINGS[dimensions] + 1):
        changing = _changes(switches, values, (corners, widths)) & (halving < _HALVINGS[dimensions])
        parts = np.repeat(corners, len(offsets), axis=0) + np.tile(offsets, (len(corners), 1)) * np.repeat(
            widths / 2, len(offsets), axis=0
        )
        halves = np.repeat(widths / 2, len(offsets), axis=0)
        pieces = _integrals(expression, values, (parts, halves))
        better = pieces.reshape(-1, len(offsets)).mean(axis=1)
        if halving < _SMOOTH_HALVINGS:
            changing |= np.abs(better - whole) > _CLOSE * max(float(np.abs(better).max(initial=0)), 1e-300)
        np.add.at(result, boxes[~changing], weight * better[~changing])
        if not changing.any():
            break
        again = np.repeat(changing, len(offsets))
        corners, widths, whole, weight = parts[again], halves[again], pieces[again], weight / len(offsets)
        boxes = np.repeat(boxes[changing], len(offsets))
    return result


def _smooth_averages(expression: Expression, values: Mapping[str, float | Field], grid: Grid) -> Field:
    """Averages by quadrature of each cell as a whole, in slabs along the first axis."""
    dimensions = len(grid.shape)
    points = [(grid.edges(axis)[:-1, None] + _NODES * grid.spacing[axis]).reshape(-1) for axis in range(dimensions)]
    result = np.empty(grid.shape)
    at_once = max(1, _POINTS_AT_ONCE // (4 * int(np.prod([len(rows) for rows in points[1:]]))))
    for first in range(0, grid.shape[0], at_once):
        rows = [points[0][4 * first : 4 * (first + at_once)], *points[1:]]
        places = dict(zip(AXES, np.meshgrid(*rows, indexing="ij", sparse=True), strict=False))
        part = np.broadcast_to(evaluate(expression, {**values, **places}), [len(row) for row in rows])
        for axis in range(dimensions):
            blocks = (*part.shape[:axis], part.shape[axis] // 4, 4, *part.shape[axis + 1 :])
            part = np.tensordot(part.reshape(blocks), _WEIGHTS, axes=([axis + 1], [0]))
        result[first : first + at_once] = part
    return result


def _integrals(expression: Expression, values: Mapping[str, float | Field], boxes: Boxes) -> Field:
    """Averages over boxes by quadrature of each as a whole."""
    corners, widths = boxes
    points = np.array(list(product(_NODES, repeat=widths.shape[1])))
    weights = np.array([np.prod(factors) for factors in product(_WEIGHTS, repeat=widths.shape[1])])
    parts = [
        _at(expression, values, corners[part, None, :] + points * widths[part, None, :]) @ weights
        for part in _parts(len(corners))
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _parts(count: int) -> list[slice]:
    return [slice(first, first + _BOXES_AT_ONCE) for first in range(0, count, _BOXES_AT_ONCE)]


def _at(expression: Expression, values: Mapping[str, float | Field], points: Field) -> Field:
    """Values at points [..., axes]."""
    places = {name: points[..., axis] for axis, name in zip(range(points.shape[-1]), AXES, strict=False)}
    return np.broadcast_to(evaluate(expression, {**values, **places}), points.shape[:-1])


def _switches(expression: Expression) -> Iterator[Switch]:
    """Pairs of expressions of the place whose order decides on a side, each once."""
    seen: set[Switch] = set()
    for node in postorder(expression):
        if not isinstance(node, Call) or node.function not in ("where", "min", "max", "abs"):
            continue
        pair = (node.arguments[0], Number(0.0) if node.function == "abs" else node.arguments[1])
        if pair not in seen and any(free_names(side) & set(AXES) for side in pair):
            seen.add(pair)
            yield pair


def _changes(switches: Sequence[Switch], values: Mapping[str, float | Field], boxes: Boxes) -> NDArray[np.bool_]:
    """Whether a comparison differs between the corners and quadrature points of a box."""
    corners, widths = boxes
    changing = np.zeros(len(corners), bool)
    inside = np.array(list(product((0.0, *_NODES, 1.0), repeat=widths.shape[1])))
    for part in _parts(len(corners)) if switches else ():
        points = corners[part, None, :] + inside * widths[part, None, :]
        for low, high in switches:
            before = _at(low, values, points) < _at(high, values, points)
            changing[part] |= before.any(axis=-1) & ~before.all(axis=-1)
    return changing
