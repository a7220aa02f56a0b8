"""What a problem says of the spec of a flux network that was trained elsewhere."""

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
"""How far beyond the fields of a problem its operating range reaches, in parts of their extent; likewise its slope."""


def spec_of_problem(name: str, shape: tuple[int, ...] | None) -> dict[str, Any]:
    """Fields of `pisnn_deploy.physics.model.ModelSpec` that follow from a problem.

    Parameters
    ----------
    shape : tuple of int or None
        Mesh whose cells an equation with a length of its own belongs to; the problem's unless given.

    Returns
    -------
    dict
        Without the fields that are the network's.

    Raises
    ------
    UsageError
        No such problem.
    """
    own = problem(name)
    lengths = (1.0,) * len(own.default_shape)
    said: dict[str, Any] = {
        "problem": name,
        "equation": "diffusion",
        "diffusivity": own.diffusivity,
        "lengths": lengths,
        "operating_range": _operating_range(own, lengths),
    }
    width = lengths[0] / (shape or own.default_shape)[0]
    if isinstance(own, Laplace):
        # Critical damping of the slowest wave between reservoirs.
        said |= {"equation": "laplace", "damping": 2 * math.pi * math.sqrt(sum(length**-2.0 for length in lengths))}
    elif isinstance(own, AdvectionDiffusion):
        said |= {"equation": "advection-diffusion", "velocity": own.velocity, "cell_width": width}
    elif isinstance(own, Burgers):
        said |= {"equation": "burgers", "cell_width": width}
    return said


def limits_of(request: Request, said: dict[str, Any]) -> Limits | None:
    """Limits of the cell values, from what a user and a file say.

    Returns
    -------
    Limits or None
        None where the problem is not known, which `pisnn_deploy.formats.assembly.assemble` refuses.
    """
    named = request.problem or said.get("problem")
    if not isinstance(named, str):
        return None
    try:
        fields = {**spec_of_problem(named, request.shape), **said}
        own = OperatingRange.model_validate(fields["operating_range"])
        lengths = [float(length) for length in fields["lengths"]]
    except (UsageError, ValidationError, TypeError, ValueError):
        return None
    lower, upper = request.limits or (own.lower, own.upper)
    slope = request.slope or own.slope
    if slope is None or not request.is_grid or not lower < upper:
        return Limits(lower, upper) if lower < upper else None
    shape = request.shape or problem(named).default_shape
    # Quanta beyond the slope, which rounding may add, are far below what is rounded here.
    width = max(length / cells for length, cells in zip(lengths, shape, strict=False))
    return Limits(lower, upper, slope * width)


def _operating_range(own: Problem, lengths: tuple[float, ...]) -> dict[str, float]:
    """Range of a problem's own fields and reservoirs; of diffusion the slope, too, which it only smooths."""
    boundary = own.default_boundary(own.default_shape)
    mesh = structured_mesh(own.default_shape, lengths, boundary.sides)
    reservoirs = np.array(reservoir_values(boundary, reservoir_layers(mesh)), np.float64)
    fields = [own.initial(mesh, reservoirs, name) for name in own.initial_conditions]
    values = np.concatenate([*fields, reservoirs])
    lower, upper = float(values.min()), float(values.max())
    margin = RANGE_MARGIN * (upper - lower)
    found = {"lower": _shown(lower - margin), "upper": _shown(upper + margin)}
    if not isinstance(own, Laplace | AdvectionDiffusion | Burgers):
        steps = [
            np.abs(np.diff(field.reshape(mesh.shape), axis=axis)).max() / mesh.spacing[axis]
            for field in fields
            for axis in range(len(lengths))
        ]
        found["slope"] = _shown((1 + RANGE_MARGIN) * float(max(steps)))
    return found


def _shown(value: float) -> float:
    """Three digits: the last ones of transcendental functions differ from machine to machine."""
    return float(f"{value:.2e}")
