"""Interface of all meshes: cells, faces, reservoirs, geometry, and how a field is laid out and drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh.geometry import Field, Geometry
from pisnn_deploy.mesh.view import Line, Plane, View

if TYPE_CHECKING:
    from pisnn_deploy.mesh.structured import Mesh

Indices = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)


class FaceMesh(ABC):
    """Cells, the faces between them, and reservoirs behind some outer faces.

    A positive packet on face ``f`` leaves ``source[f]`` and enters ``target[f]``: the incidence ``D`` has -1 and +1
    there. Cells and reservoirs together are called holders: holder ``i`` is cell ``i`` below `cells`, and reservoir
    ``i - cells`` from there on.

    Attributes
    ----------
    source, target : int64 array [faces]
        Holder on either side of each face.
    shape : tuple of int
        Shape of a field.
    """

    source: Indices
    target: Indices

    if TYPE_CHECKING:
        # A field of grids, which a property of the base class would give a default.
        @property
        def shape(self) -> tuple[int, ...]:
            """Shape of a field."""

    @property
    @abstractmethod
    def cells(self) -> int:
        """Number of cells."""

    @property
    @abstractmethod
    def reservoirs(self) -> int:
        """Number of reservoirs."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of a field."""
        return ("cell",)

    @property
    def is_line(self) -> bool:
        """Whether the cells form a single row."""
        return False

    @property
    @abstractmethod
    def grid(self) -> Mesh | None:
        """The mesh itself if its cells form a grid, so that windows and blocks apply; else None."""

    @property
    def simplices(self) -> tuple[Field, Indices] | None:
        """Points [points, dimensions] and the points of each cell [cells, dimensions + 1]; None on a grid."""
        return None

    @property
    @abstractmethod
    def volume(self) -> float | None:
        """Volume of a cell if all are equal; else None."""

    @property
    @abstractmethod
    def material_of_cells(self) -> Indices:
        """Number of the material of each cell, int64 [cells]; cells of one material have one conductivity."""

    @property
    @abstractmethod
    def group_of_reservoirs(self) -> Indices:
        """Number of the group of each reservoir, int64 [reservoirs]; reservoirs of one group hold one value."""

    @property
    @abstractmethod
    def reservoirs_by_side(self) -> dict[str, Indices]:
        """Reservoirs behind each side or boundary group that has any, by its name, int64 [reservoirs behind it]."""

    @property
    @abstractmethod
    def boundary_text(self) -> str:
        """Boundary conditions as text for people."""

    @property
    def faces(self) -> int:
        """Number of faces."""
        return int(self.source.size)

    @property
    def holders(self) -> int:
        """Number of cells and reservoirs."""
        return self.cells + self.reservoirs

    def divergence(self, flux: NDArray[Number]) -> NDArray[Number]:
        """Net gain of each holder, ``D k``.

        Parameters
        ----------
        flux : int64 or float64 array [faces]
            Signed packets through each face, or a float flux.

        Returns
        -------
        array [holders], same dtype
            Gain of each cell, then of each reservoir.
        """
        gain = np.zeros(self.holders, flux.dtype)
        np.add.at(gain, self.target, flux)
        np.subtract.at(gain, self.source, flux)
        return gain

    @abstractmethod
    def geometry(self) -> Geometry:
        """Cell volumes, face areas, and distances from cell centres to faces."""

    @abstractmethod
    def centres(self) -> Field:
        """Centre of each cell, float64 [cells, dimensions]."""

    @abstractmethod
    def angles(self) -> Field | None:
        """Angle in degrees between the line of centres and the normal of each interior face; None if all are 0.

        The two-point scheme assumes 0.
        """

    def conductances(self, conductivity: Field) -> Field:
        """Flux through each face per difference of the two values on its sides: two resistances in series.

        Parameters
        ----------
        conductivity : float64 array [cells]
            In length squared per time.

        Returns
        -------
        float64 array [faces]
            ``area / (d_s / k_s + d_t / k_t)``, with distances ``d`` and conductivities ``k``.
        """
        geometry = self.geometry()
        resistance = np.zeros(self.faces)
        for side, ends in enumerate((self.source, self.target)):
            inside = ends < self.cells
            resistance[inside] += geometry.distance[inside, side] / conductivity[ends[inside]]
        return np.asarray(geometry.area / resistance, np.float64)

    def centres_along(self, axis: str) -> Field | None:
        """Positions of the cells along an axis of a field, float64; None if the axis is not a spatial one."""
        return None

    def described(self) -> dict[str, object]:
        """Plain data for exported files."""
        return {"cells": self.cells, "reservoirs": self.reservoirs, "faces": self.faces}

    def lengths_by_name(self) -> dict[str, float]:
        """Lengths that define the mesh; empty if points define it."""
        return {}

    @abstractmethod
    def defects(self) -> Iterator[str]:
        """Yield a sentence for each inconsistency; none if the mesh is well formed."""

    @abstractmethod
    def view(self, most_cells: int | None = None) -> View:
        """Select and place the cells to draw.

        Parameters
        ----------
        most_cells : int, optional
            Maximum number of cells to draw.
        """

    def planes(self, chosen: Plane | None = None) -> tuple[View, ...]:
        """Views that together show the mesh: of a box a middle plane normal to each axis, else the only view.

        Parameters
        ----------
        chosen : Plane, optional
            Show this plane alone.

        Raises
        ------
        UsageError
            The mesh is no box, or does not reach that far.
        """
        if chosen is not None:
            raise UsageError(f"`plane` {chosen.axis}: only a grid of three axes is drawn on planes")
        return (self.view(),)

    @abstractmethod
    def middle_line(self) -> Line:
        """Cells along a line through the middle."""
