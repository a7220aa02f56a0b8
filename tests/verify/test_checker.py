"""The checker accepts what the compiler issues, and rejects every change of it that changes a claim."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    laplace_model,
    oscillating_model,
    plane_model,
    stock_box,
    zoo_graph,
)
from mutations import assert_every_field_is_proved_again, assert_random_mutations_are_rejected_or_harmless, rejected

from pisnn_deploy.compiler import CompileOptions, Lower, compile_model
from pisnn_deploy.core.errors import CompileError, FileError
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.artifact import read_artifact, write_artifact
from pisnn_deploy.graph.connections import Stencil
from pisnn_deploy.graph.kinds import known_face, with_faces
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import Boxes, parse_boundary
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate, checker


@given(
    st.sampled_from(["heat", "leak", "hidden", "plane", "laplace"]),
    st.sampled_from(["periodic", "no-flux", "dirichlet=0.5,1", "x-=no-flux x+=dirichlet=1", "dirichlet=1,1"]),
    st.sampled_from(["periodic", "no-flux", "dirichlet=0.25,1", "y-=dirichlet=0.5 y+=no-flux"]),
    st.integers(2, 14),
    st.sampled_from(["delta", "dense"]),
)
@settings(deadline=None, max_examples=60)
def test_what_the_compiler_issues_is_proved_again(kind: str, x: str, y: str, cells: int, coding: Any) -> None:
    try:
        if kind in ("plane", "laplace"):
            across, along = y if y.startswith("y") else f"y={y}", x if x.startswith("x") else f"x={x}"
            shape = (5, 6) if kind == "plane" else (24, 24)
            model = plane_model() if kind == "plane" else laplace_model()
            graph = compiled_box(model, shape, f"{along} {across}", coding)
        else:
            model = {"heat": heat_model(), "leak": heat_model(leak=900), "hidden": hidden_model()}[kind]
            graph = compiled(model, cells, x, coding)
    except CompileError:
        assume(False)
    assert check_certificate(graph) and not rejected(graph)


def test_a_wide_range_gives_an_unconditional_proof_and_runs_keep_to_it() -> None:
    model = heat_model(operating_range=OperatingRange(lower=0.0, upper=2.0))
    graph = compiled(model, 12, "no-flux")
    assert graph.certificate is not None
    claim = graph.certificate.overflow
    assert (claim.status, claim.method) == ("proved", "invariant-range")
    start = np.tile([claim.figures["start_lower"], claim.figures["start_upper"]], 6).astype(np.int64)
    run = run_graph("fast", graph, start, RunOptions(2000))
    assert run.conserved and not rejected(graph)
    assert run.trace.mass.min() >= graph.window.lower and run.trace.mass.max() <= graph.window.upper


@pytest.mark.parametrize("more", [1, 2, 3, 8])
def test_weights_of_the_wall_at_inner_faces_are_rejected(more: int) -> None:
    # The rule of the outermost face is stretched over its neighbours, so that the first face of the box is right.
    options = CompileOptions(Lower((20,), parse_boundary("no-flux", 1)), load_profile("loihi2"), search=False)
    graph = compile_model(heat_model((1 / 128, 4 / 128, 18 / 128, 46 / 128)), options)
    (drive, route) = graph.synapses
    stencil = drive.connections
    assert isinstance(stencil, Stencil)
    boxes = stencil.boxes
    first, last = boxes.lower[:, 0], boxes.lower[:, 0] + boxes.shape[:, 0]
    covered = 1 + more
    kept = np.flatnonzero((first == 0) | (last > covered))
    lower = np.where(first[kept] == 0, 0, np.maximum(first[kept], covered))
    past = np.where(first[kept] == 0, covered, last[kept])
    merged = Boxes(boxes.axis[kept], lower[:, None], (past - lower)[:, None])
    entries = np.concatenate([np.arange(stencil.starts[box], stencil.starts[box + 1]) for box in kept])
    starts = np.concatenate([[0], np.cumsum(np.diff(stencil.starts)[kept])])
    changed = Stencil(stencil.mesh, merged, starts, stencil.offsets[entries], stencil.values[entries], 1)
    wrong = replace(graph, synapses=(replace(drive, connections=changed), route))
    assert not defects(wrong)
    assert "layout" in rejected(wrong)


# Mutations ------------------------------------------------------------------------------------------------------------


@cache
def base(name: str) -> IntegerGraph:
    if name == "reservoirs":
        return compiled(heat_model((4 / 128, 18 / 128, 46 / 128)), 12, "dirichlet=0.5,1")
    if name == "plane":
        return compiled_box(plane_model(), (5, 6), "x=no-flux y=periodic")
    if name == "parabolas":
        return compiled_box(laplace_model(), (24, 24), "x=dirichlet=0,1 y=no-flux")
    if name == "limited":
        return compiled(oscillating_model(), 8, "no-flux", limiter="positivity")
    if name == "stock":
        return stock_box(shape=(12,))
    if name == "binary":
        return binary_box(heat_model(), (12,), "no-flux")
    if name in ("burgers1d", "advection_diffusion1d"):
        return zoo_graph(name)
    return compiled(hidden_model((3,)), 9, "no-flux", "dense")


@pytest.mark.parametrize(
    "name",
    [
        *("reservoirs", "plane", "parabolas", "hidden", "limited", "stock", "binary"),
        *("burgers1d", "advection_diffusion1d"),
    ],
)
def test_every_field_of_graph_and_certificate_is_proved_again(name: str) -> None:
    assert_every_field_is_proved_again(base(name))


@pytest.mark.parametrize(("name", "count"), [("reservoirs", 300), ("plane", 150), ("hidden", 150)])
def test_random_mutations_are_rejected_or_harmless(name: str, count: int) -> None:
    assert_random_mutations_are_rejected_or_harmless(base(name), count)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (Claim("proved", "floor", {"floor": 1}), "the claim differs from what the checker proved"),
        (Claim("proved", "floor-and-ceiling", {"floor": 0}), "the claim differs from what the checker proved"),
        (Claim("assumed", "floor", {"floor": 0}), "the claim differs from what the checker proved"),
        (None, "the graph has a limiter, but no claim on it"),
    ],
)
def test_another_claim_on_the_limits_is_rejected(claim: Claim | None, reason: str) -> None:
    graph = base("limited")
    assert graph.certificate is not None and not rejected(graph)
    wrong = replace(graph, certificate=replace(graph.certificate, positivity=claim))
    (finding,) = (one for one in check_certificate(wrong) if one.claim == "positivity")
    assert (finding.holds, finding.text) == (False, reason)


def positivity_of(graph: IntegerGraph) -> str:
    """What is said of the limits of a graph that they do not hold; empty where they do."""
    (finding,) = (one for one in check_certificate(graph) if one.claim == "positivity")
    return "" if finding.holds else finding.text


def test_requests_and_answers_that_go_elsewhere_are_rejected() -> None:
    graph = base("limited")
    assert not positivity_of(graph)
    joining = [s for s in graph.synapses if "answers" in (s.source, s.target) or s.port.endswith("_mass")]
    assert len(joining) == 8
    for synapse in joining:
        others = tuple(each for each in graph.synapses if each is not synapse)
        deaf = replace(graph, synapses=others)
        assert positivity_of(deaf) == (
            f"value {synapse.output} of {synapse.source} does not reach the port {synapse.port} of {synapse.target}"
        )
        mantissas = synapse.mantissas.copy()
        mantissas[3] *= 2
        twice = replace(graph, synapses=(*others, synapse.with_mantissas(mantissas)))
        assert positivity_of(twice) == (
            f"value {synapse.output} of {synapse.source} does not reach the port {synapse.port} of {synapse.target} "
            "where its ends are"
        )


@pytest.mark.parametrize(
    ("population", "parameter", "reason"),
    [
        ("answers", "least", "cell 3 keeps 1 quanta, which is not the floor 0"),
        ("flux", "beyond", "the low flux is not that of the masses and reservoirs at the ends of a face"),
        ("flux", "base", "the low flux is not that of the masses and reservoirs at the ends of a face"),
    ],
)
def test_limits_and_low_fluxes_of_single_neurons_are_rejected(population: str, parameter: str, reason: str) -> None:
    graph = base("limited")
    changed = graph.population(population)
    values = changed.parameters[parameter].copy()
    values[3] += 1
    wrong = replace(changed, parameters={**changed.parameters, parameter: values})
    assert positivity_of(graph.with_populations(wrong)) == reason


def test_a_low_flux_that_may_take_more_than_a_cell_has_is_rejected() -> None:
    graph = base("limited")
    limiter = known_face(graph).limiter
    assert limiter is not None
    too_much = (1 << known_face(graph).exponent) // 2 + 1
    wrong = with_faces(graph, limiter=replace(limiter, weight=too_much))
    assert positivity_of(wrong) == "the low flux of 2 faces may take more than a cell has"


def test_without_a_fresh_seal_no_change_of_a_byte_passes(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    path = tmp_path / "a.pisnn"
    write_artifact(path, base("reservoirs"), {})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = [name for name in members if name != "seal.json"]
    for _ in range(150):
        changed = dict(members)
        name = str(random.choice(names))
        content = bytearray(changed[name])
        content[random.integers(len(content))] ^= 1 << int(random.integers(8))
        changed[name] = bytes(content)
        store(tmp_path / "b.pisnn", changed)
        try:
            read = read_artifact(tmp_path / "b.pisnn")
        except FileError:
            continue
        assert name in read.altered and "seal" in rejected(read.graph, read.altered)


def test_a_certificate_without_hashes_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    write_artifact(path, base("reservoirs"), {})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    certificate = json.loads(members["certificate.json"])
    assert set(certificate["members"]) == set(members) - {"certificate.json", "provenance.json", "seal.json"}
    del certificate["members"]
    members["certificate.json"] = json.dumps(certificate).encode()
    store(path, members)
    read = read_artifact(path)
    assert "graph.json" in read.altered and rejected(read.graph, read.altered) == ["seal"]


def test_no_certificate_is_rejected() -> None:
    assert rejected(replace(base("reservoirs"), certificate=None)) == ["certificate"]


def store(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), KeyError((1, 2)), ValueError("singular")])
def test_numbers_that_a_check_cannot_compute_with_are_a_rejection(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(graph: IntegerGraph) -> Iterator[str]:
        raise error
        yield ""

    monkeypatch.setattr(checker, "_units", fails)
    (finding,) = (each for each in check_certificate(base("reservoirs")) if not each.holds)
    assert finding.claim == "units" and finding.text.startswith("cannot be computed from the numbers of this graph (")
