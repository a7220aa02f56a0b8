"""Faces that see residues: the equation of the low limbs, what is refused, and what `verify` finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from compiled_once import compile_once
from models_under_test import compiled, heat_model, hidden_model, plane_model, seeing_box
from two_point_graphs import seeing_materials

import pisnn_deploy as pd
from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerTwoPoint
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import divergence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.residues import values_with_residues
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.programs import parse
from pisnn_deploy.runs.registry import run_graph
from pisnn_deploy.runs.run import RunOptions
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify.checker import check_certificate

STEPS = 12


def seeing_levels() -> IntegerGraph:
    """Cells of different capacity, whose faces would see residues."""
    lower = LowerTwoPoint((6,), parse_boundary("periodic", 1), {}, None, np.linspace(1.0, 3.0, 6))
    options = GraphOptions(digits="one", residues="seen")
    return compile_once(heat_model(), CompileOptions(lower, load_profile("loihi2"), options))


BUILDS: tuple[Callable[[], IntegerGraph], ...] = (
    seeing_box,
    lambda: seeing_box(heat_model(leak=900), (9,), "dirichlet=0.5,1.5"),
    lambda: seeing_box(plane_model(), (5, 6), "x=no-flux y=dirichlet=1,0.5", "dense"),
    seeing_materials,
)


def failed(graph: IntegerGraph) -> list[str]:
    """Claims that the checker does not find."""
    return [finding.claim for finding in check_certificate(graph) if not finding.holds]


@pytest.mark.parametrize("build", BUILDS)
def test_faces_weight_residues_like_the_masses_of_their_cells(build: Callable[[], IntegerGraph]) -> None:
    graph = build()
    face, mesh = known_face(graph), graph.mesh
    weights, bias = graph.matrix(MEMBRANE, FLUX).toarray(), graph.sole_channels.parameters["bias"]
    semantics = Semantics(graph)
    state = semantics.start(graph.initial)
    current = np.zeros(mesh.faces, np.int64)
    for step in range(STEPS):
        shown = state.mass.copy()
        shown[mesh.cells :] = 0
        low = divergence(graph, state.residue)
        low[mesh.cells :] = 0
        correction = (weights @ low + (1 << face.exponent >> 1)) >> face.exponent
        kept = np.sign(current) * ((np.abs(current) * (4096 - face.leak)) >> 12)
        current = kept + weights @ shown + bias + correction
        state = semantics.step(state, step)
        assert np.array_equal(state.current, current)
        assert not divergence(graph, state.residue).sum()


@pytest.mark.parametrize("backend", ["fast", "onnx", "torch"])
@pytest.mark.parametrize("build", BUILDS)
def test_every_backend_has_the_same_integers_and_counts(build: Callable[[], IntegerGraph], backend: str) -> None:
    graph = build()
    expected = run_graph(
        "torch" if backend == "fast" else "fast", graph, graph.initial, RunOptions(STEPS, everything=True)
    )
    run = run_graph(backend, graph, graph.initial, RunOptions(STEPS, everything=True))
    assert run.conserved and run.events == expected.events
    for name in ("mass", "ledger", "transported", "flux"):
        assert np.array_equal(getattr(run.trace, name), getattr(expected.trace, name))


def test_two_parts_of_a_run_are_the_whole() -> None:
    graph = seeing_box()
    whole = run_graph("fast", graph, graph.initial, RunOptions(STEPS))
    first = run_graph("fast", graph, graph.initial, RunOptions(STEPS, until=5))
    second = run_graph("fast", graph, graph.initial, RunOptions(STEPS, start=first.end))
    assert whole.end is not None and second.end is not None
    assert np.array_equal(whole.end.mass, second.end.mass) and whole.events == second.events


@pytest.mark.parametrize("build", BUILDS)
def test_verify_proves_every_claim_again(build: Callable[[], IntegerGraph]) -> None:
    graph = build()
    assert not [*defects(graph)] and not failed(graph)


def test_overflow_stays_proved_where_a_maximum_principle_holds() -> None:
    claim = seeing_box().certificate
    assert claim is not None and claim.overflow.status == "proved"


def test_verify_finds_a_residue_with_the_weight_of_another() -> None:
    graph = seeing_box()
    synapses = [
        synapse.with_mantissas(np.where(np.arange(synapse.entries) == 3, 2, synapse.mantissas))
        if synapse.port == "low"
        else synapse
        for synapse in graph.synapses
    ]
    assert "layout" in failed(replace(graph, synapses=tuple(synapses)))


def test_verify_claims_nothing_of_faces_that_round_otherwise() -> None:
    graph = seeing_box()
    faces = graph.sole_channels
    text = str(faces.program)
    assert "raised = add(low, 128)" in text
    other = graph.with_populations(replace(faces, program=parse(text.replace("add(low, 128)", "add(low, 127)"))))
    assert {"stability", "equation"} <= set(failed(other))


def test_a_residue_that_nobody_sends_is_no_graph() -> None:
    graph = seeing_box()
    others = tuple(synapse for synapse in graph.synapses if synapse.port != "low")
    assert any("no synapse leads to port low of flux" in text for text in defects(replace(graph, synapses=others)))
    heard = tuple(replace(s, output=0) if s.port == "low" else s for s in graph.synapses)
    assert any("hears of itself only what becomes a state" in text for text in defects(replace(graph, synapses=heard)))


def test_reading_adds_what_has_not_fired() -> None:
    graph = seeing_box()
    run = run_graph("fast", graph, graph.initial, RunOptions(STEPS))
    assert run.end is not None
    mass, residue = run.trace.mass[-1], run.end.residue
    theta = 1 << known_face(graph).exponent
    limbs = (values_with_residues(graph, mass, residue) / graph.value_per_quantum - mass) * theta
    assert np.array_equal(limbs, divergence(graph, residue)) and limbs.any()
    assert np.array_equal(values_with_residues(graph, mass, None), graph.values(mass))
    plain = compiled()
    assert np.array_equal(values_with_residues(plain, plain.initial, residue), plain.values(plain.initial))


def test_a_flipped_residue_is_found() -> None:
    graph = seeing_box()
    run = run_graph("fast", graph, graph.initial, RunOptions(STEPS, faults=(parse_fault("flip:residue[3].bit2@4"),)))
    assert run.violations["flux"] and not run.conserved
    healed = run_graph(
        "fast", graph, graph.initial, RunOptions(STEPS, faults=(parse_fault("flip:residue[3].bit2@4"),), recovers=True)
    )
    clean = run_graph("fast", graph, graph.initial, RunOptions(STEPS))
    assert healed.end is not None and clean.end is not None and np.array_equal(healed.end.mass, clean.end.mass)


def test_the_search_sees_residues_where_that_pays() -> None:
    auto = pd.compile("heat1d", residues="auto").graph
    assert known_face(auto).sees_residues
    assert (auto.quantisation.relative_l2_integer or 1.0) <= 1.6e-7
    history = {record.name: record.summary for record in auto.history}
    assert history["search-residues"].startswith("4.67e-07 unseen, 1.54e-07 seen, for +0 neurons, +1,")


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: pd.compile("heat1d", residues="seen", limiter="positivity"), "`residues` seen: a limiter drops"),
        (lambda: pd.compile("heat1d", residues="seen", processes="stock"), "`residues` seen: SigmaDelta hears no"),
        (lambda: seeing_box(hidden_model()), "see-residues: faces see no residues with hidden layers"),
        (seeing_levels, "see-residues: faces see no residues with materials of different capacity or of"),
        (lambda: pd.compile("heat1d", residues="seen", spikes="binary"), "see-residues: .* with binary spikes"),
    ],
)
def test_what_cannot_see_residues_is_refused(build: Callable[[], object], sentence: str) -> None:
    with pytest.raises((UsageError, CompileError), match=sentence):
        build()
