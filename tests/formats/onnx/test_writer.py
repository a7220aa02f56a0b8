"""ONNX models: checked, of integers alone, and equal to the contract at every step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    laplace_model,
    plane_model,
    space_model,
    stock_box,
)
from onnx import TensorProto

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.onnx import step
from pisnn_deploy.formats.onnx.writer import run_model, step_model
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.semantics import Semantics, State

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "one cell": lambda: compiled(cells=1),
    "two cells": lambda: compiled(cells=2),
    "three cells, a reservoir": lambda: compiled(cells=3, boundary="x-=no-flux x+=dirichlet=1"),
    "leaky ring": lambda: compiled(heat_model(leak=1024), cells=17),
    "two hidden layers, leaky": lambda: compiled(hidden_model((3, 2), leak=2048), cells=7, boundary="no-flux"),
    "hidden layer, reservoirs, dense": lambda: compiled(hidden_model((4,)), 6, "dirichlet=-1,1", "dense"),
    "plane, friction": lambda: compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"),
    "plane, transverse": lambda: compiled_box(plane_model(), (5, 6), "x=periodic y=dirichlet=1,1"),
    "space": lambda: compiled_box(space_model(), (6, 5, 7), "x=periodic y=no-flux z=dirichlet=0.5,1"),
    "binary spikes": lambda: binary_box(heat_model(), (9,), "periodic"),
    "stock processes": lambda: stock_box(send_threshold=3),
    "limiter": lambda: compiled(hidden_model((3,)), 7, "no-flux", "dense", "positivity"),
    "limiter, reservoirs": lambda: compiled_box(
        space_model(), (6, 5, 7), "x=periodic y=no-flux z=dirichlet=0.5,1", limiter="positivity"
    ),
}
MODELS = (step_model, run_model)


def session(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def start(graph: IntegerGraph, seed: int = 3) -> dict[str, Integers]:
    """Any state at all, negative numbers and ties included: the contract is arithmetic, not physics."""
    random = np.random.default_rng(seed)
    half = 1 << (known_face(graph).exponent - 1)
    mass = random.integers(-(1 << 20), 1 << 20, graph.sole_field.size)
    residue = random.integers(-half, half + 1, graph.sole_channels.size)
    current = random.integers(-(1 << 20), 1 << 20, graph.sole_channels.size) * (known_face(graph).leak < 4096)
    return {"mass": mass, "current": current, "residue": residue}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_step_equals_the_contract(name: str) -> None:
    graph = replace(GRAPHS[name](), bounds=())
    semantics, run = Semantics(graph), session(step_model(graph))
    given = start(graph)
    nothing = np.zeros_like(given["residue"])
    state = State(given["mass"], nothing, given["residue"], nothing, given["current"])
    for _ in range(12):
        state = semantics.step(state)
        mass, current, residue, packets = run.run(None, given)
        assert np.array_equal(mass, state.mass) and np.array_equal(residue, state.residue)
        added = given["current"] if graph.sole_channels.is_late else current
        assert np.array_equal(added, state.current) and np.array_equal(packets, state.packets)
        given = {"mass": mass, "current": current, "residue": residue}
    assert mass.dtype == np.int64


@pytest.mark.parametrize("name", GRAPHS)
def test_the_loop_is_as_many_steps(name: str) -> None:
    graph = GRAPHS[name]()
    one, many = session(step_model(graph)), session(run_model(graph))
    given = start(graph)
    transported = np.zeros(graph.sole_channels.size, np.int64)
    for steps in range(5):
        found = many.run(None, {"steps": np.array(steps), **start(graph)})
        assert all(np.array_equal(a, b) for a, b in zip(found, [*given.values(), transported], strict=True)), steps
        mass, current, residue, packets = one.run(None, given)
        transported = transported + packets
        given = {"mass": mass, "current": current, "residue": residue}


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("name", GRAPHS)
def test_models_pass_the_checker_and_strict_shape_inference(name: str, make: Callable[..., onnx.ModelProto]) -> None:
    model = make(GRAPHS[name]())
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert types(inferred) <= {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL}
    assert {opset.domain for opset in model.opset_import} == {""}


def types(model: onnx.ModelProto) -> set[int]:
    """Element types of everything that a model holds or makes."""
    found = set()
    for graph in graphs(model.graph):
        found |= {tensor.data_type for tensor in graph.initializer}
        found |= {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    return found


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def test_metadata_says_what_the_integers_mean() -> None:
    graph = compiled_box(plane_model(), (5, 6), "x=periodic y=no-flux")
    told = {entry.key: entry.value for entry in step_model(graph, "abc").metadata_props}
    assert float(told["quantum"]) == graph.quantum and float(told["time_step"]) == graph.time_step
    assert float(told["value_per_quantum"]) == graph.value_per_quantum
    assert json.loads(told["mesh"])["shape"] == [5, 6] and told["artifact_sha256"] == "abc"
    assert len(told["certificate_sha256"]) == 64
    assert (
        told["programs"].startswith("neuron membrane(arrival; mass_before; )\n")
        and "fire(potential, " in told["programs"]
    )


@pytest.mark.parametrize("make", MODELS)
def test_the_same_graph_gives_the_same_bytes(make: Callable[..., onnx.ModelProto]) -> None:
    first, second = (make(compiled(cells=9)).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_a_model_beyond_what_protobuf_holds_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "LARGEST_MODEL", 1000)
    with pytest.raises(UsageError, match=r"onnx: a model of 16 cells would take .* choose a coarser mesh"):
        step_model(compiled())
