"""Godunov's flux of a scalar law: that of the state at a face between two constant states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.expression import Number, free_names
from pisnn_deploy.laws.terms import Terms

Field = NDArray[np.float64]

_LATTICE, _BISECTIONS = 257, 50


@dataclass(frozen=True)
class GodunovFlux:
    """The least flux between two states that grow along the axis, else the largest one.

    Attributes
    ----------
    flux : callable
        Flux of a state.
    turns : float64 array [turns]
        States at which the flux is least or largest, among those that occur.
    """

    flux: Callable[[Field], Field]
    turns: Field

    @staticmethod
    def of(terms: Terms, axis: int, cells: Field) -> GodunovFlux | None:
        """Flux along an axis for the states of some cells; None if it depends on other fields or the place."""
        law = terms.law
        if terms.fields > 1 or axis not in terms.axes_with_flux:
            return None
        (name,) = law.fields
        if free_names(law.flux[axis].get(name, Number(0.0))) - {name, *law.parameters}:
            return None

        def speed(states: Field) -> Field:
            velocity = terms.velocity(axis, 0, states[None], {})
            return np.zeros(states.shape) if velocity is None else np.broadcast_to(velocity, states.shape)

        lattice = np.linspace(cells.min(), cells.max(), _LATTICE)
        signs = speed(lattice) > 0
        changes = np.flatnonzero(signs[1:] != signs[:-1])
        before, after = lattice[changes], lattice[changes + 1]
        for _ in range(_BISECTIONS):
            middle = (before + after) / 2
            same = (speed(middle) > 0) == signs[changes]
            before, after = np.where(same, middle, before), np.where(same, after, middle)
        return GodunovFlux(lambda states: terms.flux(axis, states, {}), (before + after) / 2)

    def through(self, lower: Field, upper: Field) -> Field:
        """Fluxes through faces, float64 like the states on both sides."""
        at_lower, at_upper = self.flux(lower), self.flux(upper)
        least, largest = np.minimum(at_lower, at_upper), np.maximum(at_lower, at_upper)
        for turn in self.turns:
            between = (turn - lower) * (turn - upper) < 0
            there = self.flux(np.full_like(lower, turn))
            least = np.where(between, np.minimum(least, there), least)
            largest = np.where(between, np.maximum(largest, there), largest)
        return np.asarray(np.where(lower <= upper, least, largest), np.float64)
