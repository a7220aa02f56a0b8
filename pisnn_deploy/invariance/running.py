"""Rows on how a graph is run: restarts, coding, backends, threads, domains."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.optional import is_installed, lack_of
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.graph.integer import Coding, IntegerGraph
from pisnn_deploy.invariance.rows import Row, Subject, row, stepped
from pisnn_deploy.runs.faulty import FaultyStepper
from pisnn_deploy.runs.registry import run_graph
from pisnn_deploy.runs.run import Run, Trace, start_of
from pisnn_deploy.runs.snapshot import Snapshot, read_snapshot, write_snapshot

CODINGS: tuple[Coding, ...] = ("delta", "dense")
THREADS = (1, 2, 3)
DOMAINS = (2, 3)
_WIDEST = 62
"""Signed width of any payload or accumulator; those of messages are checked when they are sent."""


def restart_rows(subject: Subject, backends: Sequence[str]) -> Iterator[Row]:
    """Compare runs that stop after every PDE step, and go on from a snapshot file in a new process's state."""
    for backend in backends:
        steps = range(1, subject.steps + 1) if backend == "fast" else (max(1, subject.steps // 2), subject.steps)
        where = "every PDE step" if backend == "fast" else f"PDE step {steps[0]}"
        yield row(subject, f"restart at {where} on {backend}", partial(_restarted, subject, backend, sorted({*steps})))


def _restarted(subject: Subject, backend: str, ends: Sequence[int]) -> Run:
    graph, traces, start = subject.graph, [], None
    with tempfile.TemporaryDirectory() as folder:
        for end in ends:
            run = run_graph(backend, graph, subject.mass, replace(subject.options, start=start, until=end))
            traces.append(run.trace)
            if run.end is None:
                break
            path = Path(folder) / "snapshot"
            write_snapshot(path, Snapshot(run.end, None, 0, 0.0, "", {}))
            start = read_snapshot(path, graph).state
    return replace(run, trace=_joined(traces))


def _joined(traces: Sequence[Trace]) -> Trace:
    """Rows of traces one after another."""
    names = ("step", "mass", "ledger", "transported", "in_flight", "flux")
    parts = {name: np.concatenate([getattr(trace, name) for trace in traces]) for name in names}
    return Trace(**parts, columns=traces[0].columns)


def coding_rows(subject: Subject) -> Iterator[Row]:
    """Compare the chip in numpy, message by message, with either coding."""
    for coding in CODINGS:
        text = f"{coding} coding, message by message"
        yield row(subject, text, partial(_on_the_machine, subject, coding))


def _on_the_machine(subject: Subject, coding: Coding) -> Run:
    graph = coded(subject.graph, coding)
    start = start_of(graph, subject.mass)
    return stepped(graph, FaultyStepper(graph, start, Injector(graph, (), subject.steps)), subject.steps)


def coded(graph: IntegerGraph, coding: Coding) -> IntegerGraph:
    """Return a graph with another coding, and graded spikes as wide as this needs.

    Raises
    ------
    UsageError
        Its channels hear states one PDE step late, which only values can bring.
    """
    if coding == graph.coding:
        return graph
    if any(graph.population(channels.population).is_late for channels in graph.channels):
        raise UsageError("stock cells send their states, so delta coding is impossible")
    other = replace(graph, coding=coding, populations=tuple(replace(p, lines=0) for p in graph.populations))
    widths = Bounds(_WIDEST, _WIDEST, _WIDEST)(other).bounds
    messages = {(b.population, b.quantity): b for b in widths if b.quantity in ("payload", "accumulator")}
    kept = [b for b in graph.bounds if b.quantity not in ("payload", "accumulator")]
    return replace(other, bounds=(*kept, *messages.values()))


def backend_rows(subject: Subject, backends: Sequence[str]) -> Iterator[Row]:
    """Compare every backend."""
    for backend in backends:
        make = partial(run_graph, backend, subject.graph, subject.mass, subject.options)
        yield row(subject, f"backend {backend}", make)


def thread_rows(subject: Subject) -> Iterator[Row]:
    """Compare the compiled kernels on several threads."""
    for count in THREADS:
        text = f"{count} thread{'s' if count > 1 else ''}"
        yield row(subject, text, partial(_threaded, subject, count))


def _threaded(subject: Subject, count: int) -> Run:
    _require_kernels()
    # Imported here, because LLVM takes longer to import than most commands run.
    from pisnn_deploy.runs.kernels.draft import UnservedError
    from pisnn_deploy.runs.kernels.stepper import KernelStepper

    start = start_of(subject.graph, subject.mass)
    try:
        stepper = KernelStepper(subject.graph, start, subject.steps, count)
    except UnservedError as error:
        raise UsageError(f"{error}; the reference runs it on one") from error
    with closing(stepper):
        return stepped(subject.graph, stepper, subject.steps)


def _require_kernels() -> None:
    if not is_installed("llvmlite"):
        raise UsageError(f"compiled kernels need {lack_of('llvmlite')}")


def domain_rows(subject: Subject) -> Iterator[Row]:
    """Compare runs in several domains."""
    for count in DOMAINS:
        yield row(subject, f"{count} domains", partial(_in_domains, subject, count))


def _in_domains(subject: Subject, count: int) -> Run:
    _require_kernels()
    from pisnn_deploy.runs.domains.stepper import stepper_here

    start = start_of(subject.graph, subject.mass)
    with closing(stepper_here(subject.graph, start, subject.steps, count)) as stepper:
        return stepped(subject.graph, stepper, subject.steps)
