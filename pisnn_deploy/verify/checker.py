"""The checker: proves every claim of a certificate again, from the graph alone.

It imports nothing from the compiler and shares no analysis with it. `folding` folds rows at walls, bounds are Python
integers. Figures of waves come from a Fourier transform; `exactness` says which claims are proved without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.core.errors import SumTooLarge
from pisnn_deploy.core.rows import diagonal
from pisnn_deploy.graph import Certificate, Claim, IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.layout import layers_of
from pisnn_deploy.graph.traits import SEVERAL_FIELDS
from pisnn_deploy.verify import laws
from pisnn_deploy.verify.clock import clock, is_linear, named_law
from pisnn_deploy.verify.conservation import conservation
from pisnn_deploy.verify.consistency import consistency
from pisnn_deploy.verify.equation import equation
from pisnn_deploy.verify.faces import NoFace, biases, face_of, hears_late, known_face, unknown_population
from pisnn_deploy.verify.floors import floors
from pisnn_deploy.verify.folding import Folding
from pisnn_deploy.verify.layout import layout, odd_mantissas
from pisnn_deploy.verify.lines import is_memoryless
from pisnn_deploy.verify.medium import conductances, medium_stability
from pisnn_deploy.verify.positivity import positivity, where_it_cuts
from pisnn_deploy.verify.ranges import intervals
from pisnn_deploy.verify.spans import Unbounded
from pisnn_deploy.verify.stored import stored
from pisnn_deploy.verify.two_point import fluxes
from pisnn_deploy.verify.uniform import depends_on_place, uniform
from pisnn_deploy.verify.units import knows_current, units
from pisnn_deploy.verify.waves import MARGIN, axis_gains, delayed_modulus, has_axis_gains, lattice, modulus
from pisnn_deploy.verify.waves import drift as rounding

NOT_PROVED = (
    "accuracy: errors and kernels under `noted` are the compiler's own measurements",
    "the initial masses of a run",
    "the placement and the resources of each core: `check` counts them again",
    "names, pass texts, the profile and the provenance",
)
"""Contents of an artifact that no finding covers."""


@dataclass(frozen=True)
class Finding:
    """Result of checking one claim.

    Attributes
    ----------
    text : str
        What was proved again, the first error, or what is not claimed.
    is_claimed : bool
        False if the programs of this artifact do not allow the claim.
    """

    claim: str
    holds: bool
    text: str
    is_claimed: bool = True


def check_certificate(graph: IntegerGraph, altered: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Prove the claims of a graph's certificate again.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    altered : tuple of str
        Members of the artifact whose hash differs from the certificate.

    Returns
    -------
    tuple of Finding
        One per claim; the artifact can be trusted if all hold.
    """
    return tuple(findings(graph, altered))


