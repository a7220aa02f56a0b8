"""Rules on the certificate: what must be proved before a graph runs on hardware."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.checks.rule import GRAPH, AnySubject, Violation, common_rule
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.claims import Method
from pisnn_deploy.graph.fields import Field

UNKNOWN: tuple[Method, ...] = ("unknown-program", "no-theorem")


@common_rule("PD201", "certificate-present")
def certificate_present(subject: AnySubject) -> Iterator[Violation]:
    """The graph has a certificate.

    Hardware does not report lost mass, so conservation must be proved in advance.

    Fix: compile the model with the standard pipeline, whose `prove` pass writes the certificate.
    """
    if subject.graph.certificate is None:
        yield Violation(GRAPH, "none", "present", "the graph has no certificate")


@common_rule("PD202", "conservation-proved")
def conservation_proved(subject: AnySubject) -> Iterator[Violation]:
    """The certificate proves conservation of mass.

    An assumption is not enough: either conservation holds by construction, for all values, or it does not hold.

    Fix: read the details of the claim with `pisnn-deploy verify`, and compile the model again.
    """
    certificate = subject.graph.certificate
    if certificate is not None and certificate.conservation.status != "proved":
        claim = certificate.conservation
        yield Violation(GRAPH, claim.status, "proved", f"conservation is not proved: {claim.details}")


@common_rule("PD203", "overflow-bounded")
def overflow_bounded(subject: AnySubject) -> Iterator[Violation]:
    """The certificate bounds every state and payload, at least within the operating range.

    The rules on widths depend on these bounds.

    Fix: give the model an operating range with a slope, and compile it again.
    """
    certificate = subject.graph.certificate
    if certificate is not None and certificate.overflow.status == "none":
        claim = certificate.overflow
        yield Violation(GRAPH, "none", "assumed", f"states and payloads are not bounded: {claim.details}")


@common_rule("PD204", "certificate-valid")
def certificate_valid(subject: AnySubject) -> Iterator[Violation]:
    """Every claim of the certificate can be proved again from the artifact alone.

    The checker behind `pisnn-deploy verify` repeats the proof and compares the hashes of graph and arrays.

    Fix: compile the model again; do not edit artifacts.
    """
    for claim, reason in subject.rejected:
        yield Violation(GRAPH, claim, "proved", f"{claim}: {reason}")


@common_rule("PD205", "ledgers-last")
def ledgers_last(subject: AnySubject) -> Iterator[Violation]:
    """No ledger can wrap within the planned number of PDE steps.

    A reservoir's ledger grows as long as a steady flux passes through it. The certificate says how many PDE steps its
    48 bits last at the largest packet. `--horizon` sets the planned number of PDE steps (default: 1,000,000).

    Fix: compile with a narrower operating range or a smaller `--flux`, or read the ledgers and reset them in time.
    """
    certificate = subject.graph.certificate
    lasts = None if certificate is None else certificate.conservation.figures.get("ledger_steps")
    if lasts is not None and lasts < subject.horizon:
        message = f"a ledger may wrap after {lasts} PDE steps, but {subject.horizon} are planned"
        holders = [field.holder for field in subject.graph.fields if field.reservoirs.size]
        yield Violation((holders or subject.graph.holders)[0], lasts, subject.horizon, message)


@common_rule("PD206", "start-in-range")
def start_in_range(subject: AnySubject) -> Iterator[Violation]:
    """The initial masses are within the operating range.

    The widths depend on that range. A run that starts outside stops at its first PDE step.

    Fix: compile with `--range LOWER,UPPER` or `--slope` to widen the range, or start from another field.
    """
    graph = subject.graph
    for field in graph.fields:
        holders, window = graph.population(field.holder), field.window
        (state,) = holders.program.states
        levels = field.levels(holders.started()[state][: field.cells])
        for cell in np.flatnonzero((levels < window.lower) | (levels > window.upper))[:1].tolist():
            level, limit = int(levels[cell]), window.lower if levels[cell] < window.lower else window.upper
            message = f"cell {cell} starts at {level}, outside {window.lower} to {window.upper}"
            yield Violation(field.holder, level, limit, message)
        if window.difference is not None:
            yield from _steep_start(graph, field, levels, window.difference)


def _steep_start(graph: IntegerGraph, field: Field, levels: NDArray[np.int64], difference: int) -> Iterator[Violation]:
    """Yield the first channel between holders of a field whose values differ by more than the window allows."""
    shown = np.concatenate([levels, field.reservoirs])
    for channels in graph.channels:
        if {channels.source_holder, channels.target_holder} != {field.holder}:
            continue
        steepness = np.abs(shown[channels.target] - shown[channels.source])
        beside = np.maximum(channels.source, channels.target) >= field.cells
        limits = np.where(beside, difference // 2, difference)
        for face in np.flatnonzero(steepness > limits)[:1].tolist():
            value, limit = int(steepness[face]), int(limits[face])
            message = f"the start differs by {value} across face {face}, but at most {limit} is allowed"
            yield Violation(channels.population, value, limit, message)


@common_rule("PD207", "programs-known")
def programs_known(subject: AnySubject) -> Iterator[Violation]:
    """The neurons run programs that all claims cover.

    Bounds and conservation are proved for any program. The time step, stability and the equation are claimed only for
    the programs in docs/reference/neurons.md. For other programs, and for graphs of a law, these claims are left out,
    which is not an error.

    Fix: if you need these claims, use a program from docs/reference/neurons.md.
    """
    certificate = subject.graph.certificate
    missing = [name for name, claim in certificate.claims.items() if claim.method in UNKNOWN] if certificate else []
    if missing:
        message = f"not claimed, because no theorem knows what the neurons do: time step, {', '.join(missing)}"
        yield Violation(GRAPH, "none", "proved", message, "info")
