"""Checks of a state to continue from, which may come from a file, a worker or a caller, and is untrusted.

They do not prove that the run was in this state; only repeating the run can. They ensure that the state is possible: it
has the initial mass plus its packets, within the operating range and all declared widths.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.facts import channel_facts
from pisnn_deploy.audit.invariants import Audit
from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation, UsageError
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.semantics import kept_current
from pisnn_deploy.runs.run import Integers, RunState
from pisnn_deploy.runs.verdict import exact_sums


def require_fit(graph: IntegerGraph, state: RunState) -> None:
    """Refuse a state that exceeds the operating range or a declared width, which a backend's arrays might truncate.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.

    Raises
    ------
    UsageError
        With the error, the population and the index.
    """
    problem = misfit(graph, state)
    if problem:
        raise UsageError(f"the state at PDE step {state.step}: {problem}")


def misfit(graph: IntegerGraph, state: RunState) -> str:
    """Return where a state exceeds the operating range or a declared width, or an empty string."""
    return next(_misfits(graph, state), "")


def state_problem(graph: IntegerGraph, mass: Integers, state: RunState) -> str:
    """Return the first error in a state of a run from these masses, or an empty string.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    mass : int64 array [cells]
        Initial masses in quanta.
    """
    return next(_problems(graph, mass, state), "")


def moved(graph: IntegerGraph, mass: Integers, transported: Integers) -> Integers:
    """Return masses and ledgers after some packets, int64 [holders].

    Sums of absurd numbers may wrap; they are compared with sums that wrap in the same way.

    Parameters
    ----------
    mass : int64 array [cells]
        Initial masses in quanta.
    transported : int64 array [faces]
        Sum of the packets through each face, in quanta.
    """
    return graph.sole_field.holdings(mass) + graph.mesh.divergence(transported)


def _problems(graph: IntegerGraph, mass: Integers, state: RunState) -> Iterator[str]:
    if (problem := _shapes(graph, state)) or (problem := _beyond_half(graph, state)):
        yield problem
    expected = moved(graph, mass, state.transported)
    if (wrong := first_true(expected != state.mass)) is not None:
        actual, right = state.mass[wrong], expected[wrong]
        yield f"masses do not match the packets: membrane [{wrong}] is {actual}, not {right}"
    yield from _misfits(graph, state)
    yield from _packets(graph, state)


def _misfits(graph: IntegerGraph, state: RunState) -> Iterator[str]:
    if (problem := _shapes(graph, state)) or (problem := _beyond_half(graph, state)):
        yield problem
    yield from _outside(graph, state)
    if (wrong := first_true(state.current != kept_current(graph, state.current))) is not None:
        yield f"a current that the leak should have removed: flux [{wrong}] has {state.current[wrong]}"


def _shapes(graph: IntegerGraph, state: RunState) -> str:
    mesh = graph.mesh
    sizes = {"mass": mesh.holders, "current": mesh.faces, "residue": mesh.faces, "transported": mesh.faces}
    fits = all(getattr(state, name).shape == (size,) for name, size in sizes.items())
    return "" if fits else "arrays of another mesh"


def _beyond_half(graph: IntegerGraph, state: RunState) -> str:
    """Return a residue that is impossible after firing, or an empty string."""
    first = 0
    for facts in channel_facts(graph):
        residue = state.residue[first : first + facts.source.size]
        first += residue.size
        half = None if facts.firing is None else facts.firing.rest
        wrong = None if half is None else first_true((residue > half) | (residue < -half))
        if wrong is not None:
            return f"a residue above half of theta, {half}: {facts.population} [{wrong}] has {residue[wrong]}"
    return ""


def _outside(graph: IntegerGraph, state: RunState) -> Iterator[str]:
    """Yield values outside declared widths, then outside the operating range (by the audit)."""
    window, cells = graph.window, graph.mesh.cells
    # Check widths first, because multiplied masses might wrap into the range.
    declared = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    parts = (
        (MEMBRANE, "mass", state.mass[:cells]),
        (MEMBRANE, "ledger", state.mass[cells:]),
        (FLUX, "residue", state.residue),
        (FLUX, "current", state.current),
    )
    for population, quantity, values in parts:
        bits = declared.get((population, quantity))
        try:
            if bits is not None:
                require_width(values, bits, population, quantity, state.step)
        except OverflowViolation as violation:
            yield f"{_WHERE.get(quantity, '')}{violation}"
    try:
        Audit(graph, state).observe_membranes(state.step, state.mass, absorbing=True)
    except InvariantViolation as violation:
        yield f"masses outside the operating range: {violation.place} is {violation.found}, limit {violation.expected}"
    largest = window.current
    if largest is not None and (wrong := first_true(np.abs(state.current) > largest)) is not None:
        yield f"currents outside the operating range: flux [{wrong}] has {state.current[wrong]}, limit {largest}"


_WHERE = {"mass": "masses outside the operating range: "}


def _packets(graph: IntegerGraph, state: RunState) -> Iterator[str]:
    """Yield sums and counts that are impossible after this number of PDE steps."""
    faces = graph.mesh.faces
    most = 1 << (graph.bits(FLUX, "packet") - 1)
    sums = np.abs(state.transported)
    if (wrong := first_true(sums < 0)) is not None:  # the absolute value of the lowest 64-bit integer wraps
        yield f"more packets than any run sends: flux [{wrong}] sums up to {state.transported[wrong]}"
    if (wrong := first_true(sums > min(most * state.step, _LARGEST))) is not None:
        yield (
            f"more packets than {state.step} PDE steps can send: flux [{wrong}] sums up to {state.transported[wrong]}"
        )
    net = exact_sums(sums[None])[0]
    limits = {
        "packets_sent": (0, faces * state.step),
        "quanta_sent": (max(net, state.packets_sent), most * state.packets_sent),
        "in_flight": (0, most * faces if state.step else 0),
    }
    for name, (least, largest) in limits.items():
        value = getattr(state, name)
        if not least <= value <= largest:
            yield f"its counts belong to another run: {name} is {value}, outside {least} to {largest}"
    if (state.quanta_sent - net) % 2:
        yield f"its counts belong to another run: quanta_sent is {state.quanta_sent}, but the packets sum up to {net}"


_LARGEST = (1 << 63) - 1


def first_true(wrong: NDArray[np.bool_]) -> int | None:
    """Index of the first true element, or None."""
    return int(wrong.argmax()) if wrong.any() else None
