"""The float graph: a model laid out on a mesh, before quantisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh import Mesh, Window
from pisnn_deploy.model import ModelSpec


@dataclass(frozen=True)
class FloatLayer:
    """One layer of the flux network, shared by all faces.

    Attributes
    ----------
    weight : float64 array [outputs, inputs]
        Dimensionless.
    bias : float64 array [outputs]
        In units of the cell value.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


@dataclass(frozen=True)
class FloatGraph:
    """A model laid out on a mesh.

    Attributes
    ----------
    spec : ModelSpec
    mesh : Mesh
    layers : tuple of FloatLayer
    window : Window
        What each face sees, ghost cells resolved.
    reservoirs : float64 array [reservoirs]
        Cell values that the reservoirs hold.
    initial : float64 array [cells]
        Cell values that a run starts from unless told otherwise.
    """

    spec: ModelSpec
    mesh: Mesh
    layers: tuple[FloatLayer, ...]
    window: Window
    reservoirs: NDArray[np.float64]
    initial: NDArray[np.float64]

    @property
    def is_linear(self) -> bool:
        """Whether one PDE step is a linear map of the cell values."""
        return len(self.layers) == 1 and not self.layers[0].bias.any()

    def flux(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Flux through each face, in units of the cell value.

        Parameters
        ----------
        values : float64 array [cells]

        Returns
        -------
        float64 array [faces]
        """
        activation = self.window.values(values)
        for layer in self.layers[:-1]:
            activation = np.maximum(activation @ layer.weight.T + layer.bias, 0.0)
        last = self.layers[-1]
        return np.asarray((activation @ last.weight.T + last.bias)[:, 0], np.float64)
