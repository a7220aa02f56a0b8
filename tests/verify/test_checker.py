"""The checker accepts what the compiler issues, and rejects every change of it that changes a claim."""

from __future__ import annotations

import copy
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models_under_test import compiled, compiled_box, heat_model, hidden_model, laplace_model, plane_model

from pisnn_deploy.backends import RunOptions, run_graph
from pisnn_deploy.compiler import CompileOptions, compile_model
from pisnn_deploy.compiler.bound import Bounds
from pisnn_deploy.compiler.pipeline import run_passes
from pisnn_deploy.compiler.prove import Prove
from pisnn_deploy.errors import CompileError, FileError, PisnnError
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.artifact import read_artifact, write_artifact
from pisnn_deploy.graph.connections import Stencil
from pisnn_deploy.graph.document import document, graph_from_document
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import Boxes, parse_boundary
from pisnn_deploy.model import OperatingRange
from pisnn_deploy.profiles import load_profile
from pisnn_deploy.verify import check_certificate

Plain = dict[str, Any]


def rejected(graph: IntegerGraph, altered: tuple[str, ...] = ()) -> list[str]:
    return [finding.claim for finding in check_certificate(graph, altered) if not finding.holds]


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
    options = CompileOptions((20,), parse_boundary("no-flux", 1), load_profile("loihi2"), search=False)
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
    return compiled(hidden_model((3,)), 9, "no-flux", "dense")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything in plain data that is no list or object."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path
    else:
        for key, item in inner:
            yield from leaves(item, (*path, key))


def mutated_leaf(value: Any, random: np.random.Generator) -> Any:
    if isinstance(value, bool) or value is None:
        return 7
    if isinstance(value, int):
        return value + int(random.choice([-1000, -2, -1, 1, 2, 1000]))
    if isinstance(value, float):
        return value * float(random.choice([1 + 1e-6, 2.0, 0.5, 1.5]))
    return {"proved": "assumed", "assumed": "proved", "none": "proved", "delta": "dense", "dense": "delta"}.get(
        value, f"{value}x"
    )


def replaced(plain: Plain, path: tuple[Any, ...], random: np.random.Generator) -> Plain:
    changed = copy.deepcopy(plain)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = mutated_leaf(place[path[-1]], random)
    return changed


def judged(described: Plain, certificate: Plain, arrays: dict[str, Any]) -> tuple[str, IntegerGraph | None]:
    """How a changed artifact with a fresh seal fares: refused at reading, rejected by the checker, or accepted."""
    try:
        graph = graph_from_document(described, certificate, arrays)
    except (ValueError, KeyError):
        return "refused", None
    if defects(graph):
        return "refused", None
    return ("rejected" if rejected(graph) else "accepted"), graph


def is_harmless(graph: IntegerGraph, original: IntegerGraph) -> bool:
    """Whether the compiler, which shares no proof with the checker, makes the same claims of a changed graph or
    stronger ones, and a run keeps to them.
    """
    assert graph.certificate is not None and original.certificate is not None
    try:
        fresh, _ = run_passes(replace(graph, bounds=(), certificate=None), (Bounds(32, 32, 32), Prove()))
    except CompileError:
        return False
    assert fresh.certificate is not None
    given = {(b.population, b.quantity): b for b in graph.bounds}
    if not all(
        given[b.population, b.quantity].lower <= b.lower <= b.upper <= given[b.population, b.quantity].upper
        for b in fresh.bounds
    ):
        return False
    for name in ("conservation", "overflow", "stability"):
        claim, proof = getattr(graph.certificate, name), getattr(fresh.certificate, name)
        if not implies(proof, claim):
            return False
    try:
        run = run_graph("fast", graph, graph.membrane.initial, RunOptions(30))
    except PisnnError:
        return False
    return not any(run.violations[kind] for kind in ("global", "local", "flux"))


