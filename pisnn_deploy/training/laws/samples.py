"""Windows with the exact fluxes through their faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.terms import Terms
from pisnn_deploy.training.hidden_flux import NormalEquations
from pisnn_deploy.training.laws.courses import Course
from pisnn_deploy.training.laws.scheme import Scheme, Units
from pisnn_deploy.training.laws.setting import Setting

Floats = NDArray[np.float64]

COUNT = 6000
"""Windows of random faces."""
CONSTANTS = 400
"""Windows of constant states, at most."""
CHUNK = 1000


@dataclass(frozen=True)
class Samples:
    """Windows and fluxes of a block.

    Attributes
    ----------
    windows : float64 array [n, inputs]
        What the network sees.
    fluxes : float64 array [n, fields]
        Exact fluxes, in the order of the layout.
    roots : float64 array [n]
        Square roots of the weights.
    """

    windows: Floats
    fluxes: Floats
    roots: Floats


def samples(setting: Setting, scheme: Scheme, block: int, courses: Sequence[Course]) -> Samples:
    """Windows of random faces at random steps, and of constant states all over the operating range."""
    axes = [axis for axis, layout in enumerate(setting.layouts) if layout.block == block]
    random = np.random.default_rng([setting.options.seed, 3, block])
    each = -(-COUNT // (len(courses) * len(axes)))
    windows, fluxes = [], []
    for course in courses:
        for axis in axes:
            steps, _, cells = course.fluxes[axis].shape
            step = random.integers(steps, size=each)
            cell = random.integers(cells, size=each)
            exact = course.fluxes[axis][step, :, cell][:, setting.layouts[axis].fields]
            for which in np.unique(step):
                chosen = cell[step == which]
                windows.append(scheme.windows(axis, course.states[which])[chosen])
                fluxes.append(exact[step == which])
    constant = constant_states(setting, axes[0])
    windows.append(constant.windows)
    fluxes.append(constant.fluxes)
    every = np.concatenate(fluxes)
    return Samples(np.concatenate(windows), every, np.full(len(every), 1 / np.sqrt(len(every))))


def constant_states(setting: Setting, axis: int) -> Samples:
    """Constant states on a lattice over the operating range."""
    layout = setting.layouts[axis]
    along = max(2, int(CONSTANTS ** (1 / setting.fields)))
    lattice = np.meshgrid(
        *(np.linspace(lower, upper, along) for lower, upper in setting.ranges.tolist()), indexing="ij"
    )
    states = np.stack([values.reshape(-1) for values in lattice])
    with np.errstate(all="ignore"):
        fluxes = Terms(setting.law).flux(axis, states, {}) * setting.time_step / setting.grid.spacing[axis]
    values = (states / setting.scales[:, None])[layout.fields].T
    fluxes = (fluxes / setting.scales[:, None])[layout.fields].T
    windows = np.repeat(values, len(layout.offsets), axis=1)
    return Samples(windows, fluxes, np.ones(len(windows)))


def normal_equations(scheme: Scheme, units: Units, chosen: Samples) -> NormalEquations:
    """Loss of a block's fluxes with its gradient and Gauss-Newton matrix."""
    size = scheme.block_size
    matrix, gradient, loss = np.zeros((size, size)), np.zeros(size), 0.0
    for first in range(0, len(chosen.windows), CHUNK):
        part = slice(first, first + CHUNK)
        fluxes, slopes = scheme.slopes(units, chosen.windows[part])
        roots = chosen.roots[part, None]
        error = ((fluxes - chosen.fluxes[part]) * roots).reshape(-1)
        rows = (slopes * roots[:, None]).reshape(-1, size)
        matrix += rows.T @ rows
        gradient += rows.T @ error
        loss += float(error @ error)
    return NormalEquations(matrix, gradient, loss)


def loss(units: Units, chosen: Samples) -> float:
    """Loss of a block's fluxes."""
    with np.errstate(over="ignore", invalid="ignore"):
        fluxes = np.maximum(chosen.windows @ units.weight.T + units.bias, 0) @ units.output
        value = float(np.square((fluxes - chosen.fluxes) * chosen.roots[:, None]).sum())
    return value if np.isfinite(value) else np.inf
