"""Check of graphs with materials: volumes, fluxes and the time step, from the geometry and the materials.

Coordinates are doubles, so they are integers in some unit, and volumes, circumcentres and conductances of simplices
are rational: everything is exact up to the last division.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.integer import Materials
from pisnn_deploy.mesh import CellMesh, FaceMesh, Mesh
from pisnn_deploy.verify.faces import shifts
from pisnn_deploy.verify.medium import conductances, face_weights, full_exponent, is_two_point, level_bits
from pisnn_deploy.verify.multi_point import multi_point

Whole = NDArray[np.object_]
"""Python integers, which do not wrap."""
Field = NDArray[np.float64]
HALF_OF_THE_DIGITS = 2.0**-26
"""Relative tolerance: the compiler computes geometry in float64, where differences may cancel half of the digits."""
INSIDE = 1e-3
"""Smallest barycentric coordinate at which the circumcentre is the centre of its cell; below it the centroid is."""
SHOWN = 1e-3
"""Relative tolerance of a figure with four digits."""
FLAT = 1e-3
"""Tolerance of angles in degrees: near 0 an angle is the square root of a rounding error."""


def fluxes(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Yield errors in the equation claim of a graph of two-point or multi-point fluxes.

    Parameters
    ----------
    graph : IntegerGraph
        A graph with materials that passes `pisnn_deploy.verify.medium.medium_layout`.
    """
    with np.errstate(all="ignore"):  # sizes that overflow are refused later
        errors = [*_fluxes(graph, claim)]
    yield from errors


