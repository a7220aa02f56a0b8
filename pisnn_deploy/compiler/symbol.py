"""Amplification factors of linear flux networks (von Neumann analysis).

A memoryless linear flux kernel ``w`` changes the Fourier mode of wave number ``xi`` per cell by the factor::

    K(xi) = 1 + (sum_p w_p exp(i xi (p - 1/2))) * (exp(-i xi / 2) - exp(i xi / 2))

with window positions ``p = 1 - half_width .. half_width``; a leak ``delta`` makes it the larger root of
``z^2 - (1 + keep + g) z + keep = 0`` where ``keep = 1 - delta / 4096`` and ``g = K - 1``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.arithmetic import MEMORYLESS

WELL_RESOLVED = np.pi / 8
"""Wave number per cell of a mode with 16 cells per wavelength: coarser modes are not resolved well by any scheme."""
_RESOLVED_WAVES = np.linspace(WELL_RESOLVED / 32, WELL_RESOLVED, 32)


def amplification(
    kernel: NDArray[np.float64], waves: NDArray[np.float64], leak: int = MEMORYLESS
) -> NDArray[np.complex128]:
    """Amplification factor of one PDE step in one dimension.

    Parameters
    ----------
    kernel : float64 array [..., 2 * half_width]
        Flux per cell value, from the lowest to the highest window position.
    waves : float64 array [n]
        Wave numbers per cell, radians.
    leak : int
        Decay constant.

    Returns
    -------
    complex128 array [..., n]
        The factor of larger modulus if the leak keeps some of the current.
    """
    half_width = kernel.shape[-1] // 2
    distance = np.arange(1 - half_width, half_width + 1) - 0.5
    gain = (kernel @ np.exp(1j * distance[:, None] * waves)) * (-2j * np.sin(waves / 2))
    keep = 1 - leak / MEMORYLESS
    total = 1 + keep + gain
    root = np.sqrt(total**2 - 4 * keep)
    upper, lower = (total + root) / 2, (total - root) / 2
    return np.where(np.abs(upper) >= np.abs(lower), upper, lower)


def diffusion_error(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a kernel is from exact diffusion over the well-resolved waves.

    Parameters
    ----------
    kernel : float64 array [..., 2 * half_width]
        Antisymmetric, memoryless.

    Returns
    -------
    float64 array [...]
        Mean of ``|-log K(xi) / (r xi^2) - 1|``, the relative error of the decay rate, where ``r`` is the kernel's own
        diffusion number; infinite for a kernel that does not damp every wave.
    """
    half_width = kernel.shape[-1] // 2
    distance = np.arange(1 - half_width, half_width + 1) - 0.5
    number = -(kernel @ distance)
    factor = amplification(kernel, _RESOLVED_WAVES).real
    everywhere = np.abs(amplification(kernel, np.linspace(0.0, np.pi, 65)[1:])).max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(-np.log(factor) / (number[..., None] * _RESOLVED_WAVES**2) - 1).mean(axis=-1)
    return np.where((number > 0) & (factor > 0).all(axis=-1) & (everywhere < 1), error, np.inf)
