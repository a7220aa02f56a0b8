"""Whether a law is well-posed over its operating range.

Interval bounds decide where they can, for all states, on the whole range or on parts of it. Where they cannot, a
lattice of states with the corners of the range decides; what it finds is refused with the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pisnn_deploy.laws.calculus import ZERO, add, derivative, mul, simplified, sub
from pisnn_deploy.laws.conditions import Conditions, Flaw
from pisnn_deploy.laws.eigenvalues import blocks
from pisnn_deploy.laws.intervals import Interval, may_be_undefined
from pisnn_deploy.laws.law import Law, mobility, split_level
from pisnn_deploy.laws.monomials import collected
from pisnn_deploy.laws.nodes import (
    LARGEST_NUMBER,
    Array,
    Call,
    Expression,
    ExpressionTooLarge,
    Number,
    evaluate,
    free_names,
    postorder,
    substitute,
)
from pisnn_deploy.laws.speeds import diffusivity, eigenvalues, fourth_order, jacobian
from pisnn_deploy.laws.states import States, first_largest, shown_number
from pisnn_deploy.laws.text import to_text
from pisnn_deploy.laws.time_table import TimeTable
from pisnn_deploy.mesh.boundary import SIDE_NAMES

_MOST_PARTS = 1024
"""Parts of the range in a proof."""
_MOST_BOUNDS = 1 << 17
"""Nodes times parts in all proofs of a law, which take less than a second."""
_ROUNDING = 1e-12
_REAL = 1e-6
"""Imaginary parts up to this fraction of the largest speed come from rounding, where speeds coincide."""


@dataclass(frozen=True)
class Posedness:
    """What was found about a law.

    Attributes
    ----------
    flaws : tuple of (str, str)
        Places in a recipe, and what is wrong there.
    proved, sampled : int
        Properties that hold for all states by interval bounds, and those that hold on a lattice.
    """

    flaws: tuple[Flaw, ...]
    proved: int
    sampled: int


def judge(states: States) -> Posedness:
    """Check that every term has finite values and slopes, that diffusion damps, and that speeds are real."""
    judgement = _Judgement(states)
    law = states.law
    try:
        for place, expression in law.terms():
            judgement.require_finite(place, expression)
        if not judgement.flaws:
            judgement.require_finite_slopes()
        if not judgement.flaws:
            judgement.require_damping()
            judgement.require_parabolic_system()
            judgement.require_real_speeds()
    except ExpressionTooLarge as error:
        judgement.flaws.append(("law", str(error)))
    return Posedness(tuple(dict.fromkeys(judgement.flaws)), judgement.proved, judgement.sampled)


class _Judgement:
    """Checks that count how they were decided."""

    def __init__(self, states: States) -> None:
        self.flaws: list[Flaw] = []
        self.proved = self.sampled = 0
        self._left = _MOST_BOUNDS
        self._states, self._law = states, states.law

    def _decide(
        self,
        expressions: Sequence[Expression],
        by_bounds: Callable[[States], bool] | None,
        on_lattice: Callable[[], Flaw | None],
    ) -> None:
        """Decide a property by bounds, else look for a flaw on a lattice, else by bounds on parts of the range."""
        if by_bounds is not None and by_bounds(self._states):
            self.proved += 1
            return
        flaw = on_lattice()
        if flaw is not None:
            self.flaws.append(flaw)
        elif by_bounds is not None and self._is_proved_by_parts(expressions, by_bounds):
            self.proved += 1
        else:
            self.sampled += 1

    def _is_proved_by_parts(self, expressions: Sequence[Expression], by_bounds: Callable[[States], bool]) -> bool:
        nodes = len(postorder(*expressions))
        most = min(_MOST_PARTS, self._left // nodes)
        self._left -= most * nodes
        return self._states.holds(expressions, by_bounds, most)

    def require_finite(self, place: str, term: Expression, what: str = "") -> None:
        """Refuse an expression without a finite value in some state."""
        expression = without_laplacians(term)

        def on_lattice() -> Flaw | None:
            values = self._states.lattice([expression])
            numbers = np.atleast_1d(evaluate(expression, values))
            bad = np.flatnonzero(~np.isfinite(numbers))
            if not bad.size:
                index = first_largest(np.abs(numbers))
                if abs(numbers[index]) <= LARGEST_NUMBER:
                    return None
                where = _at(self._states.place(values, index))
                shown = f"{shown_number(float(numbers[index]))}{where}"
                return place, f"{what}its value is {shown}, beyond {LARGEST_NUMBER:g}; choose other units"
            index = int(bad[0])
            state = {name: array[min(index, array.size - 1)] for name, array in values.items()}
            culprit = to_text(_culprit(expression, state))
            shown = culprit if len(culprit) <= 60 else f"{culprit[:60]}..."
            where = self._states.place(values, index)
            return place, f"{what}{shown} has no finite value where {where}, inside the range"

        def by_bounds(part: States) -> bool:
            lower, upper = part.bounds(expression)
            is_defined = may_be_undefined(expression, part.intervals) is None
            return is_defined and lower >= -LARGEST_NUMBER and upper <= LARGEST_NUMBER

        self._decide([expression], by_bounds, on_lattice)

    def require_finite_slopes(self) -> None:
        """Refuse fluxes, levels and rates whose slopes are unbounded: no time step resolves them."""
        law = self._law
        for place, expression in law.terms():
            if place.startswith("law.diffusion."):
                continue
            for name in law.fields:
                slope = derivative(expression, name)
                if slope != ZERO:
                    self.require_finite(place, slope, f"no time step resolves it: in its slope by {name}, ")

    def require_damping(self) -> None:
        """Refuse diffusion that amplifies short waves."""
        law = self._law
        for name in law.fields:
            place = f"law.level.{name}" if name in law.level else f"law.diffusion.{name}"
            bending = fourth_order(law, name)
            self._require_not_negative(place, bending, "the factor of -laplacian({0}), {1},", name)
            if bending == ZERO:
                words = (
                    "the slope of the level times the mobility, {1}," if name in law.level else "the diffusivity {1}"
                )
                self._require_not_negative(place, diffusivity(law, name), words, name)
            elif name in law.level:
                self._require_not_negative(f"law.diffusion.{name}", mobility(law, name), "the mobility {1}", name)

    def _require_not_negative(self, place: str, expression: Expression, words: str, name: str) -> None:
        if expression == ZERO:
            return

        def on_lattice() -> Flaw | None:
            values = self._states.lattice([expression])
            numbers = np.atleast_1d(evaluate(expression, values))
            index = first_largest(-numbers)
            # Rounding of a sum of terms may leave less than 0.
            if numbers[index] >= -_ROUNDING * float(np.abs(numbers).max()):
                return None
            subject = words.format(name, to_text(simplified(expression)))
            value = shown_number(float(numbers[index]))
            return (
                place,
                f"{subject} is {value}{_at(self._states.place(values, index))}; diffusion must not be negative",
            )

        self._decide([expression], lambda part: part.bounds(expression)[0] >= 0, on_lattice)

    def require_parabolic_system(self) -> None:
        """Refuse levels that depend on several fields if together they amplify short waves."""
        law = self._law
        names = [name for name in law.fields if fourth_order(law, name) == ZERO]
        matrix = [[_slope_of_level(law, row, column) for column in names] for row in names]
        size = range(len(names))
        if all(len(block) == 1 for block in blocks([[entry != ZERO for entry in row] for row in matrix])):
            return  # the diagonal decides, which has been checked

        def on_lattice() -> Flaw | None:
            values, growths = eigenvalues(self._states, matrix)
            lowest = growths.real.min(axis=1)
            index = first_largest(-lowest)
            if lowest[index] >= -_REAL * float(np.abs(growths).max()):
                return None
            joined = ", ".join(names[row] for row in size if any(matrix[row][column] != ZERO for column in size))
            where = _at(self._states.place(values, index))
            value = shown_number(float(lowest[index]))
            return "law.level", f"together, the levels of {joined} have a diffusivity of {value}{where}"

        self._decide([], None, on_lattice)

    def require_real_speeds(self) -> None:
        """Refuse systems that are not hyperbolic along an axis or a diagonal."""
        fields = self._law.fields
        matrices = [jacobian(flux, fields) for flux in self._law.flux]
        for direction in product((1.0, 0.0, -1.0), repeat=len(matrices)):
            first = next((number for number in direction if number), 0.0)
            if first <= 0:
                continue  # the opposite direction has the same speeds, negated
            matrix = [
                [
                    _combination(direction, [axis_matrix[row][column] for axis_matrix in matrices])
                    for column in range(len(fields))
                ]
                for row in range(len(fields))
            ]
            if any(entry != ZERO for row in matrix for entry in row):
                self._require_real(matrix, _direction_text(direction))

    def _require_real(self, matrix: Sequence[Sequence[Expression]], direction: str) -> None:
        def on_lattice() -> Flaw | None:
            values, speeds = eigenvalues(self._states, matrix)
            bad = np.flatnonzero(~np.isfinite(speeds).all(axis=1))
            along = f"the characteristic speeds along {direction} are"
            if bad.size:
                return "law.flux", f"{along} not finite{_at(self._states.place(values, int(bad[0])))}"
            excess = np.abs(speeds.imag).max(axis=1)
            index = first_largest(excess)
            if excess[index] <= _REAL * float(np.abs(speeds).max()):
                return None
            speed = speeds[index][int(np.argmax(np.abs(speeds[index].imag)))]
            text = f"{shown_number(float(speed.real))} + {shown_number(abs(float(speed.imag)))}i"
            where = _at(self._states.place(values, index))
            return "law.flux", f"{along} complex, {text}{where}; no waves carry this flux"

        discriminants = _discriminants(matrix)
        if discriminants is None:
            self._decide([], None, on_lattice)
        else:
            self._decide(
                discriminants, lambda part: all(part.bounds(each)[0] >= 0 for each in discriminants), on_lattice
            )


def _at(place: str) -> str:
    return f" where {place}" if place else ""


def without_laplacians(expression: Expression) -> Expression:
    """A level with 0 for its Laplacians."""
    names = [name for name in free_names(expression) if name.startswith("laplacian(")]
    return substitute(expression, dict.fromkeys(names, ZERO)) if names else expression


def _combination(direction: Sequence[float], entries: Sequence[Expression]) -> Expression:
    total: Expression = ZERO
    for factor, entry in zip(direction, entries, strict=True):
        total = add(total, mul(Number(factor), entry))
    return total


def _direction_text(direction: Sequence[float]) -> str:
    letters = [
        f"{'-' if number < 0 else ''}{letter}" for number, letter in zip(direction, "xyz", strict=False) if number
    ]
    return letters[0] if len(letters) == 1 else f"the diagonal ({', '.join(letters)})"


def _discriminants(matrix: Sequence[Sequence[Expression]]) -> list[Expression] | None:
    """Expressions that are not negative where all eigenvalues are real; None if there are none that say so."""
    discriminants: list[Expression] = []
    for block in blocks([[entry != ZERO for entry in row] for row in matrix]):
        if all(matrix[row][column] == matrix[column][row] for row in block for column in block):
            continue
        if len(block) != 2:
            return None
        (a, b), (c, d) = [[matrix[row][column] for column in block] for row in block]
        spread = sub(a, d)
        square = Call("pow", (spread, Number(2.0))) if spread != ZERO else ZERO
        given = simplified(add(square, mul(Number(4.0), mul(b, c))))
        # Bounds of what cancels are wide, and so are those of a square that is multiplied out.
        discriminants.append(min(given, collected(given), key=lambda form: len(postorder(form))))
    return discriminants


def _slope_of_level(law: Law, name: str, other: str) -> Expression:
    """Diffusivity of a field by the gradient of another."""
    if name == other:
        return diffusivity(law, name)
    if name not in law.level:
        return ZERO
    local, _ = split_level(law.level[name])
    return mul(mobility(law, name), derivative(local, other))


def _culprit(expression: Expression, state: Mapping[str, Array]) -> Expression:
    """Innermost part without a finite value in a state whose own parts all have one."""
    node = expression
    while isinstance(node, Call):
        arguments = node.arguments
        if node.function == "where":
            low, high = (float(evaluate(argument, state)) for argument in arguments[:2])
            arguments = (*arguments[:2], arguments[2] if low < high else arguments[3])
        inner = next((part for part in arguments if not np.isfinite(float(evaluate(part, state)))), None)
        if inner is None:
            return node
        node = inner
    return node


def values_outside(
    law: Law,
    box: Mapping[str, Interval],
    ranges: Mapping[str, Interval],
    initial: Mapping[str, Expression],
    conditions: Conditions,
) -> Iterator[Flaw]:
    """Initial and boundary values outside the operating range.

    Parameters
    ----------
    law : Law
        With numbers in place of its parameters.
    box : mapping of str to (float, float)
        Extent of the domain along each coordinate.
    initial : mapping of str to Expression
        Start of each field.
    """
    starts = {name: (f"initial.{name}", expression) for name, expression in initial.items()}
    yield from _outside(law, box, starts, ranges)
    sides = {
        side: (axis, end) for axis, pair in enumerate(SIDE_NAMES[: law.dimensions]) for end, side in enumerate(pair)
    }
    for side, by_field in conditions.items():
        axis, end = sides[side]
        coordinate = law.coordinates[axis]
        at_side = {**box, coordinate: (box[coordinate][end],) * 2}
        places = {
            name: (f"domain.boundary.{side}", condition.values[-1])
            for name, condition in by_field.items()
            if condition.kind in ("held", "inflow", "robin") and condition.over_time is None
        }
        yield from _outside(law, at_side, places, ranges)
        for name, condition in by_field.items():
            if condition.kind != "flux" and condition.over_time is not None:
                yield from _table_outside(f"domain.boundary.{side}", name, condition.over_time, ranges[name])


def _table_outside(place: str, name: str, table: TimeTable, limits: Interval) -> Iterator[Flaw]:
    lower, upper = limits
    for time, value in zip(table.times, table.values, strict=True):
        if not lower <= value <= upper:
            extent = f"{shown_number(lower)} to {shown_number(upper)}"
            yield place, f"{name} is {shown_number(value)} at time {shown_number(time)}, outside its range {extent}"
            return


def _outside(
    law: Law,
    box: Mapping[str, Interval],
    places: Mapping[str, tuple[str, Expression]],
    ranges: Mapping[str, Interval],
) -> Iterator[Flaw]:
    states = States(law, box)
    parameters: dict[str, Expression] = {name: Number(value) for name, value in law.parameters.items()}
    for name, (place, symbolic) in places.items():
        expression = substitute(symbolic, parameters)
        lower, upper = ranges[name]
        least, most = states.bounds(expression)
        if lower <= least and most <= upper:
            continue
        values = states.lattice([expression])
        numbers = np.atleast_1d(evaluate(expression, values))
        tolerance = 1e-9 * (upper - lower)
        bad = np.flatnonzero(~((lower - tolerance <= numbers) & (numbers <= upper + tolerance)))
        if bad.size:
            excess = np.maximum(lower - numbers[bad], numbers[bad] - upper)
            index = int(bad[first_largest(np.where(np.isfinite(excess), excess, 1e300))])
            where = states.place(values, index)
            limits = f"{shown_number(lower)} to {shown_number(upper)}"
            yield place, f"{name} is {shown_number(float(numbers[index]))}{_at(where)}, outside its range {limits}"
