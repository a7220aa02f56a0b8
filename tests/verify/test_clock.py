"""The checker of physical time and of names."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from models_under_test import compiled, heat_model, hidden_model, laplace_model, stock_box, zoo_graph

from pisnn_deploy.compiler import CompileOptions, Lower, LowerTwoPoint, compile_model
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.problems import EQUATIONS, NAMES, problem
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.clock import PROBLEMS


@cache
def base(name: str) -> IntegerGraph:
    if name in NAMES:
        return zoo_graph(name, (24, 24) if name == "laplace2d" else None)
    if name == "stock":
        return stock_box()
    return compiled(heat_model(leak=900)) if name == "leak" else compiled(hidden_model((3,)))


def rejected(graph: IntegerGraph) -> dict[str, str]:
    return {finding.claim: finding.text for finding in check_certificate(graph) if not finding.holds}


def with_spec(graph: IntegerGraph, **changes: Any) -> IntegerGraph:
    return replace(graph, spec=graph.spec.model_copy(update=changes))


def test_the_checker_knows_the_problems_by_itself() -> None:
    assert {name: (EQUATIONS[name], len(problem(name).default_shape)) for name in NAMES} == PROBLEMS


@pytest.mark.parametrize("name", ["heat1d", "laplace2d", "advection_diffusion1d", "burgers1d", "leak", "stock"])
@pytest.mark.parametrize("factor", [2.0, 1 + 1e-14, 1 - 1e-14, 0.5])
def test_a_time_step_that_the_integers_do_not_have_is_rejected(name: str, factor: float) -> None:
    graph = base(name)
    assert not rejected(graph)
    assert "clock" in rejected(replace(graph, time_step=graph.time_step * factor))


def test_the_last_digit_of_a_time_step_is_not_judged_by_the_clock() -> None:
    graph = base("heat1d")
    assert list(rejected(replace(graph, time_step=graph.time_step * (1 + 2.0**-52)))) == ["equation"]


@pytest.mark.parametrize(
    ("changes", "claim", "reason"),
    [
        ({"problem": "heat2d"}, "law", "the problem heat2d has 2 dimensions, but the model has 1"),
        ({"problem": "burgers1d"}, "law", "the problem burgers1d solves burgers, but the model names diffusion"),
        ({"problem": "heat4d"}, "law", "unknown problem heat4d"),
        ({"diffusivity": 0.02}, "clock", "the time step is 0.0062942504882812"),
        ({"leak": 4095}, "clock", "the time step is 0.00629425048828125, but the weights give 0.0062957875"),
        ({"weight_exponents": (8,)}, "clock", "the threshold exponent is 7, but the model says 8"),
    ],
)
def test_a_name_or_coefficient_that_the_integers_do_not_have_is_rejected(
    changes: dict[str, Any], claim: str, reason: str
) -> None:
    found = rejected(with_spec(base("heat1d"), **changes))
    assert found[claim].startswith(reason), found


def test_an_equation_with_a_length_of_its_own_has_its_cells() -> None:
    wider = with_spec(base("burgers1d"), cell_width=1 / 255)
    assert rejected(wider) == {"law": "cells are 0.00390625 wide, but the model was trained for 0.00392157"}


def test_laplace_has_no_diffusivity() -> None:
    assert rejected(with_spec(base("laplace2d"), diffusivity=2.0)) == {
        "law": "the diffusivity is 2.0, but laplace requires 1"
    }


def test_the_shift_of_a_hidden_layer_is_the_exponent_of_its_weights() -> None:
    assert rejected(with_spec(base("hidden"), weight_exponents=(6, 7))) == {
        "clock": "the shift of hidden1 is 7, but the model says 6"
    }


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        (
            heat_model(),
            {"problem": "burgers1d"},
            "lower: the model heat1d solves diffusion, but its problem burgers1d is one of burgers; name a problem of "
            "the model's own equation in its spec",
        ),
        (
            laplace_model(),
            {"diffusivity": 2.0},
            "lower: the model laplace2d has the diffusivity 2, but laplace has none; set it to 1",
        ),
    ],
)
def test_what_the_checker_would_reject_is_not_compiled(model: Model, changes: dict[str, Any], reason: str) -> None:
    other = replace(model, spec=model.spec.model_copy(update=changes))
    axes = len(other.spec.lengths)
    options = CompileOptions(Lower((8,) * axes, parse_boundary("no-flux", axes)), load_profile("loihi2"))
    with pytest.raises(CompileError) as refused:
        compile_model(other, options)
    assert str(refused.value) == reason


def test_neither_is_it_on_cells_that_differ() -> None:
    other = replace(heat_model(), spec=heat_model().spec.model_copy(update={"problem": "burgers1d"}))
    lower = LowerTwoPoint((8,), parse_boundary("no-flux", 1), {})
    with pytest.raises(CompileError, match=r"^lower-two-point: the model heat1d solves diffusion, but its problem "):
        compile_model(other, CompileOptions(lower, load_profile("loihi2")))
