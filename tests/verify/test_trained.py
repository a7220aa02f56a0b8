"""The checker on graphs of trained laws: it measures the fluxes again, and whatever changes them is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from law_recipes import recipe
from trained_laws import burgers_law, drawn, interpolated, traffic_law

from pisnn_deploy.compiler import CompileOptions, compile_law
from pisnn_deploy.compiler.warnings import warnings_of
from pisnn_deploy.graph import Bound, Claim, IntegerGraph
from pisnn_deploy.laws.flux_network import FluxNetwork, TrainedFluxes
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

OPTIONS = CompileOptions(None, load_profile("loihi2"))


@cache
def cars() -> IntegerGraph:
    law = interpolated(traffic_law(), 16)
    return compile_law(law.spec, law.spec.mesh, OPTIONS, fluxes=law.fluxes)


def failed(graph: IntegerGraph) -> dict[str, str]:
    return {finding.claim: finding.text for finding in check_certificate(graph) if not finding.holds}


def equation(graph: IntegerGraph) -> Claim:
    assert graph.certificate is not None and graph.certificate.equation is not None
    return graph.certificate.equation


def test_the_claim_is_what_was_measured() -> None:
    claim = equation(cars())
    assert (claim.status, claim.method) == ("proved", "trained-states")
    assert 1e-4 < claim.figures["flux_error"] < 0.01
    assert claim.details == (
        "at 27 constant states the packets of all 1 trained fluxes, sources and exchanges were measured to be "
        f"{claim.figures['flux_error']:.2%} of the largest off those of the law at most; other states, differences in "
        "space, and the sides, are not covered"
    )
    findings = {finding.claim: finding for finding in check_certificate(cars())}
    assert all(finding.holds for finding in findings.values())
    assert findings["equation"].text == claim.details and findings["alike"].is_claimed


def test_diffusion_alone_is_measured_beside_what_diffuses() -> None:
    """Fluxes ``r (left - right)`` that a wrong bend moves by 2e-3 of the range at constant states."""
    spec = recipe(
        {"fields": ["u"], "diffusion": {"u": "0.01"}},
        initial={"u": "0.5"},
        range={"u": [0, 1]},
        mesh=[32],
        method="trained",
    )
    output = np.array([[51.0, -51.0, 1.0]]) / 256
    weight = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.5, 0.5]]])
    offsets, bias = np.array([[0], [1]]), np.array([1.0, 1.0, -0.5])
    network = FluxNetwork(offsets, weight, bias, output, np.zeros(1), 1, 8)
    step = 51 / 256 / 32**2 / 0.01
    graph = compile_law(spec, (32,), OPTIONS, fluxes=TrainedFluxes((network,), (0,), step, (1 / 32,)))
    claim = equation(graph)
    assert 0.01 < claim.figures["flux_error"] < 0.03 and claim.figures["gradient_error"] > 0.05
    assert (claim.status, claim.method) == ("none", "other-law") and failed(graph) == {}


def test_a_training_that_is_far_off_is_called_another_law() -> None:
    law = drawn(burgers_law(1), np.random.default_rng(1))
    graph = compile_law(law.spec, law.spec.mesh, OPTIONS, fluxes=law.fluxes)
    claim = equation(graph)
    assert (claim.status, claim.method) == ("none", "other-law") and claim.figures["flux_error"] > 0.05
    assert failed(graph) == {}
    assert any("different law" in warning for warning in warnings_of(graph, OPTIONS.profile))


def with_hidden_bias(graph: IntegerGraph) -> IntegerGraph:
    """All faces alike have another bias of a hidden neuron."""
    hidden = graph.population("hidden-x")
    bias = hidden.parameters["bias"].reshape(32, -1).copy()
    bias[:, 12] -= 1 << 16
    return graph.with_populations(replace(hidden, parameters={"bias": bias.reshape(-1)}))


def with_constant(graph: IntegerGraph) -> IntegerGraph:
    channels = graph.population("u-flux")
    return graph.with_populations(replace(channels, parameters={"bias": channels.parameters["bias"] + (1 << 16)}))


def with_hidden_bias_of_one(graph: IntegerGraph) -> IntegerGraph:
    hidden = graph.population("hidden-x")
    bias = hidden.parameters["bias"].copy()
    bias[200] -= 1 << 12
    return graph.with_populations(replace(hidden, parameters={"bias": bias}))


def with_weight(source: str, number: int, change: int) -> Callable[[IntegerGraph], IntegerGraph]:
    def changed(graph: IntegerGraph) -> IntegerGraph:
        (synapse,) = (s for s in graph.synapses if s.source == source and s.target not in graph.holders)
        mantissas = synapse.mantissas.copy()
        mantissas[number] += change
        synapses = tuple(synapse.with_mantissas(mantissas) if s is synapse else s for s in graph.synapses)
        return replace(graph, synapses=synapses)

    return changed


def with_law(graph: IntegerGraph) -> IntegerGraph:
    content = graph.spec.model_dump_json().replace("u*(1 - u)", "u*(1 - 0.9*u)")
    return replace(graph, spec=LawSpec.model_validate_json(content))


def as_constructed(graph: IntegerGraph) -> IntegerGraph:
    return replace(graph, spec=graph.spec.model_copy(update={"method": "constructed"}))


def with_claim(**figures: float) -> Callable[[IntegerGraph], IntegerGraph]:
    def changed(graph: IntegerGraph) -> IntegerGraph:
        assert graph.certificate is not None
        claim = equation(graph)
        other = replace(claim, figures={**claim.figures, **figures})
        return replace(graph, certificate=replace(graph.certificate, equation=other))

    return changed


def with_narrow_bound(graph: IntegerGraph) -> IntegerGraph:
    def narrowed(bound: Bound) -> Bound:
        is_it = (bound.population, bound.quantity) == ("hidden-x", "drive")
        return replace(bound, upper=bound.upper - 1) if is_it else bound

    return replace(graph, bounds=tuple(map(narrowed, graph.bounds)))


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        (with_hidden_bias, {"equation"}),
        (with_constant, {"bounds", "equation"}),
        (with_hidden_bias_of_one, {"alike"}),
        (with_weight("hidden-x", 100, 2), {"alike"}),
        (with_weight("u", 100, 2), {"alike"}),
        (with_law, {"equation"}),
        (lambda graph: replace(graph, time_step=graph.time_step * 1.05), {"equation"}),
        (as_constructed, {"equation"}),
        (with_claim(flux_error=1e-4), {"equation"}),
        (with_claim(flux_error=0.04), {"equation"}),
        (with_claim(states=64), {"equation"}),
        (with_narrow_bound, {"bounds"}),
    ],
)
def test_whatever_changes_the_fluxes_is_refused(
    change: Callable[[IntegerGraph], IntegerGraph], claims: set[str]
) -> None:
    texts = failed(change(cars()))
    assert texts.keys() >= claims, texts
