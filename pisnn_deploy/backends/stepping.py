"""The run of a backend that can hand over the integers of each PDE step: audit, trace and counts around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from pisnn_deploy.arithmetic import require_width
from pisnn_deploy.backends.run import Integers, Progress, Run, RunOptions, Snapshot, Trace, first_snapshot
from pisnn_deploy.errors import InvariantViolation, OverflowViolation
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.lines import spikes
from pisnn_deploy.graph.semantics import Semantics, State
from pisnn_deploy.invariants import Audit

_PROGRESS_SECONDS = 0.1


def audited_run(
    backend: str,
    graph: IntegerGraph,
    mass: Integers,
    options: RunOptions,
    states: Callable[[Snapshot], Iterator[State]],
    progress: Progress | None = None,
) -> Run:
    """Drive `states` for the asked number of PDE steps, checking every one.

    Parameters
    ----------
    backend : str
    graph : IntegerGraph
    mass : int64 array [cells]
        Masses at the start.
    options : RunOptions
    states : callable
        Takes the snapshot to begin from and gives the state after each PDE step from there on.
    progress : callable, optional

    Returns
    -------
    Run
    """
    kept, start = options.kept_steps(), options.start or first_snapshot(graph, mass)
    cells, faces = graph.mesh.cells, graph.mesh.faces
    trace = Trace(
        kept,
        np.zeros((kept.size, cells), np.int64),
        np.zeros((kept.size, graph.mesh.reservoirs), np.int64),
        np.zeros((kept.size, faces), np.int64),
        np.zeros(kept.size, np.int64),
        np.zeros((kept.size, 3, faces), np.int64) if options.everything else None,
    )
    window = graph.window
    audit = Audit(
        graph.mesh.source,
        graph.mesh.target,
        graph.flux.threshold_exponent,
        window.lower,
        window.upper,
        window.difference,
        window.current,
        start.mass,
        graph.membrane.reservoirs,
        start.residue,
        None if graph.medium is None else graph.medium.inverse_volume,
    )
    count = _EventCount(graph)
    transported = start.transported.copy()
    state = State(start.mass, start.current, start.residue, start.packets)
    rows, done, failure = 0, start.step, ""
    started = reported = time.perf_counter()
    try:
        require_width(start.mass[:cells], graph.bits(MEMBRANE, "mass"), MEMBRANE, "mass", done)
        audit.observe_membranes(done, start.mass, absorbing=True)
        count.start(start.mass, sends=options.steps > done, goes_on=options.start is not None)
        if options.start is None:
            trace.mass[0], rows = mass, 1
        following = states(start)
        for step in range(done, options.steps):
            state = next(following)
            audit.observe_flux(step, state.packets, state.current, state.residue, firing=True)
            audit.observe_membranes(step + 1, state.mass, absorbing=True)
            count.add(step + 1, state, sends=step + 1 < options.steps)
            transported += state.packets
            done = step + 1
            if done == kept[rows]:
                trace.mass[rows], trace.ledger[rows] = state.mass[:cells], state.mass[cells:]
                trace.transported[rows] = transported
                trace.in_flight[rows] = np.abs(state.packets).sum()
                if trace.flux is not None:
                    trace.flux[rows] = state.packets, state.current, state.residue
                rows += 1
            if progress is not None and time.perf_counter() - reported > _PROGRESS_SECONDS:
                reported = time.perf_counter()
                progress(done)
    except InvariantViolation as violation:
        failure = str(violation)
    except OverflowViolation as violation:
        failure = str(violation)
        audit.counts["overflow"] += 1
    seconds = time.perf_counter() - started
    if progress is not None:
        progress(done)
    sent, quanta = start.packets_sent + audit.packets_sent, start.quanta_sent + audit.quanta_sent
    events = {name: start.events[name] + spikes for name, spikes in count.events.items()}
    return Run(
        backend=backend,
        steps=done,
        time_steps=done * (graph.period or 0) + 1,
        trace=Trace(
            trace.step[:rows],
            trace.mass[:rows],
            trace.ledger[:rows],
            trace.transported[:rows],
            trace.in_flight[:rows],
            None if trace.flux is None else trace.flux[:rows],
        ),
        violations=dict(audit.counts),
        failure=failure,
        packets_sent=sent,
        quanta_sent=quanta,
        events=events,
        wall_seconds=seconds,
        end=None if failure else Snapshot(done, *_parts(state), transported, sent, quanta, events),
    )


def _parts(state: State) -> tuple[Integers, Integers, Integers, Integers]:
    return state.mass, state.packets, state.current, state.residue


class _EventCount:
    """Spikes by population, as the schedule of the graph sends them."""

    def __init__(self, graph: IntegerGraph) -> None:
        self.events = dict.fromkeys(graph.chain, 0)
        self._graph = graph
        self._cells = graph.mesh.cells
        self._delta = graph.coding == "delta"
        self._semantics = Semantics(graph) if graph.hidden else None
        self._last: list[Integers] = []

    def start(self, mass: Integers, *, sends: bool, goes_on: bool) -> None:
        """Count what the masses at the start send; hidden layers answer if there is a next PDE step.

        Where a run goes on, the one before counted the masses.
        """
        self._last = self._activations(mass, 0)
        if not self._delta:
            self._count(self._last if sends else self._last[:1])
            if goes_on:
                self.events[MEMBRANE] -= spikes(self._graph, MEMBRANE, mass[: self._cells])

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
