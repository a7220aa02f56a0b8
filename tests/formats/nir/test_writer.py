"""C-LIF as a composition of NIR primitives: the integers of the contract, by an interpreter that knows only NIR."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import pytest
import torch
from models_under_test import compiled, heat_model, hidden_model, plane_model, stock_box
from nir_interpreter import run

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.nir.writer import LARGEST_DENSE, graph_file, network_file
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.programs import parse

GRAPHS = {
    "memoryless": lambda: compiled(),
    "with momentum": lambda: compiled(heat_model(leak=410), boundary="no-flux"),
    "two hidden layers": lambda: compiled(hidden_model((4, 3)), boundary="dirichlet=0,1"),
    "hidden with momentum": lambda: compiled(hidden_model(leak=900)),
}


def read(data: bytes) -> Any:
    return nir.read(io.BytesIO(data))


def agreement(graph: IntegerGraph, read_graph: Any, steps: int) -> int:
    """PDE steps until masses or packets differ."""
    semantics = Semantics(graph)
    state = semantics.start(graph.initial)
    start = read_graph.metadata["initial"].astype(float)
    inputs = [start, *(np.zeros_like(start),) * steps]
    for step, outputs in enumerate(run(read_graph, inputs)):
        if not np.array_equal(outputs["mass_out"], state.mass):
            return step
        state = semantics.step(state, step)
        if not np.array_equal(outputs["packets_out"], state.packets):
            return step
    return steps + 1


@pytest.mark.parametrize("name", GRAPHS)
def test_the_integers_of_every_step(name: str) -> None:
    graph = GRAPHS[name]()
    assert agreement(graph, read(graph_file(graph)), 40) == 41


@pytest.mark.parametrize("node", ["packets_positive_bit0", "kept_negative_bit3", "reset", "route", "kept_delay"])
def test_a_wrong_node_is_seen(node: str) -> None:
    graph = GRAPHS["with momentum"]()
    damaged = read(graph_file(graph))
    found = damaged.nodes[node]
    if node == "kept_delay":
        damaged.edges = [edge for edge in damaged.edges if edge[0] != node]
    else:
        field = next(name for name in ("threshold", "scale", "weight") if hasattr(found, name))
        setattr(found, field, getattr(found, field) * 1.5)
    assert agreement(graph, damaged, 40) < 41


def test_connections_are_those_of_the_artifact() -> None:
    graph = GRAPHS["two hidden layers"]()
    nodes = read(graph_file(graph)).nodes
    assert np.array_equal(nodes["route"].weight, graph.matrix(FLUX, MEMBRANE).toarray())
    assert np.array_equal(nodes["hidden1_drive"].weight, graph.matrix(MEMBRANE, "hidden1").toarray())
    assert np.array_equal(nodes["drive"].weight, graph.matrix("hidden2", FLUX).toarray())
    assert np.array_equal(nodes["hidden1_drive"].bias, graph.between_fields[0].parameters["bias"])


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert graph_file(GRAPHS["memoryless"]()) == graph_file(GRAPHS["memoryless"]())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_snntorch_runs_the_flux_network_and_says_what_else_it_cannot(capsys: pytest.CaptureFixture[str]) -> None:
    from snntorch.import_nir import import_from_nir

    model = heat_model()
    network = import_from_nir(read(network_file(model)))
    windows = np.random.default_rng(1).integers(0, 256, (20, 8))
    flux, _ = network(torch.from_numpy(windows).float())
    # Weights are multiples of 2^-7 and cell values are integers, so float32 is exact.
    assert np.array_equal(flux.detach().numpy()[:, 0], windows @ model.weights[0][0])
    with pytest.raises(ValueError, match=r"^Unknown node type .*mapping does not exist in node_map$"):
        import_from_nir(read(graph_file(compiled(model))))


def test_what_nir_cannot_hold_is_said() -> None:
    graph = compiled()
    wide = replace(graph, populations=(replace(graph.populations[0], size=LARGEST_DENSE), *graph.populations[1:]))
    wrongs: list[tuple[Callable[[], object], str]] = [
        (
            lambda: network_file(hidden_model()),
            "heat1d: NIR has no rectifier for real numbers; compile the model and export the artifact instead",
        ),
        (
            lambda: graph_file(wide),
            f"nir: 16 cells need {2 * 16 * LARGEST_DENSE} weights, more than {LARGEST_DENSE}, because NIR's "
            f"connections are dense; choose a coarser mesh",
        ),
        (
            lambda: graph_file(replace(graph, operator=())),
            "heat1d: faces do not share a flux network, because cells differ",
        ),
    ]
    for wrong, message in wrongs:
        with pytest.raises(UsageError) as caught:
            wrong()
        assert str(caught.value) == message


def test_the_flux_network_of_a_plane() -> None:
    assert read(network_file(plane_model())).nodes["flux"].weight.shape == (1, 6)


def test_a_program_without_primitives_is_refused() -> None:
    graph = compiled()
    text = str(graph.sole_channels.program).replace("fire(potential", "fire(current")
    other = replace(graph.sole_channels, program=parse(text))
    changed = replace(graph, populations=tuple(other if p.name == FLUX else p for p in graph.populations))
    for graph in (changed, compiled(limiter="positivity"), stock_box()):
        with pytest.raises(UsageError) as refused:
            graph_file(graph)
        assert str(refused.value) == (
            "nir: flux does more than fire its current (a limiter, delayed packets, another program), which NIR's "
            "primitives cannot express; export the graph to ONNX"
        )
