"""Check that fluxes of several cells never increase the energy of a field: exact, with integers for each mesh point.

The energy of levels ``x`` is ``x^T P^-1 x``, a PDE step without rounding is ``x - P A x / 2^S``. Split ``A = M + N``
into its symmetric and its antisymmetric half. It is enough that

* no row of ``P |A + A^T|`` sums to more than ``2^(S + 1)``: then ``y^T P y <= 2^S x^T M x`` for ``y = M x``;
* ``6 z^T P z <= 2^S x^T M x`` for ``z = N x``: then ``|y + z| <= (1 + 6^-1/2) |x| < 2^1/2 |x|`` in these norms.

For the second, fluxes are split into parts around points, as `pisnn_deploy.verify.point_fluxes` computes them, so
that ``A = sum_v A_v``. A cell is at d + 1 points: ``z^T P z`` is at most d + 1 times the sum over points. How weights
are split does not matter for the proof, so floats may suggest it; what follows is exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import CellMesh
from pisnn_deploy.verify.point_fluxes import part_fluxes

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
BITS = 60
"""Of the diagonal of a matrix that is tested; sums of products of entries of its root fit 64 bits."""


def energy_points(graph: IntegerGraph, weights: Rows, bits: int) -> int | str:
    """Number of points around which energy is lost, or why a PDE step may increase it.

    Parameters
    ----------
    weights : Rows, int64 [faces, cells]
        Weights of levels at each face.
    bits : int
        ``S``.
    """
    mesh, materials, volumes = graph.mesh, graph.materials, graph.sole_field.inverse_volume
    if not isinstance(mesh, CellMesh) or materials is None:
        return "energy is known only on meshes of triangles and tetrahedra"
    loss = _losses(mesh, np.stack([weights.row_of, weights.columns, weights.values]))
    total = from_triplets(loss[0], loss[1], loss[2], (mesh.cells, mesh.cells))
    steep = np.flatnonzero(volumes * abs(total + total.transposed).sums() > 2 << bits)
    if steep.size:
        return f"cell {int(steep[0])} may lose more than its value in a PDE step"
    try:
        with np.errstate(all="ignore"):  # of a mesh that is refused elsewhere
            parts = _split(mesh, weights, materials.conductivity)
    except np.linalg.LinAlgError:
        return "the fluxes around a point of the mesh have no solution"
    if isinstance(parts, str):
        return parts
    points, entries, is_held = parts
    count = 0
    for chosen, cells, losses in _losses_around(mesh, points, entries):
        held = is_held[chosen]
        form = _form(losses, volumes[cells], bits, mesh.dimensions)
        for here, smaller in ((held, form), (~held, None if form is None else form[:, :-1, :-1])):
            if here.any() and (smaller is None or not are_positive(smaller[here])):
                return f"a PDE step may increase the energy around a point of {cells.shape[1]} cells"
        count += chosen.size
    return count


def _losses(mesh: CellMesh, entries: Integers) -> Integers:
    """Rows, columns and values of what cells lose by entries (face, cell, weight), int64 [3, losses]."""
    face, cell, weight = entries
    ends = np.concatenate([mesh.source[face], mesh.target[face]])
    losses = np.stack([ends, np.tile(cell, 2), np.concatenate([weight, -weight])])
    return np.asarray(losses[:, ends < mesh.cells], np.int64)


def _split(mesh: CellMesh, weights: Rows, conductivity: Field) -> tuple[Integers, Integers, NDArray[np.bool_]] | str:
    """Points and entries (face, cell, weight) of parts whose sums are the weights, and which points see reservoirs.

    The source of a face takes what the other weights of a part, those of reservoirs among them, do not sum to.
    """
    parts = part_fluxes(mesh, conductivity)
    is_held = np.zeros(len(mesh.points), bool)
    is_held[parts.point[parts.holder >= mesh.cells]] = True
    source = mesh.source[parts.face]
    # All reservoirs count as one more cell, whose weights are those that the cells lack.
    seen = np.minimum(parts.holder, mesh.cells)
    keys = parts.face * (mesh.cells + 1) + seen
    order = np.lexsort((parts.point, keys))
    order = order[(seen != source)[order]]
    keys, point, face, cell = keys[order], parts.point[order], parts.face[order], seen[order]
    last = np.flatnonzero(np.append(keys[1:] != keys[:-1], np.ones(min(keys.size, 1), bool)))
    lacking = weights.sums()
    short = np.flatnonzero(lacking)
    others = weights.columns != mesh.source[weights.row_of]
    stored = np.concatenate(
        [(weights.row_of * (mesh.cells + 1) + weights.columns)[others], short * (mesh.cells + 1) + mesh.cells]
    )
    place = np.searchsorted(keys[last], stored)
    if (place >= last.size).any() or (keys[last][np.minimum(place, last.size - 1)] != stored).any():
        return "a face has weights of holders that share no point with it, or that do not sum to 0"
    whole = np.zeros(last.size, np.int64)
    whole[place] = np.concatenate([weights.values[others], -lacking[short]])
    starts = np.append(0, last[:-1] + 1)[: last.size]
    scale = np.abs(whole).sum() / np.abs(np.add.reduceat(parts.value[order], starts)).sum() if last.size else 1.0
    # The last part of a face in which a cell occurs takes what the others leave of its weight.
    part = np.rint(scale * parts.value[order]).astype(np.int64)
    part[last] += whole - np.add.reduceat(part, starts) if last.size else whole
    inside = cell < mesh.cells
    entries = np.stack(
        [
            np.concatenate([face[inside], face]),
            np.concatenate([cell[inside], mesh.source[face]]),
            np.concatenate([part[inside], -part]),
        ]
    )
    return np.concatenate([point[inside], point]), entries, is_held


def _losses_around(
    mesh: CellMesh, points: Integers, entries: Integers
) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Yield points with equal numbers of cells, their cells, and what each cell loses per value of each."""
    losses = _losses(mesh, entries)
    kept = np.concatenate([mesh.source[entries[0]], mesh.target[entries[0]]]) < mesh.cells
    number = np.tile(points, 2)[kept]
    near = np.unique(np.stack([np.tile(number, 2), np.concatenate([losses[0], losses[1]])]), axis=1)
    sizes = np.bincount(near[0], minlength=len(mesh.points))
    start = np.cumsum(sizes) - sizes
    keys = near[0] * mesh.cells + near[1]
    row, column = (np.searchsorted(keys, number * mesh.cells + losses[side]) - start[number] for side in (0, 1))
    for size in np.unique(sizes[sizes > 0]).tolist():
        chosen = np.flatnonzero(sizes == size)
        here = np.flatnonzero(sizes[number] == size)
        matrix = np.zeros((chosen.size, size, size), np.int64)
        np.add.at(matrix, (np.searchsorted(chosen, number[here]), row[here], column[here]), losses[2][here])
        yield chosen, near[1][start[chosen][:, None] + np.arange(size)], matrix


