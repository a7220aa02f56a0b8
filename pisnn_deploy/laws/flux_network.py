"""Trained fluxes of a law as plain data: content of a checkpoint, and input of the compiler.

Along each axis one network with a hidden layer gives the fluxes of all fields through a face, from the cells around:

    flux_f = output_f @ relu(weight @ window + bias) + constant_f

``window`` has the cell averages of all fields, each divided by its scale, a power of two; ``flux_f`` is what passes the
face in a PDE step, as a change of the average of the cell, divided by the scale of the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.spec import LawSpec

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FluxNetwork:
    """Fluxes through the faces across one axis.

    Attributes
    ----------
    offsets : int64 array [positions, dimensions]
        Cells of the window, relative to the cell below the face: along the axis, 0 is that cell and 1 the one above.
    weight : float64 array [hidden, fields, positions]
        Whole multiples of ``2^-weight_exponent`` of at most 127 units.
    bias : float64 array [hidden]
        Any value.
    output : float64 array [fields, hidden]
        Whole multiples of ``2^-output_exponent`` of at most 127 units.
    constant : float64 array [fields]
        Any value; changes no cell, and saves bits.
    """

    offsets: Integers
    weight: Floats
    bias: Floats
    output: Floats
    constant: Floats
    weight_exponent: int
    output_exponent: int

    def flux(self, window: Floats) -> Floats:
        """Fluxes of all fields.

        Parameters
        ----------
        window : float64 array [faces, fields, positions]
            Cell averages divided by the scales of their fields.

        Returns
        -------
        float64 array [faces, fields]
            Divided by the scales of their fields.
        """
        hidden = self.bias.size
        drive = window.reshape(window.shape[0], -1) @ self.weight.reshape(hidden, -1).T + self.bias
        return np.asarray(np.maximum(drive, 0) @ self.output.T + self.constant)


@dataclass(frozen=True)
class TrainedFluxes:
    """Networks of all axes, for one time step and one mesh width.

    Attributes
    ----------
    networks : tuple of FluxNetwork
        By axis.
    scale_exponents : tuple of int
        The scale of each field is two to this power.
    time_step : float
        Physical time of a PDE step.
    spacing : tuple of float
        Extent of a cell along each axis.
    """

    networks: tuple[FluxNetwork, ...]
    scale_exponents: tuple[int, ...]
    time_step: float
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class TrainedLaw:
    """The recipe of a law and the fluxes trained for it: all that a checkpoint of a law says.

    Attributes
    ----------
    spec : LawSpec
        Its method is ``trained``.
    fluxes : TrainedFluxes
        For every axis of the law and all its fields.
    """

    spec: LawSpec
    fluxes: TrainedFluxes
