"""Explain a flag of a domain's kernels with the reference.

Copies near the outer end of a halo may be wrong, so a violation there means nothing: then the PDE step is repeated
without limits, and what the domain owns is compared with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.audit.facts import channel_facts, field_facts
from pisnn_deploy.audit.firing import audited_values
from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.errors import CheckError, InvariantViolation, OverflowViolation
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.fields import OperatingWindow
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Results, Semantics, States
from pisnn_deploy.graph.widths import Widths
from pisnn_deploy.runs.domains.layout import Domain
from pisnn_deploy.runs.kernels.steps import FLAG_NAMES, FLAG_RANGE, FLAG_WIDTH
from pisnn_deploy.runs.run import RunState
from pisnn_deploy.runs.stepping import ReferenceStepper

Violation = InvariantViolation | OverflowViolation
_WIDEST = 62
_ADVICE = "the kernel or the memory of this machine is at fault; please report it"


@dataclass(frozen=True)
class Finding:
    """Why a run stops.

    Attributes
    ----------
    step : int
        PDE step.
    index : int
        Neuron in the whole graph.
    error : InvariantViolation, OverflowViolation or CheckError
        What to raise.
    """

    step: int
    index: int
    error: CheckError


def explain(
    domain: Domain, before: RunState, steps: int, after: RunState, flags: int
) -> tuple[Finding | None, RunState]:
    """Repeat a PDE step that set a flag.

    Parameters
    ----------
    before, after : RunState
        Local states around the step, as the kernels have them.
    steps : int
        Number of PDE steps of the whole run.
    flags : int
        Flags of the step.

    Returns
    -------
    finding : Finding or None
        None if the kernels were only too strict, or right about a copy that means nothing.
    state : RunState
        Local state after the step; copies that mean nothing are as before.
    """
    try:
        reference = ReferenceStepper(domain.graph, before, steps)
        reference.advance(1)
    except (InvariantViolation, OverflowViolation) as violation:
        finding = _in_the_whole(domain, violation)
        if finding is not None:
            return finding, before
        free = _without_limits(domain.graph)
        reference = ReferenceStepper(free, before, steps)
        reference.advance(1)
        try:
            _require_owned(domain, free, before, reference.state())
        except (InvariantViolation, OverflowViolation) as owned:
            return _in_the_whole(domain, owned) or Finding(before.step, -1, owned), before
    right, layout = reference.state(), domain.layout
    for name, is_owned in (("mass", layout.owns_holder), *((each, layout.owns_channel) for each in _OF_CHANNELS)):
        wrong = np.flatnonzero(is_owned & (getattr(after, name) != getattr(right, name)))
        if wrong.size:
            at = int(wrong[0])
            return _fault(
                before.step,
                f"{name} is {getattr(after, name)[at]} after PDE step {before.step}, but {getattr(right, name)[at]} in "
                f"the reference (audit: {_names(flags)})",
            ), before
    if flags & ~(FLAG_WIDTH | FLAG_RANGE):
        text = f"a state changed between steps, before PDE step {before.step} (audit: {_names(flags)})"
        return _fault(before.step, text), before
    mass = np.where(layout.owns_holder, right.mass, before.mass)
    current, residue = (
        np.where(layout.owns_channel, getattr(right, name), getattr(before, name)) for name in _OF_CHANNELS
    )
    right = replace(right, mass=mass, current=current, residue=residue)
    packets, quanta = after.packets_sent, after.quanta_sent  # kernels do not count those of copies
    return None, replace(
        right, in_flight=after.in_flight, packets_sent=packets, quanta_sent=quanta, events=after.events
    )


def not_repeated(step: int, flags: int) -> Finding | None:
    """Finding about flags that a repetition did not set again; None if they may have been of wrong copies."""
    if not flags & ~(FLAG_WIDTH | FLAG_RANGE):
        return None
    return _fault(step, f"repeating PDE step {step} gave different integers (audit: {_names(flags)})")


_OF_CHANNELS = ("current", "residue")


def _fault(step: int, text: str) -> Finding:
    return Finding(step, -1, CheckError(f"backend fast: {text}; {_ADVICE}"))


def _names(flags: int) -> str:
    return ", ".join(name for bit, name in enumerate(FLAG_NAMES) if flags >> bit & 1)


def _in_the_whole(domain: Domain, violation: Violation) -> Finding | None:
    """A violation with the numbers of the whole graph; None for one of a copy."""
    graph = domain.graph
    holders = {field.holder for field in graph.fields}
    name = violation.population
    if name not in domain.numbers:  # such as "flux residue", and "difference across face"
        name = next(
            (each.population for each in graph.channels if name.startswith(each.population)),
            graph.channels[0].population if len(graph.channels) == 1 else name,
        )
    index = violation.index
    if name in holders and isinstance(violation, OverflowViolation) and violation.quantity == "ledger":
        index += graph.field_of(name).cells
    numbers = domain.numbers.get(name)
    if numbers is None or not 0 <= index < numbers.size:
        return Finding(violation.step, -1, violation)
    if not domain.owns[name][index]:
        return None
    return Finding(violation.step, int(numbers[index]), _renumbered(violation, int(numbers[index])))


def _renumbered(violation: Violation, index: int) -> Violation:
    if isinstance(violation, OverflowViolation):
        return OverflowViolation(
            violation.population, violation.quantity, index, violation.step, violation.value, violation.bits
        )
    return InvariantViolation(
        violation.kind, violation.population, index, violation.step, violation.expected, violation.found
    )


def _without_limits(graph: IntegerGraph) -> IntegerGraph:
    """The same graph with widths and windows that nothing exceeds."""
    window = OperatingWindow(-(1 << _WIDEST), 1 << _WIDEST, None)
    return replace(
        graph,
        bounds=tuple(replace(bound, bits=_WIDEST) for bound in graph.bounds),
        fields=tuple(replace(field, window=window) for field in graph.fields),
    )


def _require_owned(domain: Domain, free: IntegerGraph, before: RunState, after: RunState) -> None:
    """Refuse owned values outside declared widths and windows."""
    graph = domain.graph
    bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    _, results = Semantics(free).advance(_states(free, before), before.step)
    for name, result in results.items():
        own, population = np.flatnonzero(domain.owns[name]), graph.population(name)
        values = {each: np.broadcast_to(array, population.size)[own] for each, array in result.values.items()}
        try:
            Widths(replace(population, size=int(own.size)), bits).require(values, before.step)
        except OverflowViolation as violation:
            raise _renumbered(violation, int(own[violation.index])) from violation
    beyond = next(_beyond(domain, bits, before, after, results), None)
    if beyond is not None:
        raise beyond


def _beyond(
    domain: Domain, bits: dict[tuple[str, str], int], before: RunState, after: RunState, results: Results
) -> Iterator[Violation]:
    graph, step = domain.graph, after.step
    for field in columns_of(graph).fields:
        owned = domain.owns[field.holder]
        for quantity, part in (("mass", field.held_cells), ("ledger", field.held_reservoirs)):
            first = part.start - field.first_holder
            is_owned = owned[first : first + part.stop - part.start]
            mass = after.mass[part] * is_owned
            if (field.holder, quantity) in bits:
                require_width(mass, bits[field.holder, quantity], field.holder, quantity, step)
        cells, window = field.held_cells, field.field.window
        levels, is_own = field.field.levels(after.mass[cells]), owned[: field.field.cells]
        if (field.holder, "payload") in bits and graph.coding == "delta":
            change = (after.mass[cells] - before.mass[cells]) * is_own
            require_width(change, bits[field.holder, "payload"], field.holder, "payload", step)
        for index in np.flatnonzero(is_own & ((levels < window.lower) | (levels > window.upper)))[:1].tolist():
            value = int(levels[index])
            limit = window.lower if value < window.lower else window.upper
            yield InvariantViolation("range", field.holder, index, step, limit, value)
    shown = np.concatenate([part for facts in field_facts(graph) for part in facts.shown(after.mass)])
    for channels, facts in zip(graph.channels, channel_facts(graph), strict=True):
        difference = np.abs(shown[facts.target] - shown[facts.source])
        limits: list[tuple[str, Integers | int | None, Integers, int]] = [
            ("difference across face", facts.steepest, difference, step)
        ]
        audited = audited_values(graph.population(channels.population).program, channels.output)
        if audited is not None:
            current = results[facts.population].values[audited[0]]
            limits.append((f"{facts.population} current", facts.current, current, before.step))
        for place, most, values, when in limits:
            if most is not None:
                allowed = np.broadcast_to(np.asarray(most), values.shape)
                is_wrong = domain.owns[channels.population] & (np.abs(values) > allowed)
                for index in np.flatnonzero(is_wrong)[:1].tolist():
                    yield InvariantViolation("range", place, index, when, int(allowed[index]), int(values[index]))


def _states(graph: IntegerGraph, state: RunState) -> States:
    """States of all populations before a PDE step."""
    columns = columns_of(graph)
    clocked = (*graph.between_fields, *map(graph.population, graph.order.answers))
    states: States = {population.name: population.states_at(state.step) for population in clocked}
    for field in columns.fields:
        (name,) = graph.population(field.holder).program.states
        states[field.holder] = {name: state.mass[field.held_cells.start : field.held_reservoirs.stop]}
    for channels in columns.channels:
        values = state.residue[channels.part], state.current[channels.part]
        program = graph.population(channels.population).program
        states[channels.population] = dict(zip(reversed(program.states), values, strict=False))
    return states
