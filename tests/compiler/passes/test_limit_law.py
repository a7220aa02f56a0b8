"""The limiter of laws: positive fields stay at 0 or more, each on its own, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from generated_c import in_step, library
from law_recipes import traffic
from limited_laws import LAWS, A, B, law, limited_law

from pisnn_deploy.compiler import CompileOptions, GraphOptions
from pisnn_deploy.compiler.compile import compile_law
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.runs import Run, RunOptions, fast
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

STEPS = 12


def run(graph: IntegerGraph) -> Run:
    return fast.run(graph, graph.initial, RunOptions(STEPS, everything=True))


def lowest(graph: IntegerGraph, found: Run) -> list[int]:
    """Lowest mass of each field."""
    return [int(part.min()) for part in np.split(found.trace.mass, len(graph.fields), axis=1)]


@pytest.mark.parametrize("name", LAWS)
def test_positive_fields_stay_so_and_nothing_is_lost(name: str) -> None:
    graph = limited_law(name)
    assert defects(graph) == [] and all(field.window.lower == 0 for field in graph.fields)
    found = run(graph)
    assert found.conserved and min(lowest(graph, found)) >= 0
    findings = {finding.claim: finding for finding in check_certificate(graph)}
    assert all(finding.holds for finding in findings.values()) and findings["positivity"].is_claimed


@pytest.mark.parametrize("name", ["two species", "porous medium"])
def test_without_the_limiter_they_fall_below(name: str) -> None:
    graph = limited_law(name, "none")
    found = run(graph)
    assert found.failure.startswith("operating range left: a [") or min(lowest(graph, found)) < 0


def test_a_law_that_needs_no_limiter_has_the_same_integers_with_it() -> None:
    graphs = [compile_law(traffic(), (32,), options(limiter)) for limiter in ("none", "positivity")]
    runs = [run(graph) for graph in graphs]
    assert all(found.conserved for found in runs)
    assert np.array_equal(runs[0].trace.mass, runs[1].trace.mass)
    assert np.array_equal(runs[0].trace.flux, runs[1].trace.flux)  # type: ignore[arg-type]


def options(limiter: Any, profile: str = "loihi2", **others: Any) -> CompileOptions:
    return CompileOptions(None, load_profile(profile), GraphOptions(limiter=limiter, **others))


def without(spec: LawSpec, **sections: Any) -> LawSpec:
    return spec.model_copy(update={"law": spec.law.model_copy(update=sections)})


EXCHANGED = law("ab", (A, B), exchange=[{"from": "a", "to": "b", "rate": "a*b"}])
DECAYING = law("a", (A,), flux={"a": "a"}, sources={"a": {"decay": "-0.1*a"}})


@pytest.mark.parametrize(
    ("spec", "chosen", "sentence"),
    [
        (LAWS["two species"], options("bounds"), "`limiter` bounds: a ceiling needs a monotone flux"),
        (LAWS["two species"], options("positivity", floor=0.5), "`floor`: the limiter of a law keeps its `positive`"),
        (without(traffic(), positive=()), options("positivity"), "the law case names no `positive` fields"),
        (EXCHANGED, options("positivity"), "the exchange a-to-b takes from a"),
        (DECAYING, options("positivity"), "decay may take from a without asking; only fluxes ask"),
        (DECAYING, options("positivity", "loihi1"), "has no products of two values"),
        (DECAYING, options("positivity", spikes="binary"), "binary spikes have lines for one value"),
    ],
)
def test_what_no_limiter_covers_is_refused_in_one_line(spec: LawSpec, chosen: CompileOptions, sentence: str) -> None:
    with pytest.raises((UsageError, CompileError)) as raised:
        compile_law(spec, (8,), chosen)
    assert sentence in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("backend", ["onnx", "torch", "cpu"])
def test_every_backend_has_the_integers_of_a_limited_law(backend: str) -> None:
    graph = limited_law("asked at different times")
    found = compare(("fast", backend), graph, graph.initial, RunOptions(6))
    assert found.difference is None and found.failures == ("", "")


def test_c_has_the_integers_of_a_limited_law(tmp_path: Any) -> None:
    graph = limited_law("asked at different times")
    in_step(graph, library(graph, tmp_path), STEPS)


def test_the_audit_sees_a_channel_that_takes_more_than_is_granted() -> None:
    graph = limited_law("two species")
    answers = graph.population("a-answers")
    generous = replace(answers, parameters={"least": answers.parameters["least"] - 5000})
    found = run(graph.with_populations(generous))
    assert found.failure.startswith("operating range left: a [")
