"""Runs of backends that compute one PDE step after another: steppers, with trace, counts and progress.

A `Stepper` advances a run, checks every PDE step, and raises the violation that stops it. `ReferenceStepper` does so in
plain numpy, for any iterator of states.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from pisnn_deploy.audit.invariants import KINDS, Audit
from pisnn_deploy.audit.recovery import Detection, detection_of
from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import spikes
from pisnn_deploy.graph.semantics import Results, Semantics, State
from pisnn_deploy.runs.probing import ProbedRows, flux_between
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, empty_trace

SLICE_SECONDS = 0.1
"""Approximate duration of one call of a stepper, so that progress and interrupts are handled in between."""


@dataclass(frozen=True)
class Tally:
    """Counts of a run so far, also if a violation stopped it; see `Run`."""

    steps: int
    packets_sent: int
    quanta_sent: int
    events: dict[str, int]
    violations: dict[str, int]
    healed: tuple[Detection, ...] = ()


class Stepper(Protocol):
    """A run that can be advanced by PDE steps."""

    def begin(self) -> None:
        """Check the initial state and count its spikes."""

    def advance(self, steps: int) -> None:
        """Run PDE steps, checking every one.

        Parameters
        ----------
        steps : int
            Number of PDE steps, at least 1 and at most those left of the run.

        Raises
        ------
        InvariantViolation, OverflowViolation
            The violation that stopped the run.
        """

    def state(self) -> RunState:
        """Return a copy of the current state."""

    def tally(self) -> Tally:
        """Return the counts so far."""


class ReferenceStepper:
    """A run in plain numpy, step by step.

    Parameters
    ----------
    start : RunState
        State to start from.
    steps : int
        Number of PDE steps of the whole run; after the last, nothing is sent.
    states : iterator of State, optional
        State after each PDE step, whose widths are checked (default: from `pisnn_deploy.graph.semantics`).
    """

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, states: Iterator[State] | None = None) -> None:
        self._graph = graph
        self._columns = columns_of(graph)
        self._steps = steps
        self._go_on(start, None if states is None else _within_widths(graph, start.step, states))

    def _go_on(self, start: RunState, states: Iterator[State] | None = None) -> None:
        self._now = start
        self._count = _EventCount(self._graph, start.events)
        self._states = _reference_states(self._graph, start, self._count) if states is None else states
        self._audit = Audit(self._graph, start)

    def begin(self) -> None:
        """Check the initial state and count its spikes."""
        mass = self._now.mass
        for field in self._columns.fields:
            bits = self._graph.bits(field.holder, "mass")
            require_width(mass[field.held_cells], bits, field.holder, "mass", 0)
        self._audit.observe_membranes(0, mass, absorbing=True)
        self._count.start(mass, sends=self._steps > 0)
        self._now = replace(self._now, events=dict(self._count.events))

    def advance(self, steps: int) -> None:
        """Run PDE steps, checking every one."""
        self._count.resume(self._now.mass, self._now.step)
        for _ in range(steps):
            step = self._now.step
            state = next(self._states)
            for number, channels in enumerate(self._columns.channels):
                packets, current, residue = (
                    values[channels.part] for values in (state.packets, state.current, state.residue)
                )
                self._audit.observe_flux(step, packets, current, residue, firing=True, number=number)
            self._audit.observe_membranes(step + 1, state.mass, absorbing=True)
            self._count.add(step + 1, state, self._now.residue, sends=step + 1 < self._steps)
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
        """Return the current state."""
        return self._now

    def restore(self, state: RunState) -> None:
        """Continue from another state of the same graph, with reference steps."""
        self._go_on(state)

    def prepare(self) -> None:
        """Do nothing: there is nothing to compile."""

    def close(self) -> None:
        """Do nothing: there are no threads."""

    def tally(self) -> Tally:
        """Return the counts so far."""
        audit = self._audit
        return Tally(
            self._now.step, audit.packets_sent, audit.quanta_sent, dict(self._count.events), dict(audit.counts)
        )


def _reference_states(graph: IntegerGraph, start: RunState, count: _EventCount) -> Iterator[State]:
    # A generator, because kernels use a reference only for the start, and its matrices may be large.
    semantics, step = count.semantics, start.step
    nothing = np.zeros_like(start.residue)
    state = State(start.mass, nothing, start.residue, nothing, start.current)
    while True:
        state = semantics.step(state, step, count.between)
        step += 1
        yield state


def _within_widths(graph: IntegerGraph, step: int, states: Iterator[State]) -> Iterator[State]:
    bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    columns = columns_of(graph)
    for state in states:
        parts = [
            (channels.population, quantity, values[channels.part], step)
            for channels in columns.channels
            for quantity, values in (
                ("current", state.current),
                ("packet", state.packets),
                ("residue", state.residue),
            )
        ]
        for field in columns.fields:
            parts.append((field.holder, "mass", state.mass[field.held_cells], step + 1))
            parts.append((field.holder, "ledger", state.mass[field.held_reservoirs], step + 1))
        for population, quantity, values, at in parts:
            if (population, quantity) in bits:
                require_width(values, bits[population, quantity], population, quantity, at)
        step += 1
        yield state


def stepped_run(
    backend: str, graph: IntegerGraph, stepper: Stepper, options: RunOptions, progress: Progress | None = None
) -> Run:
    """Run a stepper to the requested step, or to the violation that stops it.

    Parameters
    ----------
    stepper : Stepper
        Stepper at the start of the run.
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
    """Trace of a run in progress.

    Attributes
    ----------
    kept : int
        Number of filled rows.
    needs_before : bool
        Whether rows depend on the state one PDE step before, too.
    """

    def __init__(self, graph: IntegerGraph, options: RunOptions) -> None:
        self._graph = graph
        self._last = options.last_step
        self.trace = empty_trace(graph, options.kept_steps(), everything=options.everything, probes=options.probes)
        self.needs_before = options.everything or bool(options.probes)
        self._probed = ProbedRows(graph, options.probes, options.steps) if options.probes else None
        self.kept = 0

    @property
    def next_step(self) -> int:
        """PDE step of the next row; the last step of the run if all rows are filled."""
        steps = self.trace.step
        return int(steps[self.kept]) if self.kept < steps.size else self._last

    def keep(self, state: RunState, before: RunState | None) -> None:
        """Fill the next row, if its PDE step is the state's.

        Parameters
        ----------
        before : RunState or None
            State one PDE step before; None at the start of the run, and where `needs_before` is false.
        """
        trace, row = self.trace, self.kept
        if row == trace.step.size or state.step != trace.step[row]:
            return
        if trace.flux is not None and before is not None:
            trace.flux[row] = flux_between(self._graph, before, state)
        if self._probed is not None:
            self._probed.fill(trace.probes, row, before, state)
        trace.mass[row], trace.ledger[row] = trace.columns.split(state.mass)
        trace.transported[row], trace.in_flight[row] = state.transported, state.in_flight
        self.kept += 1


