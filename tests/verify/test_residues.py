"""Graphs whose faces see residues, changed in every place that this adds: `verify` refuses each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from models_under_test import heat_model, plane_model, seeing_box
from mutations import rejected
from two_point_graphs import seeing_materials

from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.programs import parse

BUILDS: tuple[Callable[[], IntegerGraph], ...] = (
    partial(seeing_box, heat_model(leak=900), (9,), "dirichlet=0.5,1.5"),
    partial(seeing_box, plane_model(), (5, 6), "x=no-flux y=dirichlet=1,0.5", "dense"),
    seeing_materials,
)
build = pytest.mark.parametrize("build", BUILDS)


def is_refused(graph: IntegerGraph) -> bool:
    return any(defects(graph)) or bool(rejected(graph))


def with_synapse(graph: IntegerGraph, changed: Synapse) -> IntegerGraph:
    return replace(graph, synapses=tuple(changed if s.name == changed.name else s for s in graph.synapses))


def other_rows(graph: IntegerGraph, seed: int) -> Iterator[tuple[str, IntegerGraph]]:
    """The synapses of residues with other weights, other ends, or at another port."""
    generator = np.random.default_rng(seed)
    for synapse in [s for s in graph.synapses if s.port == "low"]:
        own = synapse.mantissas
        for place in generator.choice(own.size, 3, replace=False).tolist():
            for change in (-2, -1, 1, 2, 4, -own[place], -2 * own[place]):
                mantissas = own.copy()
                mantissas[place] += change
                if change:
                    yield f"[{place}] {change:+}", with_synapse(graph, synapse.with_mantissas(mantissas))
        yield "negated", with_synapse(graph, synapse.with_mantissas(-own))
        yield "none", with_synapse(graph, synapse.with_mantissas(0 * own))
        for changed in (
            replace(synapse, exponent=synapse.exponent - 1),
            replace(synapse, exponent=synapse.exponent + 1),
            replace(synapse, output=0),
            replace(synapse, port="arrival"),
        ):
            yield str(changed), with_synapse(graph, changed)
        yield "gone", replace(graph, synapses=tuple(s for s in graph.synapses if s is not synapse))
        yield "twice", replace(graph, synapses=(replace(synapse, name="again"), *graph.synapses))


def narrower(graph: IntegerGraph) -> Iterator[tuple[str, IntegerGraph]]:
    """Less bits, and none, for what faces that see residues compute, hear and send."""
    for place, bound in enumerate(graph.bounds):
        if bound.population == "flux" or bound.population.startswith("residues"):
            others = [*graph.bounds[:place], *graph.bounds[place + 1 :]]
            less = replace(bound, bits=bound.bits - 1)
            yield f"{bound.population} {bound.quantity} -1", replace(graph, bounds=(*others, less))
            yield f"{bound.population} {bound.quantity}", replace(graph, bounds=tuple(others))


def other_programs(graph: IntegerGraph) -> Iterator[tuple[str, IntegerGraph]]:
    """Faces that round, divide, add or send otherwise."""
    faces, exponent = graph.sole_channels, known_face(graph).exponent
    text, half = str(faces.program), 1 << exponent >> 1
    for old, new in (
        (f"add(low, {half})", f"add(low, {half - 1})"),
        (f"add(low, {half})", "add(low, 0)"),
        (f"asr(raised, {exponent})", f"asr(raised, {exponent - 1})"),
        (f"asr(raised, {exponent})", f"asr(raised, {exponent + 1})"),
        ("add(drive, correction)", "sub(drive, correction)"),
        ("add(drive, correction)", "add(drive, raised)"),
        ("send packet, residue", "send packet, residue_before"),
        ("send packet, residue", "send packet, packet"),
        ("send packet, residue", "send packet, current"),
    ):
        assert old in text
        yield f"{old} -> {new}", graph.with_populations(replace(faces, program=parse(text.replace(old, new))))


@build
@pytest.mark.parametrize("change", [partial(other_rows, seed=1), narrower, other_programs])
def test_a_change_is_refused(
    build: Callable[[], IntegerGraph], change: Callable[[IntegerGraph], Iterator[tuple[str, IntegerGraph]]]
) -> None:
    graph = build()
    assert not is_refused(graph)
    changed = dict(change(graph))
    assert len(changed) > 8 and not [name for name, other in changed.items() if not is_refused(other)]


def test_a_drift_as_if_residues_were_seen_by_other_weights_is_refused() -> None:
    graph = seeing_box(plane_model(), (5, 6), "x=no-flux y=dirichlet=1,0.5", "dense")
    certificate = graph.certificate
    assert certificate is not None and certificate.overflow.status == "proved"
    figures = certificate.overflow.figures
    for change in (-1, 1):
        claim = replace(certificate.overflow, figures={**figures, "drift": figures["drift"] + change})
        assert "overflow" in rejected(replace(graph, certificate=replace(certificate, overflow=claim)))
