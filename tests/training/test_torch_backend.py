"""Training equals deployment: the quantisation-aware forward gives the integers that every backend gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from compiled_once import compile_once
from models_under_test import compiled, compiled_box, heat_model, hidden_model, laplace_model, plane_model

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project import zoo
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.clif import CLIF
from pisnn_deploy.training.lava_dl import MANTISSAS_PER_WEIGHT, WEIGHT_SCALE
from pisnn_deploy.training.pisnn import PISNN, wiring


class Given:
    """Stands where training has its weight hook: the compiler has chosen the integers already."""

    scale = 1.0

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        return weight * WEIGHT_SCALE if descale else weight


def deployed(graph: IntegerGraph) -> PISNN:
    """The network of training with the integers of a compiled graph."""
    net = PISNN(graph.model_spec)
    net.neuron = CLIF(known_face(graph).exponent, known_face(graph).leak)
    network = net.network
    with torch.no_grad():
        for layer, integers in enumerate(graph.operator):
            weight = torch.from_numpy(integers.weight) * (MANTISSAS_PER_WEIGHT / WEIGHT_SCALE)
            network.synapses[layer].weight.copy_(weight[:, :, None, None, None])
            network.synapses[layer].pre_hook_fx = Given()
            # The network multiplies biases by 2^exponent over the quantum, both powers of two: this is exact.
            scale = graph.value_per_quantum / 2.0 ** graph.model_spec.weight_exponents[layer]
            network.biases[layer].copy_(torch.from_numpy(integers.bias * scale))
    return net


def forward(graph: IntegerGraph, steps: int) -> Iterator[tuple[Integers, Integers]]:
    """Masses and ledgers, and packets, currents and residues, after each PDE step of the forward of training."""
    net = deployed(graph)
    levels = graph.values(graph.sole_field.reservoirs)
    wires = wiring(graph.grid, graph.model_spec, levels if levels.size else None)
    masses = torch.from_numpy(graph.sole_field.holdings(graph.initial).astype(np.float64))[None]
    state = net.neuron.rest(torch.zeros(1, graph.mesh.faces, dtype=torch.float64))
    with torch.no_grad():
        for _ in range(steps):
            masses, state, packets = net.step(masses, state, wires, graph.value_per_quantum)
            flux = torch.cat([packets, state.current, state.residue])
            yield masses[0].numpy().astype(np.int64), flux.numpy().astype(np.int64)


def assert_deployed(graph: IntegerGraph, steps: int) -> None:
    """The forward, the backend on tensors and the kernels give the same integers."""
    options = RunOptions(steps, everything=True)
    of_torch, of_fast = (run_graph(name, graph, graph.initial, options) for name in ("torch", "fast"))
    assert of_torch.conserved and of_torch.events == of_fast.events
    for name in ("step", "mass", "ledger", "transported", "in_flight", "flux"):
        assert np.array_equal(getattr(of_torch.trace, name), getattr(of_fast.trace, name)), name
    assert of_torch.trace.flux is not None
    for step, (mass, flux) in enumerate(forward(graph, steps), 1):
        assert np.array_equal(mass, np.append(of_torch.trace.mass[step], of_torch.trace.ledger[step])), step
        assert np.array_equal(flux, of_torch.trace.flux[step]), step


@pytest.mark.parametrize(
    "model",
    [heat_model(), heat_model(leak=700), hidden_model((4,)), hidden_model((3, 2), leak=900)],
    ids=["linear", "leak", "hidden", "hidden-leak"],
)
@pytest.mark.parametrize("boundary", ["periodic", "no-flux", "dirichlet=0.5,1.5"])
def test_lines(model: Model, boundary: str) -> None:
    assert_deployed(compiled(model, 11, boundary), 40)


def test_planes() -> None:
    assert_deployed(compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"), 30)
    assert_deployed(compiled_box(plane_model(), (5, 6), "x=periodic y=dirichlet=1,1"), 30)


ZOO = {"heat1d": (64,), "heat2d": (16, 16), "laplace2d": (32, 32), "advection_diffusion1d": (256,), "burgers1d": (256,)}


@pytest.mark.parametrize(("name", "shape"), ZOO.items())
def test_the_zoo(name: str, shape: tuple[int, ...]) -> None:
    with zoo.model_path(name) as path:
        model = read_checkpoint(path)
    boundary = problem(model.spec.problem).default_boundary(shape)
    options = CompileOptions(
        Lower(shape, boundary), load_profile("loihi2"), GraphOptions(placement="none"), search=False
    )
    assert_deployed(compile_once(model, options), 30)


def test_a_rollout_of_training_is_the_deployed_field() -> None:
    with zoo.model_path("heat1d") as path:
        model = read_checkpoint(path)
    graph = compiled(model, 64)
    net = PISNN.from_model(model)
    values = torch.from_numpy(graph.values(graph.initial))[None]
    with torch.no_grad():
        fields = net.rollout(values, wiring(graph.grid, graph.model_spec), 40, graph.value_per_quantum)
    run = run_graph("fast", graph, graph.initial, RunOptions(40))
    assert np.array_equal(fields[:, 0].numpy(), graph.values(run.trace.mass))


def test_a_model_survives_the_round_trip_through_torch() -> None:
    model = hidden_model((3, 2), leak=900)
    back = PISNN.from_model(model).to_model()
    assert back.spec == model.spec
    for left, right in zip((*back.weights, *back.biases), (*model.weights, *model.biases), strict=True):
        assert np.allclose(left, right, rtol=1e-15, atol=0)