def _form(losses: Integers, volumes: Integers, bits: int, dims: int) -> Integers | None:
    """``2^S (A + A^T) - 3 (d + 1) (A - A^T)^T P (A - A^T)`` in some unit, and less by what it is rounded by.

    None where numbers are too large.
    """
    even, odd = losses + losses.transpose(0, 2, 1), losses - losses.transpose(0, 2, 1)
    count = losses.shape[1]
    if int(np.abs(odd).max()) ** 2 * int(volumes.max()) * count * 3 * (dims + 1) >> 62:
        return None
    taken = 3 * (dims + 1) * np.matmul(odd.transpose(0, 2, 1), volumes[:, :, None] * odd)
    raised = min(bits, BITS - int(np.abs(even).max()).bit_length())
    if raised < 0 or int(np.abs(taken >> (bits - raised)).max()) >> BITS:
        return None
    return np.asarray((even << raised) - (taken >> (bits - raised)) - count * np.eye(count, dtype=np.int64), np.int64)


def are_positive(matrices: Integers) -> bool:
    """Whether some symmetric integer matrices certainly have no negative eigenvalue.

    A Cholesky root in floats is rounded to integers; what its product differs from the matrix is computed exactly, and
    must have a diagonal that dominates.

    Parameters
    ----------
    matrices : int64 array [matrices, n, n]
        With entries below ``2^62``.
    """
    count = matrices.shape[1]
    diagonal = np.einsum("pii->pi", matrices)
    if not matrices.size:
        return True
    if (diagonal <= 0).any():
        return False
    # Rows and columns times powers of two, so that all entries of the diagonal have about as many bits.
    shift = (BITS - np.frexp(diagonal.astype(np.float64))[1].astype(np.int64)) // 2
    by = shift[:, :, None] + shift[:, None, :]
    up = np.clip(by, 0, 62)
    if (np.abs(matrices) > (np.int64(1) << 62 - up) - 1).any():
        return False  # an entry is larger than those of the diagonal allow
    scaled = (matrices << up) >> np.clip(-by, 0, 62)
    unit = 2.0 ** (BITS // 2)
    less = 4 * count**1.5 / unit
    try:
        root = np.linalg.cholesky(scaled / unit**2 - less * np.eye(count))
    except np.linalg.LinAlgError:
        return False
    whole = np.rint(root * unit).astype(np.int64)
    rest = scaled - np.matmul(whole, whole.transpose(0, 2, 1))
    own = np.einsum("pii->pi", rest)
    # Each entry may have lost less than 1 by the shift.
    return bool((2 * own - np.abs(rest).sum(axis=2) >= count).all()) and bool((own >= 0).all())
