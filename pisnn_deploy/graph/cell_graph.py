"""The float graph of a linear conservation law on cells and materials of any kind, whatever its fluxes."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, diagonal, from_triplets
from pisnn_deploy.graph.integer import IntegerGraph, Materials
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.physics.model import ModelSpec

Field = NDArray[np.float64]
SAFETY = 0.475
"""Part of the largest time step for which each new value averages old ones; above one half, waves change sign."""
_LARGEST_NORM = 4.0
"""Norm of a matrix up to which Taylor's series of its exponential loses no digits that matter."""
_ROUNDING = 2.0**-53


@dataclass(frozen=True, kw_only=True)
class CellGraph(ABC):
    """Cells that exchange fluxes, each a sum over some values, before quantisation.

    Attributes
    ----------
    capacity : float64 array [cells]
        Mass of a cell whose value is 1: volume times heat capacity.
    reservoirs : float64 array [reservoirs]
        Values on the boundary.
    initial : float64 array [cells]
        Cell averages at the start.
    materials : Materials
        Material properties that, with the mesh, give capacities and fluxes.
    own_time_step : float or None
        Time step of a graph that has one already; else it follows from the fluxes.
    """

    spec: ModelSpec
    mesh: FaceMesh
    capacity: Field
    reservoirs: Field
    initial: Field
    materials: Materials
    own_time_step: float | None = None

    @property
    def has_own_materials(self) -> bool:
        """Whether materials, rather than the coefficients of the model, decide what is solved."""
        return self.mesh.grid is None or not self.materials.are_those_of(self.spec.diffusivity)

    @property
    @abstractmethod
    def fluxes(self) -> Rows:
        """Flux through each face, per unit of time, from the values of holders, float64 [faces, holders]."""

    @property
    @abstractmethod
    def is_two_point(self) -> bool:
        """Whether the flux through a face depends on the two values beside it alone."""

    @cached_property
    def _difference(self) -> Rows:
        """Value of the source of each face less that of its target, float64 [faces, holders]."""
        mesh = self.mesh
        face = np.tile(np.arange(mesh.faces), 2)
        ends = np.concatenate([mesh.source, mesh.target])
        signs = np.repeat([1.0, -1.0], mesh.faces)
        return from_triplets(face, ends, signs, (mesh.faces, mesh.holders))

    @cached_property
    def steepness(self) -> float:
        """Bound on the rates at which waves decay: the largest sum of the absolute rates of a cell."""
        return float(abs(self.rates).sums().max())

    @property
    def time_step(self) -> float:
        """Physical time of one explicit step, float."""
        if self.own_time_step is not None:
            return self.own_time_step
        return 2 * SAFETY / self.steepness

    @cached_property
    def rates(self) -> Rows:
        """``du / dt = rates @ (u, reservoirs)``, float64 [cells, holders]."""
        return -diagonal(1 / self.capacity) @ self._difference.transposed.first_rows(self.mesh.cells) @ self.fluxes

    def fields(self, time_step: float) -> Iterator[Field]:
        """Values after 0, 1, 2, ... explicit steps in floats, each float64 [cells]."""
        values = self.initial
        while True:
            yield values
            values = values + time_step * (self.rates @ np.concatenate([values, self.reservoirs]))

    def exact(self, time: float) -> Field:
        """Values at a given time, by the exponential of the semi-discrete operator, float64 [cells]."""
        cells = self.mesh.cells
        inside = self.rates.between(0, cells)
        supply = self.rates.between(cells, self.mesh.holders) @ self.reservoirs
        # An extra unknown that stays 1 carries the inflow from reservoirs.
        number = np.arange(cells)
        whole = from_triplets(
            np.concatenate([inside.row_of, number]),
            np.concatenate([inside.columns, np.full(cells, cells)]),
            np.concatenate([inside.values, supply]) * time,
            (cells + 1, cells + 1),
        )
        return _exponential(whole, np.concatenate([self.initial, [1.0]]))[:cells]


def _exponential(matrix: Rows, start: Field) -> Field:
    """``exp(matrix) @ start`` by Taylor's series of ``exp(matrix / steps)``, `steps` times.

    The mean of the diagonal is taken out first: rates have a negative one, and without it terms are smaller (A. H.
    Al-Mohy, N. J. Higham, "Computing the Action of the Matrix Exponential", SIAM J. Sci. Comput. 33(2), 2011).
    """
    size = start.size
    mean = float(matrix.values[matrix.row_of == matrix.columns].sum()) / size
    shifted = matrix - diagonal(np.full(size, mean))
    norm = float(np.bincount(shifted.columns, abs(shifted.values), minlength=size).max(initial=0.0))
    steps = max(1, math.ceil(norm / _LARGEST_NORM))
    part, solution = shifted.valued(lambda values: values / steps), start
    for _ in range(steps):
        term = solution
        for order in itertools.count(1):
            term = part @ term / order
            solution = solution + term
            if order > _LARGEST_NORM and abs(term).max() <= _ROUNDING * abs(solution).max():
                break
        solution = solution * math.exp(mean / steps)
    return solution


def has_own_materials(graph: IntegerGraph) -> bool:
    """As `CellGraph.has_own_materials`, of the integers of a model."""
    if graph.materials is None:
        return False
    return graph.mesh.grid is None or not graph.materials.are_those_of(graph.model_spec.diffusivity)
