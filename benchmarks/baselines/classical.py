"""Classical finite volumes in float64 on the mesh and with the time step of the deployed network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from benchmarks.baselines.setting import Setting
from pisnn_deploy.mesh import Mesh

Field = NDArray[np.float64]
Step = Callable[[Field, float], Field]
"""Field after a time step."""

_SAFETY = 0.9


def schemes(setting: Setting) -> dict[str, tuple[Step, float]]:
    """Schemes for a problem, each with its largest stable time step.

    Returns
    -------
    dict of str to (callable, float)
        By name: a time step of the scheme, and the longest that is stable.
    """
    mesh, width = setting.mesh, setting.mesh.spacing[0]
    diffusivity = setting.problem.diffusivity
    diffusive = width**2 / (2 * len(mesh.shape) * diffusivity)
    if setting.problem.name == "burgers1d":
        fastest = float(np.abs(setting.initial()).max())
        limit = 1 / (1 / diffusive + fastest / width)
        return {
            "Godunov, Euler": (lambda u, dt: u + dt * _burgers(u, width, diffusivity, second_order=False), limit),
            "MUSCL (minmod), RK2": (lambda u, dt: _heun(u, dt, width, diffusivity), limit),
        }
    if setting.velocity:
        speed = setting.velocity
        # (v dt / h)^2 + 2 D dt / h^2 <= 1, solved for dt.
        limit = (math.sqrt(diffusivity**2 + (speed * width) ** 2) - diffusivity) / speed**2

        def lax_wendroff(u: Field, dt: float) -> Field:
            return _advect(u, dt, width, speed, diffusivity, second_order=True)

        return {
            "upwind, Euler": (
                lambda u, dt: _advect(u, dt, width, speed, diffusivity, second_order=False),
                1 / (1 / diffusive + speed / width),
            ),
            "Lax-Wendroff": (lax_wendroff, limit),
            # At a Courant number of a half its two dispersion errors happen to cancel; at others they do not.
            "Lax-Wendroff, half that step": (lax_wendroff, limit / 2),
        }
    return {"FTCS": (lambda u, dt: u + dt * _diffusion(u, mesh, setting.reservoirs, diffusivity), diffusive)}


def trajectory(step: Step, limit: float, start: Field, time_step: float, steps: int) -> Iterator[tuple[int, Field]]:
    """Fields after 0 to `steps` time steps, each in as few equal parts as are stable.

    Parameters
    ----------
    limit : float
        Largest stable time step.
    start : float64 array [cells]
        Cell averages at time 0.
    time_step : float
        Between the fields that are yielded.
    steps : int
        How many of them.

    Yields
    ------
    int, float64 array [cells]
        Number of the time step and the field after it.
    """
    parts = substeps(limit, time_step)
    field = start.copy()
    yield 0, field
    for number in range(1, steps + 1):
        for _ in range(parts):
            field = step(field, time_step / parts)
        yield number, field


def substeps(limit: float, time_step: float) -> int:
    """Number of equal parts of a time step that are stable."""
    return max(1, math.ceil(time_step / (_SAFETY * limit)))


def direct_laplace(setting: Setting) -> Field:
    """Steady state of the two-point flux by a direct solver, float64 [cells]."""
    mesh, face = setting.mesh, np.arange(setting.mesh.faces)
    ones = np.ones(mesh.faces)
    ends = (np.concatenate([ones, -ones]), (np.concatenate([mesh.target, mesh.source]), np.tile(face, 2)))
    incidence = sparse.coo_matrix(ends, (mesh.holders, mesh.faces)).tocsr()
    flux = sparse.diags(_face_weights(mesh)) @ -incidence.T
    balance = (incidence[: mesh.cells] @ flux).tocsc()
    inner, outer = balance[:, : mesh.cells], balance[:, mesh.cells :]
    return np.asarray(spsolve(inner, -outer @ setting.reservoirs), np.float64)


def _face_weights(mesh: Mesh) -> Field:
    """Inverse distance factors: 1 between cells, 2 at a side (half a cell away), float64 [faces]."""
    return np.where(np.maximum(mesh.source, mesh.target) < mesh.cells, 1.0, 2.0)


def _diffusion(field: Field, mesh: Mesh, reservoirs: Field, diffusivity: float) -> Field:
    values = np.concatenate([field, reservoirs])
    flux = diffusivity * _face_weights(mesh) * (values[mesh.source] - values[mesh.target]) / mesh.spacing[0] ** 2
    return mesh.divergence(flux)[: mesh.cells]


def _advect(u: Field, dt: float, width: float, speed: float, diffusivity: float, *, second_order: bool) -> Field:
    left = np.roll(u, 1)
    flux = speed * (left + u) / 2 - speed**2 * dt / (2 * width) * (u - left) if second_order else speed * left
    flux = flux - diffusivity * (u - left) / width
    return np.asarray(u - dt / width * (np.roll(flux, -1) - flux), np.float64)


def _burgers(u: Field, width: float, diffusivity: float, *, second_order: bool) -> Field:
    """Rate of change, with the exact Riemann flux of u^2 / 2 at the lower face of each cell."""
    half = _minmod(u - np.roll(u, 1), np.roll(u, -1) - u) / 2 if second_order else np.zeros_like(u)
    lower, upper = np.roll(u + half, 1), u - half
    flux = np.maximum(np.maximum(lower, 0) ** 2, np.minimum(upper, 0) ** 2) / 2
    flux = flux - diffusivity * (u - np.roll(u, 1)) / width
    return np.asarray((flux - np.roll(flux, -1)) / width, np.float64)


def _heun(u: Field, dt: float, width: float, diffusivity: float) -> Field:
    first = u + dt * _burgers(u, width, diffusivity, second_order=True)
    second = first + dt * _burgers(first, width, diffusivity, second_order=True)
    return np.asarray((u + second) / 2, np.float64)


def _minmod(a: Field, b: Field) -> Field:
    return np.asarray(np.where(a * b > 0, np.sign(a) * np.minimum(np.abs(a), np.abs(b)), 0.0), np.float64)
