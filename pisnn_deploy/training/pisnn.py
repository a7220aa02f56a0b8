"""The PISNN: membranes on a mesh, a flux network, and C-LIF flux compartments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from pisnn_deploy.mesh import Mesh
from pisnn_deploy.mesh.structured import window_cells
from pisnn_deploy.model import Model, ModelSpec
from pisnn_deploy.training.clif import CLIF, FluxState
from pisnn_deploy.training.flux_network import FluxNetwork


class Wiring(NamedTuple):
    """Index tensors of a mesh, int64.

    Attributes
    ----------
    window : tensor [2 * half_width, faces]
        Cells that each face sees.
    source, target : tensor [faces]
        Cells that a positive packet leaves and enters.
    """

    window: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor


def wiring(mesh: Mesh, half_width: int) -> Wiring:
    """Index tensors of `mesh` for flux networks that see `half_width` cells on either side."""
    window = np.ascontiguousarray(window_cells(mesh, half_width).T)
    return Wiring(torch.from_numpy(window), torch.from_numpy(mesh.source), torch.from_numpy(mesh.target))


class PISNN(torch.nn.Module):
    """A physics-informed spiking neural network that steps cell averages of a conservation law.

    Parameters
    ----------
    spec : ModelSpec
    quantised : bool
        Whether to compute with the hardware's integers (held in float64) or in floats.
    learn_leak : bool
    """

    def __init__(self, spec: ModelSpec, *, quantised: bool = True, learn_leak: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.neuron = CLIF(spec.weight_exponents[-1], spec.leak, quantised=quantised, requires_grad=learn_leak)
        self.network = FluxNetwork(spec, self.neuron)

    @classmethod
    def from_model(cls, model: Model, *, quantised: bool = True) -> PISNN:
        """A PISNN with the weights of `model`.

        Parameters
        ----------
        model : Model
        quantised : bool
        """
        net = cls(model.spec, quantised=quantised)
        with torch.no_grad():
            for layer, hook in enumerate(net.network.hooks):
                weight = torch.from_numpy(model.weights[layer] * hook.scale)
                net.network.synapses[layer].weight.copy_(weight[:, :, None, None, None])
                net.network.biases[layer].copy_(torch.from_numpy(model.biases[layer]))
        return net

    def to_model(self) -> Model:
        """The trained network as plain data: dimensionless weights, not rounded."""
        spec = self.spec.model_copy(update={"leak": self.neuron.device_params["iDecay"]})
        biases = tuple(bias.detach().numpy().copy() for bias in self.network.biases)
        return Model(spec, self.network.real_weights(), biases)

    def step(
        self, mass: torch.Tensor, state: FluxState, wires: Wiring, quantum: float
    ) -> tuple[torch.Tensor, FluxState, torch.Tensor]:
        """One PDE step.

        Parameters
        ----------
        mass : float64 tensor [batch, cells]
            In quanta.
        state : FluxState
        wires : Wiring
        quantum : float
            Cell value of one quantum.

        Returns
        -------
        mass : float64 tensor [batch, cells]
        state : FluxState
        packets : float64 tensor [batch, faces]
        """
        drive = self.network(mass[:, wires.window], quantum)
        packets, state = self.neuron(drive, state)
        mass = mass.index_add(1, wires.target, packets).index_add(1, wires.source, -packets)
        return mass, state, packets

    def rollout(self, values: torch.Tensor, mesh: Mesh, steps: int, quantum: float) -> torch.Tensor:
        """Fields after 0 to `steps` PDE steps.

        Parameters
        ----------
        values : float64 tensor [batch, cells]
            Cell averages at the start.
        mesh : Mesh
        steps : int
        quantum : float
            Cell value of one quantum.

        Returns
        -------
        float64 tensor [steps + 1, batch, cells]
            Cell averages.
        """
        wires = wiring(mesh, self.spec.half_width)
        mass = values / quantum
        if self.neuron.quantised:
            mass = torch.round(mass)
        state = self.neuron.rest(mass[:, wires.source])
        fields = [mass]
        for _ in range(steps):
            mass, state, _ = self.step(mass, state, wires, quantum)
            fields.append(mass)
        return torch.stack(fields) * quantum
