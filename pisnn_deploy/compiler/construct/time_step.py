"""The time step of a constructed graph: a Courant number as an integer weight over a power of two."""

from __future__ import annotations

import math

from pisnn_deploy.compiler.construct.grid import Grid
from pisnn_deploy.compiler.construct.plan import Clock
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import evaluate, free_names
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.pace import COURANT, Pace

LEAST_WEIGHT = 16
"""The weight has 5 bits: the time step is at most 6 % below what was asked for."""


def clock(rate: Pace, grid: Grid, law: Law, courant: float | None) -> Clock:
    """Choose the time step.

    Parameters
    ----------
    rate : Pace
        Rates of the law on the grid.
    law : Law
        With numbers in place of its parameters.
    courant : float or None
        Largest product of the time step and the sum of the rates; None for the default.

    Raises
    ------
    UsageError
        No term of the law changes with a field.
    """
    if not rate.total > 0:
        raise UsageError("law: no term changes with a field, so there is no time step to choose")
    unit = grid.spacing[0]
    if not rate.waves and rate.diffusion:
        unit = grid.spacing[0] ** 2 / _constant_diffusivity(law)
    scale = unit * 2.0 ** math.floor(math.log2(1 / (rate.total * unit)))
    step = (COURANT if courant is None else courant) / rate.total
    exponent = math.ceil(math.log2(LEAST_WEIGHT * scale / step))
    return Clock(math.floor(step / scale * 2.0**exponent), exponent, scale)


def _constant_diffusivity(law: Law) -> float:
    """Largest constant diffusivity, so that its field needs no product; 1 without one."""
    constants = [float(evaluate(entry, {})) for entry in law.diffusion.values() if not free_names(entry)]
    return max(constants, default=0.0) or 1.0
