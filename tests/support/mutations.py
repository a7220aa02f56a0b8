"""Mutations of artifacts: how a changed graph or certificate with a fresh seal fares."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from reference_runs import reference_run

from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.compiler.runner import run_passes
from pisnn_deploy.core.errors import CompileError, PisnnError
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.document import document, graph_from_document
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import Mesh
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.checker import findings

Plain = dict[str, Any]
STEPS = 15
"""PDE steps in which a run shows that an accepted mutant keeps to its claims."""
_issued: dict[bytes, IntegerGraph | None] = {}
_runs: dict[bytes, bool] = {}


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


def leaf(value: Any, path: tuple[Any, ...]) -> Any:
    """What stands at the end of a path."""
    for key in path:
        value = value[key]
    return value


def mutated_leaves(value: Any, random: np.random.Generator) -> list[Any]:
    """Other values for a leaf: of numbers small and large changes, of words others and nonsense."""
    if isinstance(value, bool):
        return [not value]
    if value is None:
        return [7]
    if isinstance(value, int):
        return [value + int(random.choice([-1000, -2, 2, 1000])), value + int(random.choice([-1, 1]))]
    if isinstance(value, float):
        return [value * factor for factor in (1 + 1e-6, 2.0, 0.5, 1.5)]
    others = {"proved": "assumed", "assumed": "proved", "none": "proved", "delta": "dense", "dense": "delta"}
    return [others.get(value, WORDS.get(value, f"{value}x"))]


FLOATS = ("fields.u.held", "mesh.points", "materials.conductivity", "materials.capacity")
"""Arrays of float64 numbers, each stored as the integer that its 64 bits are."""
WORDS = {
    "diffusion": "burgers",
    "burgers": "diffusion",
    "advection-diffusion": "diffusion",
    "laplace": "diffusion",
    "heat1d": "heat2d",
    "heat2d": "heat3d",
    "laplace2d": "heat2d",
    "burgers1d": "heat1d",
    "advection_diffusion1d": "heat1d",
    "reflection": "quadratic",
    "quadratic": "reflection",
    "periodic": "no-flux",
    "no-flux": "dirichlet",
    "dirichlet": "no-flux",
}
"""Another word of the kind."""


def replaced(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Plain data with another value at the end of a path; all beside the path is shared with the original."""
    if not path:
        return value
    changed = copy.copy(plain)
    changed[path[0]] = replaced(plain[path[0]], path[1:], value)
    return changed


def judged(described: Plain, certificate: Plain, arrays: dict[str, Any]) -> tuple[str, IntegerGraph | None]:
    """How a changed artifact with a fresh seal fares: refused at reading, rejected by the checker, or accepted."""
    try:
        graph = graph_from_document(described, certificate, arrays)
    except (ValueError, KeyError):
        return "refused", None
    if defects(graph):
        return "refused", None
    # Rejected at the first claim that does not hold; the others are not proved too.
    return ("accepted" if all(finding.holds for finding in findings(graph)) else "rejected"), graph


def is_harmless(graph: IntegerGraph, original: IntegerGraph) -> bool:
    """Whether the compiler, which shares no proof with the checker, makes the same claims of a changed graph or
    stronger ones, and a run keeps to them.
    """
    assert graph.certificate is not None and original.certificate is not None
    fresh = _issued_again(replace(graph, bounds=(), certificate=None))
    if fresh is None:
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
    return _keeps_to_its_bounds(replace(graph, certificate=None))


def _issued_again(graph: IntegerGraph) -> IntegerGraph | None:
    """The graph with bounds and claims of the compiler, or None if it refuses; many mutants differ in claims alone."""
    name = _content(graph)
    if name not in _issued:
        try:
            _issued[name] = run_passes(graph, (Bounds(32, 32, 32), Prove()))[0]
        except CompileError:
            _issued[name] = None
    return _issued[name]


def _keeps_to_its_bounds(graph: IntegerGraph) -> bool:
    """Whether a run conserves and stays within the bounds; many mutants differ in claims alone."""
    name = _content(graph)
    if name not in _runs:
        try:
            run = reference_run(graph, graph.initial, RunOptions(STEPS))
            _runs[name] = not any(run.violations[kind] for kind in ("global", "local", "flux"))
        except PisnnError:
            _runs[name] = False
    return _runs[name]


def _content(graph: IntegerGraph) -> bytes:
    return hashlib.sha256(pickle.dumps(graph, pickle.HIGHEST_PROTOCOL)).digest()


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
    if claim.method in ("moments", "states", "conductances"):
        same = claim.figures.keys() == proof.figures.keys()
        return same and all(abs(claim.figures[n] - v) <= 1.1e-3 * abs(v) + 2e-8 for n, v in proof.figures.items())
    weaker = float(claim.figures.get("modulus", 1)) >= float(proof.figures.get("modulus", 0)) - 1e-9
    return proof.status == "proved" and weaker


NO_MEANING = {
    "spec.name": "a name",
    "profile": "a name; `check` takes the profile from the library",
    "noted": "what whoever compiled it measured and said; `verify` and `inspect` say that nothing proves it",
    "mesh.material_names": "names; materials are numbers for each cell",
    "mesh.group_names": "names; reservoirs hold numbers of their own",
    "mesh.group": "which name a reservoir is shown by; reservoirs of a name hold one value",
    "populations.membrane.start": "the start of runs that name no other; `verify` says that nothing proves it",
    "placement": "`check` counts resources anew; `verify` says that nothing proves it",
}
"""Members, fields and arrays without a meaning that could be forged, and why."""
OF_LINEAR = {"spec.diffusion_number": "what it was trained for; a linear kernel says by its weights what it has"}
OF_DAMPED = {"spec.leak": "the leak on the mesh of the training; the damping says what it is on this one"}
OF_TWO_POINT = {
    **dict.fromkeys(
        ("spec.half_width", "spec.transverse", "spec.wall", "spec.leak", "spec.weight_exponents"),
        "of the kernel, which was condensed to two points",
    ),
    "spec.diffusion_number": "of the kernel, which was condensed to two points",
    "spec.diffusivity": "materials take its place, cell by cell",
}
OF_CELLS = {"spec.lengths": "the points say where the mesh lies"}


