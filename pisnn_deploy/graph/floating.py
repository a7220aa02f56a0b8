"""The float graph: a model laid out on a mesh, before quantisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.layout import window_biases, window_stencil
from pisnn_deploy.graph.maps import Sliding
from pisnn_deploy.mesh import Mesh
from pisnn_deploy.physics.clock import damped_leak, nominal_time_step, time_step
from pisnn_deploy.physics.model import ModelSpec, flux_moments


@dataclass(frozen=True)
class FloatLayer:
    """One layer of the flux network, shared by all faces.

    Attributes
    ----------
    weight : float64 array [outputs, inputs]
        Dimensionless; of a linear network with a kernel for each axis [axes, inputs].
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
    reservoirs : float64 array [reservoirs]
        Cell values that the reservoirs hold.
    initial : float64 array [cells]
        Cell values at the start of a run by default.
    send_threshold : int or None
        Quanta from which a face that is one PDE step late sends; None for faces that are not late.
    """

    spec: ModelSpec
    mesh: Mesh
    layers: tuple[FloatLayer, ...]
    reservoirs: NDArray[np.float64]
    initial: NDArray[np.float64]
    send_threshold: int | None = None

    def with_weights_of(self, graph: IntegerGraph) -> FloatGraph:
        """The same network with the weights of the integer graph that was made of it, without quanta.

        Biases stay as they are: integers round them to the quantum. So what this graph and the integers do differs by
        the quantum alone.
        """
        spec = graph.model_spec
        weights = [
            layer.weight * 2.0**-exponent for layer, exponent in zip(graph.operator, spec.weight_exponents, strict=True)
        ]
        layers = [replace(layer, weight=weight) for layer, weight in zip(self.layers, weights, strict=True)]
        return replace(self, spec=spec, layers=tuple(layers))

    @property
    def is_linear(self) -> bool:
        """Whether one PDE step is a linear map of the cell values."""
        return len(self.layers) == 1 and not self.layers[0].bias.any()

    @property
    def is_late(self) -> bool:
        """Whether fluxes use the field of the previous PDE step."""
        return self.send_threshold is not None

    @property
    def time_step(self) -> float:
        """Physical time of one PDE step, by the float weights."""
        spec, spacing = self.spec, self.mesh.spacing[self.spec.clock_axis]
        if not self.is_linear:
            return nominal_time_step(spec, spacing)
        moments = flux_moments(spec.kernels(self.layers[0].weight)[spec.clock_axis], spec.positions)
        return float(time_step(spec, *moments, spacing, spec.leak))

    def fields(self) -> Iterator[NDArray[np.float64]]:
        """Values of the cells, then float ledgers, after 0, 1, 2, ... PDE steps, each float64 [cells + reservoirs]."""
        keep = 1 - damped_leak(self.spec, self.time_step) / MEMORYLESS
        values = np.concatenate([self.initial, np.zeros(self.mesh.reservoirs)])
        current = np.zeros(self.mesh.faces)
        seen = values
        while True:
            yield values
            current = keep * current + self.flux(seen[: self.mesh.cells])
            moved = values + self.mesh.divergence(current)
            seen, values = values if self.is_late else moved, moved

    @cached_property
    def _first_layer(self) -> tuple[Rows | Sliding, NDArray[np.float64]]:
        spec, first = self.spec, self.layers[0]
        weight, reach = spec.by_axis(first.weight), (spec.half_width, spec.transverse)
        stencil = window_stencil(weight, self.mesh, *reach, spec.wall)
        biases = window_biases(weight, first.bias, self.mesh, *reach, self.reservoirs, spec.wall)
        sliding = Sliding(stencil)
        return (sliding if sliding.is_worthwhile else stencil.rows.between(0, self.mesh.cells)), biases

    def flux(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Flux through each face, in units of the cell value.

        Parameters
        ----------
        values : float64 array [cells]
            Cell averages.

        Returns
        -------
        float64 array [faces]
            Flux through each face in one PDE step.
        """
        matrix, bias = self._first_layer
        activation = (matrix @ values + bias).reshape(self.mesh.faces, -1)
        for layer in self.layers[1:]:
            activation = np.maximum(activation, 0.0) @ layer.weight.T + layer.bias
        return np.asarray(activation[:, 0], np.float64)
