"""Rates of change of cell averages under any law, in float64.

Along each axis the fluxes of the law are local Lax-Friedrichs fluxes of reconstructed values, see `weno5`. Gradients at
faces are of fourth order along their axis. Sources and levels are evaluated at the centres of the cells, with values
converted between averages and centres to fourth order. `order` 2 takes differences of neighbours and averages as they
are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.conditions import Conditions
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.law import Law, factor_along
from pisnn_deploy.laws.sides import LOWER, UPPER, Sides
from pisnn_deploy.laws.terms import Terms
from pisnn_deploy.laws.weno import WENO_CELLS, weno5

Field = NDArray[np.float64]
_SHARPEST = {2: (4.0, 6.0), 4: (16 / 3, 7.0)}
"""Largest eigenvalue of a second difference over cells of width 1, by order: without sides that hold a value, and a
bound with them, from the sums of its rows."""


@dataclass(frozen=True)
class Pace:
    """How fast a state changes, per unit of time.

    Attributes
    ----------
    flow : float
        Cells that the fastest wave passes, summed over the axes.
    diffusion, reaction : float
        Largest decay rates by diffusion and sides, and by sources and exchange.
    """

    flow: float
    diffusion: float
    reaction: float


_BETWEEN = (0.25, 0.5, 0.75)
"""Parts of a jump at which speeds are looked at."""


class FiniteVolumes:
    """A law on a grid.

    States are cell averages, float64 arrays [fields, *shape].

    Parameters
    ----------
    law : Law
        The equations.
    grid : Grid
        The cells.
    conditions : Conditions
        Of the sides.
    order : {2, 4}
        Order of gradients, sources and levels.
    """

    def __init__(
        self,
        law: Law,
        grid: Grid,
        conditions: Conditions,
        order: Literal[2, 4] = 4,
    ) -> None:
        self.terms, self.grid, self.order = Terms(law), grid, order
        axes = range(len(grid.shape))
        self.sides = [Sides(self.terms, grid, conditions, axis) for axis in axes]
        self.time = 0.0
        self.cell_places = self.terms.given(grid.places())
        self.face_places = [
            {name: _last(values, axis) for name, values in self.terms.given(grid.places(axis)).items()} for axis in axes
        ]

    def set_time(self, time: float) -> None:
        """Take the values that sides give at a time."""
        self.time = time
        for sides in self.sides:
            if not sides.is_steady:
                sides.set_time(time)

    def rates_at(self, state: Field, time: float) -> Field:
        """Rate of change of each cell average, with what the sides give at a time."""
        self.set_time(time)
        return self.rates(state)

    def rates(self, state: Field) -> Field:
        """Rate of change of each cell average."""
        return self.rates_by(state, [self.weno_flow(axis, state) for axis in range(len(self.grid.shape))])

    def rates_by(self, state: Field, flows: Sequence[Field]) -> Field:
        """Rate of change of each cell average, from the law's fluxes through the faces normal to each axis.

        Parameters
        ----------
        state : float64 array [fields, *shape]
            For diffusion, sources and exchange.
        flows : sequence of float64 array [fields, ..., count + 1]
            One per axis, which is the last one of its array.
        """
        return self.divergence(self._all_fluxes(state, flows)) + self._reaction(state)

    def fluxes(self, state: Field) -> list[Field]:
        """Fluxes of the law and of diffusion through all faces, for each axis float64 [fields, ..., count + 1]."""
        return self._all_fluxes(state, [self.weno_flow(axis, state) for axis in range(len(self.grid.shape))])

    def _all_fluxes(self, state: Field, flows: Sequence[Field]) -> list[Field]:
        """The law's fluxes with those of diffusion and of the sides."""
        fluxes = [flow.copy() for flow in flows]
        for axis, diffusive in enumerate(self._diffusive_fluxes(state)):
            fluxes[axis] += diffusive
        for axis, sides in enumerate(self.sides):
            sides.set_fluxes(fluxes[axis], np.moveaxis(state, axis + 1, -1))
        return fluxes

    def rates_without_flow(self, state: Field) -> Field:
        """Rate of change of each cell average by diffusion, sources and exchange alone."""
        diffusive = self._diffusive_fluxes(state)
        return (self.divergence(diffusive) if diffusive else np.zeros(state.shape)) + self._reaction(state)

    def divergence(self, fluxes: Sequence[Field]) -> Field:
        """What fluxes bring to each cell per time, float64 [fields, *shape]."""
        total = np.zeros((self.terms.fields, *self.grid.shape))
        for axis, width in enumerate(self.grid.spacing):
            total -= np.moveaxis(np.diff(fluxes[axis]), -1, axis + 1) / width
        return total

    def _reaction(self, state: Field) -> Field | float:
        if not self.terms.reacts:
            return 0.0
        return self.averages(self.terms.rates(self.centred(state), self.cell_places))

    def _diffusive_fluxes(self, state: Field) -> list[Field]:
        """Diffusive fluxes of each axis; empty without diffusion."""
        if not self.terms.diffuses:
            return []
        levels, result = self._levels(state), []
        for axis, sides in enumerate(self.sides):
            along = np.moveaxis(state, axis + 1, -1)
            fluxes = self._diffusive(axis, along, levels)
            sides.stop_diffusion(fluxes)
            result.append(fluxes)
        return result

    def edge_places(self, axis: int) -> tuple[dict[str, Field], dict[str, Field]]:
        """Places of the lower and of the upper face of each cell along an axis, which is the last one."""

        def cut(part: slice) -> dict[str, Field]:
            places = self.face_places[axis]
            return {
                name: values[..., part] if values.ndim and values.shape[-1] > 1 else values
                for name, values in places.items()
            }

        return cut(slice(None, -1)), cut(slice(1, None))

    def pace(self, state: Field) -> Pace:
        """Rates that limit the time step."""
        terms, spacing = self.terms, self.grid.spacing
        flow = sum(
            np.asarray(terms.speed(axis, state, self.cell_places) / spacing[axis]) for axis in terms.axes_with_flux
        )
        sharpest = sum(
            _SHARPEST[self.order][sides.has_values] / width**2 for sides, width in zip(self.sides, spacing, strict=True)
        )
        fastest = float(np.max(flow))
        if terms.fields == 1:
            between = 0.0
            for axis in terms.axes_with_flux:
                between += float(np.max(self._speeds_between(axis, self._with_ghosts(axis, state)))) / spacing[axis]
            fastest = max(fastest, between)
        diffusion = 0.0
        for field in terms.diffuses:
            mobility = np.abs(terms.diffusivity(field, state, self.cell_places))
            if terms.has_level(field):
                slope, stiffness = terms.level_slopes(field, state, self.cell_places)
                mobility = mobility * (np.abs(slope) + sharpest * np.abs(stiffness))
            diffusion = max(diffusion, sharpest * float(mobility.max()))
        # The value at such a side is 1.5 u_0 - 0.5 u_1.
        diffusion += sum(2 * sides.coefficient / width for sides, width in zip(self.sides, spacing, strict=True))
        reaction = terms.stiffness(state, self.cell_places) if terms.reacts else 0.0
        return Pace(fastest, diffusion, reaction)

    def weno_flow(self, axis: int, state: Field) -> Field:
        """Fluxes of the law through all faces normal to an axis, float64 [fields, ..., count + 1]."""
        along = np.moveaxis(state, axis + 1, -1)
        if axis not in self.terms.axes_with_flux:
            return np.zeros((*along.shape[:-1], along.shape[-1] + 1))
        cells = self.sides[axis].extended(along, WENO_CELLS)
        lower, upper = weno5(cells)
        return self.lax_friedrichs(axis, lower, upper, cells[..., WENO_CELLS - 1 : 1 - WENO_CELLS])

    def lax_friedrichs(self, axis: int, lower: Field, upper: Field, cells: Field) -> Field:
        """Mean of the fluxes on both sides of each face, minus half the fastest speed times the jump.

        Parameters
        ----------
        axis : int
            Axis normal to the faces, the last one of the arrays.
        lower, upper : float64 array [fields, ..., count + 1]
            Values on both sides of each face.
        cells : float64 array [fields, ..., count + 2]
            Cell averages with a ghost cell at either end: the speed at a face is the largest one of its neighbours, and
            of states between them for a law of one field.
        """
        terms, places = self.terms, self.face_places[axis]
        padded = {name: _with_ends(values) for name, values in self._cells_along(axis).items()}
        speeds = terms.speed(axis, cells, padded)
        fastest = np.maximum(speeds[..., :-1], speeds[..., 1:])
        if terms.fields == 1:
            fastest = np.maximum(fastest, self._speeds_between(axis, cells))
        mean = (terms.flux(axis, lower, places) + terms.flux(axis, upper, places)) / 2
        return np.asarray(mean - fastest * (upper - lower) / 2, np.float64)

    def _with_ghosts(self, axis: int, state: Field) -> Field:
        return self.sides[axis].extended(np.moveaxis(state, axis + 1, -1), 1)

    def _speeds_between(self, axis: int, cells: Field) -> Field:
        """Largest speeds of states between neighbours: larger than theirs if the flux is neither convex nor concave."""
        states = [cells[..., :-1] + part * np.diff(cells) for part in _BETWEEN]
        speeds = [self.terms.speed(axis, state, self.face_places[axis]) for state in states]
        return np.asarray(np.max(speeds, axis=0), np.float64)

    def _cells_along(self, axis: int) -> dict[str, Field]:
        return {name: _last(values, axis) for name, values in self.cell_places.items()}

    def _levels(self, state: Field) -> dict[int, Field]:
        """Cell averages of the level of each field that has one, by the number of the field."""
        numbers = [number for number in self.terms.diffuses if self.terms.has_level(number)]
        if not numbers:
            return {}
        laplacians = [self.to_centres(self.laplacian(number, state)) for number in self.terms.laplacians]
        centred = self.centred(state)
        return {
            number: self.averages(self.terms.level(number, centred, laplacians, self.cell_places)[None])[0]
            for number in numbers
        }

    def laplacian(self, number: int, state: Field) -> Field:
        """Cell averages of the Laplacian of a field, float64 [*shape]."""
        total = np.zeros(self.grid.shape)
        for axis, width in enumerate(self.grid.spacing):
            along = np.moveaxis(state, axis + 1, -1)
            sides = self.sides[axis]
            values = [sides.held_values(end, number) for end in (LOWER, UPPER)]
            cells = sides.with_gradients(along[[number]], values, [number])
            total += np.moveaxis(np.diff(self._gradients(cells[0])), -1, axis) / width**2
        return total

    def _diffusive(self, axis: int, along: Field, levels: dict[int, Field]) -> Field:
        """Diffusive fluxes through all faces normal to an axis, float64 [fields, ..., count + 1]."""
        terms, sides = self.terms, self.sides[axis]
        fluxes = np.zeros((*along.shape[:-1], along.shape[-1] + 1))
        everything = list(range(terms.fields))
        values_at_sides = [sides.held_values(end, number) for end in (LOWER, UPPER) for number in everything]
        cells = sides.with_gradients(along, values_at_sides, everything)
        middle = self._middles(cells)
        for number in terms.diffuses:
            if number in levels:
                values = [self._level_at_side(axis, end, number, along) for end in (LOWER, UPPER)]
                level = np.moveaxis(levels[number], axis, -1)
                driving = sides.with_gradients(level[None], values, [number])[0]
            else:
                driving = cells[number]
            mobility = terms.diffusivity(number, middle, self.face_places[axis])
            mobility = mobility * factor_along(terms.law, terms.law.fields[number], axis)
            fluxes[number] = -mobility * self._gradients(driving) / self.grid.spacing[axis]
        return fluxes

    def _level_at_side(self, axis: int, end: int, number: int, along: Field) -> Field | None:
        """Level of what a side holds, with the other fields of the nearest cells and without Laplacians."""
        sides = self.sides[axis]
        value = sides.held_values(end, number)
        if value is None:
            return None
        state = along[..., 0 if end == LOWER else -1].copy()
        state[number] = value
        zeros = [np.zeros(state.shape[1:])] * len(self.terms.laplacians)
        return self.terms.level(number, state, zeros, self.terms.given(sides.places(end)))

    def centred(self, state: Field) -> Field:
        """Values at the centres of the cells, within the range of each field's averages."""
        if self.order == 2:
            return state
        axes = tuple(range(1, state.ndim))
        lowest, highest = state.min(axis=axes, keepdims=True), state.max(axis=axes, keepdims=True)
        return np.clip(state - self._bends(state) / 24, lowest, highest)

    def to_centres(self, averages: Field) -> Field:
        """Values at the centres of one array of cell averages, float64 [*shape]."""
        return averages if self.order == 2 else np.asarray(averages - self._bends(averages[None])[0] / 24, np.float64)

    def averages(self, centred: Field) -> Field:
        """Cell averages from values at the centres."""
        return centred if self.order == 2 else np.asarray(centred + self._bends(centred) / 24, np.float64)

    def _bends(self, state: Field) -> Field:
        """Sum of the second differences along all axes; 0 along an axis next to sides that are not periodic."""
        total = np.zeros(state.shape)
        for axis, sides in enumerate(self.sides):
            along = np.moveaxis(state, axis + 1, -1)
            bends = np.zeros(along.shape)
            bends[..., 1:-1] = np.diff(along, 2)
            if sides.is_periodic:
                bends[..., 0] = along[..., -1] - 2 * along[..., 0] + along[..., min(1, along.shape[-1] - 1)]
                bends[..., -1] = along[..., -2 % along.shape[-1]] - 2 * along[..., -1] + along[..., 0]
            total += np.moveaxis(bends, -1, axis + 1)
        return total

    def _gradients(self, cells: Field) -> Field:
        """Differences across faces, from cells with two ghosts at either end."""
        a, b, c, d = (cells[..., first : cells.shape[-1] - 3 + first] for first in range(4))
        return np.asarray(c - b if self.order == 2 else (15 * (c - b) - (d - a)) / 12, np.float64)

    def _middles(self, cells: Field) -> Field:
        """Values at faces within the range of the cells around them, which have two ghosts at either end."""
        a, b, c, d = (cells[..., first : cells.shape[-1] - 3 + first] for first in range(4))
        if self.order == 2:
            return np.asarray((b + c) / 2, np.float64)
        lowest = np.minimum(np.minimum(a, b), np.minimum(c, d))
        highest = np.maximum(np.maximum(a, b), np.maximum(c, d))
        return np.asarray(np.clip((7 * (b + c) - (a + d)) / 12, lowest, highest), np.float64)


def _last(values: Field, axis: int) -> Field:
    """Array of places with one of its axes moved to the end; numbers stay numbers."""
    return np.moveaxis(values, axis, -1) if values.ndim else values


def _with_ends(values: Field) -> Field:
    """An array of places with its first and last entry along the last axis repeated, unless it does not vary."""
    if values.ndim == 0 or values.shape[-1] == 1:
        return values
    return np.concatenate([values[..., :1], values, values[..., -1:]], axis=-1)
