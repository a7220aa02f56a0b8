"""Random starts of a law, and what exactly passes the faces of a coarse mesh after them.

Exact means: by WENO5 on a grid four times finer. Averages over its cells are those of the coarse mesh, and sums of its
fluxes over a PDE step are what passes the coarse faces, so both agree to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.laws.baselines import SCHEMES
from pisnn_deploy.laws.baselines import Scheme as BaselineScheme
from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.grid import averaged_down
from pisnn_deploy.laws.integration import COURANT, explicit_step
from pisnn_deploy.training.laws.setting import Setting

Floats = NDArray[np.float64]

FINER = 4
TRAINING_STREAM, HELD_OUT_STREAM = 1, 2
"""Random streams of training and held-out starts; initial networks use the stream 0."""
QUIETEST, LOUDEST = 0.2, 1.0
"""Part of the operating range that a start spans."""
FADED, MOST_FADING = 0.8, 24
"""A start whose solution leaves the operating range is drawn again around its mean with this part of its amplitude."""
INNER = 0.05
"""Part of the operating range that held-out starts keep away from its ends, so that integers can run them: a run stops
where a value leaves the range, and rounding may move it. Training starts reach to the ends."""
CELLS_PER_WAVE = 16
"""Shortest waves of the starts."""
MOST_PARTS = 64
"""Time steps of a scheme on the coarse mesh in a PDE step, at most."""
OUTSIDE = 0.01
"""Part of the operating range by which values may leave it."""


@dataclass(frozen=True)
class Course:
    """A start and its exact solution.

    Attributes
    ----------
    states : float64 array [steps + 1, fields, cells]
        Cell averages after each PDE step, divided by their scales.
    fluxes : tuple of float64 array [steps, fields, cells]
        For each axis, what passes the lower face of each cell in each PDE step: as a change of a cell average, divided
        by the scale of its field.
    """

    states: Floats
    fluxes: tuple[Floats, ...]


def course(setting: Setting, stream: int, number: int) -> Course:
    """Draw a start, and solve it.

    Parameters
    ----------
    stream : int
        Random stream.
    number : int
        Number of the start in the stream.

    Raises
    ------
    CheckError
        Solutions leave the operating range even after the quietest starts.
    """
    random = np.random.default_rng([setting.options.seed, stream, number])
    inner = INNER if stream == HELD_OUT_STREAM else 0.0
    means, shape = _random_start(setting, random, number, inner)
    for _ in range(MOST_FADING):
        start = means + shape
        if _stays(setting, start, setting.horizon, -inner / 2 if inner else OUTSIDE):
            return solved(setting, start, setting.horizon)
        shape = shape * FADED
    raise CheckError("training: solutions of random starts leave the operating range; widen `range`")


def _random_start(setting: Setting, random: np.random.Generator, number: int, inner: float) -> tuple[Floats, Floats]:
    """Means [fields, 1, ...], and deviations [fields, *fine] on the fine grid; `inner` is what both ends leave free."""
    fine = setting.grid.refined(FINER).shape
    widths = np.diff(setting.ranges, axis=1)[:, 0]
    ends, widths = setting.ranges[:, 0] + inner * widths, (1 - 2 * inner) * widths
    spans = np.exp(random.uniform(math.log(QUIETEST), math.log(LOUDEST), len(widths)))
    if number % 2 == 0:
        spans = np.maximum(spans, random.uniform(0.5, LOUDEST))
    jumps = setting.has_jumps and number % 4 != 3
    draw = _jumps if jumps else _waves
    deviations = []
    for span, width in zip(spans, widths, strict=True):
        values = draw(random, fine)
        size = float(values.max() - values.min()) or 1.0
        deviations.append((values - values.min()) / size * span * width)
    lowest = ends + random.uniform(size=len(widths)) * (1 - spans) * widths
    shape = np.stack(deviations)
    means = shape.mean(axis=tuple(range(1, shape.ndim)), keepdims=True)
    return means + lowest.reshape(means.shape), shape - means


def _places(shape: tuple[int, ...]) -> list[Floats]:
    """Centres of cells along each axis, in parts of the box; arrays broadcast."""
    rows = [(np.arange(count) + 0.5) / count for count in shape]
    return list(np.meshgrid(*rows, indexing="ij", sparse=True))


def _waves(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """A sum of a few waves, weaker the shorter they are."""
    most = max(1, min(shape) // FINER // CELLS_PER_WAVE)
    most = int(random.integers(1, most + 1))
    values = np.zeros(shape)
    for _ in range(2 * most * len(shape)):
        numbers = random.integers(-most, most + 1, len(shape))
        if not numbers.any():
            numbers[int(random.integers(len(shape)))] = 1
        size, phase = random.normal() / np.linalg.norm(numbers), random.uniform(0, 2 * np.pi)
        turns = sum(number * place for number, place in zip(numbers, _places(shape), strict=True))
        # The average of a wave over a cell is a little less than its value at the centre.
        values += size * np.cos(2 * np.pi * turns + phase) * np.prod(np.sinc(numbers / np.array(shape)))
    return values


def _jumps(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Pieces of constant values: intervals on a line, else balls."""
    values, places = np.zeros(shape), _places(shape)
    for _ in range(int(random.integers(1, 4))):
        centre, radius = random.uniform(size=len(shape)), random.uniform(0.1, 0.4)
        distances = [np.abs((place - c + 0.5) % 1 - 0.5) for place, c in zip(places, centre, strict=True)]
        width = 1 / max(shape)
        distance = np.sqrt(sum(np.square(d) for d in distances))
        # A cell that is cut has a part of the value.
        values = values + random.normal() * np.clip((radius - distance) / width + 0.5, 0, 1)
    return values


