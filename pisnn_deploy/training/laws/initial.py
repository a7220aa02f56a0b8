"""Initial networks: kinks at random states, each of a characteristic variable in the cell that its wave comes from.

For one field, kinks ``max(u - theta, 0)`` of the upwind cell with weights ``f''(theta)`` add up to the flux of
B. Engquist and S. Osher (1981), which is of first order, but stable from any start, also at shocks. Wider stencils are
left to the training: from a flux that sees the foot of each characteristic, which is of high order at once, it does not
get to schemes that are stable at shocks. A linear law has no kinks. Output weights are fitted to exact fluxes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.calculus import ZERO
from pisnn_deploy.laws.expression import evaluate
from pisnn_deploy.laws.terms import Terms
from pisnn_deploy.training.hidden_flux import stencil
from pisnn_deploy.training.laws.samples import Samples
from pisnn_deploy.training.laws.scheme import Units
from pisnn_deploy.training.laws.setting import Setting

Floats = NDArray[np.float64]

LINEAR_UNITS = 2
"""Units for each field that are always active."""
MARGIN = 0.05
"""Kinks reach beyond the operating range by this part of it."""
JITTER = 0.2
"""Spread of the weights around those of the stencils."""
KINK_SCALE = 0.5
RIDGE = 1e-9


def initial_units(setting: Setting, axis: int, attempt: int, samples: Samples) -> Units:
    """Initial network of an axis.

    Parameters
    ----------
    attempt : int
        Number of the set of kinks.
    samples : Samples
        Exact fluxes, to which the output weights are fitted.
    """
    random = np.random.default_rng([setting.options.seed, 0, axis, attempt])
    layout, fields = setting.layouts[axis], setting.fields
    positions, half = len(layout.offsets), setting.options.half_width
    linear = setting.hidden if setting.is_linear else min(LINEAR_UNITS * fields, setting.hidden)
    kinks = setting.hidden - linear
    limits = setting.ranges[layout.fields] / setting.scales[layout.fields, None]
    states = _states(random, limits, kinks)
    weight, bias = np.zeros((setting.hidden, fields, positions)), np.zeros(setting.hidden)
    for number, (state, courant) in enumerate(zip(states, _courant_numbers(setting, axis, states), strict=True)):
        speeds, vectors = np.linalg.eig(courant.T)
        chosen = number % fields
        left = np.real(vectors[:, chosen])
        left = left / np.abs(left).max() * random.choice([-1.0, 1.0])
        speed = float(np.real(speeds[chosen]))
        upwind = half - 1 if speed > 0 or (speed == 0 and random.random() < 0.5) else half
        weight[number, :, upwind] = KINK_SCALE * left
        bias[number] = -KINK_SCALE * left @ state
    for number in range(kinks, setting.hidden):
        row = np.zeros((fields, positions))
        row[number % fields, : 2 * half] = stencil(half, 0.0)[0]
        if (number - kinks) // fields % 2:
            row[number % fields, : 2 * half] = stencil(half, 0.0)[1]
        row += JITTER * random.normal(size=row.shape) * np.abs(row).max()
        weight[number] = KINK_SCALE * row / np.abs(row).max()
        lowest = np.minimum(weight[number] * limits[:, :1], weight[number] * limits[:, 1:]).sum()
        bias[number] = -lowest + 0.1
    flat = weight.reshape(setting.hidden, -1)
    return Units(flat, bias, fitted_output(flat, bias, samples))


def fitted_output(weight: Floats, bias: Floats, samples: Samples) -> Floats:
    """Output weights [hidden, fields] that fit fluxes best, by least squares."""
    active = np.maximum(samples.windows @ weight.T + bias, 0) * samples.roots[:, None]
    matrix = active.T @ active
    matrix += np.diag(RIDGE * np.diag(matrix) + 1e-14)
    return np.asarray(np.linalg.solve(matrix, active.T @ (samples.fluxes * samples.roots[:, None])))


def _states(random: np.random.Generator, limits: Floats, count: int) -> Floats:
    """Random states, float64 [count, fields]: evenly spread in each field, in random order."""
    widths = np.diff(limits, axis=1)[:, 0]
    columns = []
    for (lower, _), width in zip(limits, widths, strict=True):
        places = (np.arange(count) + random.uniform(size=count)) / max(count, 1)
        columns.append(lower - MARGIN * width + (1 + 2 * MARGIN) * width * random.permutation(places))
    return np.stack(columns, axis=1)


def _courant_numbers(setting: Setting, axis: int, states: Floats) -> Floats:
    """Derivatives of the fluxes by the fields, in cells per PDE step, float64 [states, fields, fields]."""
    law, terms = setting.law, Terms(setting.law)
    layout = setting.layouts[axis]
    physical = states * setting.scales[layout.fields]
    values = {law.fields[field]: physical[:, row] for row, field in enumerate(layout.fields)}
    result = np.zeros((len(states), len(law.fields), len(law.fields)))
    factor = setting.time_step / setting.grid.spacing[axis]
    scales = setting.scales
    for row, field in enumerate(layout.fields):
        for column, by in enumerate(layout.fields):
            entry = terms.jacobians[axis][field][by]
            if entry != ZERO:
                with np.errstate(all="ignore"):
                    slope = np.broadcast_to(evaluate(entry, values), len(states))
                result[:, row, column] = np.nan_to_num(slope) * factor * scales[by] / scales[field]
    return result
