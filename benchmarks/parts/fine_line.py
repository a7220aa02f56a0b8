"""The heat equation on a fine line in float32 and float64, for comparison with the integers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from benchmarks.parts.zoo import exact, relative_l2
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import PERIODIC, structured_mesh, uniform_boundary
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request

FINE_CELLS = 8192


@njit
def _central_step(values, new, ratio):
    """Take a step of forward Euler with second differences, the textbook scheme."""
    cells = values.size
    for i in range(cells):
        new[i] = values[i] + ratio * (values[(i + 1) % cells] - values[i] - values[i] + values[i - 1])


@njit
def _wide_step(padded, flux, weights, half):
    """Take a step of the trained kernel in flux form: a cell gives what its neighbour takes, up to rounding."""
    cells = flux.size
    for i in range(half):
        padded[i] = padded[cells + i]
        padded[cells + half + i] = padded[half + i]
    for i in range(cells):
        total = padded.dtype.type(0)
        for j in range(2 * half):
            total += weights[j] * padded[i + j + 1]
        flux[i] = total
    for i in range(cells):
        padded[half + i] -= flux[i] - flux[i - 1]


@njit
def _central_run(values, new, ratio, steps):
    for _ in range(steps):
        _central_step(values, new, ratio)
        values, new = new, values
    return values


@njit
def _wide_run(padded, flux, weights, half, steps):
    for _ in range(steps):
        _wide_step(padded, flux, weights, half)


def floating(path: Path) -> list[dict[str, Any]]:
    """Relative L2 error and mass drift at the horizon, by solver and type; read from `path` if it exists."""
    if path.exists():
        results: list[dict[str, Any]] = json.loads(path.read_text())
        return results
    graph, _ = compile_requested(compile_request("heat1d", mesh=str(FINE_CELLS)))
    own = problem("heat1d")
    mesh = structured_mesh((FINE_CELLS,), (1.0,), uniform_boundary(PERIODIC, 1).sides)
    nothing = np.zeros(0)
    initial, spacing = own.initial(mesh, nothing), mesh.spacing[0]
    kernel = graph.operator[0].weight[0] / 2.0 ** known_face(graph).exponent
    half = kernel.size // 2
    results = []
    for dtype in (np.float32, np.float64):
        for wide in (True, False):
            step = graph.time_step if wide else 0.5 * spacing**2 / own.diffusivity
            steps = round(own.horizon / step)
            begun = time.perf_counter()
            if wide:
                padded = np.zeros(FINE_CELLS + 2 * half, dtype)
                padded[half:-half] = initial
                _wide_run(padded, np.zeros(FINE_CELLS, dtype), kernel.astype(dtype), half, steps)
                end = padded[half:-half].astype(np.float64)
            else:
                values = initial.astype(dtype)
                end = _central_run(values, np.zeros_like(values), dtype(0.5), steps).astype(np.float64)
            start = initial.astype(dtype).astype(np.float64).sum()
            results.append(
                {
                    "solver": "the same kernel in flux form" if wide else "forward Euler, second differences, r = 0.5",
                    "dtype": np.dtype(dtype).name,
                    "steps": steps,
                    "relative_l2": relative_l2(end, exact(graph, steps * step)),
                    "drift": float(abs(end.sum() - start) / start),
                    "seconds": time.perf_counter() - begun,
                }
            )
    path.write_text(json.dumps(results, indent=1))
    return results
