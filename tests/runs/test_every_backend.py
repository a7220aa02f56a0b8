"""Any valid graph has the same integers on every backend.

`PISNN_CASES=200 pytest tests/runs/test_every_backend.py` tries more of them than a plain run does.
"""

from __future__ import annotations

import os

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from models_under_test import binary_box, compiled, compiled_box, heat_model, hidden_model, plane_model

from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph.integer import Coding, IntegerGraph, Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.model import Model
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.runs.comparison import compare

CASES = int(os.environ.get("PISNN_CASES", "25"))
STEPS = 12
LINES = ("periodic", "no-flux", "dirichlet=0.5,1", "x-=no-flux x+=dirichlet=1", "x-=dirichlet=0.25 x+=no-flux")
PLANES = ("periodic", "no-flux", "x=periodic y=dirichlet=1,0.5", "x-=no-flux x+=dirichlet=1 y=periodic")

leaks = st.sampled_from([4096, 4096, 2048, 777, 1])
limiters: st.SearchStrategy[Limiter] = st.sampled_from(["none", "positivity"])
codings: st.SearchStrategy[Coding] = st.sampled_from(["delta", "dense"])


@st.composite
def linear_models(draw: st.DrawFn) -> Model:
    """Kernels of one to three weights on either side; the nearest to the face is the largest."""
    outer = draw(st.lists(st.integers(-4, 12), max_size=2))
    return heat_model(tuple(weight / 128 for weight in (*outer, draw(st.integers(20, 60)))), leak=draw(leaks))


@st.composite
def graphs(draw: st.DrawFn) -> IntegerGraph:
    """Lines and planes, linear and with hidden layers, graded and binary, with a limiter and without."""
    coding, cells, limiter = draw(codings), draw(st.integers(2, 40)), draw(limiters)
    kind = draw(st.sampled_from(["line", "line", "hidden", "plane", "binary"]))
    try:
        if kind == "line":
            return compiled(draw(linear_models()), cells, draw(st.sampled_from(LINES)), coding, limiter)
        if kind == "hidden":
            channels = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=2)))
            model = hidden_model(channels, draw(st.integers(0, 99)), draw(leaks))
            return compiled(model, cells, draw(st.sampled_from(LINES)), coding, limiter)
        if kind == "plane":
            times = draw(st.integers(1, 3))
            return compiled_box(plane_model(), (5 * times, 6 * times), draw(st.sampled_from(PLANES)), coding, limiter)
        return binary_box(draw(linear_models()), (cells,), draw(st.sampled_from(LINES)), coding, limiter)
    except CompileError:
        assume(False)
        raise


def masses(graph: IntegerGraph, seed: int) -> Integers:
    """Random masses, near 0 where there is a limiter; rough ones may leave the operating range, and then every backend
    must say so alike.
    """
    window = graph.window
    span = (window.upper - window.lower) // 2
    span = span if window.difference is None else min(span, window.difference // 2 + 2)
    middle = (window.upper + window.lower) // 2 if known_face(graph).limiter is None else window.lower + span // 2
    low, high = max(window.lower, middle - span), min(window.upper, middle + span)
    return np.random.default_rng(seed).integers(low, high + 1, graph.mesh.cells, dtype=np.int64)


def assert_equal_on(backends: tuple[str, str], graph: IntegerGraph, mass: Integers) -> None:
    found = compare(backends, graph, mass, RunOptions(STEPS))
    assert found.difference is None, found.difference.sentence(*backends)
    assert found.failures[0] == found.failures[1]


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.integers(0, 2**32 - 1))
def test_fast_onnx_and_torch_agree(graph: IntegerGraph, seed: int) -> None:
    mass = masses(graph, seed)
    assert_equal_on(("fast", "onnx"), graph, mass)
    assert_equal_on(("fast", "torch"), graph, mass)


@settings(max_examples=max(2, CASES // 10), deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.integers(0, 2**32 - 1))
def test_lava_agrees(graph: IntegerGraph, seed: int) -> None:
    assert_equal_on(("cpu", "fast"), graph, masses(graph, seed))
