"""Training equals deployment: the quantisation-aware forward gives the integers of the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy import zoo
from pisnn_deploy.backends import RunOptions, run_graph
from pisnn_deploy.mesh import Side
from pisnn_deploy.model import Model
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.pisnn import PISNN


@pytest.mark.parametrize(
    "model",
    [heat_model(), heat_model(leak=700), hidden_model((4,)), hidden_model((3, 2), leak=900)],
    ids=["linear", "leak", "hidden", "hidden-leak"],
)
@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
def test_torch_and_fast_agree_on_every_integer(model: Model, boundary: Side) -> None:
    graph = compiled(model, 11, boundary)
    runs = [run_graph(name, graph, graph.membrane.initial, RunOptions(60)) for name in ("torch", "fast")]
    assert runs[0].conserved and runs[0].events == runs[1].events
    for name in ("step", "mass", "transported", "in_flight"):
        assert np.array_equal(getattr(runs[0].trace, name), getattr(runs[1].trace, name))


def test_the_forward_of_training_is_what_the_zoo_deploys() -> None:
    with zoo.model_path("heat1d") as path:
        model = read_checkpoint(path)
    graph = compiled(model, 64)
    net = PISNN.from_model(model)
    values = torch.from_numpy(graph.values(graph.membrane.initial))[None]
    with torch.no_grad():
        fields = net.rollout(values, graph.mesh, 40, graph.value_per_quantum)
    run = run_graph("fast", graph, graph.membrane.initial, RunOptions(40))
    assert np.array_equal(fields[:, 0].numpy(), graph.values(run.trace.mass))


def test_a_model_survives_the_round_trip_through_torch() -> None:
    model = hidden_model((3, 2), leak=900)
    back = PISNN.from_model(model).to_model()
    assert back.spec == model.spec
    for left, right in zip((*back.weights, *back.biases), (*model.weights, *model.biases), strict=True):
        assert np.allclose(left, right, rtol=1e-15, atol=0)
