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
from pisnn_deploy.graph.columns import columns_of, divergence
from pisnn_deploy.graph.currents import kept_current
from pisnn_deploy.graph.integer import IntegerGraph
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
        Initial masses in quanta, field by field.
    transported : int64 array [channels]
        Sum of the packets through each channel, in quanta.
    """
    return columns_of(graph).holdings(mass) + divergence(graph, transported)


def _problems(graph: IntegerGraph, mass: Integers, state: RunState) -> Iterator[str]:
    if (problem := _shapes(graph, state)) or (problem := _beyond_half(graph, state)):
        yield problem
    expected = moved(graph, mass, state.transported)
    if (wrong := first_true(expected != state.mass)) is not None:
        actual, right = state.mass[wrong], expected[wrong]
        yield f"masses do not match the packets: {holder_place(graph, wrong)} is {actual}, not {right}"
    yield from _misfits(graph, state)
    yield from _packets(graph, state)


def _misfits(graph: IntegerGraph, state: RunState) -> Iterator[str]:
    if (problem := _shapes(graph, state)) or (problem := _beyond_half(graph, state)):
        yield problem
    yield from _outside(graph, state)
    if (wrong := first_true(state.current != kept_current(graph, state.current))) is not None:
        yield (
            f"a current that the leak should have removed: {_channel_place(graph, wrong)} has {state.current[wrong]}"
        )


def _shapes(graph: IntegerGraph, state: RunState) -> str:
    columns = columns_of(graph)
    sizes = {"mass": columns.holders, **dict.fromkeys(("current", "residue", "transported"), columns.size)}
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
    columns = columns_of(graph)
    # Check widths first, because multiplied masses might wrap into the range.
    declared = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    parts = [
        (field.holder, quantity, state.mass[part])
        for field in columns.fields
        for quantity, part in (("mass", field.held_cells), ("ledger", field.held_reservoirs))
    ]
    for channels in columns.channels:
        parts.append((channels.population, "residue", state.residue[channels.part]))
        parts.append((channels.population, "current", state.current[channels.part]))
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
    for channels, facts in zip(columns.channels, channel_facts(graph), strict=True):
        current, largest = state.current[channels.part], facts.current
        if largest is not None and (wrong := first_true(np.abs(current) > largest)) is not None:
            place = f"{channels.population} [{wrong}]"
            yield f"currents outside the operating range: {place} has {current[wrong]}, limit {largest}"


_WHERE = {"mass": "masses outside the operating range: "}


def _packets(graph: IntegerGraph, state: RunState) -> Iterator[str]:
    """Yield sums and counts that are impossible after this number of PDE steps."""
    sums = np.abs(state.transported)
    if (wrong := first_true(sums < 0)) is not None:  # the absolute value of the lowest 64-bit integer wraps
        place, number = _channel_place(graph, wrong), state.transported[wrong]
        yield f"more packets than any run sends: {place} sums up to {number}"
    widest = at_once = channel_count = 0
    for channels in columns_of(graph).channels:
        most, part = largest_packet(graph, channels.population), sums[channels.part]
        if (wrong := first_true(part > min(most * state.step, _LARGEST))) is not None:
            place, number = f"{channels.population} [{wrong}]", state.transported[channels.part][wrong]
            yield f"more packets than {state.step} PDE steps can send: {place} sums up to {number}"
        widest, at_once = max(widest, most), at_once + most * channels.count
        channel_count += channels.count
    net = exact_sums(sums[None])[0]
    limits = {
        "packets_sent": (0, channel_count * state.step),
        "quanta_sent": (max(net, state.packets_sent), widest * state.packets_sent),
        "in_flight": (0, at_once if state.step else 0),
    }
    for name, (least, largest) in limits.items():
        value = getattr(state, name)
        if not least <= value <= largest:
            yield f"its counts belong to another run: {name} is {value}, outside {least} to {largest}"
    if (state.quanta_sent - net) % 2:
        yield f"its counts belong to another run: quanta_sent is {state.quanta_sent}, but the packets sum up to {net}"


def largest_packet(graph: IntegerGraph, population: str) -> int:
    """Largest absolute packet of a population of channels, by its declared width."""
    return 1 << (graph.bits(population, "packet") - 1)


def holder_place(graph: IntegerGraph, index: int) -> str:
    """Population and number of a holder, by its position in arrays of holdings."""
    field = next(field for field in columns_of(graph).fields if index < field.held_reservoirs.stop)
    return f"{field.holder} [{index - field.first_holder}]"


def _channel_place(graph: IntegerGraph, index: int) -> str:
    """Population and number of a channel, by its position in arrays of channels."""
    channels = next(channels for channels in columns_of(graph).channels if index < channels.part.stop)
    return f"{channels.population} [{index - channels.first}]"


_LARGEST = (1 << 63) - 1


def first_true(wrong: NDArray[np.bool_]) -> int | None:
    """Index of the first true element, or None."""
    return int(wrong.argmax()) if wrong.any() else None
