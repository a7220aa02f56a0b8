"""Kernels for cells that are not square, or a diffusivity that differs from axis to axis, from a trained one.

A kernel that was trained on square cells says by which factor ``k(xi)`` a PDE step damps a wave along an axis. Where
the diffusion number of axis ``a`` is ``rate_a`` times that of the fastest one, waves along it live so much longer::

    K(xi) = product of k(xi_a)^rate_a over all axes

The kernels of the axes are those of the same window whose amplification factors are nearest to these (least squares
over all waves, long ones first), with first moments that are exactly in the ratio of the rates. With a leak, and for
Laplace, it is the gain that counts, which is a sum over the axes: kernels are scaled.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.kernels import every_wave, neighbours, waves_in_all_directions
from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.physics.model import ModelSpec, flux_moments, symmetry_basis
from pisnn_deploy.physics.symbol import delayed_root, gain_along

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Gains = NDArray[np.complex128]

SMALLEST_RATE = 1 / 256
"""Ratio of diffusion numbers below which eight bits hold no kernel for the slow axis."""
LONG = 0.1
"""Waves shorter than this, in radians per cell, count the less for the fit the shorter they are."""
TIE = 1e-3
"""Weight of scaled kernels in the fit, which decide where waves do not: which axis moves what goes across corners."""
SMALLEST_FACTOR = 1e-6
"""Amplification factor that short waves are taken to have at least: powers need a positive one."""
SWEEPS = 2
"""How often the kernel of each axis is chosen anew beside those of the others."""


def kernels_along(spec: ModelSpec, trained: Floats) -> Floats:
    """Kernel of each axis for the rates of a spec.

    Parameters
    ----------
    spec : ModelSpec
        With rates.
    trained : float64 array [positions]
        Kernel of an axis whose rate is 1.

    Returns
    -------
    float64 array [axes, positions]
        First moments have the ratio of the rates; that of the fastest axis is the trained one.
    """
    rates = np.array(spec.rates)
    if _scales(spec):
        return np.asarray(rates[:, None] * trained)
    positions, basis, axes = spec.positions, symmetry_basis(spec).astype(np.float64), len(spec.rates)
    waves = every_wave(axes)
    alone = np.zeros((axes, waves.shape[1]))
    target = np.ones(waves.shape[1])
    for wave, rate in zip(waves, rates, strict=True):
        alone[0] = wave
        factor = 1 + gain_along((trained,) * axes, positions, alone).real
        target *= np.maximum(factor, SMALLEST_FACTOR) ** rate
    # Relative to how fast a wave decays, and to how far it is from a constant: what is lost in short waves is little.
    scale = (rates[:, None] * waves**2).sum(axis=0) * (LONG**2 + (waves**2).sum(axis=0)) / LONG**2
    nothing = np.zeros((1, positions.shape[1]))
    columns = [
        gain_along([part[None] if axis == other else nothing for other in range(axes)], positions, waves)[0].real
        for axis in range(axes)
        for part in basis
    ]
    moments = np.array([flux_moments(part, positions)[1] for part in basis])
    wanted = rates * flux_moments(trained, positions)[1]
    scaled = rates[:, None] * (trained @ basis.T / np.abs(basis).sum(axis=1))
    system, right = np.stack(columns, axis=1) / scale[:, None], (target - 1) / scale
    ridge = TIE * np.eye(system.shape[1])
    system, right = np.concatenate([system, ridge]), np.concatenate([right, TIE * scaled.reshape(-1)])
    weights = _least_squares(system, right, moments, wanted)
    return np.asarray(weights.reshape(axes, -1) @ basis)


def _scales(spec: ModelSpec) -> bool:
    return spec.equation == "laplace" or spec.leak < MEMORYLESS


def _least_squares(system: Floats, right: Floats, moments: Floats, wanted: Floats) -> Floats:
    """Solve in the least-squares sense with exact first moments: `moments` times the part of each axis is `wanted`."""
    axes, size = wanted.size, moments.size
    fixed = np.kron(np.eye(axes), moments[None, :])
    normal = np.block([[system.T @ system, fixed.T], [fixed, np.zeros((axes, axes))]])
    solution = np.linalg.solve(normal, np.concatenate([system.T @ right, wanted]))
    return np.asarray(solution[: axes * size])


def nearest_along(spec: ModelSpec, rounded: Integers, *, delayed: bool = False) -> tuple[Integers, float, float]:
    """Integer kernels of all axes near rounded ones, closest to the equation over their own time step.

    Every first moment of the fastest axis that its neighbours have is tried, with the nearest moments of the others;
    then the kernel of each axis is chosen beside those of the others, in turn.

    Parameters
    ----------
    spec : ModelSpec
        With rates, of a diffusive equation.
    rounded : int64 array [axes, positions]
        Weights rounded to the nearest integers, spanned by `symmetry_basis`.
    delayed : bool
        Whether fluxes use the field of the previous step.

    Returns
    -------
    int64 array [axes, positions]
        The best kernels; the rounded ones if none is stable.
    float
        Error of the rounded kernels, as in `error_along`.
    float
        Error of the best ones.
    """
    search = _Search(spec, rounded, delayed=delayed)
    own = search.error([0] * len(rounded), spec.clock_axis)
    best, least = [0] * len(rounded), own
    clock = spec.clock_axis
    for moment in np.unique(search.moments[clock]):
        allowed = []
        for axis, rate in enumerate(spec.rates):
            distance = np.abs(search.moments[axis] - moment * rate)
            allowed.append(np.flatnonzero(distance == distance.min()))
        chosen = [int(places[0]) for places in allowed]
        for _ in range(SWEEPS):
            for axis, places in enumerate(allowed):
                errors = search.errors(chosen, axis, places)
                chosen[axis] = int(places[int(np.argmin(errors))])
                if errors.min() < least:
                    best, least = [*chosen], float(errors.min())
    kernels = np.stack([search.candidates[axis][place] for axis, place in enumerate(best)])
    return kernels, own, least


class _Search:
    """Candidates of each axis with their moments and gains."""

    def __init__(self, spec: ModelSpec, rounded: Integers, *, delayed: bool) -> None:
        basis, scale = symmetry_basis(spec), 2.0 ** spec.weight_exponents[0]
        self._spec, self._delayed = spec, delayed
        axes = len(rounded)
        self.candidates = [neighbours(each, spec.weight_unit * basis) for each in rounded]
        self.moments = [-(each @ spec.positions[0]) for each in self.candidates]
        self._scale = scale
        self._waves = waves_in_all_directions(axes)
        nothing = np.zeros((1, rounded.shape[1]))

        def gains(waves: Floats) -> list[Gains]:
            return [
                gain_along([each / scale if axis == other else nothing for other in range(axes)], spec.positions, waves)
                for axis, each in enumerate(self.candidates)
            ]

        self._resolved, self._all = gains(self._waves), gains(every_wave(axes))

    def error(self, chosen: list[int], axis: int) -> float:
        """Error of one choice."""
        return float(self.errors(chosen, axis, np.array([chosen[axis]]))[0])

    def errors(self, chosen: list[int], axis: int, places: Integers) -> Floats:
        """Errors of the candidates `places` of an axis beside the chosen ones of the others; infinite if unstable."""
        spec = self._spec
        resolved, everywhere = (
            sum((gains[other][place] for other, place in enumerate(chosen) if other != axis), gains[axis][places])
            for gains in (self._resolved, self._all)
        )
        clock = spec.clock_axis
        first = self.moments[clock][places if axis == clock else [chosen[clock]]] / self._scale
        exact = first[:, None] * (np.array(spec.rates)[:, None] * self._waves**2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            if _scales(spec):
                stable = everywhere.real.min(axis=1) > -2 * (2 - spec.leak / MEMORYLESS)
                rate, usable = -resolved.real, np.ones(len(places), np.bool_)
            else:
                factors = [delayed_root(each) if self._delayed else 1 + each for each in (resolved, everywhere)]
                stable = np.abs(factors[1]).max(axis=1) < 1
                rate, usable = -np.log(factors[0].real), (factors[0].real > 0).all(axis=1)
            error = np.abs(rate / exact - 1).mean(axis=1)
        fits = stable & usable & (first > 0) & np.isfinite(error)
        return np.where(fits, error, math.inf)
