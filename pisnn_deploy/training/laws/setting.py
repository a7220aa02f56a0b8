"""What a recipe of a law means for its training: the law, a periodic box, the time step, and what each face sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.calculus import ZERO
from pisnn_deploy.laws.conditions import Condition, Conditions
from pisnn_deploy.laws.expression import Symbol, derivative, free_names, substitute
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.law import Law, rotated_flux
from pisnn_deploy.laws.pace import COURANT, pace
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.speeds import characteristic_speeds
from pisnn_deploy.laws.training_options import LawTraining
from pisnn_deploy.mesh.boundary import SIDE_NAMES

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Sizes:
    """Sizes of a training by default; the last two at most.

    Attributes
    ----------
    hidden, starts, cells, horizon : int
        See `LawTraining`.
    """

    hidden: int
    starts: int
    cells: int
    horizon: int


SIZES = {
    "one field on a line": Sizes(48, 24, 128, 96),
    "fields on a line": Sizes(48, 16, 96, 64),
    "planes": Sizes(40, 10, 24, 24),
}
"""So that trainings take a few minutes."""
UNITS_OF_LINEAR = 8
"""Hidden units for each field of a linear law."""
STEPS_OF_LINEAR = 4
"""Rollouts of linear laws are longer by this factor: no shock hides that waves grow slowly."""
STARTS_WITH_JUMPS = 3
"""Schemes are unstable at few of the starts with jumps, so there are more of these."""


@dataclass(frozen=True)
class Layout:
    """What the network of one axis sees, and whose parameters it has.

    Attributes
    ----------
    offsets : int64 array [positions, dimensions]
        Cells of the window, relative to the cell below the face.
    fields : int64 array [fields]
        Field of each row of the window and of the output.
    block : int
        Number of its block of parameters; axes that are alike share one.
    """

    offsets: Integers
    fields: Integers
    block: int


@dataclass(frozen=True)
class Setting:
    """A training problem.

    Attributes
    ----------
    law : Law
        Flux and diffusion alone, with numbers in place of parameters.
    grid : Grid
        A periodic box with the cells of the recipe's mesh.
    ranges : float64 array [fields, 2]
        Operating range of each field.
    scale_exponents : tuple of int
        Values are divided by two to this power.
    time_step : float
        Physical time of a PDE step.
    options : LawTraining
        With numbers in place of None, but for `accept`.
    is_linear : bool
        Whether fluxes are linear in the fields and their gradients.
    at_once : int
        Courses that a stage trains on, at most.
    has_jumps : bool
        Whether the start of the recipe has jumps, so that random starts have some.
    """

    law: Law
    grid: Grid
    ranges: Floats
    scale_exponents: tuple[int, ...]
    time_step: float
    layouts: tuple[Layout, ...]
    options: LawTraining
    is_linear: bool
    at_once: int
    has_jumps: bool

    @property
    def fields(self) -> int:
        """Number of fields."""
        return len(self.law.fields)

    @property
    def conditions(self) -> Conditions:
        """Periodic sides."""
        sides = [name for pair in SIDE_NAMES[: self.law.dimensions] for name in pair]
        return {side: dict.fromkeys(self.law.fields, Condition("periodic")) for side in sides}

    @property
    def scales(self) -> Floats:
        """Scale of each field, float64 [fields]."""
        return np.asarray(np.exp2(self.scale_exponents), np.float64)

    @property
    def hidden(self) -> int:
        """Hidden units of a network."""
        assert self.options.hidden is not None
        return self.options.hidden

    @property
    def horizon(self) -> int:
        """PDE steps of the longest rollouts."""
        assert self.options.horizon is not None
        return self.options.horizon


def setting_of(spec: LawSpec, start: Floats) -> Setting:
    """Training problem of a recipe.

    Parameters
    ----------
    start : float64 array [fields, *mesh]
        Cell averages of the recipe's start on its mesh.

    Raises
    ------
    UsageError
        The law has something that a trained flux cannot be; the message names it.
    """
    whole = spec.parsed().numeric()
    _require_trainable(whole)
    law = replace(whole, sources=(), exchange=())
    spacing = tuple(length / cells for length, cells in zip(spec.lengths, spec.mesh, strict=True))
    rate = pace(characteristic_speeds(spec.states()), spacing, spec.side_coefficients).total
    count = math.ceil(spec.time * rate / (spec.courant or COURANT) * (1 - 1e-12))
    ranges = np.array([spec.range[name] for name in law.fields])
    kind = "planes" if law.dimensions > 1 else "fields on a line" if len(law.fields) > 1 else "one field on a line"
    has_jumps = _has_jumps(start, ranges)
    is_linear = _is_linear(law)
    sizes = SIZES[kind]
    if is_linear:
        longer = STEPS_OF_LINEAR * sizes.horizon
        sizes = replace(sizes, hidden=UNITS_OF_LINEAR * len(law.fields), horizon=longer, starts=sizes.starts // 2)
    options = _with_defaults(spec.training or LawTraining(), sizes, spec.mesh, count, has_jumps)
    cells = tuple(options.cells or 0 for _ in spacing)
    grid = Grid(cells, tuple(width * along for width, along in zip(spacing, cells, strict=True)), spec.domain.lower)
    return Setting(
        law,
        grid,
        ranges,
        tuple(round(math.log2(np.abs(limits).max())) for limits in ranges),
        spec.time / count,
        _layouts(law, spacing, options.half_width),
        options,
        is_linear,
        sizes.starts,
        has_jumps,
    )


def _require_trainable(law: Law) -> None:
    flows = {*(n for flux in law.flux for n in flux), *(n for n, entry in law.diffusion.items() if entry != ZERO)}
    if law.level:
        raise UsageError(
            f"law.level.{next(iter(law.level))}: a trained flux sees cell averages, not levels; use method constructed"
        )
    if not flows:
        raise UsageError("law: nothing flows, so there is no flux to train; use method constructed")
    for place, expression in law.terms():
        others = free_names(expression) - set(law.fields)
        if place.startswith(("law.flux", "law.diffusion")) and others:
            raise UsageError(
                f"{place}: a trained flux is the same at every place, but this depends on {sorted(others)[0]}; use "
                "method constructed"
            )


def _is_linear(law: Law) -> bool:
    slopes = [derivative(flux, name) for fluxes in law.flux for flux in fluxes.values() for name in law.fields]
    return not any(free_names(entry) for entry in (*slopes, *law.diffusion.values()))


def _with_defaults(
    options: LawTraining, sizes: Sizes, mesh: tuple[int, ...], count: int, has_jumps: bool
) -> LawTraining:
    defaults = {
        "hidden": sizes.hidden,
        "starts": sizes.starts * (STARTS_WITH_JUMPS if has_jumps else 1),
        "cells": min(max(8, *mesh), sizes.cells),
        "horizon": min(count, sizes.horizon),
    }
    return options.model_copy(update={name: v for name, v in defaults.items() if getattr(options, name) is None})


def _layouts(law: Law, spacing: tuple[float, ...], half_width: int) -> tuple[Layout, ...]:
    layouts: list[Layout] = []
    for axis in range(law.dimensions):
        swapped = {components[0]: components[axis] for components in law.vector}
        swapped.update({components[axis]: components[0] for components in law.vector})
        fields = np.array([law.fields.index(swapped.get(name, name)) for name in law.fields])
        order = np.arange(law.dimensions)
        order[[0, axis]] = order[[axis, 0]]
        is_alike = axis == 0 or (_is_rotated(law, axis, swapped) and spacing[axis] == spacing[0])
        block = 0 if is_alike else max(layout.block for layout in layouts) + 1
        offsets = _window(half_width, law.dimensions)[:, order]
        layouts.append(Layout(offsets, fields if is_alike else np.arange(fields.size), block))
    return tuple(layouts)


def _is_rotated(law: Law, axis: int, swapped: dict[str, str]) -> bool:
    """Whether flux and diffusion along an axis are those along x with the axes swapped."""
    symbols = {name: Symbol(other) for name, other in swapped.items()}
    diffusion = {swapped.get(name, name): substitute(entry, symbols) for name, entry in law.diffusion.items()}
    rotated = rotated_flux(law.flux[0], law.vector, axis)
    flows = {name: entry for name, entry in law.flux[axis].items() if entry != ZERO}
    return {n: e for n, e in rotated.items() if e != ZERO} == flows and diffusion == law.diffusion


def _window(half_width: int, dimensions: int) -> Integers:
    """Cells around a face normal to the first axis: those in its line, and the neighbours of the two next to it."""
    line = [[along, *(0,) * (dimensions - 1)] for along in range(1 - half_width, half_width + 1)]
    beside = []
    for axis in range(1, dimensions):
        for along in (0, 1):
            for side in (-1, 1):
                beside.append([along, *(side if axis == other else 0 for other in range(1, dimensions))])
    return np.array(line + beside, np.int64)


JUMP = 0.2
"""A start has jumps if neighbours differ by more than this part of the operating range."""


def _has_jumps(start: Floats, ranges: Floats) -> bool:
    widths = np.diff(ranges, axis=1)[:, 0]
    along = [np.abs(np.diff(start, axis=axis)) for axis in range(1, start.ndim)]
    largest = max(float((each.reshape(len(widths), -1).max(axis=1) / widths).max()) for each in along if each.size)
    return largest > JUMP
