"""How the problem of a law starts: its grid and its initial cell averages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import Expression, substitute
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.quadrature import cell_averages
from pisnn_deploy.laws.spec import LawSpec

Field = NDArray[np.float64]
Fields = dict[str, Field]
"""Cell averages [*shape] of each field."""


@dataclass(frozen=True)
class Solution:
    """Cell averages at a time, with their own error.

    Attributes
    ----------
    fields : dict of str to float64 array [*shape]
        Cell averages of each field.
    errors : dict of str to float
        Largest error of a cell average of each field, as a bound or an estimate.
    basis : str
        Where the averages and their errors come from.
    """

    fields: Fields
    errors: dict[str, float]
    basis: str


def grid_of(spec: LawSpec, shape: tuple[int, ...]) -> Grid:
    """Grid of a shape on the domain of a recipe.

    Raises
    ------
    UsageError
        The shape has another number of axes.
    """
    if len(shape) != spec.dimensions:
        raise UsageError(f"law {spec.name} has {spec.dimensions} axes, but the mesh has {len(shape)}")
    return Grid(shape, spec.domain.lengths, spec.domain.lower)


def initial(spec: LawSpec, shape: tuple[int, ...]) -> Fields:
    """Cell averages of all fields at time 0.

    Returns
    -------
    dict of str to float64 array [*shape]
        By four Gauss points per cell and axis, with cells halved at kinks and jumps.

    Raises
    ------
    UsageError
        A field has no finite average in some cell.
    """
    grid, law = grid_of(spec, shape), spec.parsed()
    expressions = [start_of(spec, name) for name in law.fields]
    averages = cell_averages(expressions, law.parameters, grid)
    for name, values in zip(law.fields, averages, strict=True):
        if not np.isfinite(values).all():
            cell = tuple(int(index) for index in np.argwhere(~np.isfinite(values))[0])
            raise UsageError(f"initial.{name}: has no finite average in cell {cell} of the mesh; check the expression")
    return dict(zip(law.fields, averages, strict=True))


def start_of(spec: LawSpec, field: str) -> Expression:
    """Start of a field as a function of the coordinates and the parameters alone."""
    return substitute(spec.initial_expressions[field], spec.parsed().given)


def stacked(spec: LawSpec, fields: Mapping[str, Field]) -> Field:
    """All fields as one array [fields, *shape], in the order of the law."""
    return np.stack([fields[name] for name in spec.parsed().fields])
