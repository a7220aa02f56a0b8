"""The run of a backend that can hand over the integers of each PDE step: audit, trace and counts around it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from pisnn_deploy.arithmetic import require_width
from pisnn_deploy.backends.run import Integers, Progress, Run, RunOptions, Trace
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
    states: Iterator[State],
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
    states : iterator of State
        The state after each PDE step, from the first on.
    progress : callable, optional

    Returns
    -------
    Run
    """
    kept = options.kept_steps()
    cells = graph.mesh.cells
    trace = Trace(
        kept,
        np.zeros((kept.size, cells), np.int64),
        np.zeros((kept.size, graph.mesh.reservoirs), np.int64),
        np.zeros((kept.size, graph.mesh.faces), np.int64),
        np.zeros(kept.size, np.int64),
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
        graph.membrane.holdings(mass),
        graph.membrane.reservoirs,
        np.zeros(graph.flux.size, np.int64),
        None if graph.medium is None else graph.medium.inverse_volume,
    )
    count = _EventCount(graph)
    transported = np.zeros(graph.mesh.faces, np.int64)
    rows, done, failure = 0, 0, ""
    started = reported = time.perf_counter()
    try:
        require_width(mass, graph.bits(MEMBRANE, "mass"), MEMBRANE, "mass", 0)
        audit.observe_membranes(0, graph.membrane.holdings(mass), absorbing=True)
        count.start(graph.membrane.holdings(mass), sends=options.steps > 0)
        trace.mass[0], rows = mass, 1
        for step in range(options.steps):
            state = next(states)
            audit.observe_flux(step, state.packets, state.current, state.residue, firing=True)
            audit.observe_membranes(step + 1, state.mass, absorbing=True)
            count.add(step + 1, state, sends=step + 1 < options.steps)
            transported += state.packets
            done = step + 1
            if done == kept[rows]:
                trace.mass[rows], trace.ledger[rows] = state.mass[:cells], state.mass[cells:]
                trace.transported[rows] = transported
                trace.in_flight[rows] = np.abs(state.packets).sum()
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
        ),
        violations=dict(audit.counts),
        failure=failure,
        packets_sent=audit.packets_sent,
        quanta_sent=audit.quanta_sent,
        events=count.events,
        wall_seconds=seconds,
    )


class _EventCount:
    """Spikes by population, as the schedule of the graph sends them."""

    def __init__(self, graph: IntegerGraph) -> None:
        self.events = dict.fromkeys(graph.chain, 0)
        self._graph = graph
        self._cells = graph.mesh.cells
        self._delta = graph.coding == "delta"
        self._semantics = Semantics(graph) if graph.hidden else None
        self._last: list[Integers] = []

    def start(self, mass: Integers, *, sends: bool) -> None:
        """Count what the masses at the start send; hidden layers answer if there is a first PDE step."""
        self._last = self._activations(mass, 0)
        if not self._delta:
            self._count(self._last if sends else self._last[:1])

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
