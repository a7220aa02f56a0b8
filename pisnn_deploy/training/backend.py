"""The `torch` backend: the quantisation-aware forward of training, driven by the integers of a compiled graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.semantics import State, kept_current
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.training.clif import CLIF, FluxState
from pisnn_deploy.training.lava_dl import MANTISSAS_PER_WEIGHT, WEIGHT_SCALE
from pisnn_deploy.training.pisnn import PISNN, wiring


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.runs.run_graph`.

    Raises
    ------
    UsageError
        The graph lacks the flux network that its synapses lay out.
    """
    if not graph.operator:
        raise UsageError("backend torch: the artifact does not hold its flux network; compile the model again")
    start = options.start or start_of(graph, mass)
    stepper = ReferenceStepper(graph, start, options.steps, _states(graph, start))
    return stepped_run("torch", graph, stepper, options, progress)


class _Given:
    """Stands where training has its weight hook: the compiler has chosen the integers already."""

    scale = 1.0

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        return weight * WEIGHT_SCALE if descale else weight


def deployed(graph: IntegerGraph) -> PISNN:
    """A PISNN that computes with the integers of a compiled graph.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    PISNN
        Quantised.
    """
    net = PISNN(graph.spec)
    net.neuron = CLIF(graph.flux.threshold_exponent, graph.flux.leak)
    network = net.network
    with torch.no_grad():
        for layer, integers in enumerate(graph.operator):
            weight = torch.from_numpy(integers.weight) * (MANTISSAS_PER_WEIGHT / WEIGHT_SCALE)
            network.synapses[layer].weight.copy_(weight[:, :, None, None, None])
            network.synapses[layer].pre_hook_fx = _Given()
            exponent = graph.spec.weight_exponents[layer]
            # The network multiplies biases by 2^exponent over the quantum, both powers of two: this is exact.
            scale = graph.value_per_quantum / 2.0**exponent
            network.biases[layer].copy_(torch.from_numpy(integers.bias * scale))
    return net


def _states(graph: IntegerGraph, start: RunState) -> Iterator[State]:
    net = deployed(graph)
    levels = graph.values(graph.membrane.reservoirs)
    wires = wiring(graph.grid, graph.spec, levels if levels.size else None)
    with torch.no_grad():
        masses, current, residue = (_floats(part) for part in (start.mass, start.current, start.residue))
        state = FluxState(current, residue)
        while True:
            masses, state, packets = net.step(masses, state, wires, graph.value_per_quantum, graph.flux.share_shift)
            added = _integers(state.current)
            yield State(
                _integers(masses), added, _integers(state.residue), _integers(packets), kept_current(graph, added)
            )


def _floats(integers: Integers) -> torch.Tensor:
    return torch.from_numpy(integers.astype(np.float64))[None]


def _integers(tensor: torch.Tensor) -> Integers:
    return np.asarray(tensor[0].numpy(), np.int64)
