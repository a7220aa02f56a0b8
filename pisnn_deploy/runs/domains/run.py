"""Run domains in rounds of PDE steps, with halo exchange in between."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation
from pisnn_deploy.graph.integer import MEMBRANE, IntegerGraph
from pisnn_deploy.runs.domains.cut import Domain, cut, reach, require_divisible
from pisnn_deploy.runs.domains.worker import DomainWorker, Report
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, Trace, empty_trace, require_room
from pisnn_deploy.runs.states import first_true, moved

MOST_ROUNDS = 32
"""Largest number of PDE steps between two exchanges."""
LARGEST_HALO = 0.2
"""Largest size of both halos, as a part of the domain's rows."""


class DomainWorkers(Protocol):
    """Workers of all domains; calls run on all of them at once."""

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of `DomainWorker` on every domain with its own arguments, and return the results in order."""


@contextmanager
def dask_workers(client: Any, domains: Sequence[Domain], steps: int, halo: int) -> Iterator[DomainWorkers]:
    """Start domains as actors on the workers of a Dask cluster.

    Parameters
    ----------
    steps, halo : int
        See `DomainWorker`.
    """
    addresses = sorted(client.scheduler_info(n_workers=-1)["workers"])
    futures = []
    for number, domain in enumerate(domains):
        home = [addresses[number % len(addresses)]]
        sent = client.scatter(domain, workers=home, hash=False)  # directly to its worker, not through the scheduler
        futures.append(client.submit(DomainWorker, sent, steps, halo, actor=True, pure=False, workers=home))
    actors = [future.result() for future in futures]

    class DaskWorkers:
        def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
            calls = [getattr(actor, method)(*own) for actor, own in zip(actors, arguments, strict=True)]
            return [call.result() for call in calls]

    try:
        yield DaskWorkers()
    finally:
        client.cancel(futures)


def rounds_of(graph: IntegerGraph, parts: int) -> int:
    """Return the number of PDE steps between two exchanges that keeps halos small."""
    rows = graph.grid.shape[0] // max(parts, 1)
    return int(min(MOST_ROUNDS, max(1, LARGEST_HALO * rows / 2 // reach(graph))))


def divided(graph: IntegerGraph, parts: int) -> tuple[tuple[Domain, ...], int, int]:
    """Cut a graph for a run, and choose its rounds.

    Returns
    -------
    rounds : int
        Number of PDE steps between two exchanges.
    halo : int
        Number of rows of a halo.

    Raises
    ------
    UsageError
        If the graph cannot be cut into this many domains.
    """
    require_divisible(graph)
    rounds = rounds_of(graph, parts)
    return cut(graph, parts, rounds), rounds, reach(graph) * rounds


def divided_run(
    graph: IntegerGraph,
    domains: Sequence[Domain],
    workers: DomainWorkers,
    rounds: int,
    options: RunOptions,
    progress: Progress | None = None,
) -> Run:
    """Run a graph on its domains.

    Parameters
    ----------
    graph : IntegerGraph
        The whole graph, whose initial masses are those of the domains.
    workers : DomainWorkers
        Workers of the domains, before their first PDE step.
    rounds : int
        Number of PDE steps between two exchanges.

    Returns
    -------
    Run
        Run with the same trace as the undivided run. Spikes are not counted, because halos send some of them twice.

    Raises
    ------
    UsageError
        If sums of packets may wrap within the number of PDE steps.
    """
    require_room(graph, options)
    trace = empty_trace(graph, options.kept_steps())
    trace_steps = trace.step
    nobody: list[tuple[Any, ...]] = [()] * len(domains)
    ring = domains[0].first < 0
    rows, done, failure, violations = 0, 0, "", dict.fromkeys(KINDS, 0)
    started = time.perf_counter()
    try:
        total = _gather(trace, rows, domains, workers.call("report", nobody))
        rows = 1
        while done < options.steps:
            steps = min(rounds, int(trace_steps[rows]) - done)
            edges = workers.call("edges", nobody)
            beside = _beside(edges, ring=ring)
            workers.call("advance", [(steps, *both, done + steps == trace_steps[rows]) for both in beside])
            done += steps
            if done == trace_steps[rows]:
                total_now = _gather(trace, rows, domains, workers.call("report", nobody))
                rows += 1
                if total_now != total:
                    raise InvariantViolation("global", "mass of all cells and ledgers", -1, done, total, total_now)
                _require_local(graph, trace, rows - 1)
            if progress is not None:
                progress(done)
    except InvariantViolation as violation:
        failure = str(violation)
        violations[violation.kind] += 1
    except OverflowViolation as violation:
        failure = str(violation)
        violations["overflow"] += 1
    return Run(
        backend="fast",
        steps=done,
        time_steps=done * int(graph.period or 0) + 1,
        trace=trace.at(slice(rows)),
        violations=violations,
        failure=failure,
        packets_sent=0,
        quanta_sent=0,
        events={},
        wall_seconds=time.perf_counter() - started,
    )


def _beside(edges: Sequence[tuple[Any, Any]], *, ring: bool) -> list[tuple[Any, Any]]:
    """Edges of the neighbours below and above each domain; None at a wall."""
    below, above = ([edge[side] for edge in edges] for side in (1, 0))
    first, last = (below[-1], above[0]) if ring else (None, None)
    return list(zip([first, *below[:-1]], [*above[1:], last], strict=True))


def _gather(trace: Trace, row: int, domains: Sequence[Domain], reports: Sequence[Report]) -> int:
    """Write a row of the trace from the owned values of all domains, and return the total mass."""
    packets = 0
    for domain, report in zip(domains, reports, strict=True):
        trace.mass[row, domain.cells[domain.owned_cells]] = report.mass
        trace.ledger[row, domain.reservoirs[domain.owns_reservoir]] = report.ledger
        trace.transported[row, domain.faces[domain.owns_face]] = report.transported
        packets += int(np.abs(report.packets).sum())
    trace.in_flight[row] = packets
    return _sum(trace.mass[row]) + _sum(trace.ledger[row])


def _require_local(graph: IntegerGraph, trace: Trace, row: int) -> None:
    """Refuse a row whose masses differ from the initial masses plus all packets."""
    expected = moved(graph, trace.mass[0], trace.transported[row])
    actual = np.concatenate([trace.mass[row], trace.ledger[row]])
    wrong = first_true(expected != actual)
    if wrong is not None:
        step = int(trace.step[row])
        raise InvariantViolation("local", MEMBRANE, wrong, step, int(expected[wrong]), int(actual[wrong]))


def _sum(masses: Integers) -> int:
    return int(masses.sum())
