"""The time step of a constructed graph: a Courant number as an integer weight over a power of two."""

from __future__ import annotations

import math

from pisnn_deploy.compiler.construct.grid import Grid
from pisnn_deploy.compiler.construct.plan import Clock
from pisnn_deploy.compiler.construct.waves import ZERO
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import evaluate, free_names
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.pace import COURANT, Pace

STEPS_OF_CONSTANTS = 64
"""PDE steps to the final time of a law in which no term changes with a field; any step is exact."""
LEAST_WEIGHT = 16
"""The weight has 5 bits: the time step is at most 6 % below what was asked for."""


def clock(rate: Pace, grid: Grid, law: Law, courant: float | None, time: float) -> Clock:
    """Choose the time step.

    Parameters
    ----------
    rate : Pace
        Rates of the law on the grid.
    law : Law
        With numbers in place of its parameters.
    courant : float or None
        Largest product of the time step and the sum of the rates; None for the default.
    time : float
        Final time, of which a step is a part where no term of the law changes with a field.

    Raises
    ------
    UsageError
        Every term of the law is 0.
    """
    if not rate.total > 0:
        terms = [*(source.rate for source in law.sources), *(exchange.rate for exchange in law.exchange)]
        terms += [entry for flux in law.flux for entry in flux.values()]
        if all(term == ZERO for term in terms):
            raise UsageError("law: every term is 0, so nothing changes")
        rate = Pace(0.0, 0.0, STEPS_OF_CONSTANTS * COURANT / time)
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
