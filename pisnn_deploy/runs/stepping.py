"""The run of a backend that steps from one PDE step to the next: what it steps, and trace, counts and progress around.

A `Stepper` takes a run as far as it is told, checks every PDE step, and raises the violation that stops it.
`ReferenceStepper` is one of plain numpy around anything that yields the integers of each step.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from pisnn_deploy.audit.facts import channel_facts
from pisnn_deploy.audit.invariants import KINDS, Audit
from pisnn_deploy.audit.recovery import Detection, detection_of
from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.lines import spikes
from pisnn_deploy.graph.semantics import Semantics, State
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, empty_trace

SLICE_SECONDS = 0.1
"""A stepper is asked for about so much work at a time, so that progress is told and an interrupt is heard."""


@dataclass(frozen=True)
class Tally:
    """What a run has counted so far, also where a violation stopped it; see `Run`."""

    steps: int
    packets_sent: int
    quanta_sent: int
    events: dict[str, int]
    violations: dict[str, int]
    healed: tuple[Detection, ...] = ()


class Stepper(Protocol):
    """A run that can be taken further, PDE step by PDE step."""

    def begin(self) -> None:
        """Check the start of the run and count what is sent then.

        Raises
        ------
        InvariantViolation, OverflowViolation
        """

    def advance(self, steps: int) -> None:
        """Do PDE steps, checking every one.

        Parameters
        ----------
        steps : int
            At least 1, and no more than are left of the run.

        Raises
        ------
        InvariantViolation, OverflowViolation
            What stopped the run.
        """

    def state(self) -> RunState:
        """Where the run stands: copies, which further steps leave alone."""

    def tally(self) -> Tally:
        """What has been counted."""


class ReferenceStepper:
    """A run in plain numpy, step by step.

    Parameters
    ----------
    graph : IntegerGraph
    start : RunState
        Where to go on from.
    steps : int
        PDE steps of the whole run: after the last, nothing is sent.
    states : iterator of State, optional
        The state after each further PDE step, whose widths are checked here; those of
        `pisnn_deploy.graph.semantics` unless given.
    """

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, states: Iterator[State] | None = None) -> None:
        self._graph = graph
        self._steps = steps
        self._go_on(start, None if states is None else _within_widths(graph, start.step, states))

    def _go_on(self, start: RunState, states: Iterator[State] | None = None) -> None:
        self._states = _reference_states(self._graph, start) if states is None else states
        self._now = start
        self._count = _EventCount(self._graph, start.events)
        self._audit = Audit(self._graph, start)

    def begin(self) -> None:
        """Check the start of the run and count what is sent then."""
        mass = self._now.mass
        require_width(mass[: self._graph.mesh.cells], self._graph.bits(MEMBRANE, "mass"), MEMBRANE, "mass", 0)
        self._audit.observe_membranes(0, mass, absorbing=True)
        self._count.start(mass, sends=self._steps > 0)
        self._now = replace(self._now, events=dict(self._count.events))

    def advance(self, steps: int) -> None:
        """Do PDE steps, checking every one."""
        self._count.resume(self._now.mass)
        for _ in range(steps):
            step = self._now.step
            state = next(self._states)
            self._audit.observe_flux(step, state.packets, state.current, state.residue, firing=True)
            self._audit.observe_membranes(step + 1, state.mass, absorbing=True)
            self._count.add(step + 1, state, sends=step + 1 < self._steps)
            self._now = RunState(
                step + 1,
                state.mass,
                state.kept_current,
                state.residue,
                self._now.transported + state.packets,
                int(np.abs(state.packets).sum()),
                self._audit.packets_sent,
                self._audit.quanta_sent,
                dict(self._count.events),
            )

    def state(self) -> RunState:
        """Where the run stands."""
        return self._now

    def restore(self, state: RunState) -> None:
        """Go on from another state of the same graph, in the reference's own steps.

        Parameters
        ----------
        state : RunState
        """
        self._go_on(state)

    def prepare(self) -> None:
        """Nothing is compiled."""

    def close(self) -> None:
        """Nothing is held."""

    def tally(self) -> Tally:
        """What has been counted."""
        audit = self._audit
        return Tally(
            self._now.step, audit.packets_sent, audit.quanta_sent, dict(self._count.events), dict(audit.counts)
        )


def _reference_states(graph: IntegerGraph, start: RunState) -> Iterator[State]:
    # A generator: kernels ask a reference for the start alone, and its matrices may be larger than all else together.
    semantics, step = Semantics(graph), start.step
    nothing = np.zeros_like(start.residue)
    state = State(start.mass, nothing, start.residue, nothing, start.current)
    while True:
        state = semantics.step(state, step)
        step += 1
        yield state


def _within_widths(graph: IntegerGraph, step: int, states: Iterator[State]) -> Iterator[State]:
    bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    cells = graph.mesh.cells
    for state in states:
        parts: tuple[tuple[str, str, Integers, int], ...] = (
            (FLUX, "current", state.current, step),
            (FLUX, "packet", state.packets, step),
            (FLUX, "residue", state.residue, step),
            (MEMBRANE, "mass", state.mass[:cells], step + 1),
            (MEMBRANE, "ledger", state.mass[cells:], step + 1),
        )
        for population, quantity, values, at in parts:
            if (population, quantity) in bits:
                require_width(values, bits[population, quantity], population, quantity, at)
        step += 1
        yield state


def stepped_run(
    backend: str, graph: IntegerGraph, stepper: Stepper, options: RunOptions, progress: Progress | None = None
) -> Run:
    """Take a run as far as it is asked for, or to the violation that stops it.

    Parameters
    ----------
    backend : str
    graph : IntegerGraph
    stepper : Stepper
        Where the run begins.
    options : RunOptions
    progress : callable, optional

    Returns
    -------
    Run
    """
    rows = _Rows(graph, options)
    stopped: InvariantViolation | OverflowViolation | None = None
    started = time.perf_counter()
    try:
        if options.start is None:
            stepper.begin()
            rows.keep(stepper.state(), None)
        _advance(stepper, rows, options, progress)
    except (InvariantViolation, OverflowViolation) as violation:
        stopped = violation
    seconds = time.perf_counter() - started
    tally = stepper.tally()
    failure, overflows = str(stopped or ""), int(isinstance(stopped, OverflowViolation))
    if progress is not None:
        progress(tally.steps)
    return Run(
        backend=backend,
        steps=tally.steps,
        time_steps=tally.steps * (graph.period or 0) + 1,
        trace=rows.trace.at(slice(rows.kept)),
        violations={kind: tally.violations[kind] + (overflows if kind == "overflow" else 0) for kind in KINDS},
        failure=failure,
        packets_sent=tally.packets_sent,
        quanta_sent=tally.quanta_sent,
        events=tally.events,
        wall_seconds=seconds,
        end=None if failure else stepper.state(),
        detections=tally.healed if stopped is None else (*tally.healed, detection_of(stopped)),
    )


class _Rows:
    """The trace of a run, row by row as its PDE steps are done.

    Attributes
    ----------
    trace : Trace
    kept : int
        Rows that are filled in.
    """

    def __init__(self, graph: IntegerGraph, options: RunOptions) -> None:
        self._graph = graph
        self._last = options.last_step
        self.trace = empty_trace(graph.mesh, options.kept_steps(), everything=options.everything)
        self.kept = 0

    @property
    def next_step(self) -> int:
        """PDE step of the next row; the last of the run if no row is left."""
        steps = self.trace.step
        return int(steps[self.kept]) if self.kept < steps.size else self._last

    def keep(self, state: RunState, before: RunState | None) -> None:
        """Fill in the next row, if it is of the state's PDE step.

        Parameters
        ----------
        state : RunState
        before : RunState or None
            One PDE step before; only asked for where the integers of the flux compartments are kept.
        """
        trace, row, cells = self.trace, self.kept, self._graph.mesh.cells
        if row == trace.step.size or state.step != trace.step[row]:
            return
        if trace.flux is not None and before is not None:
            trace.flux[row] = _flux(self._graph, before, state)
        trace.mass[row], trace.ledger[row] = state.mass[:cells], state.mass[cells:]
        trace.transported[row], trace.in_flight[row] = state.transported, state.in_flight
        self.kept += 1


def _advance(stepper: Stepper, rows: _Rows, options: RunOptions, progress: Progress | None) -> None:
    """Take a run to its last PDE step, about `SLICE_SECONDS` at a time."""
    done, some, last = options.first_step, 1, options.last_step
    before: RunState | None = None
    reported = time.perf_counter()
    while done < last:
        begun = time.perf_counter()
        away = rows.next_step - done
        if options.everything and away == 1:
            before = stepper.state()
        steps = min(some, away - 1 if options.everything and away > 1 else away)
        stepper.advance(steps)
        done += steps
        if done == rows.next_step:
            rows.keep(stepper.state(), before)
        now = time.perf_counter()
        # Compiling may be in the first measure of all: never many times as many steps at once as before.
        some = min(max(1, int(steps * SLICE_SECONDS / max(now - begun, 1e-9))), 64 * some)
        if progress is not None and now - reported > SLICE_SECONDS:
            reported = now
            progress(done)


def _flux(graph: IntegerGraph, before: RunState, after: RunState) -> Integers:
    """Packets, currents and residues of a PDE step; what became of the residue says what the audited current was."""
    (facts,) = channel_facts(graph)
    if facts.firing is None or facts.firing.withholding is not None:
        # What was withheld is in no state; the step is done again.
        nothing = np.zeros_like(before.residue)
        last = State(before.mass, nothing, before.residue, nothing, before.current)
        state = Semantics(graph).step(last, before.step)
        return np.stack([state.packets, state.current, state.residue])
    packets = after.transported - before.transported
    current = (packets << facts.firing.exponent) + after.residue - before.residue
    return np.stack([packets, current, after.residue])


class _EventCount:
    """Spikes by population, as the schedule of the graph sends them."""

    def __init__(self, graph: IntegerGraph, events: Mapping[str, int]) -> None:
        self.events = dict.fromkeys(graph.chain, 0) | dict(events)
        self._graph = graph
        self._cells = graph.mesh.cells
        self._delta = graph.coding == "delta"
        self._semantics = Semantics(graph) if graph.between_fields else None
        self._last: list[Integers] = []

    def start(self, mass: Integers, *, sends: bool) -> None:
        """Count what the masses at the start send; hidden layers answer if there is a first PDE step."""
        self._last = self._activations(mass, 0)
        if not self._delta:
            self._count(self._last if sends else self._last[:1])

    def resume(self, mass: Integers) -> None:
        """Go on from masses that have been counted, unless that is known."""
        if not self._last:
            self._last = self._activations(mass, 0)

    def add(self, step: int, state: State, *, sends: bool) -> None:
        """Count the packets of a state; the state's own activations are sent if there is a next PDE step."""
        self.events[FLUX] += spikes(self._graph, FLUX, state.packets)
        if self._delta:
            payload = state.mass[: self._cells] - self._last[0][: self._cells]
            require_width(payload, self._graph.bits(MEMBRANE, "payload"), MEMBRANE, "payload", step)
        if not sends:
            self._count([payload if self._delta else state.mass])
            return
        activations = self._activations(state.mass, step)
        self._count(
            [new - old for new, old in zip(activations, self._last, strict=True)] if self._delta else activations
        )
        self._last = activations

    def _activations(self, mass: Integers, step: int) -> list[Integers]:
        return [mass] if self._semantics is None else self._semantics.activations(mass, step)

    def _count(self, payloads: list[Integers]) -> None:
        for name, payload in zip(self._graph.chain, payloads, strict=False):
            sent = payload[: self._cells] if name == MEMBRANE else payload
            self.events[name] += spikes(self._graph, name, sent)
