"""The PISNN module: membranes on a mesh, a flux network, and C-LIF flux compartments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pisnn_deploy.mesh import Mesh, window_cells
from pisnn_deploy.physics.model import Model, ModelSpec
from pisnn_deploy.training.clif import CLIF, FluxState
from pisnn_deploy.training.flux_network import PHYSICAL, UNCONSTRAINED, Constraints, FluxNetwork


class Wiring(NamedTuple):
    """Index tensors of a mesh.

    Attributes
    ----------
    window : int64 tensor [terms, positions, faces]
        Cells in the window of each face.
    factor : float64 tensor [terms, positions, faces]
        Factor of each cell, which differs from 1 only for ghost cells.
    offset : float64 tensor [positions, faces] or [batch, positions, faces]
        Contribution of reservoirs, in cell values; whole quanta if the network is quantised.
    source, target : int64 tensor [faces]
        Holders that a positive packet leaves and enters.
    axis : int64 tensor [faces]
        Axis of each face.
    reservoirs : int
        Number of reservoirs.
    """

    window: torch.Tensor
    factor: torch.Tensor
    offset: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    axis: torch.Tensor
    reservoirs: int


def wiring(mesh: Mesh, spec: ModelSpec, reservoirs: NDArray[np.float64] | None = None) -> Wiring:
    """Build the index tensors of a mesh for the flux network of `spec`.

    Parameters
    ----------
    reservoirs : float64 array [reservoirs] or [batch, reservoirs], optional
        Cell values of reservoirs (default: 0).
    """
    batch = np.zeros((1, mesh.reservoirs)) if reservoirs is None else np.atleast_2d(reservoirs)
    windows = [window_cells(mesh, spec.half_width, spec.transverse, levels, spec.wall) for levels in batch]
    offsets = torch.from_numpy(np.stack([window.offset.T for window in windows]))
    return Wiring(
        torch.from_numpy(np.ascontiguousarray(windows[0].cell.T)),
        torch.from_numpy(np.ascontiguousarray(windows[0].numerator.T)) / float(windows[0].denominator),
        offsets[0] if len(windows) == 1 else offsets,
        torch.from_numpy(mesh.source),
        torch.from_numpy(mesh.target),
        torch.from_numpy(mesh.axis),
        mesh.reservoirs,
    )


class PISNN(torch.nn.Module):
    """A physics-informed spiking neural network that steps cell averages of a conservation law.

    Parameters
    ----------
    quantised : bool
        Whether to compute with the hardware's integers (held in float64) or in floats.
    learn_leak : bool
        Whether the decay of the current is learned.
    """

    def __init__(
        self, spec: ModelSpec, *, quantised: bool = True, learn_leak: bool = False, constraints: Constraints = PHYSICAL
    ) -> None:
        super().__init__()
        self.spec = spec
        self.neuron = CLIF(spec.weight_exponents[-1], spec.leak, quantised=quantised, requires_grad=learn_leak)
        self.network = FluxNetwork(spec, self.neuron, constraints)

    @classmethod
    def from_model(cls, model: Model, *, quantised: bool = True) -> PISNN:
        """Create a PISNN with the weights of a model.

        Parameters
        ----------
        quantised : bool
            As for `PISNN`.
        """
        net = cls(model.spec, quantised=quantised, constraints=UNCONSTRAINED)
        with torch.no_grad():
            for layer, hook in enumerate(net.network.hooks):
                weight = torch.from_numpy(model.weights[layer] * hook.scale)
                net.network.synapses[layer].weight.copy_(weight[:, :, None, None, None])
                net.network.biases[layer].copy_(torch.from_numpy(model.biases[layer]))
        return net

    def to_model(self) -> Model:
        """Convert the network to plain data, with dimensionless weights that are not rounded."""
        spec = self.spec.model_copy(update={"leak": self.neuron.device_params["iDecay"]})
        biases = tuple(bias.detach().numpy().copy() for bias in self.network.biases)
        return Model(spec, self.network.real_weights(), biases)

    def step(
        self, mass: torch.Tensor, state: FluxState, wires: Wiring, quantum: float
    ) -> tuple[torch.Tensor, FluxState, torch.Tensor]:
        """Advance by one PDE step.

        Parameters
        ----------
        mass : float64 tensor [batch, holders]
            Masses and ledgers in quanta.
        quantum : float
            Cell value of one quantum.

        Returns
        -------
        mass : float64 tensor [batch, holders]
            Masses and ledgers after the packets have arrived.
        state : FluxState
            State of the faces after firing.
        packets : float64 tensor [batch, faces]
            Signed quanta.
        """
        seen = (wires.factor * mass[:, wires.window]).sum(dim=1) + wires.offset / quantum
        drive = self.network(seen, quantum, wires.axis)
        packets, state = self.neuron(drive, state)
        mass = mass.index_add(1, wires.target, packets).index_add(1, wires.source, -packets)
        return mass, state, packets

    def rollout(self, values: torch.Tensor, wires: Wiring, steps: int, quantum: float) -> torch.Tensor:
        """Compute the fields after 0 to `steps` PDE steps.

        Parameters
        ----------
        values : float64 tensor [batch, cells]
            Initial cell averages.
        steps : int
            Number of PDE steps.
        quantum : float
            Cell value of one quantum.

        Returns
        -------
        float64 tensor [steps + 1, batch, cells]
            Cell averages.
        """
        cells = values.shape[1]
        mass = values / quantum
        if self.neuron.quantised:
            mass = torch.round(mass)
        mass = torch.cat([mass, mass.new_zeros(len(mass), wires.reservoirs)], dim=1)
        state = self.neuron.rest(mass.new_zeros(len(mass), len(wires.source)))
        fields = [mass[:, :cells]]
        for _ in range(steps):
            mass, state, _ = self.step(mass, state, wires, quantum)
            fields.append(mass[:, :cells])
        return torch.stack(fields) * quantum