def without_meaning(graph: IntegerGraph) -> dict[str, str]:
    """Prefixes of what means nothing in a graph of this kind, each with the reason."""
    found = dict(NO_MEANING)
    if graph.materials is not None:
        found |= OF_TWO_POINT | ({} if isinstance(graph.mesh, Mesh) else OF_CELLS)
    elif not graph.between_fields:
        found |= OF_LINEAR
    return found if graph.model_spec.damping is None else found | OF_DAMPED


def meaning(graph: IntegerGraph) -> list[object]:
    """What the integers of a graph stand for: to be the same after any change that is accepted."""
    spec, scale = graph.model_spec, graph.value_per_quantum
    found: list[object] = [spec.equation, spec.problem, spec.velocity, spec.damping, spec.cell_width, spec.hidden]
    # With materials the slope bounds currents, which are in the window, up to where the range bounds them.
    slope = spec.operating_range.slope if graph.materials is None else None
    limits = (spec.operating_range.lower, spec.operating_range.upper, slope)
    # To half a quantum, which no integer tells apart.
    found += [None if limit is None else round(limit / scale) for limit in limits]
    found += [graph.window, known_face(graph), graph.period, *(p.lines for p in graph.populations)]
    found.append(str(graph.sole_channels.program))
    found += [graph.quantum, graph.time_step, scale, (graph.sole_field.reservoirs * scale).tolist()]
    if graph.materials is None:
        found.append(spec.diffusivity)
    if isinstance(graph.mesh, Mesh):
        found += [graph.mesh.lengths, graph.mesh.shape, graph.mesh.boundary]
    if graph.materials is not None:
        found += [graph.sole_field.unit_volume, graph.sole_field.inverse_volume.tolist()]
    return found


def assert_harmless(what: str, changed: IntegerGraph, original: IntegerGraph) -> None:
    """An accepted change must leave the meaning and claims that the compiler makes too."""
    assert repr(meaning(changed)) == repr(meaning(original)), what
    assert is_harmless(changed, original), what


def assert_every_field_is_proved_again(original: IntegerGraph) -> Counter[str]:
    """Change each leaf and each array: rejected, refused at reading, without meaning, or harmless.

    Returns
    -------
    Counter of str
        How many changes met which fate.
    """
    random = np.random.default_rng(1)
    described, certificate, arrays = document(original)
    nothing = tuple(without_meaning(original))
    fates: Counter[str] = Counter()

    def judge(what: str, plain: Plain, claims: Plain, numbers: dict[str, Any]) -> None:
        fate, graph = judged(plain, claims, numbers)
        if fate == "accepted" and what.startswith(nothing):
            fate = "without meaning"
        elif fate == "accepted":
            assert graph is not None
            assert_harmless(what, graph, original)
            fate = "harmless"
        fates[fate] += 1

    for path in leaves(described):
        where = ".".join(map(str, path))
        for value in mutated_leaves(leaf(described, path), random):
            judge(where, replaced(described, path, value), certificate, arrays)
    for path in leaves(certificate):
        for value in mutated_leaves(leaf(certificate, path), random):
            judge("certificate", described, replaced(certificate, path, value), arrays)
    for member, array in arrays.items():
        if array.size:
            for wrong in (array[:-1], np.concatenate([array, array[:1]]), array + 1):
                judge(member, described, certificate, {**arrays, member: wrong})
        if array.size and member in FLOATS:
            for factor in (2.0, 1.01, 1 + 1e-6, -1.0):
                doubles = np.ascontiguousarray(array).view(np.float64) * factor
                judge(member, described, certificate, {**arrays, member: doubles.view(np.int64)})
    assert fates["rejected"] > 20 and fates["refused"] > 20, fates
    return fates


def assert_random_mutations_are_rejected_or_harmless(original: IntegerGraph, count: int) -> None:
    """Change one leaf or one number of an array, many times."""
    random = np.random.default_rng(2)
    described, certificate, arrays = document(original)
    nothing = tuple(without_meaning(original))
    paths = [(described, path) for path in leaves(described)] + [(certificate, path) for path in leaves(certificate)]
    members = [member for member, array in arrays.items() if array.size]
    fates: Counter[str] = Counter()
    for _ in range(count):
        changed_graph, changed_claims, changed_arrays = described, certificate, dict(arrays)
        if random.random() < 0.6:
            what = str(random.choice(members))
            array = arrays[what].copy()
            array.flat[random.integers(array.size)] += random.choice([-2000, -4, -2, -1, 1, 2, 4, 2000])
            changed_arrays[what] = array
        else:
            plain, path = paths[random.integers(len(paths))]
            changed = replaced(plain, path, random.choice(np.array(mutated_leaves(leaf(plain, path), random), object)))
            changed_graph, changed_claims = (changed, certificate) if plain is described else (described, changed)
            what = ".".join(map(str, path))
        fate, graph = judged(changed_graph, changed_claims, changed_arrays)
        fates[fate] += 1
        if fate == "accepted" and not what.startswith(nothing):
            assert graph is not None
            assert_harmless(what, graph, original)
    assert fates["rejected"] > count / 10, fates
