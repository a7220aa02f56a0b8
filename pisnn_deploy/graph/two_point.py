"""Float graphs of two-point and of multi-point fluxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pisnn_deploy.core.rows import Rows, diagonal
from pisnn_deploy.graph.cell_graph import SAFETY, CellGraph, Field


@dataclass(frozen=True, kw_only=True)
class TwoPointGraph(CellGraph):
    """Cells that exchange ``conductance * (u_source - u_target)`` per unit of time.

    The flux through a face depends only on the two values next to it (R. Eymard, T. Gallouet, R. Herbin, "Finite Volume
    Methods", Handbook of Numerical Analysis VII, 2000), so it knows neither a grid nor its directions.

    Attributes
    ----------
    conductance : float64 array [faces]
        In units of mass per time and value: ``area / (d_s / k_s + d_t / k_t)`` with distances d and conductivities k.
    """

    conductance: Field

    @property
    def is_two_point(self) -> bool:
        """True."""
        return True

    @cached_property
    def fluxes(self) -> Rows:
        """Conductance times difference."""
        return diagonal(self.conductance) @ self._difference

    @property
    def time_step(self) -> float:
        """Physical time of one explicit step, float."""
        if self.own_time_step is not None:
            return self.own_time_step
        leaving = np.zeros(self.mesh.holders)
        np.add.at(leaving, self.mesh.source, self.conductance)
        np.add.at(leaving, self.mesh.target, self.conductance)
        return float(SAFETY / (leaving[: self.mesh.cells] / self.capacity).max())


@dataclass(frozen=True, kw_only=True)
class MultiPointGraph(CellGraph):
    """Cells whose fluxes depend on all values around the points of a face (`pisnn_deploy.mesh.multi_point`).

    Attributes
    ----------
    coefficients : Rows, float64 [faces, holders]
        In units of mass per time and value.
    """

    coefficients: Rows

    @property
    def is_two_point(self) -> bool:
        """False."""
        return False

    @property
    def fluxes(self) -> Rows:
        """As `coefficients`."""
        return self.coefficients
