"""Trained fluxes of scalar laws on a line compute in lava-dl's blocks what the integer graph computes, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fields_by_hand import first_masses
from trained_laws import burgers_law, interpolated, traffic_law

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.laws.flux_network import TrainedLaw
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.programs.neurons import face_constants, rectifier_shift
from pisnn_deploy.training.flux_network import UNCONSTRAINED, FluxNetwork
from pisnn_deploy.training.lava_dl import slayer
from pisnn_deploy.training.pisnn import PISNN, wiring

STEPS = 40


def wide_network(half_width: int) -> TrainedLaw:
    """Random fluxes of Burgers' equation that see some cells on either side."""
    law, rng = interpolated(burgers_law(1)), np.random.default_rng(half_width)
    (network,), hidden, cells = law.fluxes.networks, 12, 2 * half_width
    wide = replace(
        network,
        offsets=np.arange(1 - half_width, half_width + 1)[:, None],
        weight=rng.integers(-60, 61, (hidden, 1, cells)) / 64,
        bias=rng.uniform(-0.5, 0.5, hidden),
        output=rng.integers(-20, 21, (1, hidden)) / 512,
        weight_exponent=6,
        output_exponent=9,
    )
    return replace(law, fluxes=replace(law.fluxes, networks=(wide,)))


def in_lava_dl(law: TrainedLaw, graph: IntegerGraph) -> PISNN:
    """The network in lava-dl's blocks, whose biases are those of the graph and whose masses are in quanta."""
    (network,) = law.fluxes.networks
    hidden, channels = graph.population("hidden-x"), graph.population("u-flux")
    face = face_constants(channels.program)
    shift = rectifier_shift(hidden.program)
    assert face is not None and shift is not None
    spec = ModelSpec.model_validate(
        {
            "name": "law",
            "equation": "burgers",
            "diffusivity": 1.0,
            "cell_width": law.fluxes.spacing[0],
            "problem": "burgers1d",
            "lengths": law.spec.lengths,
            "half_width": len(network.offsets) // 2,
            "hidden": [network.bias.size],
            "weight_exponents": [shift, face.exponent],
            "diffusion_number": 1.0,
            "operating_range": {"lower": -1, "upper": 1},
        }
    )
    net = PISNN(spec, constraints=UNCONSTRAINED)
    parts: FluxNetwork = net.network
    whole = (network.weight[:, 0] * 2.0**network.weight_exponent, network.output * 2.0**network.output_exponent)
    biases = (hidden.parameters["bias"][: network.bias.size], channels.parameters["bias"][:1])
    with torch.no_grad():
        for layer, exponent in enumerate(spec.weight_exponents):
            weight = torch.from_numpy(whole[layer] * 2.0**-exponent * parts.hooks[layer].scale)
            parts.synapses[layer].weight.copy_(weight[:, :, None, None, None])
            parts.biases[layer].copy_(torch.from_numpy(biases[layer] * 2.0**-exponent))
    assert all(isinstance(synapse, slayer.synapse.Dense) for synapse in parts.synapses)
    return net


@pytest.mark.parametrize("law", [interpolated(traffic_law(), 16), wide_network(2), wide_network(3)])
def test_a_law_computes_in_lava_dl_what_its_graph_does(law: TrainedLaw) -> None:
    graph = construct(law.spec, law.spec.mesh, trained=law.fluxes)
    net, semantics, states = in_lava_dl(law, graph), Semantics(graph), Semantics(graph).begin()
    wires = wiring(graph.grid, net.spec)
    mass = torch.from_numpy(first_masses(graph)).double()[None]
    assert mass.shape[1] == graph.mesh.cells
    state = net.neuron.rest(mass.new_zeros(1, graph.mesh.faces))
    moved = 0
    with torch.no_grad():
        for step in range(STEPS):
            mass, state, packets = net.step(mass, state, wires, 1.0)
            states, _ = semantics.advance(states, step)
            assert np.array_equal(mass[0].numpy(), next(iter(states["u"].values())))
            moved += int(packets.abs().sum())
    assert moved > 1000
