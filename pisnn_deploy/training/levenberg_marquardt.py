"""A damped Gauss-Newton step (K. Levenberg, 1944; D. Marquardt, 1963)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.training.hidden_flux import NormalEquations

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

START_DAMPING, ACCEPTED, REJECTED, SMALLEST_DAMPING = 1e-2, 0.25, 6.0, 1e-9
TRIES = 5


class HasLoss(Protocol):
    """Something with a loss."""

    @property
    def loss(self) -> float:
        """The loss."""


Trial = TypeVar("Trial", bound=HasLoss)


@dataclass(frozen=True)
class Improved(Generic[Trial]):
    """Parameters of a lower loss.

    Attributes
    ----------
    parameters : float64 array
        The new parameters.
    trial : Trial
        What was evaluated there.
    damping : float
        For the next step.
    """

    parameters: Floats
    trial: Trial
    damping: float


def improved(
    parameters: Floats,
    equations: NormalEquations,
    free: Indices,
    limits: Floats,
    damping: float,
    evaluate: Callable[[Floats], Trial],
) -> Improved[Trial] | None:
    """Take a step with the first damping that lowers the loss; None if none of `TRIES` does.

    Parameters
    ----------
    equations : NormalEquations
        At `parameters`.
    free : int64 array
        Parameters that may change.
    limits : float64 array [parameters]
        Largest absolute value of each parameter, perhaps infinite.
    damping : float
        First damping to try, relative to the diagonal of the Gauss-Newton matrix.
    evaluate : callable
        Loss of parameters.
    """
    for _ in range(TRIES):
        diagonal = np.diag(equations.matrix)[free]
        matrix = equations.matrix[np.ix_(free, free)] + np.diag(damping * diagonal + damping * 1e-7 + 1e-12)
        moved = parameters.copy()
        moved[free] -= np.linalg.solve(matrix, equations.gradient[free])
        moved = np.clip(moved, -limits, limits)
        trial = evaluate(moved)
        if trial.loss < equations.loss:
            return Improved(moved, trial, max(damping * ACCEPTED, SMALLEST_DAMPING))
        damping *= REJECTED
    return None
