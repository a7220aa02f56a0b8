"""Bounds of sums and changes of masses on a structured mesh, line by line, from the definition of the walls."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.connections import Stencil
from pisnn_deploy.graph.layout import layers_of
from pisnn_deploy.mesh import DIRICHLET, NO_FLUX, PERIODIC, Boxes, Sides
from pisnn_deploy.verify.clock import is_linear, kernel_of
from pisnn_deploy.verify.faces import face_of, known_face
from pisnn_deploy.verify.folding import Folding, fold_line
from pisnn_deploy.verify.spans import Span
from pisnn_deploy.verify.stored import Row

Placed = dict[float, int]
"""Weights by place on a line of cells; reservoirs are half a cell beyond its ends."""


def steepest(graph: IntegerGraph, folding: Folding, face: int, cells: Row) -> Span | None:
    """Interval of a face's weighted sum of masses, from the largest difference between neighbours.

    If the weights along each line of cells, including the reservoir at its end, sum to zero, the sum is one of
    differences between neighbours.

    Returns
    -------
    (int, int) or None
        None if differences give no bound.
    """
    difference, mesh, axis = graph.window.difference, graph.grid, int(graph.grid.axis[face])
    if difference is None:
        return None
    origin, count, periodic = folding.lower(face)[axis], mesh.shape[axis], mesh.boundary[axis] == (PERIODIC, PERIODIC)
    stride = math.prod(mesh.shape[axis + 1 :])
    lines: dict[int, Placed] = {}
    for cell, weight in cells.items():
        along = cell // stride % count
        place = (along - origin + count // 2) % count if periodic else along
        lines.setdefault(cell - along * stride, {})[place] = weight
    spans = []
    for upper in (0, 1):
        reach, excess = 0, 0
        for line, placed in lines.items():
            lacking = -sum(placed.values())
            beside = line + upper * (count - 1) * stride
            if lacking and (axis, upper, beside) not in folding.held:
                break
            if lacking:
                excess -= lacking * folding.held[axis, upper, beside]
                placed = {**placed, count - 0.5 if upper else -0.5: lacking}
            reach += _variation(placed)
        else:
            spans.append((excess - reach * difference // 2, excess + reach * difference // 2))
    return (max(low for low, _ in spans), min(high for _, high in spans)) if spans else None


def _variation(placed: Placed) -> int:
    """Twice the sum over a line of absolute partial sums of weights times the distance to the next place, in cells."""
    places = sorted(placed)
    partial, total = 0, 0.0
    for here, there in zip(places, places[1:], strict=False):
        partial += placed[here]
        total += abs(partial) * 2 * (there - here)
    return int(total)


def most_faces(graph: IntegerGraph) -> int:
    """Largest number of faces of any cell."""
    ends = np.concatenate([graph.mesh.source, graph.mesh.target])
    return int(np.bincount(ends, minlength=graph.mesh.holders)[: graph.mesh.cells].max())


def linear_change(graph: IntegerGraph) -> int | None:
    """Largest change of a cell by ``D W`` in one PDE step, in quanta; None if lines give no bound."""
    if not graph.operator:
        return None
    window, spec, mesh = graph.window, graph.model_spec, graph.grid
    if not is_memoryless(graph) or face_of(graph).sees_residues or graph.operator[0].weight.sum(axis=1).any():
        return None
    if not (Folding(graph).quadratic or Folding(graph).lines_go_on):
        return None
    quadratic = Folding(graph).quadratic
    ranges, variations = 0, 0
    for axis, (cells, sides) in enumerate(zip(mesh.shape, mesh.boundary, strict=True)):
        kernel = np.array(kernel_of(graph, axis)).reshape(2 * spec.half_width, -1).T.tolist()
        count = min(cells, 4 * spec.half_width + 2)
        worst = [_line_change(kernel, x, count, sides, quadratic) for x in range(count)]
        ranges, variations = ranges + max(r for r, _ in worst), variations + max(v for _, v in worst)
    reach = ranges * (window.upper - window.lower)
    if window.difference is not None:
        reach = min(reach, variations * window.difference // 2)
    return reach // (1 << face_of(graph).exponent) + 2 * len(mesh.shape)


def _line_change(kernel: list[list[int]], x: int, count: int, sides: Sides, quadratic: bool) -> Span:
    """Sum of positive weights, and variation, of the gain of cell `x` through its two faces, over all lines."""
    unit, half = (2 if quadratic else 1), len(kernel[0]) // 2
    positive, variation = 0, 0
    for weights in kernel:
        placed: Placed = {}
        for face, sign in ((x - 1, 1), (x, -1)):  # a face is named by the cell below it
            if (face < 0 and sides[0] == NO_FLUX) or (face == count - 1 and sides[1] == NO_FLUX):
                continue
            for step, weight in enumerate(weights, 1 - half):
                for place, part in fold_line(face + step, count, sides, quadratic).items():
                    placed[place] = placed.get(place, 0) + sign * weight * part
        positive += sum(max(weight, 0) for weight in placed.values()) // unit
        around = {(p - x + count // 2) % count: w for p, w in placed.items()} if sides[0] == PERIODIC else placed
        variation += _variation({min(max(p, -0.5), count - 0.5): w for p, w in around.items()}) // unit
    return positive, variation


def is_memoryless(graph: IntegerGraph) -> bool:
    """Whether the new masses are a linear map of the old masses alone, up to rounding."""
    face = known_face(graph)
    return is_linear(graph) and face is not None and face.is_plain


def distinct_faces(graph: IntegerGraph) -> NDArray[np.int64]:
    """Faces to check, int64 [faces]: a single one of all that have equal rows and parameters by construction."""
    first = [s.connections for s in graph.between(*layers_of(graph)[:2])]
    boxes = first[0].boxes if isinstance(first[0], Stencil) else None
    everything = np.arange(graph.mesh.faces, dtype=np.int64)
    for connections in first:
        if boxes is None or not isinstance(connections, Stencil):
            return everything
        for name in ("axis", "lower", "shape"):
            if not np.array_equal(getattr(boxes, name), getattr(connections.boxes, name)):
                return everything
    assert boxes is not None
    parameters = [
        values.reshape(everything.size, -1)
        for population in (*graph.between_fields, graph.sole_channels)
        for values in population.parameters.values()
    ]
    representatives = []
    for box in range(boxes.axis.size):
        numbers = boxes.faces(graph.grid, box)
        alike = _windows_are_alike(graph, boxes, box)
        alike = alike and all((values[numbers] == values[numbers[0]]).all() for values in parameters)
        representatives.append(numbers[:1] if alike else numbers)
    return np.sort(np.concatenate(representatives))


def _windows_are_alike(graph: IntegerGraph, boxes: Boxes, box: int) -> bool:
    """Whether the windows of all faces of a box do not reach a wall, or are equally far from it.

    Windows that reach reservoirs differ, because each reservoir has its own value.
    """
    spec, mesh = graph.model_spec, graph.grid
    for axis, (count, sides) in enumerate(zip(mesh.shape, mesh.boundary, strict=True)):
        if sides == (PERIODIC, PERIODIC):
            continue
        is_normal = axis == boxes.axis[box]
        reach = spec.half_width if is_normal else spec.transverse
        first, past = reach - is_normal, count - reach
        lower, extent = int(boxes.lower[box, axis]), int(boxes.shape[box, axis])
        clear = first <= lower and lower + extent <= past
        if not clear and (extent > 1 or DIRICHLET in sides):
            return False
    return True
