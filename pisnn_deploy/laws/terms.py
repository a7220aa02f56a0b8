"""The terms of a law as functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.eigenvalues import blocks, largest_speed
from pisnn_deploy.laws.expression import (
    Call,
    Expression,
    Number,
    derivative,
    evaluate_all,
    free_names,
    laplacian,
    laplacian_of,
)
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.nodes import postorder

Field = NDArray[np.float64]
Values = Mapping[str, Field]
"""Coordinates and given functions at some places, by name."""
_ZERO = Number(0.0)
_WITH_KINKS = ("abs", "min", "max", "where")


class Terms:
    """The terms of a law, evaluated on arrays of states.

    A state is a float64 array [fields, ...] in the order of the law's fields; places broadcast against its other axes.

    Parameters
    ----------
    law : Law
        What to evaluate.
    """

    def __init__(self, law: Law) -> None:
        self.law = law
        self.fields = len(law.fields)

    def _evaluate_all(self, expressions: Sequence[Expression], state: Field, places: Values) -> list[Field]:
        values = {**self.law.parameters, **places, **dict(zip(self.law.fields, state, strict=True))}
        return evaluate_all(expressions, values)

    def _evaluate(self, expression: Expression, state: Field, places: Values) -> Field:
        return self._evaluate_all((expression,), state, places)[0]

    def given(self, places: Values) -> dict[str, Field]:
        """The places with the law's given functions at them."""
        values: dict[str, Field] = dict(places)
        for name, expression in self.law.given.items():
            (values[name],) = evaluate_all((expression,), {**self.law.parameters, **values})
        return values

    @cached_property
    def axes_with_flux(self) -> frozenset[int]:
        """Axes along which some field has a flux that is not 0."""
        return frozenset(axis for axis, flux in enumerate(self.law.flux) if any(e != _ZERO for e in flux.values()))

    def flux(self, axis: int, state: Field, places: Values) -> Field:
        """Flux of each field along an axis, float64 [fields, ...]."""
        fluxes = self.law.flux[axis] if axis < len(self.law.flux) else {}
        result = np.zeros(state.shape)
        expressions = [fluxes.get(name, _ZERO) for name in self.law.fields]
        for number, values in enumerate(self._evaluate_all(expressions, state, places)):
            result[number] = values
        return result

    @cached_property
    def has_kinks(self) -> bool:
        """Whether a diffusivity, level or rate has a function of the fields with kinks."""
        law = self.law
        rates = *(source.rate for source in law.sources), *(exchange.rate for exchange in law.exchange)
        nodes = postorder(*law.diffusion.values(), *law.level.values(), *rates)
        kinked = (node for node in nodes if isinstance(node, Call) and node.function in _WITH_KINKS)
        return any(not free_names(node).isdisjoint(law.fields) for node in kinked)

    @cached_property
    def jacobians(self) -> tuple[tuple[tuple[Expression, ...], ...], ...]:
        """Derivatives of the fluxes by the fields: axis, field of the flux, field."""
        return tuple(
            tuple(tuple(derivative(flux.get(name, _ZERO), by) for by in self.law.fields) for name in self.law.fields)
            for flux in self.law.flux
        )

    @cached_property
    def _blocks(self) -> list[list[list[int]]]:
        """Fields of each axis whose fluxes depend on each other: its Jacobian's eigenvalues are those of the blocks."""
        return [blocks([[entry != _ZERO for entry in row] for row in jacobian]) for jacobian in self.jacobians]

    def speed(self, axis: int, state: Field, places: Values) -> Field:
        """Largest characteristic speed along an axis, float64 [...]."""
        zero = np.zeros(state.shape[1:])
        jacobian, fastest = self.jacobians[axis], zero
        for block in self._blocks[axis]:
            entries = self._evaluate_all([jacobian[row][column] for row in block for column in block], state, places)
            full = [np.broadcast_to(entry, zero.shape) for entry in entries]
            rows = [full[first : first + len(block)] for first in range(0, len(full), len(block))]
            fastest = np.maximum(fastest, largest_speed(rows))
        return fastest

    def velocity(self, axis: int, field: int, state: Field, places: Values) -> Field | None:
        """Derivative of a field's flux along an axis by the field itself; None if the flux depends on other fields."""
        row = self.jacobians[axis][field]
        if any(entry != _ZERO for other, entry in enumerate(row) if other != field):
            return None
        return self._evaluate(row[field], state, places)

    @cached_property
    def diffuses(self) -> tuple[int, ...]:
        """Fields with a diffusion or a level."""
        law = self.law
        return tuple(
            number
            for number, name in enumerate(law.fields)
            if name in law.level or law.diffusion.get(name, _ZERO) != _ZERO
        )

    def diffusivity(self, field: int, state: Field, places: Values) -> Field:
        """Diffusivity of a field, or the mobility of its level, float64 [...]."""
        name = self.law.fields[field]
        default = Number(1.0) if name in self.law.level else _ZERO
        return self._evaluate(self.law.diffusion.get(name, default), state, places)

    def has_level(self, field: int) -> bool:
        """Whether the gradient of a level drives the field."""
        return self.law.fields[field] in self.law.level

    @cached_property
    def laplacians(self) -> tuple[int, ...]:
        """Fields whose Laplacian enters a level."""
        names = {laplacian_of(name) for level in self.law.level.values() for name in free_names(level)}
        return tuple(number for number, name in enumerate(self.law.fields) if name in names)

    def _with_laplacians(self, values: Sequence[Field], places: Values) -> dict[str, Field]:
        names = (laplacian(self.law.fields[number]).name for number in self.laplacians)
        return {**places, **dict(zip(names, values, strict=True))}

    def level(self, field: int, state: Field, laplacians: Sequence[Field], places: Values) -> Field:
        """Level of a field from the state and the Laplacians of the fields `laplacians`, float64 [...]."""
        expression = self.law.level[self.law.fields[field]]
        zero = np.zeros(state.shape[1:])
        return zero + self._evaluate(expression, state, self._with_laplacians(laplacians, places))

    @cached_property
    def _slopes_of_levels(self) -> dict[int, tuple[Expression, Expression]]:
        levels = [(number, name, self.law.level.get(name)) for number, name in enumerate(self.law.fields)]
        return {
            number: (derivative(level, name), derivative(level, laplacian(name).name))
            for number, name, level in levels
            if level is not None
        }

    def level_slopes(self, field: int, state: Field, places: Values) -> tuple[Field, Field]:
        """Derivatives of a level by its own field and by the field's Laplacian, where Laplacians are 0."""
        zero = np.zeros(state.shape[1:])
        by_field, by_laplacian = self._evaluate_all(
            self._slopes_of_levels[field], state, self._with_laplacians([zero] * len(self.laplacians), places)
        )
        return zero + by_field, zero + by_laplacian

    @property
    def reacts(self) -> bool:
        """Whether there are sources or exchange."""
        return bool(self.law.sources or self.law.exchange)

    def rates(self, state: Field, places: Values) -> Field:
        """Sum of sources and exchange of each field, float64 [fields, ...]."""
        total = np.zeros(state.shape)
        number = {name: index for index, name in enumerate(self.law.fields)}
        for source in self.law.sources:
            total[number[source.field]] += self._evaluate(source.rate, state, places)
        for exchange in self.law.exchange:
            rate = self._evaluate(exchange.rate, state, places)
            total[number[exchange.source_field]] -= rate
            total[number[exchange.target_field]] += rate
        return total

    def stiffness(self, state: Field, places: Values) -> float:
        """Bound on the size of the eigenvalues of the sources and exchange by the fields: largest sum of a row."""
        rows = np.zeros((self.fields, *state.shape[1:]))
        for row, by_row in enumerate(self._slopes_of_rates):
            for terms in by_row:
                parts = self._evaluate_all([slope for _, slope in terms], state, places)
                total = sum(sign * part for (sign, _), part in zip(terms, parts, strict=True))
                rows[row] += np.abs(total)
        return float(rows.max())

    @cached_property
    def _slopes_of_rates(self) -> list[list[list[tuple[float, Expression]]]]:
        """Derivatives of the rates of each field by each field, as terms with a sign."""
        law = self.law
        moved = [(source.field, 1.0, source.rate) for source in law.sources]
        moved += [(e.source_field, -1.0, e.rate) for e in law.exchange]
        moved += [(e.target_field, 1.0, e.rate) for e in law.exchange]
        return [
            [
                [
                    (sign, derivative(rate, by))
                    for field, sign, rate in moved
                    if field == name and by in free_names(rate)
                ]
                for by in law.fields
            ]
            for name in law.fields
        ]
