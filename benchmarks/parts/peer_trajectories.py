"""Trajectories of peers for `benchmarks.audits`: the same problem by py-pde, FiPy and numpy, saved row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
CELLS, DIFFUSIVITY, VELOCITY = 64, 0.01, 1.0
STEPS = 200
SPACING = 1 / CELLS
TIME_STEP = 0.25 * SPACING**2 / DIFFUSIVITY
CENTRES = (np.arange(CELLS) + 0.5) * SPACING
START = 1 + 0.5 * np.cos(2 * np.pi * CENTRES)


def saved(rows: list[NDArray[Any]], time_step: float = TIME_STEP) -> Arrays:
    """Rows with times and coordinates, as `pisnn-deploy audit` reads them."""
    return {"u": np.stack(rows), "time": np.arange(len(rows)) * time_step, "x": CENTRES}


def py_pde(solver: str, adaptive: bool = False) -> Arrays:
    """Diffusion on a ring by py-pde."""
    import pde

    grid = pde.CartesianGrid([[0, 1]], CELLS, periodic=True)
    storage = pde.MemoryStorage()
    equation = pde.DiffusionPDE(diffusivity=DIFFUSIVITY)
    options: dict[str, Any] = {"adaptive": True, "tolerance": 1e-6} if adaptive else {}
    equation.solve(
        pde.ScalarField(grid, START),
        t_range=STEPS * TIME_STEP,
        dt=TIME_STEP,
        solver=solver,
        backend="numpy",
        tracker=[storage.tracker(TIME_STEP)],
        **options,
    )
    return {"u": np.stack(storage.data), "time": np.array(storage.times), "x": CENTRES}


def py_pde_expression() -> Arrays:
    """Burgers' equation by py-pde with ``-u u_x`` by backward differences, which are those of no flux."""
    import pde

    grid = pde.CartesianGrid([[0, 1]], CELLS, periodic=True)
    storage = pde.MemoryStorage()
    equation = pde.PDE({"u": f"{DIFFUSIVITY} * laplace(u) - u * d_dx_backward(u)"})
    start = pde.ScalarField(grid, START)
    equation.solve(
        start,
        t_range=STEPS * TIME_STEP / 4,
        dt=TIME_STEP / 4,
        backend="numpy",
        tracker=[storage.tracker(TIME_STEP / 4)],
    )
    return {"u": np.stack(storage.data), "time": np.array(storage.times), "x": CENTRES}


def fipy_flow() -> Arrays:
    """Implicit advection and diffusion on a ring by FiPy."""
    from fipy import CellVariable, DiffusionTerm, PeriodicGrid1D, TransientTerm, UpwindConvectionTerm

    mesh = PeriodicGrid1D(nx=CELLS, dx=SPACING)
    field = CellVariable(mesh=mesh, value=START)
    flow = UpwindConvectionTerm(coeff=(VELOCITY,))
    equation = TransientTerm() + flow == DiffusionTerm(coeff=DIFFUSIVITY)
    rows = [np.array(field.value)]
    for _ in range(STEPS):
        equation.solve(var=field, dt=TIME_STEP)
        rows.append(np.array(field.value))
    return saved(rows)


def fipy_diffusion() -> Arrays:
    """Implicit diffusion on a ring by FiPy."""
    from fipy import CellVariable, DiffusionTerm, PeriodicGrid1D, TransientTerm

    field = CellVariable(mesh=PeriodicGrid1D(nx=CELLS, dx=SPACING), value=START)
    equation = TransientTerm() == DiffusionTerm(coeff=DIFFUSIVITY)
    rows = [np.array(field.value)]
    for _ in range(STEPS):
        equation.solve(var=field, dt=TIME_STEP)
        rows.append(np.array(field.value))
    return saved(rows)


def numpy_fluxes(dtype: type = np.float32) -> Arrays:
    """Explicit two-point fluxes in a given precision, with what passed through each face."""
    u, rows, transported = START.astype(dtype), [], []
    rows.append(u)
    number = dtype(DIFFUSIVITY * TIME_STEP / SPACING**2)
    for _ in range(STEPS):
        flux = -(u - np.roll(u, 1)) * number
        u = u + flux - np.roll(flux, -1)
        rows.append(u)
        transported.append(flux * dtype(SPACING))
    return {**saved(rows), "transported_x": np.stack(transported)}


def network_like() -> Arrays:
    """The exact solution with an error of the size of a trained network's: smooth in space, growing with time."""
    times = np.arange(STEPS + 1) * TIME_STEP
    decay = np.exp(-DIFFUSIVITY * (2 * np.pi) ** 2 * times)
    exact = 1 + 0.5 * decay[:, None] * np.cos(2 * np.pi * CENTRES)
    error = 1e-3 * np.sin(3 * times)[:, None] * np.cos(np.pi * CENTRES) ** 2
    return saved(list((exact + error).astype(np.float32)))


TRAJECTORIES: Mapping[str, tuple[Callable[[], Arrays], str]] = {
    "py-pde, explicit": (lambda: py_pde("explicit"), f"diffusion={DIFFUSIVITY}"),
    "py-pde, explicit, adaptive": (lambda: py_pde("explicit", adaptive=True), f"diffusion={DIFFUSIVITY}"),
    "py-pde, `-u u_x` by backward differences": (py_pde_expression, ""),
    "FiPy, implicit diffusion": (fipy_diffusion, f"diffusion={DIFFUSIVITY}"),
    "FiPy, implicit upwind advection": (fipy_flow, ""),
    "numpy, float32 fluxes": (numpy_fluxes, f"diffusion={DIFFUSIVITY}"),
    "exact solution with a smooth error of 1e-3, float32": (network_like, f"diffusion={DIFFUSIVITY}"),
}
"""What makes each trajectory, and the law that it follows; an empty one is not compared."""
