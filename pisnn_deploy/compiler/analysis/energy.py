"""Stability of multi-point fluxes on meshes of any size: what each point of the mesh takes from the energy of a field.

A PDE step without rounding is ``x <- x - P A x / 2^S``, with inverse volumes ``P`` and the loss ``A = D W`` of cells
in integers. The energy ``x^T P^-1 x`` does not grow if ``|B x|^2 <= 2 x^T B x`` with ``B = P^1/2 A P^1/2 / 2^S``. Let
``B = S + K`` with symmetric S and antisymmetric K. If the absolute values of no row of ``P (A + A^T)`` sum to more than
``2^(S + 1)``, no eigenvalue of S is above 1, so ``|S x|^2 <= x^T S x``, and it is enough that ``|K x|^2 <= (sqrt(2) -
1)^2 x^T S x``.

K is what rounding adds. Both sides are sums over the points of the mesh: a flux is the sum of those through the parts
of its face at its points, each of which sees the cells around one point. A cell has d + 1 points, so by Cauchy's
inequality ``|K x|^2`` is at most d + 1 times the sum over points. What is left is one small matrix for each point,

    2^S (A_v + A_v^T) - 3 (d + 1) (A_v - A_v^T)^T P (A_v - A_v^T)

without negative eigenvalues; 1/6 is below ``(sqrt(2) - 1)^2``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.faces import face_weights, full_exponent, level_bits
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.layout import route_matrix
from pisnn_deploy.mesh import CellMesh, FluxesAroundPoints, fluxes_around_points

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
SMALLEST = 1e-5
"""Smallest eigenvalue, of a diagonal of 1, of which the checker's integers say that it is not negative."""


def points_of_energy(graph: IntegerGraph) -> int | None:
    """Number of points of the mesh, none of which adds to the energy in a PDE step; None if that is not shown."""
    mesh, materials = graph.mesh, graph.materials
    if not isinstance(mesh, CellMesh) or materials is None:
        return None
    weights, volumes = face_weights(graph).between(0, mesh.cells), graph.sole_field.inverse_volume
    bits = full_exponent(graph) + level_bits(graph)
    loss = -(route_matrix(mesh).first_rows(mesh.cells) @ weights)
    if (volumes * abs(loss + loss.transposed).sums() > 2 << bits).any():
        return None
    parts = _Parts.of(mesh, weights, fluxes_around_points(mesh, materials.conductivity))
    if parts is None:
        return None
    points = 0
    for losses, cells, has_reservoir in parts.losses(mesh):
        skew = losses - losses.transpose(0, 2, 1)
        taken = 3 * (mesh.dimensions + 1) / 2.0**bits * (skew.transpose(0, 2, 1) @ (volumes[cells][:, :, None] * skew))
        form = losses + losses.transpose(0, 2, 1) - taken
        # A constant field loses nothing where no reservoir is near; it is left out with the last cell.
        if _smallest(form if has_reservoir else form[:, :-1, :-1]) < SMALLEST:
            return None
        points += len(cells)
    return points


def _smallest(forms: Field) -> float:
    """Smallest eigenvalue of some matrices, each scaled to a diagonal of ones; -1 if that is not possible."""
    diagonal = np.einsum("pii->pi", forms)
    if (diagonal <= 0).any():
        return -1.0
    root = 1 / np.sqrt(diagonal)
    return float(np.linalg.eigvalsh(forms * root[:, :, None] * root[:, None, :]).min(initial=1.0))


@dataclass(frozen=True)
class _Parts:
    """Integer weights of cells in the parts of faces at points.

    Attributes
    ----------
    face, cell, point, weight : int64 array [entries]
        A cell may have several entries in a part, of which the sum counts.
    has_reservoir : bool array [points]
        Whether some weights of the point belong to reservoirs, so that those of cells need not sum to 0.
    """

    face: Integers
    cell: Integers
    point: Integers
    weight: Integers
    has_reservoir: NDArray[np.bool_]

    @classmethod
    def of(cls, mesh: CellMesh, weights: Rows, around: FluxesAroundPoints) -> _Parts | None:
        """Distribute integer weights over the points of each face, like the exact ones; None if that is impossible.

        What rounding leaves over goes to the first part that sees the cell; the source of a face takes what makes the
        weights of a part, with those of reservoirs, sum to 0. All reservoirs count as one more cell.
        """
        has_reservoir = np.zeros(len(mesh.points), bool)
        has_reservoir[around.point[around.holder >= mesh.cells]] = True
        width, lacking = mesh.cells + 1, weights.sums()
        others = around.holder != mesh.source[around.face]
        face, point, value = around.face[others], around.point[others], around.value[others]
        cell = np.minimum(around.holder[others], mesh.cells)
        seen, first, of_face = np.unique(face * width + cell, return_index=True, return_inverse=True)
        is_other = (weights.columns != mesh.source[weights.row_of]) & (weights.values != 0)
        held = np.flatnonzero(lacking)
        stored = np.concatenate([(weights.row_of * width + weights.columns)[is_other], held * width + mesh.cells])
        at = np.minimum(np.searchsorted(seen, stored), seen.size - 1)
        if not seen.size or (seen[at] != stored).any():
            return None
        left = np.zeros(seen.size, np.int64)
        left[at] = np.concatenate([weights.values[is_other], -lacking[held]])
        exact = np.bincount(of_face.reshape(-1), value)
        weight = np.rint(np.abs(left).sum() / np.abs(exact).sum() * value).astype(np.int64)
        np.subtract.at(left, of_face.reshape(-1), weight)
        weight[first] += left
        inside = cell < mesh.cells
        return cls(
            np.concatenate([face[inside], face]),
            np.concatenate([cell[inside], mesh.source[face]]),
            np.concatenate([point[inside], point]),
            np.concatenate([weight[inside], -weight]),
            has_reservoir,
        )

    def losses(self, mesh: CellMesh) -> Iterator[tuple[Field, Integers, bool]]:
        """Yield what cells lose through the parts at some points with equal numbers of cells.

        Yields
        ------
        losses : float64 array [points, cells, cells]
            Per value of each cell.
        cells : int64 array [points, cells]
            Cells around each point.
        has_reservoir : bool
            Whether the points see reservoirs.
        """
        row = np.concatenate([mesh.source[self.face], mesh.target[self.face]])
        kept = row < mesh.cells
        row, point, column = row[kept], np.tile(self.point, 2)[kept], np.tile(self.cell, 2)[kept]
        value = np.concatenate([self.weight, -self.weight])[kept]
        members = np.unique(np.concatenate([point * mesh.cells + row, point * mesh.cells + column]))
        first = np.searchsorted(members // mesh.cells, np.arange(self.has_reservoir.size + 1))
        places = [np.searchsorted(members, point * mesh.cells + cell) - first[point] for cell in (row, column)]
        sizes = np.diff(first)
        kind = np.where(sizes, 2 * sizes + self.has_reservoir, 0)
        for number in np.unique(kind[kind > 0]).tolist():
            points, size = np.flatnonzero(kind == number), number // 2
            entries = np.flatnonzero(kind[point] == number)
            at = (np.searchsorted(points, point[entries]) * size + places[0][entries]) * size + places[1][entries]
            losses = np.asarray(np.bincount(at, value[entries], points.size * size * size), np.float64)
            yield (
                losses.reshape(-1, size, size),
                members[first[points][:, None] + np.arange(size)] % mesh.cells,
                bool(number % 2),
            )