def findings(graph: IntegerGraph, altered: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Yield the findings of `check_certificate`, proving each claim when it is asked for."""
    if graph.certificate is None:
        yield Finding("certificate", False, "the graph has no certificate; compile the model again")
        return
    if graph.spec.equation != "law" and SEVERAL_FIELDS.is_of(graph):
        yield Finding("certificate", False, f"the graph of a model is one {SEVERAL_FIELDS.text}")
        return
    seal = next((f"{name} is not what the certificate was issued for" for name in altered), "")
    yield Finding("seal", not seal, seal or "every member matches its hash in the certificate")
    has_structure = True
    for claim, check, text, missing in _checks(graph, graph.certificate):
        problem = _first(check, graph) if has_structure else "not checked: it depends on the layout, which failed"
        has_structure = has_structure and not (problem and claim in STRUCTURE)
        yield Finding(claim, not problem, problem or missing or text, bool(problem) or not missing)


STRUCTURE = ("layout", "fields")
"""Claims without which no other is checked."""
Check = Callable[[IntegerGraph], Iterator[str]]


def _checks(graph: IntegerGraph, certificate: Certificate) -> Iterator[tuple[str, Check, str, str]]:
    """Yield each claim with its check, what it says, and what it leaves out (empty for nothing)."""
    if graph.spec.equation == "law":
        yield from _checks_of_law(graph, certificate)
        return
    law = f"the problem {graph.spec.problem} is one of {graph.spec.equation}, and the mesh is the model's"
    solved, positive, face = certificate.equation, certificate.positivity, known_face(graph)
    checks: list[tuple[str, Check, str]] = [
        ("law", named_law, law),
        ("layout", layout, "synapses and biases are those of the flux network on this mesh"),
        ("clock", _clock, "time step, leak, period and exponents follow from the integer weights"),
        ("units", _units, "operating window and reservoirs are the operating range and the reservoir values in quanta"),
        ("conservation", _conservation, certificate.conservation.details),
        ("bounds", _bounds, _BOUNDS.format(len(graph.bounds))),
        ("overflow", _overflow, certificate.overflow.details),
        ("stability", _stability, certificate.stability.details),
    ]
    if positive is not None or (face is not None and face.limiter is not None):
        checks.append(("positivity", _positivity, "" if positive is None else positive.details))
    checks.append(("equation", _equation, "" if solved is None else solved.details))
    yield from ((claim, check, text, _not_claimed(graph, claim)) for claim, check, text in checks)


_BOUNDS = "all {} bounds contain the intervals of the analysis and fit their declared bits"


def _checks_of_law(graph: IntegerGraph, certificate: Certificate) -> Iterator[tuple[str, Check, str, str]]:
    name = laws.law_of(graph).name
    yield "fields", laws.named_law, f"fields, units, domain and ledgers are those of the law {name}", ""
    yield "layout", odd_mantissas, "targets store every mantissa unchanged", ""
    yield "clock", laws.schedule, "", laws.LEFT_OUT["clock"]
    yield "units", laws.windows, "operating windows and reservoirs are the ranges and values of the law in quanta", ""
    yield "conservation", _conservation, certificate.conservation.details, ""
    yield "bounds", _bounds, _BOUNDS.format(len(graph.bounds)), ""
    yield "overflow", partial(laws.overflow, claim=certificate.overflow), certificate.overflow.details, ""
    positive = certificate.positivity
    if positive is not None or graph.order.answers:
        text = "" if positive is None else positive.details
        yield "positivity", partial(floors, claim=positive), text, ""
    yield "stability", partial(laws.left_out, certificate.stability), "", laws.LEFT_OUT["stability"]
    solved = certificate.equation
    is_left_out = solved is None or solved.method == "no-theorem"
    text = "" if solved is None else solved.details
    if is_left_out or depends_on_place(graph):
        yield "alike", _nothing, "", laws.LEFT_OUT["alike"]
    else:
        yield "alike", uniform, "away from sides, the currents of random states move with them along each axis", ""
    yield "equation", partial(consistency, solved), text, laws.LEFT_OUT["equation"] if is_left_out else ""


def _nothing(graph: IntegerGraph) -> Iterator[str]:
    """Yield no error."""
    yield from ()


def _first(check: Callable[[IntegerGraph], Iterator[str]], graph: IntegerGraph) -> str:
    """Return the first error of a check, or an empty string."""
    try:
        return next(check(graph), "")
    except (NoFace, SumTooLarge, Unbounded) as error:
        return str(error)
    except (ArithmeticError, LookupError, ValueError) as error:
        # Numbers of a hostile file that no compiler writes, such as triangles without an area.
        reason = " ".join(str(error).split())
        return f"cannot be computed from the numbers of this graph ({type(error).__name__}: {reason})"


def _not_claimed(graph: IntegerGraph, claim: str) -> str:
    """Return what a claim leaves out because of an unknown program, or an empty string."""
    population = unknown_population(graph)
    if not population:
        return ""
    why = f"no theorem knows the program {graph.population(population).program.name} of {population}"
    missing = {
        "clock": "time step, leak and exponents",
        "stability": "whether modes grow",
        "equation": "what the integers solve",
    }
    if not knows_current(graph):
        missing["units"] = "the largest current"
    return f"not claimed: {missing[claim]}; {why}" if claim in missing else ""


def _clock(graph: IntegerGraph) -> Iterator[str]:
    if graph.coding is None or graph.period != _time_steps(graph):
        yield "the graph has no coding, or its period does not match its layers"
    if graph.materials is not None or unknown_population(graph):
        # With materials the time step scales the conductances, which the equation claim covers. With unknown programs
        # it is not claimed.
        return
    yield from clock(graph)


def _time_steps(graph: IntegerGraph) -> int:
    """Time steps of a PDE step: one for each layer; requests and answers of a limiter take two."""
    if hears_late(graph):
        return 1
    face = known_face(graph)
    limited = face.limiter is not None if face is not None else bool(graph.order.answers)
    return len(layers_of(graph)) + 2 * limited


def _units(graph: IntegerGraph) -> Iterator[str]:
    if math.frexp(graph.value_per_quantum)[0] != 0.5:
        yield f"the value of a quantum is {graph.value_per_quantum}, which is not a power of two"
        return
    yield from units(graph, None if graph.materials is None else conductances(graph))


def _equation(graph: IntegerGraph) -> Iterator[str]:
    claim = None if graph.certificate is None else graph.certificate.equation
    if claim is None:
        yield "the certificate has no claim on the equation"
    elif unknown_population(graph):
        if not _is_left_out(claim):
            yield "the claim differs from what the checker proved"
    else:
        yield from where_it_cuts(graph, claim)
        claim = replace(claim, figures={name: value for name, value in claim.figures.items() if name != "limited"})
        if graph.materials is not None:
            yield from fluxes(graph, claim)
        else:
            yield from equation(graph, claim)


def _is_left_out(claim: Claim) -> bool:
    """Whether a claim is explicitly left out because of an unknown program."""
    return (claim.status, claim.method, dict(claim.figures)) == ("none", "unknown-program", {})


def _conservation(graph: IntegerGraph) -> Iterator[str]:
    yield from conservation(graph, _claim(graph, "conservation"))


def _positivity(graph: IntegerGraph) -> Iterator[str]:
    assert graph.certificate is not None
    yield from positivity(graph, graph.certificate.positivity)


def _claim(graph: IntegerGraph, name: str) -> Claim:
    claim: Claim = getattr(graph.certificate, name)
    return claim


def _bounds(graph: IntegerGraph) -> Iterator[str]:
    expected = intervals(graph)
    declared = {(b.population, b.quantity): b for b in graph.bounds}
    if len(declared) != len(graph.bounds) or set(declared) != set(expected):
        odd = sorted(set(declared) ^ set(expected)) or [("a", "quantity")]
        yield f"{' '.join(odd[0])} has two bounds, no bound, or does not exist in the graph"
        return
    for key, (low, high) in expected.items():
        bound, name = declared[key], " ".join(key)
        if not bound.lower <= low <= high <= bound.upper:
            yield f"{name} ranges from {low} to {high}, but its bound is {bound.lower} to {bound.upper}"
        if signed_width(bound.lower, bound.upper) > bound.bits:
            yield f"{name} needs {signed_width(bound.lower, bound.upper)} bits, but its bound declares {bound.bits}"


def _overflow(graph: IntegerGraph) -> Iterator[str]:
    claim, window = _claim(graph, "overflow"), graph.window
    figures: dict[str, float] = {"bounds": len(graph.bounds), "lower": window.lower, "upper": window.upper}
    figures |= {n: v for n, v in (("difference", window.difference), ("current", window.current)) if v is not None}
    figures_claimed = dict(claim.figures)
    drift = int(figures_claimed.pop("drift", 0))
    start = {name: figures_claimed.pop(f"start_{name}", None) for name in ("lower", "upper", "difference")}
    if figures_claimed != figures:
        yield "the claimed operating window or number of bounds differs from the graph's"
    if claim.status == "proved" and claim.method == "invariant-range" and graph.materials is None:
        yield from _invariance(graph, drift, start)
    elif claim.status == "proved" and claim.method == "limited-range":
        face = known_face(graph)
        has_ceiling = face is not None and face.limiter is not None and face.limiter.has_ceiling
        if (
            not has_ceiling
            or window.difference is not None
            or window.current is not None
            or drift
            or any(start.values())
        ):
            yield "the claim differs from what the checker proved"
        yield from _positivity(graph)
    elif (claim.status, claim.method) != ("assumed", "operating-window") or drift or any(start.values()):
        yield "the claim differs from what the checker proved"


def _invariance(graph: IntegerGraph, drift: int, start: dict[str, float | None]) -> Iterator[str]:
    window, reservoirs, mesh = graph.window, graph.sole_field.reservoirs, graph.mesh
    lower, upper = window.lower + drift, window.upper - drift
    difference = None if window.difference is None else window.difference - 2 * drift
    if start != {"lower": lower, "upper": upper, "difference": difference} or lower > upper or (difference or 0) < 0:
        yield f"rounding may move a cell by {drift} quanta, but the claimed initial range leaves no room for that"
    if window.current is not None or not is_memoryless(graph) or not _averages(graph):
        yield "the maximum principle does not hold"
        return
    if reservoirs.size and (Folding(graph).quadratic or int(reservoirs.min()) < lower or int(reservoirs.max()) > upper):
        yield "a reservoir is outside the claimed initial range, or walls are quadratic"
    if difference is not None and not Folding(graph).lines_go_on:
        yield "adjacent reservoirs differ, so differences between neighbouring cells may grow"
    face = face_of(graph)
    needed = rounding(lattice(graph), 1 << face.exponent if face.sees_residues else None)
    if needed is None or needed > drift:
        yield f"rounding may move one of the {mesh.cells} cells by {needed} quanta, but the claim says {drift}"


def _averages(graph: IntegerGraph) -> bool:
    """Whether each new mass is an average of old masses and reservoir values, in integers."""
    theta, cells, reservoirs = 1 << face_of(graph).exponent, graph.mesh.cells, graph.sole_field.reservoirs
    route = stored(graph, FLUX, MEMBRANE).first_rows(cells)
    moved = (route @ stored(graph, MEMBRANE, FLUX)).between(0, cells)
    update = moved + diagonal(np.full(cells, theta, np.int64))
    share, inflow = theta - update.sums(), route @ biases(graph)[-1]
    low, high = (int(reservoirs.min()), int(reservoirs.max())) if reservoirs.size else (0, 0)
    inside = (share * low <= inflow).all() and (inflow <= share * high).all()
    return bool(
        update.values.min(initial=0) >= 0 and (share >= 0).all() and inside and (reservoirs.size or not share.any())
    )


def _stability(graph: IntegerGraph) -> Iterator[str]:
    claim, largest = _claim(graph, "stability"), None
    if unknown_population(graph):
        if not _is_left_out(claim):
            yield "the claim differs from what the checker proved"
        return
    if claim.method == "unknown-program":
        yield "the claim names an unknown program, but all programs are known"
    if claim.status == "none":
        return
    face = face_of(graph)
    if face.limiter is not None:
        # Limits of masses, and their constant sum, are separate claims.
        method = "between-limits" if face.limiter.has_ceiling else "constant-sum"
        proved = (claim.status, claim.method) == ("proved", method) and not claim.figures
        if not proved or (method == "constant-sum" and graph.mesh.reservoirs):
            yield "the claim differs from what the checker proved"
        return
    if graph.materials is not None:
        yield from medium_stability(graph, claim)
        return
    linear = is_linear(graph)
    if claim.method == "maximum-principle" and is_memoryless(graph) and _averages(graph):
        if claim.figures != {"reservoirs": graph.mesh.reservoirs}:
            yield "the claim differs from what the checker proved"
        return
    if claim.method == "fourier" and linear and not Folding(graph).quadratic:
        gains = lattice(graph)
        largest = delayed_modulus(gains) if face.steps_late else modulus(gains, face.leak)
    elif claim.method == "axis-eigenvalues" and linear and has_axis_gains(graph):
        largest = modulus(axis_gains(graph), face.leak)
    if largest is None or claim.status != "proved" or set(claim.figures) != {"modulus"}:
        yield "the claim differs from what the checker proved"
    elif not largest - MARGIN <= claim.figures["modulus"] <= 1:
        yield f"an amplification factor has modulus {largest:.9g}, but the claim says {claim.figures['modulus']:.9g}"
