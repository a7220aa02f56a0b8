"""What a problem offers, and the problems by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import UsageError
from pisnn_deploy.mesh import Mesh
from pisnn_deploy.problems.heat import heat1d

Field = NDArray[np.float64]


class Problem(Protocol):
    """A conservation law with initial conditions and a reference solution."""

    @property
    def name(self) -> str:
        """Short name."""
        ...

    @property
    def equation(self) -> str:
        """The equation, for people."""
        ...

    @property
    def diffusivity(self) -> float:
        """In length^2 per time."""
        ...

    @property
    def horizon(self) -> float:
        """Time to which accuracy is measured."""
        ...

    @property
    def default_shape(self) -> tuple[int, ...]:
        """Mesh that is used unless another is asked for."""
        ...

    @property
    def initial_conditions(self) -> tuple[str, ...]:
        """Names; the first is the default."""
        ...

    def initial(self, mesh: Mesh, name: str | None = None) -> Field:
        """Cell averages at time 0, float64 [cells]."""
        ...

    def reference(self, mesh: Mesh, time: float, name: str | None = None) -> Field:
        """Cell averages at a time, float64 [cells]."""
        ...


_PROBLEMS: dict[str, Problem] = {"heat1d": heat1d}
NAMES = tuple(_PROBLEMS)
"""Names of the problems."""


def problem(name: str) -> Problem:
    """Problem of that name.

    Raises
    ------
    UsageError
        There is none; the message lists those that exist.
    """
    if name not in _PROBLEMS:
        raise UsageError(f"problem {name!r}: unknown; known are {', '.join(NAMES)}")
    return _PROBLEMS[name]