def _fluxes(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    materials, mesh = graph.materials, graph.mesh
    assert materials is not None
    # The checker does not trust the figures of a mesh, so it measures each kind itself.
    measured = _measured_cells(mesh) if isinstance(mesh, CellMesh) else boxes(graph.grid)
    if isinstance(measured, str):
        yield measured
        return
    volumes, resistance, angles = measured
    for name, values in (("conductivity", materials.conductivity), ("capacity", materials.capacity)):
        yield from _uniform_materials(mesh.material_of_cells, name, values)
    capacity = materials.capacity * volumes
    conductance = 1 / _in_series(mesh, materials, resistance)
    if materials.along:
        conductance *= np.array(materials.along)[graph.grid.axis]
    for name, sizes in (("capacity of a cell", capacity), ("conductance of a face", conductance)):
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            yield f"a {name} is not a positive number"
            return
    yield from _capacities(graph, capacity)
    weights = face_weights(graph)
    if is_two_point(graph, weights):
        method, found = "conductances", _two_point(graph, conductance)
    else:
        method, found = "multi-point", multi_point(graph, weights)
    if isinstance(found, str):
        yield found
        return
    scale, figures = found
    yield from _time_step(graph, scale)
    figures["capacity_error"] = float(
        np.abs(graph.sole_field.inverse_volume * capacity / graph.sole_field.unit_volume - 1).max()
    )
    if angles is not None:
        figures["mean_angle"], figures["largest_angle"] = float(angles.mean()), float(angles.max())
    if (claim.status, claim.method) != ("proved", method) or set(claim.figures) != set(figures):
        yield "the claim differs from what the checker proved"
        return
    for name, value in figures.items():
        finest = FLAT if name.endswith("angle") else HALF_OF_THE_DIGITS
        if not abs(claim.figures[name] - value) <= SHOWN * value + finest:
            yield f"the {name.replace('_', ' ')} is {value:.3e}, but the claim says {claim.figures[name]:.3e}"


def _measured_cells(mesh: CellMesh) -> tuple[Field, Field, Field] | str:
    """Return the result of `simplices`, or the first error in faces or cells."""
    wrong = next(_faces(mesh), None)
    if wrong is not None:
        return wrong
    volumes, resistance, angles = simplices(mesh)
    if not (volumes > 0).all():
        return f"cell {int(np.argmin(volumes))} has no volume"
    return volumes, resistance, angles


def _faces(mesh: CellMesh) -> Iterator[str]:
    """Yield errors in faces: they must be sides of their cells, including every shared one, without duplicates."""
    cells = np.sort(mesh.corners, axis=1)
    sides = np.sort(mesh.face_corners, axis=1)
    for name, ends in (("source", mesh.source), ("target", mesh.target)):
        inside = np.flatnonzero(ends < mesh.cells)
        has = (sides[inside][:, :, None] == cells[ends[inside]][:, None, :]).any(axis=2).all(axis=1)
        if not has.all():
            yield f"face {int(inside[~has][0])} is not a side of its {name} cell"
            return
    if (np.diff(sides, axis=1) == 0).any() or len(np.unique(sides, axis=0)) < len(sides):
        yield "a face repeats a corner or another face"
    every = np.concatenate([np.delete(cells, corner, axis=1) for corner in range(cells.shape[1])])
    counts = np.unique(every, axis=0, return_counts=True)[1]
    if counts.max(initial=0) > 2 or np.count_nonzero(counts == 2) != np.count_nonzero(mesh.target < mesh.cells):
        yield "two cells share a side without a face between them"


def simplices(mesh: CellMesh) -> tuple[Field, Field, Field]:
    """Measure simplices: volumes, resistances of faces and angles.

    Returns
    -------
    volumes : float64 array [cells]
        Volume of each cell, in units of length to the power of the dimension.
    resistance : float64 array [2, faces]
        Distance from the centre of source or target to the face, over its area; 0 on a reservoir's side.
    angles : float64 array [faces between cells]
        Angle between the line of centres and the normal, in degrees.
    """
    points, exponent = _as_integers(mesh.points)
    dims = mesh.dimensions
    at = points[mesh.corners]
    edges = at[:, 1:] - at[:, :1]
    normals = _normals(edges)
    determinant = (normals[:, 0] * edges[:, 0]).sum(axis=1)
    volumes = _divided(abs(determinant), math.factorial(dims), -exponent * dims)
    if not determinant.all():
        return volumes, np.zeros((2, mesh.faces)), np.zeros(1)
    # Vector from the first corner to the circumcentre, times twice the determinant.
    around = (normals * (edges**2).sum(axis=2)[:, :, None]).sum(axis=1)
    shares = (normals * around[:, None, :]).sum(axis=2)
    whole = 2 * determinant**2
    least = np.minimum(shares.min(axis=1), whole - shares.sum(axis=1))
    circum = (_divided(least, whole) > INSIDE)[:, None]
    # Centres (circumcentre, or mean of the corners), each times the integer `number`.
    number = np.where(circum[:, 0], 2 * determinant, dims + 1)
    centres = np.where(circum, at[:, 0] * (2 * determinant)[:, None] + around, at.sum(axis=1))
    corners = points[mesh.face_corners]
    across = _normal(corners[:, 1:] - corners[:, :1])
    squared = (across**2).sum(axis=1)
    twice = 1 if dims == 2 else 2  # a triangle is half of the parallelogram of its edges
    resistance = np.zeros((2, mesh.faces))
    for side, ends in enumerate((mesh.source, mesh.target)):
        inside = np.flatnonzero(ends < mesh.cells)
        cell = ends[inside]
        away = ((centres[cell] - corners[inside, 0] * number[cell][:, None]) * across[inside]).sum(axis=1)
        resistance[side, inside] = _divided(
            twice * abs(away), abs(number[cell]) * squared[inside], exponent * (dims - 2)
        )
    between = np.flatnonzero(mesh.target < mesh.cells)
    first, second = mesh.source[between], mesh.target[between]
    line = centres[second] * number[first][:, None] - centres[first] * number[second][:, None]
    along = (line * across[between]).sum(axis=1)
    sine = 1 - _divided(along**2, (line**2).sum(axis=1) * squared[between])
    angles = np.degrees(np.arcsin(np.sqrt(np.clip(sine, 0, 1))))
    return volumes, resistance, angles if angles.size else np.zeros(1)


def boxes(mesh: Mesh) -> tuple[Field, Field, None]:
    """Measure a grid like `simplices`; without angles, because lines of centres are normal to faces."""
    widths = np.array(mesh.lengths) / mesh.shape
    half = (widths / 2 / (widths.prod() / widths))[mesh.axis]
    inside = np.stack([mesh.source, mesh.target]) < mesh.cells
    return np.full(mesh.cells, widths.prod()), inside * half, None


def _as_integers(points: Field) -> tuple[Whole, int]:
    """Coordinates as integers in units of ``2^-exponent``."""
    parts, exponents = np.frexp(points)
    used = exponents[points != 0]
    lowest = int(used.min()) - 53 if used.size else 0
    whole = np.ldexp(parts, 53).astype(np.int64).astype(object)
    return whole * 2 ** np.where(points != 0, exponents - 53 - lowest, 0).astype(object), -lowest


def _normals(edges: Whole) -> Whole:
    """For each edge of a corner, the normal to the other edges whose product with it is the determinant."""
    if edges.shape[2] == 2:
        (x0, y0), (x1, y1) = edges[:, 0].T, edges[:, 1].T
        return np.stack([np.stack([y1, -x1], axis=1), np.stack([-y0, x0], axis=1)], axis=1)
    pairs = ((1, 2), (2, 0), (0, 1))
    return np.stack([_normal(edges[:, pair]) for pair in pairs], axis=1)


def _normal(edges: Whole) -> Whole:
    """Normal to an edge in the plane or to two edges in space, [n, dims]."""
    if edges.shape[2] == 2:
        return np.stack([edges[:, 0, 1], -edges[:, 0, 0]], axis=1)
    (ax, ay, az), (bx, by, bz) = edges[:, 0].T, edges[:, 1].T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)