def implies(proof: Claim, claim: Claim) -> bool:
    if claim.status == "none" or claim == proof:
        return True
    if claim.method == "operating-window":
        return (
            proof.method in ("operating-window", "invariant-range") and claim.figures.items() <= proof.figures.items()
        )
    if claim.method == "incidence":
        return claim.figures.get("ledger_steps", 0) <= proof.figures.get("ledger_steps", 0)
    if claim.method == "invariant-range":
        return proof.method == claim.method and claim.figures["drift"] >= proof.figures["drift"]
    weaker = float(claim.figures.get("modulus", 1)) >= float(proof.figures.get("modulus", 0)) - 1e-9
    return proof.status == "proved" and weaker


NO_CLAIM = (
    "spec.name",
    "spec.problem",
    "spec.operating_range",
    "spec.diffusion_number",
    "passes",
    "quantisation",
    "profile",
)
"""Fields of graph.json that say where a graph comes from and what was measured; no claim rests on them."""


@pytest.mark.parametrize("name", ["reservoirs", "plane", "parabolas", "hidden"])
def test_every_field_of_graph_and_certificate_is_proved_again(name: str) -> None:
    random = np.random.default_rng(1)
    original = base(name)
    described, certificate, arrays = document(original)
    fates: Counter[str] = Counter()
    for path in leaves(described):
        fate, graph = judged(replaced(described, path, random), certificate, arrays)
        fates[fate] += 1
        where = ".".join(map(str, path))
        if fate == "accepted" and not where.startswith(NO_CLAIM):
            assert graph is not None and is_harmless(graph, original), where
    for path in leaves(certificate):
        fate, graph = judged(described, replaced(certificate, path, random), arrays)
        fates[fate] += 1
        if fate == "accepted":
            assert graph is not None and is_harmless(graph, original), path
    for member, array in arrays.items():
        if array.size == 0:
            continue
        for wrong in (array[:-1], np.concatenate([array, array[:1]]), array + 1):
            fate, graph = judged(described, certificate, {**arrays, member: wrong})
            fates[fate] += 1
            if fate == "accepted":
                assert graph is not None and is_harmless(graph, original), member
    assert fates["rejected"] > 20 and fates["refused"] > 20, fates


@pytest.mark.parametrize(("name", "count"), [("reservoirs", 300), ("plane", 150), ("hidden", 150)])
def test_random_mutations_are_rejected_or_harmless(name: str, count: int) -> None:
    random = np.random.default_rng(2)
    original = base(name)
    described, certificate, arrays = document(original)
    paths = [(described, path) for path in leaves(described)] + [(certificate, path) for path in leaves(certificate)]
    members = [member for member, array in arrays.items() if array.size]
    fates: Counter[str] = Counter()
    for _ in range(count):
        changed_graph, changed_claims, changed_arrays = described, certificate, dict(arrays)
        if random.random() < 0.6:
            member = str(random.choice(members))
            array = arrays[member].copy()
            array.flat[random.integers(array.size)] += random.choice([-2000, -4, -2, -1, 1, 2, 4, 2000])
            changed_arrays[member] = array
            what: object = member
        else:
            plain, path = paths[random.integers(len(paths))]
            changed = replaced(plain, path, random)
            changed_graph, changed_claims = (changed, certificate) if plain is described else (described, changed)
            what = path
        fate, graph = judged(changed_graph, changed_claims, changed_arrays)
        fates[fate] += 1
        where = ".".join(map(str, what)) if isinstance(what, tuple) else str(what)
        if fate == "accepted" and not where.startswith(NO_CLAIM):
            assert graph is not None and is_harmless(graph, original), what
    assert fates["rejected"] > count / 10, fates


def test_without_a_fresh_seal_no_change_of_a_byte_passes(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    path = tmp_path / "a.pisnn"
    write_artifact(path, base("reservoirs"), {})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = [name for name in members if name not in ("provenance.json", "certificate.json")]
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
    assert set(certificate["members"]) == set(members) - {"certificate.json", "provenance.json"}
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
