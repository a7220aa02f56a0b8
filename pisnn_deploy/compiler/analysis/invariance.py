"""How far rounding can carry a field that obeys a discrete maximum principle.

With ``P = I + D W / theta`` a memoryless linear network gives ``theta m' = theta P m + D (r - r')``: what residues hold
back. Summed by parts over all PDE steps, masses differ from those without rounding by at most::

    (2 axes + sum_j |P^j (I - P) D|) / 2        |.| the largest absolute row sum, residues within theta / 2 of 0

Faces that see residues move the whole field ``v = m + D r / theta``: ``theta v' = theta P v + D e`` with what their
corrections are rounded by, ``e`` within 1/2 of 0. Then masses differ from those without rounding by at most::

    (2 axes + sum_j |P^j D| / theta) / 2

With reflecting walls the field extends to a periodic lattice on which ``P`` is the convolution with one kernel ``K``.
If ``K`` is nonnegative and sums to 1, the terms do not grow with j, so those at powers of two bound all the others;
beyond ``J`` each ``J`` terms shrink by ``q = |K^J - mean|_1``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh import PERIODIC, Mesh

Floats = NDArray[np.float64]

LARGEST_LATTICE = 1 << 22
"""Most cells of the extended lattice for which the bound is computed."""
_LONGEST = 60
"""Most doublings of j; a field on a lattice of that size is flat long before."""


def lattice_shape(mesh: Mesh) -> tuple[int, ...]:
    """Period of the extended field along each axis: reflections between two walls repeat after twice their distance.

    Returns
    -------
    tuple of int
        Four times the distance where the field is reflected evenly at one wall and oddly at the other.
    """
    return tuple(
        count if sides == (PERIODIC, PERIODIC) else 2 * count if sides[0] == sides[1] else 4 * count
        for count, sides in zip(mesh.shape, mesh.boundary, strict=True)
    )


def lattice_kernel(
    weights: Sequence[NDArray[np.int64]], positions: Floats, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """The convolution ``D W`` on the extended lattice.

    Parameters
    ----------
    weights : sequence of int64 array [positions]
        Linear flux kernel of each axis.
    positions : float64 array [axes, positions]
        See `pisnn_deploy.physics.model.ModelSpec.positions`.

    Returns
    -------
    int64 array of that shape
        Weight of each cell in the change of cell 0, in flux units per quantum.
    """
    kernel = np.zeros(shape, np.int64)
    axes = len(shape)
    for axis, weight in enumerate(weights):
        order = [axis, *(a for a in range(axes) if a != axis)]
        offsets = np.empty((axes, weight.size), np.int64)
        offsets[order] = np.ceil(positions).astype(np.int64)
        for enters, shift in ((1, -1), (-1, 0)):  # through the face below and the face above
            at = [(offsets[a] + (shift if a == axis else 0)) % count for a, count in enumerate(shape)]
            np.add.at(kernel, tuple(at), enters * weight)
    return kernel


def rounding_drift(kernel: NDArray[np.int64], theta: int, *, sees_residues: bool = False) -> int | None:
    """Most quanta by which rounding can move a cell, over any number of PDE steps.

    Parameters
    ----------
    kernel : int64 array
        ``D W`` on the extended lattice.
    sees_residues : bool
        Whether faces correct their drive by the residues near them.

    Returns
    -------
    int or None
        None if ``I + D W / theta`` has a negative weight, or the lattice is too large.
    """
    centre = (0,) * kernel.ndim
    update = kernel.copy()
    update[centre] += theta
    if kernel.size > LARGEST_LATTICE or int(update.min()) < 0 or int(kernel.sum()) != 0:
        return None
    axes = tuple(range(kernel.ndim))
    spectrum = np.fft.rfftn(update / theta, axes=axes)
    change = np.full_like(spectrum, 1 / theta) if sees_residues else 1 - spectrum
    faces = []
    for axis, count in enumerate(kernel.shape):
        face = np.zeros(kernel.shape)
        face[centre] -= 1
        face[tuple(1 % count if a == axis else 0 for a in axes)] += 1
        faces.append(np.fft.rfftn(face, axes=axes) * change)
    power, total, steps = np.ones_like(spectrum), 2.0 * kernel.ndim, 0
    for doubling in range(_LONGEST):
        term = sum(_size(power * face, kernel.shape) for face in faces)
        # The terms at 0, 1, 2, 4, ... bound all terms up to the next.
        count = 1 if doubling < 2 else 1 << (doubling - 1)
        steps = 0 if doubling == 0 else 1 << (doubling - 1)
        if steps:
            flat = power.copy()
            flat[centre] = 0
            left = _size(flat, kernel.shape)
            if left < 0.5:
                total += steps * term / (1 - left)
                return math.floor(total / 2 * (1 + 1e-6)) + 1
        total += count * term
        power = spectrum if doubling == 0 else power * power
    return None


def _size(spectrum: NDArray[np.complex128], shape: tuple[int, ...]) -> float:
    """Sum of the absolute values of a real field with this spectrum."""
    return float(np.abs(np.fft.irfftn(spectrum, s=shape, axes=range(len(shape)))).sum())
