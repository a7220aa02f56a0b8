"""Programs on tensors give Python's integers, and the backend built on them those of the reference."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs_by_hand import random_graph, reaction, sink, two_fields
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import compiled
from random_programs import random_program
from whole_values import NEURONS, in_whole

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.programs import Result, run
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.torch import Network, Tensors, _tensor_matrix

EXAMPLES = int(os.environ.get("PISNN_CASES", "100"))


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32 - 1))
def test_tensors_agree_with_python_integers(seed: int) -> None:
    drawn = random_program(seed)
    inputs = drawn.inputs(np.random.default_rng(seed), NEURONS)
    tensors = {name: torch.tensor(values) for name, values in inputs.items()}
    result: Result[torch.Tensor] = run(drawn.program, Tensors(), tensors)
    values = {name: value.expand(NEURONS).tolist() for name, value in result.values.items()}
    assert values == in_whole(drawn.program, inputs)


def test_a_graph_runs_without_the_flux_network_that_it_was_laid_out_from() -> None:
    graph = replace(compiled(cells=9), operator=())
    runs = [run_graph(name, graph, graph.initial, RunOptions(20)) for name in ("torch", "fast")]
    assert runs[0].conserved and np.array_equal(runs[0].trace.mass, runs[1].trace.mass)


def assert_stepped(graph: IntegerGraph) -> None:
    """Every state after every PDE step is that of the reference."""
    semantics, network = Semantics(graph), Network(graph)
    states = semantics.begin()
    tensors = {name: {key: torch.tensor(value) for key, value in kept.items()} for name, kept in states.items()}
    for step in range(6):
        states, _ = semantics.advance(states, step)
        tensors, _ = network.advance(tensors)
        for name, kept in states.items():
            for key, value in kept.items():
                assert tensors[name][key].expand(value.size).tolist() == value.tolist(), (name, key, step)


def test_several_fields_and_sinks_are_stepped() -> None:
    for build in (two_fields, sink, reaction):
        assert_stepped(build())


@settings(max_examples=min(EXAMPLES, 40), deadline=None)
@given(st.integers(0, 2**40))
def test_random_graphs_are_stepped_as_by_the_reference(seed: int) -> None:
    assert_stepped(random_graph(seed))


def test_a_column_beyond_a_matrix_is_refused_before_torch_reads_it() -> None:
    beyond = Rows(np.array([0, 1]), np.array([3]), np.array([1]), 3)
    with pytest.raises(IndexError, match="not from 0 to 2"):
        _tensor_matrix(beyond)
