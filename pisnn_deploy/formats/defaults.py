"""Default spec fields for a flux network that was trained elsewhere, derived from its problem."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import ValidationError

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.network import Request
from pisnn_deploy.formats.windows import Limits
from pisnn_deploy.mesh import reservoir_layers, reservoir_values, structured_mesh
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.physics.problems import Problem, problem
from pisnn_deploy.physics.problems.advection import AdvectionDiffusion
from pisnn_deploy.physics.problems.burgers import Burgers
from pisnn_deploy.physics.problems.laplace import Laplace

RANGE_MARGIN = 0.25
"""Margin of the operating range and slope beyond the problem's fields, relative to these."""


def spec_of_problem(name: str, shape: tuple[int, ...] | None) -> dict[str, Any]:
    """Fields of `pisnn_deploy.physics.model.ModelSpec` that follow from a problem.

    Parameters
    ----------
    shape : tuple of int or None
        Mesh that determines the cell width of an equation with a length scale (default: the problem's).

    Returns
    -------
    dict
        All fields except those of the network.

    Raises
    ------
    UsageError
        The problem is unknown.
    """
    known = problem(name)
    lengths = (1.0,) * len(known.default_shape)
    fields: dict[str, Any] = {
        "problem": name,
        "equation": "diffusion",
        "diffusivity": known.diffusivity,
        "lengths": lengths,
        "operating_range": _operating_range(known, lengths),
    }
    width = lengths[0] / (shape or known.default_shape)[0]
    if isinstance(known, Laplace):
        # Critical damping of the slowest wave between reservoirs.
        fields |= {"equation": "laplace", "damping": 2 * math.pi * math.sqrt(sum(length**-2.0 for length in lengths))}
    elif isinstance(known, AdvectionDiffusion):
        fields |= {"equation": "advection-diffusion", "velocity": known.velocity, "cell_width": width}
    elif isinstance(known, Burgers):
        fields |= {"equation": "burgers", "cell_width": width}
    return fields


def limits_of(request: Request, from_file: dict[str, Any]) -> Limits | None:
    """Limits of the cell values, from the user's request and the spec fields of a file.

    Returns
    -------
    Limits or None
        None if the problem is unknown, which `pisnn_deploy.formats.assembly.assemble` refuses.
    """
    problem_name = request.problem or from_file.get("problem")
    if not isinstance(problem_name, str):
        return None
    try:
        fields = {**spec_of_problem(problem_name, request.shape), **from_file}
        default = OperatingRange.model_validate(fields["operating_range"])
        lengths = [float(length) for length in fields["lengths"]]
    except (UsageError, ValidationError, TypeError, ValueError):
        return None
    lower, upper = request.limits or (default.lower, default.upper)
    slope = request.slope or default.slope
    if slope is None or not request.is_grid or not lower < upper:
        return Limits(lower, upper) if lower < upper else None
    shape = request.shape or problem(problem_name).default_shape
    # Rounding may exceed the slope by a few quanta, far less than the precision needed here.
    width = max(length / cells for length, cells in zip(lengths, shape, strict=False))
    return Limits(lower, upper, slope * width)


def _operating_range(known: Problem, lengths: tuple[float, ...]) -> dict[str, float]:
    """Range of a problem's fields and reservoirs; for diffusion also the slope, which can only decrease."""
    boundary = known.default_boundary(known.default_shape)
    mesh = structured_mesh(known.default_shape, lengths, boundary.sides)
    reservoirs = np.array(reservoir_values(boundary, reservoir_layers(mesh)), np.float64)
    fields = [known.initial(mesh, reservoirs, name) for name in known.initial_conditions]
    values = np.concatenate([*fields, reservoirs])
    lower, upper = float(values.min()), float(values.max())
    margin = RANGE_MARGIN * (upper - lower)
    limits = {"lower": _shown(lower - margin), "upper": _shown(upper + margin)}
    if not isinstance(known, Laplace | AdvectionDiffusion | Burgers):
        steps = [
            np.abs(np.diff(field.reshape(mesh.shape), axis=axis)).max() / mesh.spacing[axis]
            for field in fields
            for axis in range(len(lengths))
        ]
        limits["slope"] = _shown((1 + RANGE_MARGIN) * float(max(steps)))
    return limits


def _shown(value: float) -> float:
    """Round to three digits, because the last digits of transcendental functions depend on the machine."""
    return float(f"{value:.2e}")
