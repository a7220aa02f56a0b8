"""Amplification factors and accumulated rounding errors, by Fourier transforms."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import DIRICHLET, NO_FLUX, PERIODIC
from pisnn_deploy.verify.clock import kernel_of
from pisnn_deploy.verify.faces import face_of
from pisnn_deploy.verify.folding import Folding, fold_line
from pisnn_deploy.verify.symbols import Weights

Spectrum = NDArray[np.complex128]
MOST_CELLS_ALONG = 512
"""Largest number of cells along an axis for which eigenvalues are computed (takes seconds)."""
MARGIN = 1e-9
"""Tolerance for float64 rounding in amplification factors."""


def lattice_weights(graph: IntegerGraph) -> NDArray[np.int64]:
    """Weight of each cell in the change of cell 0 by ``D W``, on the periodic lattice that replaces walls."""
    mesh = graph.grid
    period = [
        n * (1 if s[0] == PERIODIC else 2 if s[0] == s[1] else 4)
        for n, s in zip(mesh.shape, mesh.boundary, strict=True)
    ]
    weights = np.zeros(period, np.int64)
    for gains in gains_along(graph):
        for offset, weight in gains.items():
            weights[tuple(np.mod(offset, period))] += weight
    return weights


def gains_along(graph: IntegerGraph) -> list[Weights]:
    """What the faces along each axis add to a cell far from walls: the weight of each cell, by its offset."""
    spec, axes = graph.model_spec, len(graph.grid.shape)
    along, across = range(1 - spec.half_width, spec.half_width + 1), range(-spec.transverse, spec.transverse + 1)
    windows = list(itertools.product(along, *(across,) * (axes - 1)))
    gains: list[Weights] = []
    for axis in range(axes):
        gain: Weights = {}
        for steps, weight in zip(windows, kernel_of(graph, axis), strict=True):
            at = [*steps[1 : axis + 1], steps[0], *steps[axis + 1 :]]
            gain[tuple(at)] = gain.get(tuple(at), 0) - weight  # through the upper face of the cell
            at[axis] -= 1
            gain[tuple(at)] = gain.get(tuple(at), 0) + weight
        gains.append(gain)
    return gains


def lattice(graph: IntegerGraph) -> Spectrum:
    """Spectrum of ``D W / theta`` on the periodic lattice that replaces walls, 2 or 4 times as long."""
    weights = lattice_weights(graph)
    mirrored = weights[tuple(np.ix_(*((-np.arange(n)) % n for n in weights.shape)))]
    return np.fft.fftn(mirrored / (1 << face_of(graph).exponent))


def drift(gain: Spectrum, theta: int | None = None) -> int | None:
    """Bound of accumulated rounding, in quanta: half of ``2 axes + sum_j |K^j (1 - K) D|``; None without a bound.

    With a `theta`, faces see residues, and the terms are ``|K^j D| / theta``. Terms at powers of two bound the sum.

    The derivation is in docs/explanation/compiler.md.
    """
    update = np.fft.ifftn(1 + gain).real
    if update.min() < -MARGIN:
        return None
    waves = np.meshgrid(*(np.fft.fftfreq(n) for n in gain.shape), indexing="ij")
    total, power, steps = 2.0 * gain.ndim, np.ones_like(gain), 0
    while steps < 1 << 50:
        left_over = gain if theta is None else np.full_like(gain, 1 / theta)
        term = sum(np.abs(np.fft.ifftn(power * left_over * (np.exp(2j * np.pi * wave) - 1))).sum() for wave in waves)
        flat = power.copy()
        flat.flat[0] = 0
        left = np.abs(np.fft.ifftn(flat)).sum() if steps else 1.0
        if left < 0.5:
            most: float = (total + steps * term / (1 - left)) / 2
            return math.ceil(most * (1 - MARGIN))
        total += max(1, steps) * term
        power, steps = (power * power, 2 * steps) if steps else (1 + gain, 1)
    return None


def modulus(gain: Spectrum, leak: int) -> float:
    """Largest modulus of the roots of ``z^2 - (1 + keep + g) z + keep`` over all gains g."""
    keep = 1 - leak / MEMORYLESS
    middle = (1 + keep + gain) / 2
    root = np.sqrt(middle**2 - keep)
    return float(np.maximum(np.abs(middle + root), np.abs(middle - root)).max())


def delayed_modulus(gain: Spectrum) -> float:
    """Largest modulus of the roots of ``z^2 - z - g`` over all gains g, for fluxes that are one step late."""
    root = np.sqrt(0.25 + gain)
    return float(np.maximum(np.abs(0.5 + root), np.abs(0.5 - root)).max())


def has_axis_gains(graph: IntegerGraph) -> bool:
    """Whether the operator is a sum over axes that are short enough to compute all eigenvalues.

    The time grows with the cube of the cells along an axis, and the artifact is not trusted.
    """
    return (
        not graph.model_spec.transverse and not face_of(graph).steps_late and max(graph.grid.shape) <= MOST_CELLS_ALONG
    )


def axis_gains(graph: IntegerGraph) -> Spectrum:
    """Eigenvalues of ``D W / theta`` for a sum over axes, complex128 [eigenvalues]."""
    gains = np.zeros(1, np.complex128)
    matrices, unit = axis_matrices(graph)
    for matrix in matrices:
        gains = (gains[:, None] + np.linalg.eigvals(matrix / unit)).reshape(-1)
    return gains


def axis_matrices(graph: IntegerGraph) -> tuple[list[NDArray[np.int64]], int]:
    """Matrix of ``D W`` along each axis, int64 [cells along it, cells along it], and the integer that stands for 1."""
    matrices, quadratic = [], Folding(graph).quadratic
    for axis, (count, sides) in enumerate(zip(graph.grid.shape, graph.grid.boundary, strict=True)):
        weights = kernel_of(graph, axis)
        matrix = np.zeros((count, count), np.int64)
        for face in range(-1, count):
            if (face < 0 and sides[0] != DIRICHLET) or (face == count - 1 and sides[1] == NO_FLUX):
                continue
            for step, weight in enumerate(weights, 1 - len(weights) // 2):
                for place, part in fold_line(face + step, count, sides, quadratic).items():
                    if 0 <= place < count:
                        for cell, sign in ((face, -1), (face + 1, 1)):
                            if 0 <= (cell % count if sides[0] == PERIODIC else cell) < count:
                                matrix[cell % count, place] += sign * weight * part
        matrices.append(matrix)
    return matrices, (2 if quadratic else 1) << face_of(graph).exponent
