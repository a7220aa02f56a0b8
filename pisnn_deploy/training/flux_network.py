"""Flux networks made of SLAYER synapses with lava-dl's quantisation hooks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pisnn_deploy.graph.layout import LARGEST_WEIGHT
from pisnn_deploy.physics.clock import nominal_time_step, time_step
from pisnn_deploy.physics.model import ModelSpec, symmetry_basis
from pisnn_deploy.training.clif import CLIF
from pisnn_deploy.training.lava_dl import MANTISSAS_PER_WEIGHT, WEIGHT_SCALE, slayer


@dataclass(frozen=True)
class Constraints:
    """Properties that are built into the weights of a linear flux network instead of being learned.

    Attributes
    ----------
    symmetric : bool
        Whether kernels have the symmetry of the equation (`pisnn_deploy.physics.model.symmetry_basis`): a mirrored
        field gives the mirrored flux, and a constant field does not change.
    consistent : bool
        Whether moments are those of the equation for the spec's diffusion number. Otherwise a network could lower its
        loss by not moving at all, because it is compared at the physical time that its weights imply.
    """

    symmetric: bool = True
    consistent: bool = True


PHYSICAL = Constraints()
UNCONSTRAINED = Constraints(symmetric=False, consistent=False)


class WeightHook:
    """Hook of a synapse that applies first the physical constraints, then the hardware's grid to its weights.

    The grid is lava-dl's ``quantize_8bit``: even mantissas up to 254, the largest that is valid with both signs. It is
    coarser for a first layer whose weights must be multiples of `ModelSpec.weight_unit`.

    Parameters
    ----------
    layer : int
        Index of the layer, from 0.
    neuron : CLIF
        Neuron that provides lava-dl's hook and whether to quantise.
    constraints : Constraints
        Constraints of a linear network; ignored with hidden layers.
    """

    def __init__(self, spec: ModelSpec, layer: int, neuron: CLIF, constraints: Constraints) -> None:
        self._spec = spec
        self._neuron = neuron
        self._constraints = UNCONSTRAINED if spec.hidden else constraints
        self._unit = spec.weight_unit if layer == 0 else 1
        self.scale = 2.0 ** spec.weight_exponents[layer] * MANTISSAS_PER_WEIGHT / WEIGHT_SCALE
        basis = torch.from_numpy(symmetry_basis(spec)).double()
        self._projection = basis.T @ (basis / basis.abs().sum(dim=1, keepdim=True))
        self._distance = torch.from_numpy(spec.positions[0])

    def real(self, weight: torch.Tensor) -> torch.Tensor:
        """Dimensionless weights, constrained and not rounded, in the shape of `weight`."""
        if not (self._constraints.symmetric or self._constraints.consistent):
            return weight / self.scale
        rates = self._spec.rates or (1.0,)
        kernels = [self._constrained(kernel, rate) for kernel, rate in zip(weight, rates, strict=True)]
        return torch.stack(kernels).reshape(weight.shape)

    def _constrained(self, weight: torch.Tensor, rate: float) -> torch.Tensor:
        kernel = weight.reshape(-1) / self.scale
        if self._constraints.symmetric:
            kernel = kernel @ self._projection
        return self._with_moments(kernel, rate) if self._constraints.consistent else kernel

    def _with_moments(self, kernel: torch.Tensor, rate: float) -> torch.Tensor:
        spec, distance = self._spec, self._distance
        if spec.equation == "advection-diffusion":
            # exp(-i C xi - r xi^2) to second order needs the moments C and r + C^2 / 2 (Lax and Wendroff, 1960).
            courant = nominal_time_step(spec, _width(spec)) * spec.velocity / _width(spec)
            missing = courant - kernel.sum()
            tilt = -(spec.diffusion_number + courant**2 / 2) - (kernel * distance).sum()
            corrected: torch.Tensor = kernel + missing / kernel.numel() + tilt * distance / distance.square().sum()
            return corrected
        leak = 1.0 if spec.equation == "laplace" else self._neuron.integer_leak() / self._neuron.p_scale
        scaled: torch.Tensor = kernel * (rate * spec.diffusion_number * leak / -(kernel * distance).sum())
        return scaled

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        """Weights in slayer's units, or in mantissas if `descale`, as lava-dl's export needs."""
        ready = self.real(weight) * self.scale
        if not self._neuron.quantised:
            return ready * WEIGHT_SCALE if descale else ready
        largest = MANTISSAS_PER_WEIGHT * LARGEST_WEIGHT / WEIGHT_SCALE
        on_grid: torch.Tensor = (
            self._neuron.quantize_8bit(ready.clamp(-largest, largest) / self._unit, descale) * self._unit
        )
        return on_grid


def _width(spec: ModelSpec) -> float:
    """Cell width of a model that is valid for one cell width."""
    assert spec.cell_width is not None
    return spec.cell_width


class FluxNetwork(torch.nn.Module):
    """The flux network that all faces share."""

    def __init__(self, spec: ModelSpec, neuron: CLIF, constraints: Constraints) -> None:
        super().__init__()
        self._spec = spec
        self._neuron = neuron
        self.hooks = [WeightHook(spec, layer, neuron, constraints) for layer in range(len(spec.layer_shapes))]
        self.synapses = torch.nn.ModuleList(
            slayer.synapse.Dense(inputs, outputs, pre_hook_fx=hook).double()
            for (outputs, inputs), hook in zip(spec.layer_shapes, self.hooks, strict=True)
        )
        self.biases = torch.nn.ParameterList(
            torch.nn.Parameter(torch.zeros(outputs, dtype=torch.float64), requires_grad=bool(spec.hidden))
            for outputs, _ in spec.layer_shapes
        )

    def forward(self, windows: torch.Tensor, quantum: float, axis: torch.Tensor) -> torch.Tensor:
        """Drive of each face.

        Parameters
        ----------
        windows : float64 tensor [batch, positions, faces]
            Inputs of each face, in quanta.
        quantum : float
            Cell value of one quantum.
        axis : int64 tensor [faces]
            Axis of each face.

        Returns
        -------
        float64 tensor [batch, faces]
            Drives, in flux units.
        """
        quantised, exponents = self._neuron.quantised, self._spec.weight_exponents
        activation = windows
        for layer, (synapse, bias) in enumerate(zip(self.synapses, self.biases, strict=True)):
            offset = bias * (2.0 ** exponents[layer] / quantum)
            if quantised:
                offset = slayer.utils.quantize(offset)
            drive = synapse(activation) * (WEIGHT_SCALE / MANTISSAS_PER_WEIGHT) + offset[:, None]
            if layer + 1 == len(self.synapses):
                break
            activation = torch.relu(drive) / 2.0 ** exponents[layer]
            if quantised:
                activation = slayer.utils.quantize(activation, mode=slayer.utils.QUANTIZE_MODE.FLOOR)
        last: torch.Tensor = drive[:, axis, torch.arange(len(axis))] if self._spec.rates else drive[:, 0]
        return last

    def real_weights(self) -> tuple[NDArray[np.float64], ...]:
        """Dimensionless weights of each layer, float64 [outputs, inputs], constrained but not rounded."""
        return tuple(
            hook.real(synapse.weight).detach().numpy()[:, :, 0, 0, 0].copy()
            for hook, synapse in zip(self.hooks, self.synapses, strict=True)
        )

    def kernels(self) -> torch.Tensor:
        """Effective weights of a linear network, dimensionless, float64 [1 or axes, positions]; differentiable."""
        weight = self.hooks[0](self.synapses[0].weight)
        used: torch.Tensor = weight.reshape(len(weight), -1) / self.hooks[0].scale
        return used

    def time_step(self, spacing: tuple[float, ...]) -> torch.Tensor:
        """Physical time of one PDE step with the effective weights; differentiable.

        Parameters
        ----------
        spacing : tuple of float
            Cell width along each axis.
        """
        clock = self._spec.clock_axis
        if self._spec.hidden:
            return torch.tensor(nominal_time_step(self._spec, spacing[clock]), dtype=torch.float64)
        kernel = self.kernels()[clock]
        first = -(kernel * torch.from_numpy(self._spec.positions[0])).sum()
        step: torch.Tensor = time_step(self._spec, kernel.sum(), first, spacing[clock], self._neuron.integer_leak())
        return step
