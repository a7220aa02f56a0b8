"""The time step of a constructed graph, from wave speeds and stiffness over the operating range."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.grid import Grid
from pisnn_deploy.compiler.construct.plan import Clock
from pisnn_deploy.compiler.construct.waves import ZERO, jacobian
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import Expression, derivative, evaluate, free_names
from pisnn_deploy.laws.law import Law, mobility, split_level

Floats = NDArray[np.float64]
SAMPLES = 4096
"""Approximate number of states at which speeds are sampled, corners of the range included."""
COURANT = 0.5
_LEAST_WEIGHT = 16
"""The weight has 5 bits: the time step is at most 6 % below what was asked for."""


@dataclass(frozen=True)
class Rates:
    """How fast a law changes things, in 1 / time; their sum times the time step is the Courant number.

    Attributes
    ----------
    speeds : tuple of float
        Largest wave speed along each axis.
    waves, diffusion, sources : float
        ``sum of speed / h``, half the largest decay rate of a mode of the grid, half the largest rate of a reaction.
    """

    speeds: tuple[float, ...]
    waves: float
    diffusion: float
    sources: float

    @property
    def total(self) -> float:
        """Sum of the rates."""
        return self.waves + self.diffusion + self.sources


def rates(law: Law, ranges: Mapping[str, tuple[float, float]], grid: Grid) -> Rates:
    """Sample the rates of a law over its operating range.

    Parameters
    ----------
    law : Law
        With numbers in place of its parameters.
    """
    places = {**grid.centres()}
    samples = _samples(law, ranges, places)
    fields = law.fields
    speeds = tuple(_speed(flux, fields, samples) for flux in law.flux)
    waves = sum(speed / width for speed, width in zip(speeds, grid.spacing, strict=True))
    steepest = sum(4.0 / width**2 for width in grid.spacing)
    decays = [0.0]
    for name in fields:
        factor = _largest(mobility(law, name), samples)
        if name in law.level:
            own, laplacians = split_level(law.level[name])
            decay = sum(_largest(derivative(own, other), samples) for other in fields)
            decay += sum(steepest * _largest(entry, samples) for entry in laplacians.values())
        else:
            decay = 1.0
        decays.append(factor * decay * steepest / 2)
    reactions = dict.fromkeys(fields, 0.0)
    for source in law.sources:
        reactions[source.field] += _stiffness(source.rate, fields, samples)
    for exchange in law.exchange:
        for name in (exchange.source_field, exchange.target_field):
            reactions[name] += _stiffness(exchange.rate, fields, samples)
    return Rates(speeds, waves, max(decays), max(reactions.values()) / 2)


def clock(rate: Rates, grid: Grid, law: Law, courant: float | None) -> Clock:
    """Choose the time step: a Courant number as an integer weight over a power of two.

    Raises
    ------
    UsageError
        Nothing in the law changes anything.
    """
    if not rate.total > 0:
        raise UsageError("law: nothing in it moves anything; there is no time step to choose")
    unit = grid.spacing[0]
    if not rate.waves and rate.diffusion:
        unit = grid.spacing[0] ** 2 / _constant_diffusivity(law)
    scale = unit * 2.0 ** math.floor(math.log2(1 / (rate.total * unit)))
    step = (COURANT if courant is None else courant) / rate.total
    exponent = math.ceil(math.log2(_LEAST_WEIGHT * scale / step))
    return Clock(math.floor(step / scale * 2.0**exponent), exponent, scale)


def _constant_diffusivity(law: Law) -> float:
    """Largest constant diffusivity, so that its field needs no product; 1 without one."""
    constants = [float(evaluate(entry, {})) for entry in law.diffusion.values() if not free_names(entry)]
    return max(constants, default=0.0) or 1.0


def _samples(law: Law, ranges: Mapping[str, tuple[float, float]], places: Mapping[str, Floats]) -> dict[str, Floats]:
    """Lattice of states; known functions of place at evenly spread cells."""
    count = max(2, round(SAMPLES ** (1 / len(law.fields))))
    axes = [np.linspace(*ranges[name], count) for name in law.fields]
    states = np.array(list(itertools.product(*axes))).T
    samples: dict[str, Floats] = dict(zip(law.fields, states, strict=True))
    cells = next(iter(places.values())).size
    chosen = np.unique(np.linspace(0, cells - 1, min(cells, 64)).astype(np.int64))
    somewhere = {name: np.repeat(values[chosen], states.shape[1]) for name, values in places.items()}
    samples = {name: np.tile(values, chosen.size) for name, values in samples.items()} if law.given else samples
    for name, expression in law.given.items():
        samples[name] = np.broadcast_to(evaluate(expression, somewhere), samples[law.fields[0]].size)
    return {**samples, **somewhere} if law.given else {**samples, **{n: v[:1] for n, v in places.items()}}


def _largest(expression: Expression, samples: Mapping[str, Floats]) -> float:
    if expression == ZERO:
        return 0.0
    return float(np.abs(evaluate(expression, samples)).max())


def _stiffness(rate: Expression, fields: Sequence[str], samples: Mapping[str, Floats]) -> float:
    return sum(_largest(derivative(rate, name), samples) for name in fields)


def _speed(flux: Mapping[str, Expression], fields: Sequence[str], samples: Mapping[str, Floats]) -> float:
    if not flux:
        return 0.0
    size = samples[fields[0]].size
    matrix = np.zeros((size, len(fields), len(fields)))
    for row, entries in enumerate(jacobian(flux, fields)):
        for column, entry in enumerate(entries):
            matrix[:, row, column] = evaluate(entry, samples)
    return float(np.abs(np.linalg.eigvals(matrix)).max())
