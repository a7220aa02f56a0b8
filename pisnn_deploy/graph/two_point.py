"""The float graph of a linear conservation law with two-point fluxes, on cells and materials of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import expm_multiply

from pisnn_deploy.graph.integer import Materials
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.physics.model import ModelSpec

Field = NDArray[np.float64]
SAFETY = 0.475
"""Part of the largest time step for which each new value averages old ones; above one half, waves change sign."""


@dataclass(frozen=True)
class TwoPointGraph:
    """Cells that exchange ``conductance * (u_source - u_target)`` per unit of time, before quantisation.

    The flux through a face depends only on the two values next to it (R. Eymard, T. Gallouet, R. Herbin, "Finite Volume
    Methods", Handbook of Numerical Analysis VII, 2000), so it knows neither a grid nor its directions.

    Attributes
    ----------
    capacity : float64 array [cells]
        Mass of a cell whose value is 1: volume times heat capacity.
    conductance : float64 array [faces]
        In units of mass per time and value: ``area / (d_s / k_s + d_t / k_t)`` with distances d and conductivities k.
    reservoirs : float64 array [reservoirs]
        Values on the boundary.
    initial : float64 array [cells]
        Cell averages at the start.
    materials : Materials
        Material properties that, with the mesh, give capacities and conductances.
    """

    spec: ModelSpec
    mesh: FaceMesh
    capacity: Field
    conductance: Field
    reservoirs: Field
    initial: Field
    materials: Materials

    @property
    def time_step(self) -> float:
        """Physical time of one explicit step, float."""
        leaving = np.zeros(self.mesh.holders)
        np.add.at(leaving, self.mesh.source, self.conductance)
        np.add.at(leaving, self.mesh.target, self.conductance)
        return float(SAFETY / (leaving[: self.mesh.cells] / self.capacity).max())

    @cached_property
    def rates(self) -> sparse.csr_matrix:
        """``du / dt = rates @ (u, reservoirs)``, float64 [cells, holders]."""
        mesh = self.mesh
        face = np.tile(np.arange(mesh.faces), 2)
        ends = np.concatenate([mesh.source, mesh.target])
        signs = np.repeat([1.0, -1.0], mesh.faces)
        difference = sparse.csr_matrix((signs, (face, ends)), (mesh.faces, mesh.holders))
        flux = sparse.diags(self.conductance) @ difference
        return sparse.csr_matrix(-sparse.diags(1 / self.capacity) @ difference.T[: mesh.cells] @ flux)

    def fields(self, time_step: float) -> Iterator[Field]:
        """Values after 0, 1, 2, ... explicit steps in floats, each float64 [cells]."""
        values = self.initial
        while True:
            yield values
            values = values + time_step * (self.rates @ np.concatenate([values, self.reservoirs]))

    def exact(self, time: float) -> Field:
        """Values at a given time, by the exponential of the semi-discrete operator, float64 [cells]."""
        cells = self.mesh.cells
        inside, supply = self.rates[:, :cells], self.rates[:, cells:] @ self.reservoirs
        # An extra unknown that stays 1 carries the inflow from reservoirs.
        row = sparse.hstack([inside, sparse.csr_matrix(supply[:, None])])
        whole = sparse.csr_matrix(sparse.vstack([row, sparse.csr_matrix((1, cells + 1))]))
        trace = float(inside.diagonal().sum()) * time
        start = np.concatenate([self.initial, [1.0]])
        solution = expm_multiply(sparse.csr_matrix(whole * time), start, traceA=trace)  # type: ignore[call-overload]
        return np.asarray(solution[:cells], np.float64)
