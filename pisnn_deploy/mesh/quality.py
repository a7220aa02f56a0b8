"""How far a mesh violates the assumption of two-point fluxes, and what that does to fluxes.

A two-point flux uses the difference along the line between two centres as if it were along the face's normal. The error
does not vanish on finer meshes with cells of the same shape. It is measured on a problem whose solution is known on
every mesh: a linear field, fixed at the whole boundary, with uniform conductivity. The scheme's steady flux divided by
the exact one is the factor by which the mesh conducts too well or too badly in that direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.cell_mesh import CellMesh
from pisnn_deploy.mesh.mesh_file import MeshFile

LARGE_ANGLE = 20.0
"""In degrees."""
FLUX_TOLERANCE = 0.02
"""Relative flux error above which a warning is given."""
EXACT = 1e-3
"""Relative flux error up to which two-point fluxes count as exact for linear fields."""
_FEWEST, _MOST = 20, 2000
"""Bounds on the number of iterations."""
_RESIDUAL = 1e-5
_WORK = 200_000_000
"""Limit on cells times iterations; a solver stopped early gives upper bounds of the factors."""


@dataclass(frozen=True)
class Quality:
    """Accuracy of two-point fluxes on a mesh.

    Attributes
    ----------
    mean_degrees, largest_degrees : float
        Angle between the line of centres and the normal, over interior faces.
    large_share : float
        Fraction of interior faces with an angle above 20 degrees.
    flux_factors : (float, float)
        Steady fluxes of linear fields divided by the exact ones, smallest and largest over all directions.
    is_solved : bool
        Whether the steady state was reached; if not, the factors are upper bounds.
    """

    mean_degrees: float
    largest_degrees: float
    large_share: float
    flux_factors: tuple[float, float]
    is_solved: bool

    @property
    def is_exact(self) -> bool:
        """Whether two-point fluxes of linear fields are exact, to 0.1 %."""
        low, high = self.flux_factors
        return low >= 1 - EXACT and high <= 1 + EXACT

    @property
    def warnings(self) -> tuple[str, ...]:
        """A warning about two-point fluxes if a factor is beyond the tolerance."""
        low, high = self.flux_factors
        if low >= 1 - FLUX_TOLERANCE and high <= 1 + FLUX_TOLERANCE:
            return ()
        return (
            f"mesh: fluxes are {low:.2f} to {high:.2f} times the exact ones, and refining such a mesh does not help: "
            f"lines of centres deviate from face normals by {self.mean_degrees:.0f} degrees on average and "
            f"{self.largest_degrees:.0f} at most; use `fluxes` multi-point, or cells that contain their circumcentres",
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON, rounded so that it is the same on all machines."""
        return {
            "mean_degrees": round(self.mean_degrees, 3),
            "largest_degrees": round(self.largest_degrees, 3),
            "share_beyond_20_degrees": round(self.large_share, 4),
            "flux_factors": [round(factor, 4) for factor in self.flux_factors],
            "flux_factors_are_bounds": not self.is_solved,
        }


def two_point_quality(mesh: MeshFile) -> Quality | None:
    """Angles and flux factors of a mesh; None without interior faces."""
    if not len(mesh.interior):
        return None
    closed = mesh.with_reservoirs(mesh.group_names)
    angles = closed.angles()
    factors, is_solved = _flux_factors(closed, mesh.points[mesh.boundary_corners].mean(axis=1))
    return Quality(float(angles.mean()), float(angles.max()), float((angles > LARGE_ANGLE).mean()), factors, is_solved)


def _flux_factors(mesh: CellMesh, outside: NDArray[np.float64]) -> tuple[tuple[float, float], bool]:
    """Smallest and largest eigenvalue of the mesh's effective conductivity for linear fields; ideally 1.

    Parameters
    ----------
    mesh : CellMesh
        Must have a reservoir behind every boundary face.
    outside : float64 array [boundary faces, dims]
        Centres of these faces, which are also the boundary values of the linear fields.
    """
    from scipy.sparse import coo_array, diags_array  # of an extra: `read_mesh_file` asks for it
    from scipy.sparse.linalg import cg

    # In units of the mesh size, so that squares of lengths neither overflow nor vanish.
    origin, size = mesh.points.min(axis=0), float(np.ptp(mesh.points, axis=0).max())
    dims = mesh.points.shape[1]
    geometry = mesh.geometry()
    conductance = geometry.area / geometry.distance.sum(axis=1) / size ** (dims - 2)
    position = (np.concatenate([mesh.centres(), outside]) - origin) / size
    inside = mesh.target < mesh.cells
    source, target, inner = mesh.source[inside], mesh.target[inside], conductance[inside]
    diagonal = np.zeros(mesh.holders)
    for ends in (mesh.source, mesh.target):
        diagonal += np.bincount(ends, conductance, minlength=mesh.holders)
    diagonal = diagonal[: mesh.cells]
    rows, columns = np.concatenate([source, target]), np.concatenate([target, source])
    coupling = coo_array((np.tile(inner, 2), (rows, columns)), shape=(mesh.cells,) * 2)
    system = (diags_array(diagonal) - coupling).tocsr()
    iterations = max(_FEWEST, min(_MOST, _WORK // mesh.cells))
    fields, is_solved = position.copy(), True
    for axis in range(dims):
        inflow = np.bincount(
            mesh.source[~inside], conductance[~inside] * position[mesh.target[~inside], axis], minlength=mesh.cells
        )
        # Starting from the linear field, every iteration lowers the energy and with it the factor.
        solved, unfinished = cg(
            system,
            inflow,
            x0=position[: mesh.cells, axis],
            rtol=_RESIDUAL,
            maxiter=iterations,
            M=diags_array(1 / diagonal),
        )
        fields[: mesh.cells, axis] = solved
        is_solved &= unfinished == 0
    steps = fields[mesh.source] - fields[mesh.target]
    volume = geometry.volumes.sum() / size**dims
    energy = (steps * conductance[:, None]).T @ steps / volume
    low, *_, high = np.linalg.eigvalsh(energy)
    return (float(low), float(high)), is_solved
