"""Losses of accuracy are shown at the step that causes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import heat_model, hidden_model

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, LowerTwoPoint, Material, compile_model
from pisnn_deploy.compiler.explanation import Explanation, explain
from pisnn_deploy.compiler.options import PLAIN
from pisnn_deploy.compiler.pipeline import LOWERING, asked
from pisnn_deploy.compiler.runner import run_passes
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.target import Profile, load_profile

TRAINED, NEAREST, CHOSEN = "trained network", "nearest integer weights", "chosen integer weights"
STATES, PAYLOADS = "states of 24 bits", "payloads and sums"


def options(boundary: str = "periodic", profile: Profile | None = None, **graph: object) -> CompileOptions:
    lower = Lower((16,), parse_boundary(boundary, 1))
    target, chosen = profile or load_profile("loihi2"), GraphOptions(placement="none", **graph)  # type: ignore[arg-type]
    return CompileOptions(lower, target, chosen, search=False)


def explained(model: Model, chosen: CompileOptions) -> tuple[Explanation, IntegerGraph]:
    graph = compile_model(model, chosen)
    plain = replace(chosen, graph=replace(chosen.graph, processes=PLAIN.processes))
    trained, floating = (run_passes(model, asked(LOWERING, each))[0] for each in (plain, chosen))
    return explain(trained, floating, chosen, graph), graph


def errors(explanation: Explanation) -> dict[str, float]:
    """Errors of the stages by the beginning of their name."""
    found = {}
    for stage in explanation.stages:
        assert stage.error is not None, stage
        found[stage.name.removesuffix(" in float64").removesuffix(" of the target")] = stage.error
    return found


@pytest.fixture(scope="module")
def sound() -> dict[str, float]:
    return errors(explained(heat_model(), options())[0])


def test_the_last_stage_is_the_compiled_graph() -> None:
    explanation, graph = explained(heat_model(), replace(options(), search=True))
    assert [*errors(explanation)] == [TRAINED, NEAREST, CHOSEN, STATES, PAYLOADS]
    assert explanation.stages[-1].error == pytest.approx(graph.quantisation.relative_l2_integer, rel=1e-3)
    assert explanation.steps == graph.quantisation.steps
    assert [gain.name for gain in explanation.one_more_bit] == [
        "weights, and words to hold them",
        "threshold, in the same words",
        "states, payloads and accumulators",
    ]
    *_, wider = explanation.one_more_bit
    assert wider.note == f"resolves values of {graph.resolution / 2:.3g}"


def test_bad_training_shows_in_the_first_line(sound: dict[str, float]) -> None:
    model = heat_model((1 / 128, 4 / 128, 10 / 128, 46 / 128))
    bad = errors(explained(model, options())[0])
    assert bad[TRAINED] > 10 * sound[TRAINED]
    assert bad[NEAREST] == pytest.approx(bad[TRAINED], rel=0.01)


def test_coarse_weights_show_where_they_are_rounded(sound: dict[str, float]) -> None:
    coarse = errors(explained(heat_model(weight_exponents=(5,)), options())[0])
    assert sound[NEAREST] == sound[TRAINED]  # of 7 bits
    assert coarse[TRAINED] < 2 * sound[TRAINED]
    assert coarse[NEAREST] > 5 * coarse[TRAINED]


def narrow(bits: int) -> Profile:
    profile = load_profile("loihi2")
    figure = profile.state.bits.model_copy(update={"value": bits})
    return profile.model_copy(update={"state": profile.state.model_copy(update={"bits": figure})})


def test_narrow_states_show_at_the_states(sound: dict[str, float]) -> None:
    explanation, _ = explained(heat_model(), options(profile=narrow(16)))
    coarse = errors(explanation)
    assert coarse[NEAREST] == sound[NEAREST]
    assert coarse["states of 16 bits"] > 20 * sound[STATES]
    *_, wider = explanation.one_more_bit
    assert wider.error is not None and wider.error < coarse["states of 16 bits"]


def test_narrow_accumulators_show_at_the_sums(sound: dict[str, float]) -> None:
    explanation, _ = explained(heat_model(), options(profile=load_profile("loihi1")))
    binary = errors(explanation)
    assert binary[STATES] == sound[STATES]
    assert binary[PAYLOADS] > 20 * binary[STATES]
    *_, wider = explanation.one_more_bit
    assert wider.error is not None and wider.error < binary[PAYLOADS]


def test_each_option_has_its_line() -> None:
    explanation, graph = explained(heat_model(), options(limiter="positivity", coding="dense"))
    assert [stage.name for stage in explanation.stages][-3:] == [
        "payloads and sums of the target",
        "coding dense",
        "limiter positivity",
    ]
    assert explanation.stages[-1].error == pytest.approx(graph.quantisation.relative_l2_integer, rel=1e-3)
    explanation, _ = explained(heat_model(), options(processes="stock"))
    assert explanation.stages[1].name == "fluxes of the previous PDE step"


def test_a_start_outside_the_range_is_moved_for_every_line() -> None:
    chosen = replace(options(), operating_range=OperatingRange(lower=5.0, upper=6.0, slope=7.0))
    explanation, graph = explained(heat_model(), chosen)
    assert not graph.starts_inside
    assert explanation.stages[-1].error == pytest.approx(graph.quantisation.relative_l2_integer, rel=1e-3)


def test_hidden_layers_have_the_same_lines() -> None:
    explanation, _ = explained(hidden_model(), options())
    assert [*errors(explanation)] == [TRAINED, NEAREST, CHOSEN, STATES, PAYLOADS]


def test_materials_are_measured_against_their_own_operator() -> None:
    conductivity = np.where(np.arange(16) < 8, 1.0, 10.0)
    lower = LowerTwoPoint((16,), parse_boundary("dirichlet=0,1", 1), {"default": Material(1.0)}, conductivity, None)
    chosen = CompileOptions(lower, load_profile("loihi2"), GraphOptions(placement="none"))
    explanation, graph = explained(heat_model(), chosen)
    fluxes, rounded, states, _ = errors(explanation).values()
    assert explanation.stages[0].name == "two-point fluxes in float64"
    assert rounded == pytest.approx(fluxes, rel=0.5)
    assert states == pytest.approx(graph.quantisation.relative_l2_integer, rel=1e-3)
    coarse = replace(chosen, profile=narrow(16))
    assert errors(explained(heat_model(), coarse)[0])["states of 16 bits"] > 5 * states


def test_what_was_not_measured_says_so() -> None:
    model = heat_model()
    graph = compile_model(model, options())
    floating = run_passes(model, asked(LOWERING, options()))[0]
    unmeasured = replace(graph, quantisation=replace(graph.quantisation, steps=0))
    explanation = explain(floating, floating, options(), unmeasured)
    assert explanation.stages == () and explanation.problem.startswith("there is no reference")