def _volumes(setting: Setting, factor: int) -> FiniteVolumes:
    return FiniteVolumes(setting.law, setting.grid.refined(factor), setting.conditions, 4 if factor > 1 else 2)


def stepped(setting: Setting, name: str, values: Floats, steps: int) -> Floats:
    """Cell averages after PDE steps by a float64 scheme on the coarse mesh.

    Parameters
    ----------
    name : str
        A key of `SCHEMES`.
    values : float64 array [fields, cells]
        Divided by the scales, as the result.
    """
    scheme, volumes = SCHEMES[name], _volumes(setting, 1)
    state = (values * setting.scales[:, None]).reshape(-1, *setting.grid.shape)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            state = _coarse_step(scheme, volumes, state, setting.time_step)
    return np.asarray(state.reshape(len(values), -1) / setting.scales[:, None])


def _coarse_step(scheme: BaselineScheme, volumes: FiniteVolumes, state: Floats, time: float) -> Floats:
    """State after a PDE step, in as many parts as the scheme needs; not finite if these are too many."""
    longest = explicit_step(volumes.pace(state), scheme.courant, scheme.real_axis)
    parts = time / longest * (1 - 1e-9)
    if not parts <= MOST_PARTS:
        return state * np.nan
    count = max(1, math.ceil(parts))
    for _ in range(count):
        state = scheme.step(volumes, state, time / count)
    return state


def _stays(setting: Setting, fine: Floats, steps: int, outside: float) -> bool:
    """Whether a second-order solution on the coarse mesh stays within the range, or leaves it by a part at most."""
    coarse = np.stack([averaged_down(values, FINER) for values in fine])
    values = coarse.reshape(len(coarse), -1) / setting.scales[:, None]
    limits = setting.ranges / setting.scales[:, None]
    margin = outside * np.diff(limits, axis=1)
    for _ in range(0, steps, 4):
        values = stepped(setting, "muscl", values, 4)
        if not ((values >= limits[:, :1] - margin) & (values <= limits[:, 1:] + margin)).all():
            return False
    return True


def solved(setting: Setting, start: Floats, steps: int) -> Course:
    """Exact solution from averages on the fine grid, float64 [fields, *fine]."""
    volumes = _volumes(setting, FINER)
    scales = setting.scales[:, None]
    axes = range(len(setting.grid.shape))
    states = [start]
    fluxes: list[list[Floats]] = [[] for _ in axes]
    for _ in range(steps):
        state, passed = _advanced(volumes, states[-1], setting.time_step)
        states.append(state)
        for axis in axes:
            width = setting.grid.spacing[axis]
            fluxes[axis].append(_through_coarse(passed[axis], axis).reshape(len(start), -1) / width / scales)
    coarse = [np.stack([averaged_down(values, FINER).reshape(-1) for values in state]) / scales for state in states]
    return Course(np.stack(coarse), tuple(np.stack(each) for each in fluxes))


def _through_coarse(passed: Floats, axis: int) -> Floats:
    """Means over the faces that are parts of the lower face of each coarse cell, [fields, *coarse]."""
    faces = np.moveaxis(passed[..., :-1:FINER], -1, axis + 1)
    for other in range(1, faces.ndim):
        if other != axis + 1:
            shape = (*faces.shape[:other], faces.shape[other] // FINER, FINER, *faces.shape[other + 1 :])
            faces = faces.reshape(shape).mean(axis=other + 1)
    return faces


def _advanced(volumes: FiniteVolumes, state: Floats, time: float) -> tuple[Floats, list[Floats]]:
    """State after a time, and what passed each face by then, by the third-order Runge-Kutta method."""
    left = time
    total: list[Floats] = []
    while left > 0:
        longest = explicit_step(volumes.pace(state), COURANT)
        count = max(1, math.ceil(left / longest * (1 - 1e-9)))
        step = left / count
        first = volumes.fluxes(state)
        second = volumes.fluxes(state + step * volumes.divergence(first))
        middle = state + step / 4 * (volumes.divergence(first) + volumes.divergence(second))
        third = volumes.fluxes(middle)
        passed = [step * (a + b + 4 * c) / 6 for a, b, c in zip(first, second, third, strict=True)]
        state = state + volumes.divergence(passed)
        total = [sum_ + each for sum_, each in zip(total, passed, strict=True)] if total else passed
        left = left - step if count > 1 else 0.0
    return state, total
