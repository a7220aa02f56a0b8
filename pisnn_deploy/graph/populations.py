"""The populations of a graph as programs: the one place that knows which kind of neuron a graph has where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.neurons import flux, membrane, rectifier, sigma_delta


@dataclass(frozen=True)
class Population:
    """Neurons of one program.

    Attributes
    ----------
    name : str
        As synapses and bounds name it.
    size : int
        Number of neurons.
    program : Program
        What each of them does.
    parameters : mapping of str to int64 array [size]
        One value a neuron for each parameter of the program.
    quantities : mapping of str to str
        Quantity of the bounds that a value of the program is, where it is not the value's own name.
    """

    name: str
    size: int
    program: Program
    parameters: Mapping[str, Integers] = field(default_factory=dict)
    quantities: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_late(self) -> bool:
        """Whether the current that a neuron adds is one that it kept, so that arrivals take effect one step later."""
        return "current" in self.program.states

    def quantity(self, value: str) -> str:
        """Name under which bounds and messages know a value of the program."""
        return self.quantities.get(value, value.replace("_", "-"))


def membranes(graph: IntegerGraph) -> Population:
    """Cells and reservoirs: everything that holds mass."""
    return Population(MEMBRANE, graph.membrane.size, membrane())


def hidden_layers(graph: IntegerGraph) -> tuple[Population, ...]:
    """Populations between membranes and faces, in the order in which they answer."""
    return tuple(
        Population(layer.name, layer.size, rectifier(layer.shift), {"bias": layer.bias}) for layer in graph.hidden
    )


def faces(graph: IntegerGraph) -> Population:
    """Faces: what sends packets from one holder to another."""
    compartments, size = graph.flux, graph.flux.size
    if graph.stock is not None:
        return Population(FLUX, size, sigma_delta(graph.stock.send_threshold, compartments.threshold_exponent))
    program = flux(compartments.threshold_exponent, compartments.leak, compartments.share_shift)
    parameters = {"bias": compartments.bias}
    quantities = {}
    if compartments.share_shift is not None:
        mesh = graph.mesh
        for end, holder in (("source", mesh.source), ("target", mesh.target)):
            parameters[f"{end}_open"] = (holder >= mesh.cells).astype(np.int64)
            quantities[f"{end}_share"] = "share"
    return Population(FLUX, size, program, parameters, quantities)
