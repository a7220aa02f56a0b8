"""The checker finds whatever would let a positive field of a law fall below 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from limited_laws import limited_law

from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import parse
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.floors import floors


def error(graph: IntegerGraph) -> str:
    """First error of the claim."""
    assert graph.certificate is not None
    return next(floors(graph, graph.certificate.positivity), "")


def changed(graph: IntegerGraph, name: str, change: Callable[[Population], Population]) -> IntegerGraph:
    return graph.with_populations(change(graph.population(name)))


def rewritten(name: str, old: str, new: str) -> Callable[[IntegerGraph], IntegerGraph]:
    """A line of a program in other words."""

    def rewrite(graph: IntegerGraph) -> IntegerGraph:
        text = str(graph.population(name).program)
        assert old in text
        return changed(graph, name, lambda p: replace(p, program=parse(text.replace(old, new))))

    return rewrite


def rewired(name: str, **changes: object) -> Callable[[IntegerGraph], IntegerGraph]:
    """A synapse with other attributes."""

    def rewire(graph: IntegerGraph) -> IntegerGraph:
        assert name in {synapse.name for synapse in graph.synapses}
        synapses = [replace(s, **changes) if s.name == name else s for s in graph.synapses]  # type: ignore[arg-type]
        return replace(graph, synapses=tuple(synapses))

    return rewire


def without(name: str) -> Callable[[IntegerGraph], IntegerGraph]:
    return lambda graph: replace(graph, synapses=tuple(s for s in graph.synapses if s.name != name))


def with_bound(population: str, quantity: str, **changes: int) -> Callable[[IntegerGraph], IntegerGraph]:
    def widen(graph: IntegerGraph) -> IntegerGraph:
        bounds = [
            replace(b, **changes) if (b.population, b.quantity) == (population, quantity) else b  # type: ignore[arg-type]
            for b in graph.bounds
        ]
        return replace(graph, bounds=tuple(bounds))

    return widen


def with_claim(claim: Claim | None) -> Callable[[IntegerGraph], IntegerGraph]:
    def claimed(graph: IntegerGraph) -> IntegerGraph:
        assert graph.certificate is not None
        return replace(graph, certificate=replace(graph.certificate, positivity=claim))

    return claimed


def with_shared_answers(graph: IntegerGraph) -> IntegerGraph:
    """The cells of one field answer for both."""
    synapses = [replace(s, source="a-answers") if s.source == "b-answers" else s for s in graph.synapses]
    return replace(graph, synapses=tuple(synapses))


def heard_twice(graph: IntegerGraph) -> IntegerGraph:
    """Cells hear the drive of the other field as well."""
    (drive,) = [s for s in graph.synapses if s.target == "a-flux" and s.port == "arrival"][:1]
    return replace(graph, synapses=(*graph.synapses, replace(drive, name="further", port="source_short")))


def not_positive(graph: IntegerGraph) -> IntegerGraph:
    spec = graph.spec
    assert spec.equation == "law"
    law = spec.law.model_copy(update={"positive": ("a",)})
    return replace(graph, spec=spec.model_copy(update={"law": law}))


def generous(graph: IntegerGraph) -> IntegerGraph:
    """Cells grant one quantum more than they have."""
    return changed(graph, "a-answers", lambda p: replace(p, parameters={"least": p.parameters["least"] - 1}))


OTHERS = "a-flux hears something other than the answers of the cells of a"
MORE = "a-flux may send more than the cells of a grant"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (generous, "a-answers does not answer with what each cell of a holds"),
        (rewritten("a-answers", "sub(256, short_share)", "sub(255, short_share)"), OTHERS),
        (rewritten("a-flux", "packet = add(passed, 0)", "packet = add(passed, 1)"), MORE),
        (rewritten("a-flux", "mul_shr(asked_size, passed_part, 8)", "mul_shr(asked_size, passed_part, 7)"), MORE),
        (rewritten("a-flux", "current = add(drive, 0)", "current = add(drive, source_short)"), MORE),
        (without("a-flux-backward-to-a-answers-leaving"), "value 2 of a-flux does not reach the port leaving"),
        (rewired("a-answers-to-a-flux-source-short", exponent=-2), "value 0 of a-answers does not reach the port"),
        (rewired("a-flux-forward-to-a-answers-leaving", exponent=-2), "value 1 of a-flux does not reach the port"),
        (rewired("a-to-a-answers-mass", exponent=0), "value 0 of a does not reach the port mass of a-answers"),
        (rewired("a-answers-to-a-flux-source-short", source="b-answers"), "value 0 of a does not reach the port mass"),
        (with_shared_answers, "value 0 of a-answers must not reach the port source_short of b-flux"),
        (heard_twice, OTHERS),
        (with_bound("gain", "packet", lower=-1), "gain may take from the cells of b without asking"),
        (with_bound("a-answers", "leaving", upper=1 << 27), "a-flux may ask 134217728 quanta of a cell"),
        (with_claim(None), "the graph has a limiter, but no claim on it"),
        (with_claim(Claim("proved", "floors", {"fields": 1, "floor": 0})), "the claim differs from what the checker"),
        (not_positive, "b has a limiter, but the law does not name it as positive"),
    ],
)
def test_what_would_break_the_floor_is_found(change: Callable[[IntegerGraph], IntegerGraph], sentence: str) -> None:
    graph = limited_law("asked at different times")
    assert error(graph) == ""
    assert error(change(graph)).startswith(sentence)


def test_the_checker_reports_it() -> None:
    findings = {finding.claim: finding for finding in check_certificate(generous(limited_law("two species")))}
    assert findings["positivity"].text == "a-answers does not answer with what each cell of a holds"


def test_a_graph_without_a_limiter_has_no_such_claim() -> None:
    claim = Claim("proved", "floors", {"fields": 2, "floor": 0})
    assert error(with_claim(claim)(limited_law("two species", "none"))) == "the claim needs a limiter"
