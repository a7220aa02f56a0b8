"""Error of a kernel against its equation, and the integer kernels next to it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.physics.symbol import delayed_root, gain

Floats = NDArray[np.float64]

WELL_RESOLVED = np.pi / 8
"""Wave number per cell of a mode with 16 cells per wavelength: coarser modes are not resolved well by any scheme."""
PERSISTING = 1e-12
"""What rounding of float64 may add to the amplification factor 1."""
_RESOLVED_LENGTHS = np.linspace(WELL_RESOLVED / 32, WELL_RESOLVED, 32)
_DIRECTIONS = (0.0, np.pi / 8, np.pi / 4)
_AT_ONCE = 8
"""Kernels of which stability is asked together."""
_SAMPLES = {1: 65, 2: 17, 3: 9}
"""Number of waves per axis on which a candidate must be stable."""


def symbol_error(
    kernel: Floats,
    spec: ModelSpec,
    spacing: float,
    *,
    delayed: bool = False,
    shortest: float = WELL_RESOLVED,
    may_persist: bool = False,
) -> Floats:
    """How far a memoryless kernel is from the equation over the well-resolved waves.

    Parameters
    ----------
    kernel : float64 array [..., positions]
        Flux per value of each cell read.
    spacing : float
        Cell width.
    delayed : bool
        Whether fluxes use the field of the previous step.
    shortest : float
        Wave number of the shortest wave that counts, in radians per cell.
    may_persist : bool
        Whether a wave may keep its amplitude, to the last digits.

    Returns
    -------
    float64 array [...]
        Mean relative error: of the decay rate ``-log K`` against the equation's over the time step that the kernel's
        own moments imply; for ``laplace`` of the gain itself, because only its zero counts there. Infinite for a
        kernel that lets some wave grow.
    """
    error = _error(kernel, spec, spacing, delayed=delayed, shortest=shortest)
    return np.where(_is_stable(kernel, spec, delayed=delayed, may_persist=may_persist), error, np.inf)


def least_error(kernels: Floats, spec: ModelSpec, spacing: float, *, delayed: bool = False) -> tuple[int, Floats]:
    """The best of some kernels.

    Whether all waves are damped takes longer than the error, so it is asked of the best ones alone.

    Parameters
    ----------
    kernels : float64 array [n, positions]
        Flux per value of each cell read.
    spacing : float
        Cell width.
    delayed : bool
        Whether fluxes use the field of the previous step.

    Returns
    -------
    best : int
        Number of the first kernel with the least `symbol_error`.
    errors : float64 array [2]
        `symbol_error` of the first kernel and of the best.
    """
    errors = _error(kernels, spec, spacing, delayed=delayed, shortest=WELL_RESOLVED)
    order, best = np.argsort(errors, kind="stable"), -1
    for some in np.array_split(order, range(_AT_ONCE, order.size, _AT_ONCE)):
        stable = np.flatnonzero(_is_stable(kernels[some], spec, delayed=delayed) & np.isfinite(errors[some]))
        if stable.size:
            best = int(some[stable[0]])
            break
    own = errors[0] if best == 0 or _is_stable(kernels[0], spec, delayed=delayed) else np.inf
    return max(best, 0), np.array([own, errors[best] if best >= 0 else np.inf])


def _error(kernel: Floats, spec: ModelSpec, spacing: float, *, delayed: bool, shortest: float) -> Floats:
    """As `symbol_error`, for a kernel that lets no wave grow."""
    positions = spec.positions
    waves = _resolved(len(spec.lengths)) * (shortest / WELL_RESOLVED)
    size = (waves**2).sum(axis=0)
    zeroth, first = kernel.sum(axis=-1), -(kernel @ positions[0])
    symbol = gain(kernel, positions, waves)
    factor = delayed_root if delayed else _one_more
    with np.errstate(divide="ignore", invalid="ignore"):
        if spec.equation == "advection-diffusion":
            number = spec.diffusivity * zeroth / (spec.velocity * spacing)
            exact = number[..., None] * size + 1j * zeroth[..., None] * waves[0]
            error = np.abs(-np.log(factor(symbol)) / exact - 1).mean(axis=-1)
            usable = zeroth / spec.velocity > 0
        else:
            exact = first[..., None] * size
            rate = -symbol.real if spec.equation == "laplace" else -np.log(factor(symbol).real)
            error = np.abs(rate / exact - 1).mean(axis=-1)
            usable = (first > 0) & ((factor(symbol).real > 0).all(axis=-1))
    return np.where(usable, error, np.inf)


def _is_stable(kernel: Floats, spec: ModelSpec, *, delayed: bool, may_persist: bool = False) -> NDArray[np.bool_]:
    """Whether a kernel lets no wave grow."""
    everywhere = gain(kernel, spec.positions, every_wave(len(spec.lengths)))
    if spec.equation == "laplace":
        # The roots of z^2 - (1 + keep + g) z + keep with real g lie in the unit disc down to g = -2 (1 + keep).
        return np.asarray(everywhere.real.min(axis=-1) > -2 * (2 - spec.leak / MEMORYLESS))
    factor = delayed_root if delayed else _one_more
    return np.asarray(np.abs(factor(everywhere)).max(axis=-1) < (1 + PERSISTING if may_persist else 1))


def _one_more(gains: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return 1 + gains


def _resolved(dimensions: int) -> Floats:
    if dimensions == 1:
        return _RESOLVED_LENGTHS[None, :]
    rays = [np.array([np.cos(angle), np.sin(angle)]) for angle in _DIRECTIONS]
    if dimensions == 3:
        rays = [np.array([*ray, 0.0]) for ray in rays] + [np.full(3, 3**-0.5)]
    return np.concatenate([ray[:, None] * _RESOLVED_LENGTHS for ray in rays], axis=1)


def waves_in_all_directions(dimensions: int) -> Floats:
    """Well-resolved waves along each axis, between any two, and between all; float64 [axes, n]."""
    signs = np.array([ray for ray in itertools.product((0.0, 0.5, 1.0), repeat=dimensions) if any(ray)])
    rays = np.unique(np.round(signs / np.linalg.norm(signs, axis=1, keepdims=True), 12), axis=0)
    return np.concatenate([ray[:, None] * _RESOLVED_LENGTHS for ray in rays], axis=1)


def every_wave(dimensions: int) -> Floats:
    """Waves of all lengths and directions, without the constant field, float64 [axes, n]."""
    turn = np.linspace(0.0, np.pi, _SAMPLES[dimensions])
    grids = np.meshgrid(turn, *(np.concatenate([-turn[:0:-1], turn]),) * (dimensions - 1), indexing="ij")
    waves = np.stack([grid.reshape(-1) for grid in grids])
    return np.asarray(waves[:, (waves != 0).any(axis=0)], np.float64)


def neighbours(rounded: NDArray[np.int64], basis: NDArray[np.int64]) -> NDArray[np.int64]:
    """All kernels whose independent weights differ from `rounded` by at most one unit, `rounded` first.

    Parameters
    ----------
    rounded : int64 array [positions]
        Weights rounded to the nearest integers.
    basis : int64 array [n, positions]
        Changes to try, each with a factor of -1, 0 or 1.

    Returns
    -------
    int64 array [3^n, positions]
        Candidate weights.
    """
    offsets = np.array(list(itertools.product((0, -1, 1), repeat=len(basis))), np.int64)
    return rounded + offsets @ basis
