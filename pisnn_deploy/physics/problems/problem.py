"""Interface of problems, and the built-in problems by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import Boundary, Mesh
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.physics.problems.advection import AdvectionDiffusion
from pisnn_deploy.physics.problems.burgers import Burgers
from pisnn_deploy.physics.problems.heat import Heat
from pisnn_deploy.physics.problems.laplace import Laplace

Field = NDArray[np.float64]


class Problem(Protocol):
    """A conservation law with initial conditions and a reference solution."""

    @property
    def name(self) -> str:
        """Short name."""
        ...

    @property
    def equation(self) -> str:
        """The equation as text."""
        ...

    @property
    def diffusivity(self) -> float:
        """In length^2 per time."""
        ...

    @property
    def horizon(self) -> float:
        """Time at which accuracy is measured."""
        ...

    @property
    def default_shape(self) -> tuple[int, ...]:
        """Default mesh shape."""
        ...

    @property
    def initial_conditions(self) -> tuple[str, ...]:
        """Names of the initial conditions; the first is the default."""
        ...

    def default_boundary(self, shape: tuple[int, ...]) -> Boundary:
        """Default boundary conditions for a mesh of this shape."""
        ...

    def initial(self, mesh: Mesh, reservoirs: Field, name: str | None = None) -> Field:
        """Cell averages at time 0, float64 [cells]."""
        ...

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages at a time, float64 [cells]; None if no exact solution is known."""
        ...

    def reference_error(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> float | None:
        """Largest possible error of the reference's cell averages; None without a reference."""
        ...


_DEFAULTS: dict[str, Problem] = {
    "heat1d": Heat("heat1d", (128,)),
    "heat2d": Heat("heat2d", (64, 64)),
    "heat3d": Heat("heat3d", (16, 16, 16)),
    "laplace2d": Laplace(),
    "advection_diffusion1d": AdvectionDiffusion(),
    "burgers1d": Burgers(),
}
_WITH: dict[str, Callable[[float, float, tuple[float, ...]], Problem]] = {
    "heat1d": lambda diffusivity, _, along: Heat("heat1d", (128,), diffusivity, along=along),
    "heat2d": lambda diffusivity, _, along: Heat("heat2d", (64, 64), diffusivity, along=along),
    "heat3d": lambda diffusivity, _, along: Heat("heat3d", (16, 16, 16), diffusivity, along=along),
    "laplace2d": lambda _, __, ___: Laplace(),
    "advection_diffusion1d": lambda diffusivity, velocity, _: AdvectionDiffusion(
        diffusivity=diffusivity, velocity=velocity
    ),
    "burgers1d": lambda diffusivity, _, __: Burgers(diffusivity=diffusivity),
}
NAMES = tuple(_DEFAULTS)
"""Names of the problems."""
EQUATIONS = {
    "heat1d": "diffusion",
    "heat2d": "diffusion",
    "heat3d": "diffusion",
    "laplace2d": "laplace",
    "advection_diffusion1d": "advection-diffusion",
    "burgers1d": "burgers",
}
"""Equation of each problem, as named in a model's spec."""


def mismatch(name: str, equation: str, dimensions: int) -> str:
    """Explain why a problem does not fit a model.

    Parameters
    ----------
    name : str
        Name of the problem.
    equation : str
        Equation of the model.
    dimensions : int
        Dimensions of the model.

    Returns
    -------
    str
        End of a sentence; empty if the problem fits.
    """
    if name not in _DEFAULTS:
        return f"{name!r} is unknown; use {', '.join(NAMES)}"
    problem_equation, axes = EQUATIONS[name], len(_DEFAULTS[name].default_shape)
    if (problem_equation, axes) == (equation, dimensions):
        return ""
    return f"{name} solves {problem_equation} in {axes}D, but the model solves {equation} in {dimensions}D"


def problem(
    name: str, diffusivity: float | None = None, velocity: float = 0.0, along: tuple[float, ...] = ()
) -> Problem:
    """Look up a problem by name.

    Parameters
    ----------
    diffusivity : float, optional
        Overrides the coefficients of the problem.
    velocity : float
        Used only if `diffusivity` is given.
    along : tuple of float
        Factor of the diffusivity along each axis, for problems of heat.

    Raises
    ------
    UsageError
        The name is unknown; the message lists the known ones.
    """
    if name not in _DEFAULTS:
        raise UsageError(f"problem {name!r}: unknown; use {', '.join(NAMES)}")
    return _DEFAULTS[name] if diffusivity is None else _WITH[name](diffusivity, velocity, along)


def problem_of_spec(spec: ModelSpec, along: tuple[float, ...] = ()) -> Problem:
    """Problem of a model, with the model's coefficients.

    Parameters
    ----------
    along : tuple of float
        Factor of the diffusivity along each axis (default: the model's).
    """
    return problem(spec.problem, spec.diffusivity, spec.velocity, along or spec.along)
