"""Physical time of one PDE step, and the leak for it, derived from the weights.

Rounding weights changes the operator, so the time step of the float model is never reused.
"""

from __future__ import annotations

import math
from typing import Any

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.physics.model import ModelSpec


def time_step(spec: ModelSpec, zeroth: Any, first: Any, spacing: float, leak: Any) -> Any:
    """Physical time of one PDE step of a linear flux network.

    * ``diffusion``: ``first * spacing^2 / diffusivity``, times ``4096 / leak``.
    * ``advection-diffusion``: ``zeroth * spacing / velocity``, from the Courant number.
    * ``laplace``: pseudo-time ``sqrt(first) * spacing``, in which the waves of the damped wave equation have speed 1.

    Parameters
    ----------
    zeroth, first : float or tensor
        Moments of the kernel, see `pisnn_deploy.physics.model.flux_moments`.
    spacing : float
        Cell width along `ModelSpec.clock_axis`; the moments are those of the kernel of that axis.
    leak : float or tensor
        Decay constant, up to 4096.

    Returns
    -------
    float or tensor
        Not positive if the kernel is not consistent with the equation.
    """
    if spec.equation == "laplace":
        return max(first, 0.0) ** 0.5 * spacing
    if spec.equation == "advection-diffusion":
        return zeroth * spacing / spec.velocity
    return first * spacing**2 / clock_diffusivity(spec) * (MEMORYLESS / leak)


def clock_diffusivity(spec: ModelSpec) -> float:
    """Diffusivity along `ModelSpec.clock_axis`."""
    return spec.diffusivity * (spec.along[spec.clock_axis] if spec.along else 1.0)


def nominal_time_step(spec: ModelSpec, spacing: float) -> float:
    """Physical time of one PDE step that a network with hidden layers was trained for.

    Parameters
    ----------
    spacing : float
        Cell width.
    """
    return spec.diffusion_number * spacing**2 / clock_diffusivity(spec)


def damped_leak(spec: ModelSpec, step: float) -> int:
    """Decay constant of the flux compartment that gives the spec's damping.

    Parameters
    ----------
    step : float
        Pseudo-time of one PDE step.

    Returns
    -------
    int
        1 to 4096; the leak of the spec if it has no damping.
    """
    if spec.damping is None:
        return spec.leak
    return min(MEMORYLESS, max(1, round(MEMORYLESS * -math.expm1(-spec.damping * step))))
