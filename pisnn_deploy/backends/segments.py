"""A long run, cut into segments so that no kill costs more than one of them."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from pisnn_deploy.backends.recording import Progressed, Recording
from pisnn_deploy.backends.registry import run_graph
from pisnn_deploy.backends.run import Integers, Progress, Run, RunOptions, RunState, Trace
from pisnn_deploy.errors import FileError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.invariants import KINDS

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
        As for `pisnn_deploy.backends.run_graph`.
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
    start = None if held is None else held.snapshot
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
        rows = record.append(run.trace, rows, run.end, seconds)
        if run.failure or end == options.steps:
            return replace(run, trace=record.trace(rows), wall_seconds=seconds)
        start, done = run.end, end
        speed = (end - segment.first_step) / max(run.wall_seconds, 1e-3)
        length = max(1, int(min(speed * segment_seconds, length * FASTEST_GROWTH)))


def _require_consistent(
    held: Progressed, record: Recording, graph: IntegerGraph, mass: Integers, options: RunOptions
) -> None:
    """Refuse a recording that no run of this graph from these masses can have made: it may come from anyone."""
    state, mesh = held.snapshot, graph.mesh
    rows = state.step // options.every + 1
    rows += state.step == options.steps and options.steps % options.every > 0
    expected = graph.membrane.holdings(mass)
    np.subtract.at(expected, mesh.source, state.transported)
    np.add.at(expected, mesh.target, state.transported)
    problem = ""
    if state.step > options.steps or held.rows != rows or set(state.events) != set(graph.chain):
        problem = "counts of another run"
    elif not np.array_equal(expected, state.mass):
        problem = "masses that the packets do not explain"
    elif np.abs(state.residue).max(initial=0) > 1 << graph.flux.threshold_exponent >> 1:
        problem = "a residue beyond half of theta"
    elif not np.array_equal(record.trace(rows).step, RunOptions(options.steps, options.every).kept_steps()[:rows]):
        problem = "rows of other PDE steps"
    if problem:
        raise FileError(record.folder, f"is damaged ({problem})", remedy="start anew without --resume")


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
