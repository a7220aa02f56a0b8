"""What every mesh has: cells, faces between holders, and answers to what others ask of its shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)


class Line(NamedTuple):
    """Cells through the middle of a mesh, one after another.

    Attributes
    ----------
    cells : int64 array [n]
    positions : float64 array [n]
        Of their centres along the line, in units of length.
    axis : str
        Name of the axis that it follows; empty where the mesh has no other.
    extent : float or None
        Length of the mesh along the line, from 0; None where cells may lie anywhere.
    """

    cells: Indices
    positions: NDArray[np.float64]
    axis: str
    extent: float | None


class FaceMesh(ABC):
    """Cells, faces through which packets pass, and reservoirs behind some outer faces.

    Holders are the cells, then the reservoirs. A positive packet on face ``f`` leaves holder ``source[f]`` and enters
    ``target[f]``, int64 arrays [faces]: the incidence ``D`` has -1 and +1 there.
    """

    source: Indices
    target: Indices

    @property
    @abstractmethod
    def cells(self) -> int:
        """Number of cells."""

    @property
    @abstractmethod
    def reservoirs(self) -> int:
        """Number of reservoirs: one for each face with a held value."""

    @property
    def faces(self) -> int:
        """Number of faces."""
        return int(self.source.size)

    @property
    def holders(self) -> int:
        """Number of cells and reservoirs."""
        return self.cells + self.reservoirs

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of a field."""
        return ("cell",)

    @property
    def is_line(self) -> bool:
        """Whether cells lie in a single row."""
        return False

    @property
    def plane(self) -> tuple[str, str]:
        """Names of the two axes of a picture of the cells."""
        return "x", "y"

    def centres_along(self, axis: str) -> NDArray[np.float64] | None:
        """Positions of the cells along an axis of a field, float64; None where an axis is no axis of space."""
        return None

    def described(self) -> dict[str, object]:
        """Plain data for files of others."""
        return {"cells": self.cells, "reservoirs": self.reservoirs, "faces": self.faces}

    def divergence(self, flux: NDArray[Number]) -> NDArray[Number]:
        """What arrives at each holder, ``D k``.

        Parameters
        ----------
        flux : int64 or float64 array [faces]
            Signed packets through each face, or a float flux.

        Returns
        -------
        array [holders], same dtype
            What each cell gains, then what each reservoir gains.
        """
        gain = np.zeros(self.holders, flux.dtype)
        np.add.at(gain, self.target, flux)
        np.subtract.at(gain, self.source, flux)
        return gain
