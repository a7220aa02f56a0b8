"""States of the operating range: their bounds, and a lattice of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pisnn_deploy.laws.intervals import EVERYTHING, Interval, bounds
from pisnn_deploy.laws.law import COORDINATES, Law
from pisnn_deploy.laws.nodes import Array, Expression, evaluate, free_names, laplacian_of, postorder
from pisnn_deploy.laws.text import number_text

MOST_STATES = 1 << 14
"""States of a lattice."""
_MOST_ALONG = 1025
"""Points of a lattice along a field or coordinate."""
_MOST_EVALUATIONS = 1 << 22
"""States times nodes."""


@dataclass(frozen=True)
class States:
    """States that a law may be in: each field within its range, each coordinate within the domain.

    Attributes
    ----------
    law : Law
        With numbers in place of its parameters.
    ranges : mapping of str to (float, float)
        Range of each field and coordinate.
    """

    law: Law
    ranges: Mapping[str, Interval]
    intervals: Mapping[str, Interval] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = {name: bounds(expression, self.ranges) for name, expression in self.law.given.items()}
        laplacians = {f"laplacian({name})": EVERYTHING for name in self.law.fields}
        object.__setattr__(self, "intervals", {**self.ranges, **given, **laplacians})

    def bounds(self, expression: Expression) -> Interval:
        """Bound an expression over all states."""
        return bounds(expression, self.intervals)

    def variables(self, expressions: Iterable[Expression]) -> tuple[str, ...]:
        """Fields and coordinates that expressions depend on."""
        names = {name for expression in expressions for name in free_names(expression)}
        for name in sorted(names & set(self.law.given)):
            names |= free_names(self.law.given[name])
        return tuple(name for name in (*self.law.fields, *COORDINATES) if name in names)

    def lattice(self, expressions: Sequence[Expression], most: int = MOST_STATES) -> dict[str, Array]:
        """Values of all names at a lattice of states with the corners of the range.

        Parameters
        ----------
        most : int, optional
            Number of states, exceeded only to have the corners. Large expressions get fewer.

        Returns
        -------
        dict of str to float64 array [states]
            Only names that the expressions need.
        """
        variables = self.variables(expressions)
        most = min(most, _MOST_EVALUATIONS // len(postorder(*expressions)))
        along = int(max(most, 1) ** (1 / max(1, len(variables))) + 1e-9)
        # An odd number has the middle, where the other extreme of an even function is.
        count = max(2, min(_MOST_ALONG, along - (along + 1) % 2))
        axes = [np.linspace(*self.ranges[name], count) for name in variables]
        states = np.meshgrid(*axes, indexing="ij") if axes else []
        values = {name: grid.reshape(-1) for name, grid in zip(variables, states, strict=True)}
        needed = {name for expression in expressions for name in free_names(expression)}
        for name in sorted(needed & set(self.law.given)):
            values[name] = evaluate(self.law.given[name], values)
        for name in needed:
            if laplacian_of(name) is not None:
                values[name] = np.zeros(1)
        return values

    def holds(self, expressions: Sequence[Expression], holds_by_bounds: Callable[[States], bool], most: int) -> bool:
        """Whether a property holds for all states, proved by bounds on parts of the range.

        Parts are halved along their relatively longest side until bounds decide.

        Parameters
        ----------
        expressions : sequence of Expression
            The property depends on their fields and coordinates alone.
        holds_by_bounds : callable
            Whether bounds over the states of a part prove the property there.
        most : int
            Number of parts.

        Returns
        -------
        bool
            False where bounds on so many parts decide nothing.
        """
        variables = self.variables(expressions)
        parts, count = [self], 0
        while parts:
            part, count = parts.pop(), count + 1
            if holds_by_bounds(part):
                continue
            if not variables or count + len(parts) > most:
                return False
            parts += part._halves(max(variables, key=lambda name: part._share(self, name)))
        return True

    def _share(self, whole: States, name: str) -> float:
        (low, high), (lower, upper) = self.ranges[name], whole.ranges[name]
        return (high - low) / (upper - lower) if upper > lower else 0.0

    def _halves(self, name: str) -> list[States]:
        low, high = self.ranges[name]
        middle = low + (high - low) / 2
        return [States(self.law, {**self.ranges, name: limits}) for limits in ((low, middle), (middle, high))]

    def place(self, values: Mapping[str, Array], index: int) -> str:
        """Format a state of a lattice, such as ``h = 0.5, q = -4``."""
        names = [name for name in (*self.law.fields, *COORDINATES) if name in values]
        return ", ".join(f"{name} = {shown_number(float(values[name][index]))}" for name in names)


def first_largest(numbers: Array) -> int:
    """First index of the largest number, among those that are equal to it but for rounding."""
    largest = float(numbers.max())
    return int(np.argmax(numbers >= largest - 1e-9 * abs(largest)))


def shown_number(value: float) -> str:
    """Number for a message, with at most six digits."""
    return number_text(float(f"{value:.6g}")) if np.isfinite(value) else str(value)
