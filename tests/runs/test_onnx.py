"""The ONNX backend: the same run, and the same violations."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from models_under_test import compiled, heat_model, hidden_model
from network_runs import assert_same

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import RunOptions, fast, onnx
from pisnn_deploy.runs.comparison import compare


def test_lava_and_onnx_agree_on_every_integer() -> None:
    graph = compiled(heat_model(leak=1024), cells=9, boundary="dirichlet=0,1")
    found = compare(("cpu", "onnx"), graph, graph.initial, RunOptions(20))
    assert found.difference is None and found.steps == 20
    assert_same(onnx.run(graph, graph.initial, RunOptions(9)), cpu.run(graph, graph.initial, RunOptions(9)))


def test_a_run_without_steps() -> None:
    graph = compiled()
    assert onnx.run(graph, graph.initial, RunOptions(0)).conserved


def test_violations_are_those_of_fast() -> None:
    graph = compiled(hidden_model((3,)), cells=7, boundary="dirichlet=-1,1")
    mass, options = graph.initial, RunOptions(30)
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    wrong_route = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    narrow = graph.with_field(window=replace(graph.window, upper=int(mass.max()) - 1))
    few_bits = tuple(
        replace(b, bits=4) if (b.population, b.quantity) == ("flux", "packet") else b for b in graph.bounds
    )
    for broken in (wrong_route, narrow, replace(graph, bounds=few_bits)):
        expected = fast.run(broken, mass, options)
        assert expected.failure
        assert_same(onnx.run(broken, mass, options), expected)


def test_an_onnxruntime_that_cannot_be_imported_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    graph = compiled()
    with pytest.raises(UsageError, match=r"^onnx backend: import of onnxruntime halted.*; use `backend` fast$"):
        onnx.run(graph, graph.initial, RunOptions(1))