def _divided(numerator: Whole, denominator: Whole | int, exponent: int = 0) -> Field:
    """``numerator / denominator * 2^exponent`` of integers, each rounded once."""
    above, below = numerator << max(exponent, 0), denominator << max(-exponent, 0)
    return np.asarray(np.frompyfunc(_quotient, 2, 1)(above, below), np.float64)


def _quotient(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf


def _in_series(mesh: FaceMesh, materials: Materials, resistance: Field) -> Field:
    total = np.zeros(mesh.faces)
    for side, ends in enumerate((mesh.source, mesh.target)):
        inside = ends < mesh.cells
        total[inside] += resistance[side, inside] / materials.conductivity[ends[inside]]
    return total


def _uniform_materials(material: NDArray[np.int64], name: str, values: Field) -> Iterator[str]:
    first = np.zeros(1 + int(material.max(initial=0)))
    first[material[::-1]] = values[::-1]
    wrong = np.flatnonzero(values != first[material])
    if wrong.size:
        yield f"cell {int(wrong[0])} differs in {name} from other cells of its material"


def _capacities(graph: IntegerGraph, capacity: Field) -> Iterator[str]:
    volumes = graph.sole_field.inverse_volume
    unit = float(capacity.min()) * int(volumes.max())
    if abs(graph.sole_field.unit_volume - unit) > HALF_OF_THE_DIGITS * unit:
        yield f"the unit volume is {graph.sole_field.unit_volume}, but geometry and materials give {unit}"
    # Without levels all capacities are equal, and nothing is rounded.
    exact, room = unit / capacity, 0.5 if shifts(graph) else 0.0
    far = np.flatnonzero(np.abs(volumes - exact) > room + HALF_OF_THE_DIGITS * exact)
    if far.size:
        cell = int(far[0])
        yield f"the inverse volume of cell {cell} is {volumes[cell]}, but geometry and materials give {exact[cell]:.6g}"


def _two_point(graph: IntegerGraph, conductance: Field) -> tuple[float, dict[str, float]] | str:
    """Scale and figures of two-point fluxes, or an error.

    All conductances must be rounded from exact ones with one scale, which sets the time step. With populations between
    they are rounded to the nearest integer. Without, they may be rounded either way, because along a line the next face
    makes up for the rounding error.
    """
    joins = graph.mesh.source != graph.mesh.target
    stored = conductances(graph)
    if stored[joins].min() < 1:
        return f"face {int(np.flatnonzero(joins & (stored < 1))[0])} has a conductance below 1"
    stored, conductance = stored[joins], conductance[joins]
    room = 0.5 if shifts(graph) else 1.0
    lowest, highest = (stored - room) / conductance, (stored + room) / conductance
    if lowest.max() > highest.min() * (1 + HALF_OF_THE_DIGITS):
        first, second = int(np.argmax(lowest)), int(np.argmin(highest))
        return (
            f"integer conductances {stored[first]} and {stored[second]} do not match {conductance[first]:.6g} and "
            f"{conductance[second]:.6g} on any common scale"
        )
    scale = int(stored.sum()) / math.fsum(conductance)
    return scale, {"conductance_error": float(np.abs(stored / (scale * conductance) - 1).max())}


def _time_step(graph: IntegerGraph, scale: float) -> Iterator[str]:
    """Yield an error if the time step is not that of the scale from fluxes to integer weights."""
    # A constant drive of 1 moves a quantum every theta steps; the drive is a difference of levels, or of quanta.
    level = graph.value_per_quantum * 2.0 ** level_bits(graph)
    step = scale * graph.quantum / level / 2.0 ** full_exponent(graph)
    if abs(graph.time_step - step) > HALF_OF_THE_DIGITS * step:
        yield f"the time step is {graph.time_step}, but the conductances give {step}"
