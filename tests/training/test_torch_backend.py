"""Training equals deployment: the quantisation-aware forward gives the integers of the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models_under_test import compiled, compiled_box, heat_model, hidden_model, laplace_model, plane_model

from pisnn_deploy.physics.model import Model
from pisnn_deploy.project import zoo
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.pisnn import PISNN, wiring


@pytest.mark.parametrize(
    "model",
    [heat_model(), heat_model(leak=700), hidden_model((4,)), hidden_model((3, 2), leak=900)],
    ids=["linear", "leak", "hidden", "hidden-leak"],
)
@pytest.mark.parametrize("boundary", ["periodic", "no-flux", "dirichlet=0.5,1.5"])
def test_torch_and_fast_agree_on_every_integer(model: Model, boundary: str) -> None:
    graph = compiled(model, 11, boundary)
    runs = [run_graph(name, graph, graph.membrane.initial, RunOptions(60)) for name in ("torch", "fast")]
    assert runs[0].conserved and runs[0].events == runs[1].events
    for name in ("step", "mass", "ledger", "transported", "in_flight"):
        assert np.array_equal(getattr(runs[0].trace, name), getattr(runs[1].trace, name))


def test_torch_and_fast_agree_on_planes() -> None:
    for graph in (
        compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"),
        compiled_box(plane_model(), (5, 6), "x=periodic y=dirichlet=1,1"),
    ):
        torch_run, fast_run = (run_graph(n, graph, graph.membrane.initial, RunOptions(30)) for n in ("torch", "fast"))
        assert torch_run.conserved and fast_run.packets_sent > 0
        for name in ("mass", "ledger", "transported"):
            assert np.array_equal(getattr(torch_run.trace, name), getattr(fast_run.trace, name))


def test_the_forward_of_training_is_what_the_zoo_deploys() -> None:
    with zoo.model_path("heat1d") as path:
        model = read_checkpoint(path)
    graph = compiled(model, 64)
    net = PISNN.from_model(model)
    values = torch.from_numpy(graph.values(graph.membrane.initial))[None]
    with torch.no_grad():
        fields = net.rollout(values, wiring(graph.grid, graph.spec), 40, graph.value_per_quantum)
    run = run_graph("fast", graph, graph.membrane.initial, RunOptions(40))
    assert np.array_equal(fields[:, 0].numpy(), graph.values(run.trace.mass))


def test_a_model_survives_the_round_trip_through_torch() -> None:
    model = hidden_model((3, 2), leak=900)
    back = PISNN.from_model(model).to_model()
    assert back.spec == model.spec
    for left, right in zip((*back.weights, *back.biases), (*model.weights, *model.biases), strict=True):
        assert np.allclose(left, right, rtol=1e-15, atol=0)
