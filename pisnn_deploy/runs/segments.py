"""A long run, cut into segments so that no kill costs more than one of them."""

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
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, Trace
from pisnn_deploy.runs.snapshot import REMEDY, Snapshot
from pisnn_deploy.runs.states import first_true, state_problem

SEGMENT_SECONDS = 20.0
"""Time that a segment takes unless another is asked for: what a kill may cost."""
FIRST_SEGMENT = 1000
"""PDE steps of the first segment, which shows how fast the run is."""
FASTEST_GROWTH = 10.0
ROWS_BYTES = 1 << 28
"""Bytes of a segment's rows, which are held in memory until they are written."""


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
        As for `pisnn_deploy.runs.run_graph`.
    record : Recording
    resume : bool
        Go on where the recording ends, if there is one.
    segment_seconds : float
        Time that a segment should take.

    Returns
    -------
    Run
        As if it had been undivided; its trace is mapped from disk.

    Raises
    ------
    FileError
        The recording is of another run, or the disk is full.
    """
    held = record.progressed() if resume else None
    if held is None:
        record.begin()
    else:
        _require_consistent(held, record, graph, mass, options)
        _require_proof(backend, held, record, graph, mass, options, progress)
    start = None if held is None else held.state
    rows, seconds = (0, 0.0) if held is None else (held.rows, held.seconds)
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
    held: Snapshot, record: Recording, graph: IntegerGraph, mass: Integers, options: RunOptions
) -> None:
    """Refuse a recording that no run of this graph from these masses can have made: it may come from anyone."""
    state = held.state
    rows = state.step // options.every + 1
    rows += state.step == options.steps and options.steps % options.every > 0
    problem = ""
    if state.step > options.steps or held.rows != rows or set(state.events) != set(graph.chain):
        problem = "counts of another run"
    problem = problem or state_problem(graph, mass, state)
    problem = problem or rows_problem(graph, mass, record.trace(rows), options, state)
    before = held.before
    if not problem and before is not None:
        behind = before.step >= state.step or set(before.events) != set(graph.chain)
        problem = "counts of another run" if behind else state_problem(graph, mass, before)
    if problem:
        raise FileError(record.folder, f"is damaged ({problem})", remedy=REMEDY)
    record.require_digest(held)


def _require_proof(
    backend: str,
    held: Snapshot,
    record: Recording,
    graph: IntegerGraph,
    mass: Integers,
    options: RunOptions,
    progress: Progress | None,
) -> None:
    """Do the last segment again: residues, currents, counts and the number of a PDE step follow from nothing else."""
    before, end = held.before, held.state
    first = 0 if before is None else before.step
    again = run_graph(backend, graph, mass, replace(options, until=end.step, start=before), progress)
    problem = again.verdict.reason or ("" if again.end is None else _difference(again.end, end))
    if not problem:
        rows = record.trace(held.rows)
        done_again = rows.at(np.flatnonzero((rows.step > first) | (first == 0)))
        wrong = np.flatnonzero(done_again.in_flight != again.trace.in_flight)
        problem = f"in_flight of PDE step {done_again.step[wrong[0]]} is another" if wrong.size else ""
    if problem:
        raise FileError(
            record.folder,
            f"is damaged (PDE steps {first} to {end.step}, done again, end otherwise: {problem})",
            remedy=REMEDY,
        )


def _difference(right: RunState, found: RunState) -> str:
    """The first number on which two states differ; empty if none does."""
    for name in ("mass", "current", "residue", "transported"):
        wrong = first_true(getattr(right, name) != getattr(found, name))
        if wrong is not None:
            return f"{name} [{wrong}] is {getattr(found, name)[wrong]}, not {getattr(right, name)[wrong]}"
    for name in ("in_flight", "packets_sent", "quanta_sent", "events"):
        if getattr(right, name) != getattr(found, name):
            return f"{name} is {getattr(found, name)}, not {getattr(right, name)}"
    return ""


def _finished(backend: str, graph: IntegerGraph, end: RunState, trace: Trace, seconds: float) -> Run:
    """A run that was recorded to its end."""
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
    """Longest segment whose rows stay within memory."""
    row = 8 * (graph.mesh.holders + graph.mesh.faces)
    return max(1, ROWS_BYTES // max(row, 1)) * options.every
