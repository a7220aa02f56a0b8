"""Long runs in recorded segments, so that a kill costs at most one segment."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.recording import Recording
from pisnn_deploy.runs.registry import run_graph
from pisnn_deploy.runs.rows import rows_problem
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, Trace, row_bytes
from pisnn_deploy.runs.snapshot import REMEDY, Snapshot
from pisnn_deploy.runs.states import first_true, state_problem

SEGMENT_SECONDS = 20.0
"""Default duration of a segment."""
FIRST_SEGMENT = 1000
"""PDE steps of the first segment, which measures the speed of the run."""
FASTEST_GROWTH = 10.0
ROWS_BYTES = 1 << 28
"""Largest size of a segment's rows in memory, in bytes."""


def run_in_segments(
    backend: str,
    graph: IntegerGraph,
    mass: Integers,
    options: RunOptions,
    record: Recording,
    progress: Progress | None = None,
    *,
    resume: bool = False,
    segment_seconds: float = SEGMENT_SECONDS,
) -> Run:
    """Run a graph and record it.

    Parameters
    ----------
    backend, graph, mass, options, progress
        See `pisnn_deploy.runs.run_graph`.
    resume : bool
        Whether to continue an existing recording.
    segment_seconds : float
        Target duration of a segment.

    Returns
    -------
    Run
        Same result as from an undivided run; the trace is mapped from disk.

    Raises
    ------
    FileError
        If the recording is of another run, or the disk is full.
    """
    snapshot = record.progressed() if resume else None
    if snapshot is None:
        record.begin()
    else:
        _require_consistent(snapshot, record, graph, mass, options)
        _require_proof(backend, snapshot, record, graph, mass, options, progress)
    start = None if snapshot is None else snapshot.state
    rows, seconds = (0, 0.0) if snapshot is None else (snapshot.rows, snapshot.seconds)
    done = 0 if start is None else start.step
    length = FIRST_SEGMENT
    overdue = time.monotonic() + options.deadline_seconds
    while True:
        if start is not None and done == options.steps:
            return _finished(backend, graph, start, record.trace(rows), seconds)
        end = min(options.steps, done + min(length, _longest(graph, options)))
        left = max(1.0, overdue - time.monotonic())
        segment = replace(options, until=end, start=start, deadline_seconds=left)
        run = run_graph(backend, graph, mass, segment, progress)
        seconds += run.wall_seconds
        rows = record.append(run.trace, rows, run.end, seconds, start)
        if run.failure or end == options.steps:
            return replace(run, trace=record.trace(rows), wall_seconds=seconds)
        start, done = run.end, end
        speed = (end - segment.first_step) / max(run.wall_seconds, 1e-3)
        length = max(1, int(min(speed * segment_seconds, length * FASTEST_GROWTH)))


def _require_consistent(
    snapshot: Snapshot, record: Recording, graph: IntegerGraph, mass: Integers, options: RunOptions
) -> None:
    """Refuse a recording that is impossible for this graph and start; recordings are untrusted."""
    state = snapshot.state
    rows = state.step // options.every + 1
    rows += state.step == options.steps and options.steps % options.every > 0
    problem = ""
    if state.step > options.steps or snapshot.rows != rows or set(state.events) != set(graph.chain):
        problem = "its counts belong to another run"
    problem = problem or state_problem(graph, mass, state)
    problem = problem or rows_problem(graph, mass, record.trace(rows), options, state)
    before = snapshot.before
    if not problem and before is not None:
        behind = before.step >= state.step or set(before.events) != set(graph.chain)
        problem = "its counts belong to another run" if behind else state_problem(graph, mass, before)
    if problem:
        raise FileError(record.folder, f"is damaged ({problem})", remedy=REMEDY)
    record.require_digest(snapshot)


def _require_proof(
    backend: str,
    snapshot: Snapshot,
    record: Recording,
    graph: IntegerGraph,
    mass: Integers,
    options: RunOptions,
    progress: Progress | None,
) -> None:
    """Repeat the last segment, the only way to verify residues, currents, counts and the PDE step."""
    before, end = snapshot.before, snapshot.state
    first = 0 if before is None else before.step
    again = run_graph(backend, graph, mass, replace(options, until=end.step, start=before), progress)
    problem = again.verdict.reason or ("" if again.end is None else _difference(again.end, end))
    if not problem:
        rows = record.trace(snapshot.rows)
        done_again = rows.at(np.flatnonzero((rows.step > first) | (first == 0)))
        wrong = np.flatnonzero(done_again.in_flight != again.trace.in_flight)
        problem = f"in_flight of PDE step {done_again.step[wrong[0]]} differs" if wrong.size else ""
        problem = problem or _difference_of_probes(again.trace, done_again)
    if problem:
        raise FileError(
            record.folder,
            f"is damaged (repeating PDE steps {first} to {end.step} gives another result: {problem})",
            remedy=REMEDY,
        )


def _difference(right: RunState, recorded: RunState) -> str:
    """Return the first difference between two states, or an empty string."""
    for name in ("mass", "current", "residue", "transported"):
        wrong = first_true(getattr(right, name) != getattr(recorded, name))
        if wrong is not None:
            return f"{name} [{wrong}] is {getattr(recorded, name)[wrong]}, not {getattr(right, name)[wrong]}"
    for name in ("in_flight", "packets_sent", "quanta_sent", "events"):
        if getattr(right, name) != getattr(recorded, name):
            return f"{name} is {getattr(recorded, name)}, not {getattr(right, name)}"
    return ""


def _difference_of_probes(right: Trace, recorded: Trace) -> str:
    """Return the first difference between the probes of two traces, or an empty string."""
    for expected, values in zip(right.probes, recorded.probes, strict=True):
        for name, rows in expected.values.items():
            if (wrong := first_true(np.asarray(values.values[name] != rows).any(axis=1))) is not None:
                return f"{name} of {expected.probe.population} at PDE step {right.step[wrong]} differs"
    return ""


def _finished(backend: str, graph: IntegerGraph, end: RunState, trace: Trace, seconds: float) -> Run:
    """Return a run that was recorded completely."""
    return Run(
        backend=backend,
        steps=end.step,
        time_steps=end.step * int(graph.period or 0) + 1,
        trace=trace,
        violations=dict.fromkeys(KINDS, 0),
        failure="",
        packets_sent=end.packets_sent,
        quanta_sent=end.quanta_sent,
        events=dict(end.events),
        wall_seconds=seconds,
        end=end,
    )


def _longest(graph: IntegerGraph, options: RunOptions) -> int:
    """Longest segment whose rows fit into memory, in PDE steps."""
    return max(1, ROWS_BYTES // max(row_bytes(graph, probes=options.probes), 1)) * options.every
