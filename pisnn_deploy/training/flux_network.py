"""Flux networks made of SLAYER synapses with lava-dl's quantisation hooks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pisnn_deploy.graph.layout import LARGEST_WEIGHT
from pisnn_deploy.model import ModelSpec
from pisnn_deploy.training.clif import CLIF
from pisnn_deploy.training.lava_dl import MANTISSAS_PER_WEIGHT, WEIGHT_SCALE, slayer


class WeightHook:
    """What a synapse applies to its weight before use: first the physics, then the hardware's grid.

    A linear flux network is made antisymmetric, so that a constant field is at rest, and is scaled so that its first
    moment is the diffusion number of the spec: without that, the network could win by standing still. The grid is
    lava-dl's ``quantize_8bit``: even mantissas, of which 254 is the largest that is legal in both signs.

    Parameters
    ----------
    spec : ModelSpec
    layer : int
    neuron : CLIF
        Supplies lava-dl's hook and says whether to quantise.
    """

    def __init__(self, spec: ModelSpec, layer: int, neuron: CLIF) -> None:
        self._spec = spec
        self._neuron = neuron
        self._constrained = layer == 0 and not spec.hidden
        self.scale = 2.0 ** spec.weight_exponents[layer] * MANTISSAS_PER_WEIGHT / WEIGHT_SCALE

    def real(self, weight: torch.Tensor) -> torch.Tensor:
        """Dimensionless weights, constrained and not rounded, in the shape of `weight`."""
        if not self._constrained:
            return weight / self.scale
        odd = (weight - weight.flip(1)) / 2
        half = self._spec.half_width
        distance = torch.arange(1 - half, half + 1, dtype=weight.dtype).reshape(1, -1, 1, 1, 1) - 0.5
        number = -(odd * distance).sum()
        wanted = self._spec.diffusion_number * self._neuron.integer_leak() / self._neuron.p_scale
        scaled: torch.Tensor = odd * (wanted / number)
        return scaled

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        """Weights in slayer's units, or in mantissas if `descale`, as lava-dl's export asks for."""
        ready = self.real(weight) * self.scale
        if not self._neuron.quantised:
            return ready * WEIGHT_SCALE if descale else ready
        largest = MANTISSAS_PER_WEIGHT * LARGEST_WEIGHT / WEIGHT_SCALE
        on_grid: torch.Tensor = self._neuron.quantize_8bit(ready.clamp(-largest, largest), descale)
        return on_grid


class FluxNetwork(torch.nn.Module):
    """The flux network that all faces share.

    Parameters
    ----------
    spec : ModelSpec
    neuron : CLIF
    """

    def __init__(self, spec: ModelSpec, neuron: CLIF) -> None:
        super().__init__()
        self._spec = spec
        self._neuron = neuron
        self.hooks = [WeightHook(spec, layer, neuron) for layer in range(len(spec.layer_shapes))]
        self.synapses = torch.nn.ModuleList(
            slayer.synapse.Dense(inputs, outputs, pre_hook_fx=hook).double()
            for (outputs, inputs), hook in zip(spec.layer_shapes, self.hooks, strict=True)
        )
        self.biases = torch.nn.ParameterList(
            torch.nn.Parameter(torch.zeros(outputs, dtype=torch.float64), requires_grad=bool(spec.hidden))
            for outputs, _ in spec.layer_shapes
        )

    def forward(self, windows: torch.Tensor, quantum: float) -> torch.Tensor:
        """Drive of each face.

        Parameters
        ----------
        windows : float64 tensor [batch, 2 * half_width, faces]
            Masses that each face sees, in quanta.
        quantum : float
            Cell value of one quantum.

        Returns
        -------
        float64 tensor [batch, faces]
            In flux units.
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
        last: torch.Tensor = drive[:, 0]
        return last

    def real_weights(self) -> tuple[NDArray[np.float64], ...]:
        """Dimensionless weights of each layer, float64 [outputs, inputs], constrained and not rounded."""
        return tuple(
            hook.real(synapse.weight).detach().numpy()[:, :, 0, 0, 0].copy()
            for hook, synapse in zip(self.hooks, self.synapses, strict=True)
        )

    def diffusion_number(self) -> torch.Tensor:
        """First moment of the weights as they are used, times 4096 / leak; differentiable."""
        if self._spec.hidden:
            return torch.tensor(self._spec.diffusion_number, dtype=torch.float64)
        half = self._spec.half_width
        distance = torch.arange(1 - half, half + 1, dtype=torch.float64) - 0.5
        used = self.hooks[0](self.synapses[0].weight)[0, :, 0, 0, 0] / self.hooks[0].scale
        number: torch.Tensor = -(used * distance).sum() * self._neuron.p_scale / self._neuron.integer_leak()
        return number
