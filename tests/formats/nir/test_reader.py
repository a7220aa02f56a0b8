"""Flux networks from NIR: chains of affine primitives, and graphs that this package wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from models_under_test import compiled, heat_model, hidden_model

from fuzz.flux_files import KERNEL, nir_bytes, nir_file, tree_of
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.formats.flux_model import model_of
from pisnn_deploy.formats.nir.reader import read_nir
from pisnn_deploy.formats.nir.writer import graph_file, network_file
from pisnn_deploy.formats.reading import Network

PATH = Path("flux.nir")


def read(data: bytes) -> Network:
    return read_nir(PATH, tree_of(data))


def conv1d(weight: Any, **changes: Any) -> Any:
    plain = {"input_shape": 12, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(len(weight))}
    return nir.Conv1d(weight=np.asarray(weight), **{**plain, **changes})


def test_spellings_of_one_network() -> None:
    halves = np.zeros((2, 8))
    halves[0, :4], halves[1, 4:] = KERNEL[:4], KERNEL[4:]
    for data in (
        nir_bytes(nir.Linear(weight=KERNEL[None, :])),
        nir_bytes(nir.Affine(weight=2 * KERNEL[None, :], bias=np.zeros(1)), nir.Scale(np.array([0.5]))),
        nir_bytes(nir.Linear(weight=halves), nir.Linear(weight=np.ones((1, 2)))),
        nir_bytes(nir.Scale(np.full(8, 2.0)), nir.Linear(weight=KERNEL[None, :] / 2)),
        nir_bytes(conv1d(KERNEL[None, None, :]), nir.Flatten({"input": np.array([1, 1])}, 0, -1), size=(1, 12)),
    ):
        network = read(data)
        assert np.array_equal(network.layers[0].weight, KERNEL[None, :]) and network.window == (8,)


def test_metadata_says_more() -> None:
    said = {"leak": 410, "problem": "heat1d"}
    network = read(nir_bytes(nir.Linear(weight=KERNEL[None, :]), metadata={"pisnn_spec": json.dumps(said)}))
    assert network.spec_fields == said and network.source == "nir" and not network.is_integer


def test_a_model_that_was_written_comes_back() -> None:
    model = heat_model(leak=410)
    network = read(network_file(model))
    assert np.array_equal(network.layers[0].weight, model.weights[0])
    assert network.spec_fields == model.spec.model_dump(mode="json") and not network.is_integer


def test_a_graph_that_was_written_comes_back() -> None:
    graph = compiled(hidden_model(), boundary="dirichlet=0,1")
    network = read(graph_file(graph))
    for layer, weight, bias in zip(network.layers, model_of(graph).weights, model_of(graph).biases, strict=True):
        assert np.array_equal(layer.weight, weight) and np.array_equal(layer.bias, bias)
    assert network.is_integer


def nested(body: Any) -> bytes:
    """A graph within a graph."""
    names = {"u": nir.Input(np.array([8])), "body": body, "out": nir.Output(np.array([1]))}
    return nir_file(nir.NIRGraph(nodes=names, edges=[("u", "body"), ("body", "out")], type_check=False))


def inner_graph(*nodes: Any) -> Any:
    return nir.NIRGraph.from_list(nir.Input(np.array([8])), *nodes, nir.Output(np.array([1])), type_check=False)


def test_graphs_within_graphs_are_read_in_their_place() -> None:
    body = inner_graph(nir.Scale(np.full(8, 2.0)), nir.Linear(weight=KERNEL[None, :] / 2))
    for data in (nested(body), nested(inner_graph(body))):
        network = read(data)
        assert np.array_equal(network.layers[0].weight, KERNEL[None, :]) and network.notes == ()


@pytest.mark.parametrize("padding", ["same", 3])
def test_a_padding_is_told_where_convolutions_slide(padding: Any) -> None:
    network = read(nir_bytes(conv1d(KERNEL[None, None, :], padding=padding), size=(1, 12)))
    assert np.array_equal(network.layers[0].weight, KERNEL[None, :])
    assert network.notes == ("the padding of node 'n0' was omitted: --boundary sets the boundary conditions",)
    plain = read(nir_bytes(conv1d(KERNEL[None, None, :], padding="valid"), size=(1, 12)))
    assert plain.notes == () and np.array_equal(plain.layers[0].weight, KERNEL[None, :])


def test_the_graph_itself_answers_a_line_with_the_largest_padding() -> None:
    network = read(nir_bytes(conv1d(KERNEL[None, None, :], padding=4096), size=(1, 12)))
    assert network.oracle is not None
    answers = network.oracle.fluxes(PATH, np.arange(16.0).reshape(2, 8))
    assert answers.tolist() == [[float(KERNEL @ np.arange(8.0))], [float(KERNEL @ np.arange(8.0, 16.0))]]


def test_a_padding_within_a_window_is_part_of_the_network() -> None:
    kernel = np.array([[[0.25, 0.5, 0.25]]])
    weight = np.arange(8.0)[None, :]
    data = nir_bytes(
        conv1d(kernel, padding="same", input_shape=8),
        nir.Flatten({"input": np.array([1, 8])}, 0, -1),
        nir.Linear(weight=weight),
        size=(1, 8),
    )
    smoothing = np.array([np.convolve(row, kernel[0, 0], "same") for row in np.eye(8)]).T
    assert np.array_equal(read(data).layers[0].weight, weight @ smoothing) and read(data).notes == ()


def _loose() -> bytes:
    nodes = {
        "u": nir.Input(np.array([8])),
        "a": nir.Linear(weight=KERNEL[None, :]),
        "b": nir.Affine(weight=np.ones((1, 1)), bias=np.ones(1)),
        "out": nir.Output(np.array([1])),
    }
    return nir_file(nir.NIRGraph(nodes=nodes, edges=[("u", "a"), ("a", "out"), ("b", "out")], type_check=False))


def _forked() -> bytes:
    nodes = {
        "u": nir.Input(np.array([8])),
        "a": nir.Linear(weight=KERNEL[None, :]),
        "out": nir.Output(np.array([1])),
    }
    return nir_file(nir.NIRGraph(nodes=nodes, edges=[("u", "a"), ("u", "out"), ("a", "out")], type_check=False))


def _ring() -> bytes:
    nodes = {"u": nir.Input(np.array([1])), "a": nir.Scale(np.ones(1)), "b": nir.Scale(np.ones(1))}
    return nir_file(nir.NIRGraph(nodes=nodes, edges=[("u", "a"), ("a", "b"), ("b", "a")], type_check=False))


KNOWN = "use Affine, Conv1d, Flatten, Linear, Scale"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            nir_bytes(nir.Linear(weight=KERNEL[None, :]), nir.Threshold(np.ones(1))),
            f"node 'n1': is a Threshold, which is not supported; {KNOWN}",
        ),
        (nir_bytes(nir.I(r=np.ones(8))), "node 'u': does not lead to weights"),
        (
            nir_bytes(nir.Linear(weight=np.ones((3, 8)))),
            "node 'n0': the network has 3 outputs per window, but a face has one flux",
        ),
        (
            nir_bytes(nir.Linear(weight=KERNEL[None, :]), nir.Linear(weight=np.ones((1, 2)))),
            "node 'n1': weights of shape (1, 2) do not fit a tensor of shape (1,)",
        ),
        (
            nir_bytes(conv1d(KERNEL[None, None, :], stride=2), size=(1, 12)),
            "node 'n0': must have one group and a stride of 1, because each face needs a flux",
        ),
        (
            nir_bytes(conv1d(KERNEL[None, None, :], padding=1 << 18), size=(1, 12)),
            "node 'n0': has the padding 262144, expected 0 to 4096 elements",
        ),
        (
            nir_bytes(conv1d(KERNEL[None, None, :], padding=-1), size=(1, 12)),
            "node 'n0': has the padding -1, expected 0 to 4096 elements",
        ),
        (_loose(), "node 'b': is not between input and output, but a flux network must be a chain"),
        (
            nested(inner_graph(nir.Linear(weight=KERNEL[None, :]), nir.LIF(*np.ones((4, 1))))),
            f"node 'body/lif': is a LIF, which is not supported; {KNOWN}",
        ),
        (
            nir_bytes(nir.Linear(weight=KERNEL[None, :]), size=7),
            "node 'u': has the shape (7,), but its weights are for 8 cells",
        ),
        (
            nir_bytes(conv1d(KERNEL[None, None, :]), size=(1, 7)),
            "node 'u': has the shape (1, 7), but its convolutions need 1 channels of 8 cells",
        ),
        (
            nir_bytes(conv1d(np.ones((2, 1, 4))), nir.Linear(weight=np.ones((1, 10))), size=(1, 8)),
            "node 'n1': needs a flat input, not a tensor of shape (2, 5); put Flatten before it",
        ),
        (_forked(), "node 'u': leads to 2 nodes, but a flux network must be a chain"),
        (_ring(), "node 'a': is reached twice, but a flux network must be a chain"),
        (nir_file(nir.Linear(weight=KERNEL[None, :])), "does not contain a NIR graph, but a 'Linear'"),
        (
            nir_bytes(nir.Linear(weight=KERNEL[None, :]), metadata={"schema": "pisnn-deploy/nir"}),
            "metadata/spec: is missing or not text",
        ),
        (
            nir_bytes(nir.Linear(weight=KERNEL[None, :]), metadata={"pisnn_spec": "[]"}),
            "pisnn_spec: must be a JSON object with fields of a spec; see docs/reference/formats.md",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_flux_network_is_named(data: bytes, message: str) -> None:
    with pytest.raises(FileError) as caught:
        read(data)
    assert str(caught.value) == f"flux.nir: {message}"


def test_a_tree_that_is_no_graph_is_said() -> None:
    tree = tree_of(nir_bytes(nir.Linear(weight=KERNEL[None, :])))
    wrong: Any
    for wrong in (
        {},
        {"nodes": {}, "edges": ["a"]},
        {"nodes": {"a": {"type": "os"}}, "edges": []},
        {"nodes": "x", "edges": []},
    ):
        with pytest.raises(FileError, match=r"^flux\.nir: is damaged, or not a NIR graph \(\w+\)$"):
            read_nir(PATH, {**tree, "node": {"type": "NIRGraph", **wrong}})


def test_a_missing_package_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(UsageError) as caught:
        read_nir(PATH, {})
    message = "flux.nir: reading NIR needs nir, which is not installed: pip install 'pisnn-deploy[nir]'"
    assert str(caught.value) == message
