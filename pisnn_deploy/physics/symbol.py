"""Amplification factors of linear flux networks (von Neumann analysis).

A memoryless linear flux kernel ``w`` changes the Fourier mode of wave numbers ``xi`` per cell by the factor::

    K(xi) = 1 + sum_a (sum_p w_p exp(i xi . x_p)) * (exp(-i xi_a / 2) - exp(i xi_a / 2))

where ``x_p`` is the offset of window position ``p`` from a face normal to axis ``a``. A leak ``delta`` makes it the
larger root of ``z^2 - (1 + keep + g) z + keep = 0`` where ``keep = 1 - delta / 4096`` and ``g = K - 1``. Fluxes of the
field one step before (`pisnn_deploy.graph.stock`) make it the larger root of ``z^2 - z - g = 0``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS

Floats = NDArray[np.float64]


def gain(kernel: Floats, positions: Floats, waves: Floats) -> NDArray[np.complex128]:
    """Change of a Fourier mode of amplitude 1 in one PDE step, without a leak.

    Parameters
    ----------
    kernel : float64 array [..., positions]
        Weights of the flux, by window position.
    positions : float64 array [axes, positions]
        Offsets from the face in cells, see `pisnn_deploy.physics.model.ModelSpec.positions`.
    waves : float64 array [axes, n]
        Wave numbers, in radians per cell.

    Returns
    -------
    complex128 array [..., n]
        Change of each wave in a PDE step, divided by its amplitude.
    """
    return gain_along((kernel,) * waves.shape[0], positions, waves)


def gain_along(kernels: Sequence[Floats], positions: Floats, waves: Floats) -> NDArray[np.complex128]:
    """As `gain`, with a kernel for the faces normal to each axis.

    Parameters
    ----------
    kernels : sequence of float64 array [..., positions]
        For each axis.
    positions, waves : float64 array
        As for `gain`.
    """
    axes = waves.shape[0]
    total = np.zeros((*np.broadcast_shapes(*(each.shape[:-1] for each in kernels)), waves.shape[1]), np.complex128)
    for axis, kernel in enumerate(kernels):
        order = [axis, *(a for a in range(axes) if a != axis)]
        phases = np.exp(1j * (positions.T @ waves[order]))
        total += (kernel @ phases) * (-2j * np.sin(waves[axis] / 2))
    return total


def gain_on_grid(kernels: Sequence[Floats], positions: Floats, waves: Sequence[Floats]) -> NDArray[np.complex128]:
    """As `gain_along`, for all combinations of wave numbers; phases are products of those along the axes.

    Parameters
    ----------
    kernels : sequence of float64 array [positions]
        For each axis.
    positions : float64 array [axes, positions]
        As for `gain`.
    waves : sequence of float64 array [n_a]
        Wave numbers along each axis, in radians per cell.

    Returns
    -------
    complex128 array [n_0, n_1, ...]
        Change of each wave in a PDE step, divided by its amplitude.
    """
    total = np.zeros(tuple(each.size for each in waves), np.complex128)
    for axis, kernel in enumerate(kernels):
        order = [axis, *(a for a in range(len(waves)) if a != axis)]
        place = {a: number for number, a in enumerate(order)}
        phases = [np.exp(1j * np.outer(positions[place[a]], each)) for a, each in enumerate(waves)]
        first, *others = phases
        rest = np.ones((first.shape[0], 1))
        for along in others:
            rest = (rest[:, :, None] * along[:, None]).reshape(first.shape[0], -1)
        sums = ((kernel.reshape(-1, 1) * first).T @ rest).reshape(total.shape)
        shape = [-1 if a == axis else 1 for a in range(len(waves))]
        total += sums * (-2j * np.sin(waves[axis] / 2)).reshape(shape)
    return total


def amplification(kernel: Floats, positions: Floats, waves: Floats, leak: int = MEMORYLESS) -> NDArray[np.complex128]:
    """Amplification factor of one PDE step.

    Parameters
    ----------
    kernel : float64 array [..., positions]
        Weights of the flux, by window position.
    positions : float64 array [axes, positions]
        Offsets from the face in cells, see `pisnn_deploy.physics.model.ModelSpec.positions`.
    waves : float64 array [axes, n]
        Wave numbers, in radians per cell.
    leak : int
        Decay constant, 1 to 4096.

    Returns
    -------
    complex128 array [..., n]
        Factor of each wave; with a leak below `MEMORYLESS`, the larger of two.
    """
    return largest_root(gain(kernel, positions, waves), leak)


def largest_root(gains: NDArray[np.complex128], leak: int) -> NDArray[np.complex128]:
    """Amplification factors from gains: the larger root of ``z^2 - (1 + keep + g) z + keep``.

    Parameters
    ----------
    gains : complex128 array
        Change of each wave in a PDE step, divided by its amplitude.
    leak : int
        Decay constant, 1 to 4096.

    Returns
    -------
    complex128 array
        Amplification factor of each wave.
    """
    keep = 1 - leak / MEMORYLESS
    total = 1 + keep + gains
    root = np.sqrt(total**2 - 4 * keep)
    upper, lower = (total + root) / 2, (total - root) / 2
    return np.where(np.abs(upper) >= np.abs(lower), upper, lower)


def delayed_root(gains: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Amplification factors with fluxes delayed by one step: the larger root of ``z^2 - z - g``.

    Parameters
    ----------
    gains : complex128 array
        Change of each wave in a PDE step, divided by its amplitude.

    Returns
    -------
    complex128 array
        Amplification factor of each wave.
    """
    root = np.sqrt(1 + 4 * gains)
    upper, lower = (1 + root) / 2, (1 - root) / 2
    return np.where(np.abs(upper) >= np.abs(lower), upper, lower)
