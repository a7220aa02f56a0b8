"""The table of invariance: every transformation in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pisnn_deploy.core.optional import is_installed, lava_runs_here
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.invariance.cores import core_rows
from pisnn_deploy.invariance.numbering import moved_rows, renumbered_rows, scaled_rows
from pisnn_deploy.invariance.rows import Row, Subject
from pisnn_deploy.invariance.running import backend_rows, coding_rows, domain_rows, restart_rows, thread_rows
from pisnn_deploy.runs.comparison import STRETCH_BYTES
from pisnn_deploy.runs.registry import BACKENDS
from pisnn_deploy.runs.run import row_bytes

STEPS = 16
"""Most PDE steps of a run by default."""


def invariance_rows(
    graph: IntegerGraph, steps: int | None = None, backends: Sequence[str] | None = None
) -> Iterator[Row]:
    """Transform a graph in every way that must leave its integers as they are, and compare runs with the reference.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    steps : int, optional
        PDE steps of each run, at least 1 (default: 16, fewer on a large mesh).
    backends : sequence of str, optional
        Backends to run (default: all that are installed).

    Raises
    ------
    CheckError
        The run itself breaks an invariant or leaves its range.
    """
    chosen = tuple(installed_backends() if backends is None else backends)
    subject = Subject(graph, usual_steps(graph) if steps is None else steps)
    yield from core_rows(subject)
    yield from domain_rows(subject)
    yield from restart_rows(subject, chosen)
    yield from moved_rows(subject)
    yield from scaled_rows(subject)
    yield from renumbered_rows(subject)
    yield from coding_rows(subject)
    yield from backend_rows(subject, chosen)
    yield from thread_rows(subject)


def usual_steps(graph: IntegerGraph) -> int:
    """PDE steps whose integers take little memory, at most `STEPS` and at least 2."""
    return max(2, min(STEPS, STRETCH_BYTES // row_bytes(graph, everything=True)))


def installed_backends() -> tuple[str, ...]:
    """Names of the backends that can run here."""
    return tuple(
        name
        for name, backend in BACKENDS.items()
        if (lava_runs_here() if name == "cpu" else all(map(is_installed, backend.needs)))
    )