def _advance(stepper: Stepper, rows: _Rows, options: RunOptions, progress: Progress | None) -> None:
    """Run to the last PDE step, in slices of about `SLICE_SECONDS`."""
    done, some, last = options.first_step, 1, options.last_step
    before: RunState | None = None
    reported = time.perf_counter()
    while done < last:
        begun = time.perf_counter()
        away = rows.next_step - done
        if rows.needs_before and away == 1:
            before = stepper.state()
        steps = min(some, away - 1 if rows.needs_before and away > 1 else away)
        stepper.advance(steps)
        done += steps
        if done == rows.next_step:
            rows.keep(stepper.state(), before)
        now = time.perf_counter()
        # Limit the growth of slices, because the first measurement may include compilation.
        some = min(max(1, int(steps * SLICE_SECONDS / max(now - begun, 1e-9))), 64 * some)
        if progress is not None and now - reported > SLICE_SECONDS:
            reported = now
            progress(done)


Sends = dict[str, tuple[Integers, ...]]


class _EventCount:
    """Counts spikes by population, according to the schedule of the graph.

    Attributes
    ----------
    events : dict of str to int
        Spikes so far.
    between : dict of str to Result
        Results of the populations between holders and channels, for the last masses that are sent.
    """

    def __init__(self, graph: IntegerGraph, events: Mapping[str, int]) -> None:
        self.events = dict.fromkeys(graph.chain, 0) | dict(events)
        self.between: Results = {}
        self._graph = graph
        self._columns = columns_of(graph)
        self._delta = graph.coding == "delta"
        self._outputs = {(synapse.source, synapse.output) for synapse in graph.synapses}
        self._residues = {name for name, output in graph.heard_again if (name, output) in self._outputs}
        self._last: Sends = {}

    @cached_property
    def semantics(self) -> Semantics:
        """The graph prepared for stepping."""
        return Semantics(self._graph)

    def start(self, mass: Integers, *, sends: bool) -> None:
        """Count the spikes of the initial masses, and of populations between if there is a first PDE step."""
        self._last = self._sends(mass, 0)
        if not self._delta:
            self._count(self._last if sends else self._masses(mass))

    def resume(self, mass: Integers, step: int) -> None:
        """Continue from the masses before a PDE step, whose spikes are counted already."""
        if not self._last:
            self._last = self._sends(mass, step)

    def add(self, step: int, state: State, residue: Integers, *, sends: bool) -> None:
        """Count the packets of a state, and what it sends if there is a next PDE step.

        Parameters
        ----------
        residue : int64 array [channels]
            Residues before the PDE step; channels that send theirs send the change.
        """
        for channels in self._columns.channels:
            if channels.population not in state.messages:
                self._add(channels.population, state.packets[channels.part])
            if channels.population in self._residues:
                self._add(channels.population, (state.residue - residue)[channels.part])
        self._count(state.messages)
        masses = self._masses(state.mass)
        if self._delta:
            for holder, (mass,) in self._changes(masses).items():
                require_width(mass, self._graph.bits(holder, "payload"), holder, "payload", step)
        if not sends:
            self.between = {}
            self._count(self._changes(masses) if self._delta else masses)
            return
        sent = self._sends(state.mass, step)
        self._count(self._changes(sent) if self._delta else sent)
        self._last = sent

    def _masses(self, mass: Integers) -> Sends:
        """Masses that holders send; reservoirs send nothing."""
        return {field.holder: (mass[field.held_cells],) for field in self._columns.fields}

    def _sends(self, mass: Integers, step: int) -> Sends:
        """Values that holders and populations between send."""
        self.between = self.semantics.between(mass, step) if self._graph.between_fields else {}
        return self._masses(mass) | {name: result.sends for name, result in self.between.items()}

    def _changes(self, sent: Sends) -> Sends:
        """Changes of values since they were sent last."""
        return {
            name: tuple(new - old for new, old in zip(values, self._last[name], strict=True))
            for name, values in sent.items()
        }

    def _count(self, payloads: Mapping[str, tuple[Integers, ...]]) -> None:
        for name, values in payloads.items():
            for output, payload in enumerate(values):
                if (name, output) in self._outputs:
                    self._add(name, payload)

    def _add(self, population: str, payload: Integers) -> None:
        self.events[population] += spikes(self._graph, population, payload)
