"""Boundary conditions of float64 solvers: ghost cells behind the sides of a grid, and the fluxes through them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.conditions import Condition, Conditions
from pisnn_deploy.laws.expression import evaluate
from pisnn_deploy.laws.grid import AXES, Grid
from pisnn_deploy.laws.terms import Terms
from pisnn_deploy.mesh.boundary import SIDE_NAMES

Field = NDArray[np.float64]
LOWER, UPPER = 0, 1


class Sides:
    """The two sides of one axis. Arrays have this axis last.

    Parameters
    ----------
    terms : Terms
        The law.
    grid : Grid
        The cells.
    conditions : Conditions
        Of all sides.
    axis : int
        Number of the axis.
    """

    def __init__(self, terms: Terms, grid: Grid, conditions: Conditions, axis: int) -> None:
        self._terms, self._axis = terms, axis
        self._conditions = [[conditions[side][name] for name in terms.law.fields] for side in SIDE_NAMES[axis]]
        self.is_periodic = self._conditions[LOWER][0].kind == "periodic"
        self.has_values = any(c.kind in ("held", "inflow") for side in self._conditions for c in side)
        self._places = [self._along_side(grid, end) for end in (LOWER, UPPER)]
        law = terms.law
        normal = {vector[axis] for vector in law.vector if axis < len(vector)}
        self._is_normal = [name in normal for name in law.fields]
        self.is_steady = all(c.over_time is None for side in self._conditions for c in side)
        self.set_time(0.0)

    def set_time(self, time: float) -> None:
        """Take the values that the sides give at a time."""
        self._values = [
            [self._numbers(condition, self._places[end], time) for condition in self._conditions[end]]
            for end in (LOWER, UPPER)
        ]
        fields = range(self._terms.fields)
        self._entering = [[self._enters(end, number) for number in fields] for end in (LOWER, UPPER)]

    @property
    def coefficient(self) -> float:
        """Largest coefficient of a side that gives a flux by the difference to a value; 0 without one."""
        by_condition = zip(
            [condition.kind for side in self._conditions for condition in side],
            [numbers for side in self._values for numbers in side],
            strict=True,
        )
        return max((float(np.abs(numbers[0]).max()) for kind, numbers in by_condition if kind == "robin"), default=0.0)

    def _along_side(self, grid: Grid, end: int) -> dict[str, Field]:
        places = {name: np.moveaxis(values, self._axis, -1) for name, values in grid.places().items()}
        edge = grid.edges(self._axis)[-1 if end == UPPER else 0]
        places[AXES[self._axis]] = np.full_like(places[AXES[self._axis]][..., :1], edge)
        return {name: values[..., 0] for name, values in places.items()}

    def _numbers(self, condition: Condition, places: dict[str, Field], time: float) -> list[Field]:
        numbers = [evaluate(value, {**self._terms.law.parameters, **places}) for value in condition.values]
        return numbers if condition.over_time is None else [*numbers, condition.over_time.at(time)]

    def extended(self, cells: Field, width: int) -> Field:
        """Cells with ghost cells for the flux of the law.

        Parameters
        ----------
        cells : float64 array [fields, ..., count]
            Cell averages.
        width : int
            Ghost cells on either side.

        Returns
        -------
        float64 array [fields, ..., count + 2 width]
            Behind a wall the mirrored cells, behind a held side its value, behind an outflow the nearest cell.
        """
        result = self._mirrored_or_wrapped(cells, width)
        if self.is_periodic:
            return result
        for end, ghosts in ((LOWER, np.s_[..., :width]), (UPPER, np.s_[..., result.shape[-1] - width :])):
            nearest = cells[..., 0 if end == LOWER else -1]
            for number, condition in enumerate(self._conditions[end]):
                if condition.kind == "wall":
                    if self._is_normal[number]:
                        result[number][ghosts] *= -1
                    continue
                beyond = nearest[number]
                if condition.kind in ("held", "inflow"):
                    beyond = np.where(self._entering[end][number], self._values[end][number][0], beyond)
                result[number][ghosts] = beyond[..., None]
        return result

    def with_gradients(self, cells: Field, values: Sequence[Field | None], numbers: Sequence[int]) -> Field:
        """Cells with two ghost cells for gradients, of fields or of their levels.

        Parameters
        ----------
        cells : float64 array [chosen, ..., count]
            A row for each of the chosen fields.
        values : sequence of float64 array or None
            What the sides hold: first those of the lower side, a value for each row, then those of the upper.
        numbers : sequence of int
            The chosen fields.

        Returns
        -------
        float64 array [chosen, ..., count + 4]
            Behind a held side the averages of the parabola through its value and the two nearest averages; behind a
            free one those of the line through the two, which count for the gradients inside.
        """
        result = self._mirrored_or_wrapped(cells, 2)
        if self.is_periodic:
            return result
        for end, (far, near), (first, second) in ((LOWER, (0, 1), (0, 1)), (UPPER, (-1, -2), (-1, -2))):
            for row, number in enumerate(numbers):
                kind = self._conditions[end][number].kind
                if kind == "wall":
                    if self._is_normal[number]:
                        result[row][..., [far, near]] *= -1
                    continue
                nearest, next_one = cells[row][..., first], cells[row][..., second if cells.shape[-1] > 1 else first]
                ghosts = 2 * nearest - next_one, 3 * nearest - 2 * next_one
                value = values[end * len(numbers) + row]
                if kind in ("held", "inflow") and value is not None:
                    enters = self._entering[end][number]
                    parabola = 3 * value - 2.5 * nearest + 0.5 * next_one, 9 * value - 10.5 * nearest + 2.5 * next_one
                    ghosts = np.where(enters, parabola[0], ghosts[0]), np.where(enters, parabola[1], ghosts[1])
                result[row][..., near], result[row][..., far] = ghosts
        return result

    def held_values(self, end: int, number: int) -> Field | None:
        """Value that a side holds or that flows in through it; None if it has none."""
        condition = self._conditions[end][number]
        return self._values[end][number][0] if condition.kind in ("held", "inflow") else None

    def places(self, end: int) -> dict[str, Field]:
        """Coordinates of the faces of a side, without the last axis."""
        return self._places[end]

    def _enters(self, end: int, number: int) -> Field | bool:
        """Where a side's value counts.

        Everywhere if it is held, or if the field's flux depends on others; else where that value flows in. The value
        decides and not the state inside, as in integers, so that a side does not turn from one into the other.
        """
        condition, places = self._conditions[end][number], self._terms.given(self._places[end])
        if condition.kind != "inflow":
            return condition.kind == "held"
        outside = self._values[end][number][0]
        state = np.zeros((self._terms.fields, *np.broadcast_shapes(outside.shape, *(v.shape for v in places.values()))))
        state[number] = outside
        velocity = self._terms.velocity(self._axis, number, state, places)
        if velocity is None:
            return True
        return np.asarray(velocity > 0 if end == LOWER else velocity < 0)

    def _mirrored_or_wrapped(self, cells: Field, width: int) -> Field:
        count = cells.shape[-1]
        index = np.arange(-width, count + width)
        if self.is_periodic:
            return cells[..., index % count]
        index = np.where(index < 0, -1 - index, np.where(index >= count, 2 * count - 1 - index, index))
        return cells[..., np.clip(index, 0, count - 1)]

    def stop_diffusion(self, fluxes: Field) -> None:
        """Set the diffusive flux to 0 through sides that are free: in place, float64 [fields, ..., count + 1]."""
        if self.is_periodic:
            return
        for end in (LOWER, UPPER):
            for number, condition in enumerate(self._conditions[end]):
                face = fluxes[number][..., 0 if end == LOWER else -1]
                if condition.kind in ("outflow", "flux", "robin"):
                    face[...] = 0
                elif condition.kind == "inflow":
                    face[...] = np.where(self._entering[end][number], face, 0.0)

    def set_fluxes(self, fluxes: Field, state: Field) -> None:
        """Set the whole fluxes that the sides prescribe: in place, float64 [fields, ..., count + 1]."""
        if self.is_periodic:
            return
        for end, inwards in ((LOWER, 1.0), (UPPER, -1.0)):
            first, second = (0, min(1, state.shape[-1] - 1)) if end == LOWER else (-1, -min(2, state.shape[-1]))
            for number, condition in enumerate(self._conditions[end]):
                face, numbers = fluxes[number][..., 0 if end == LOWER else -1], self._values[end][number]
                if condition.kind == "wall" and not self._is_normal[number]:
                    face[...] = 0
                elif condition.kind == "flux":
                    face[...] = inwards * numbers[0]
                elif condition.kind == "robin":
                    at_face = 1.5 * state[number][..., first] - 0.5 * state[number][..., second]
                    face[...] = -inwards * numbers[0] * (at_face - numbers[1])
