"""Mutations of artifacts: how a changed graph or certificate with a fresh seal fares."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pisnn_deploy.backends import RunOptions, run_graph
from pisnn_deploy.compiler.bound import Bounds
from pisnn_deploy.compiler.pipeline import run_passes
from pisnn_deploy.compiler.prove import Prove
from pisnn_deploy.errors import CompileError, PisnnError
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.document import document, graph_from_document
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.verify import check_certificate

Plain = dict[str, Any]


def rejected(graph: IntegerGraph, altered: tuple[str, ...] = ()) -> list[str]:
    return [finding.claim for finding in check_certificate(graph, altered) if not finding.holds]


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
    for name, claim in graph.certificate.claims.items():
        proof = fresh.certificate.claims.get(name)
        if proof is None or not implies(proof, claim):
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
    if claim.method == "shares":
        weaker = claim.figures["most_faces"] >= proof.figures["most_faces"]
        return weaker and claim.figures["shift"] == proof.figures["shift"] and claim.status == proof.status
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


def assert_every_field_is_proved_again(original: IntegerGraph) -> None:
    """Change each leaf and each array once: rejected, refused at reading, or harmless."""
    random = np.random.default_rng(1)
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


def assert_random_mutations_are_rejected_or_harmless(original: IntegerGraph, count: int) -> None:
    """Change one leaf or one number of an array, many times."""
    random = np.random.default_rng(2)
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
