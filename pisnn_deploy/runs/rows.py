"""What the rows of a trace must add up to, where they come from disk and may have been changed there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.graph.connections import Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.runs.run import Integers, RunOptions, RunState, Trace
from pisnn_deploy.runs.states import first_true

CHUNK_BYTES = 1 << 25
"""Rows are looked at together in pieces of about so much memory."""


def rows_problem(graph: IntegerGraph, mass: Integers, trace: Trace, options: RunOptions, end: RunState) -> str:
    """What is wrong with rows that a run from these masses is said to have left.

    Row 0 must be the start, every row the masses of the start moved by the packets that it names, within the operating
    range; no face may have sent more between two rows than it can; and a row of the snapshot's own PDE step must be the
    snapshot. Of packets in flight only those of single PDE steps follow from other numbers.

    Parameters
    ----------
    graph : IntegerGraph
    mass : int64 array [cells]
        At the start of the run.
    trace : Trace
    options : RunOptions
        Of the whole run.
    end : RunState
        The snapshot, which was found to be a state of such a run.

    Returns
    -------
    str
        A sentence that names the part, the row and the index; empty if nothing is wrong.
    """
    return next(_problems(graph, mass, trace, options, end), "")


def _problems(graph: IntegerGraph, mass: Integers, trace: Trace, options: RunOptions, end: RunState) -> Iterator[str]:
    steps = RunOptions(options.steps, options.every).kept_steps()[: trace.step.size]
    if (row := first_true(trace.step != steps)) is not None:
        yield f"rows of other PDE steps: step, row {row}: {trace.step[row]}, not {steps[row]}"
    yield from _unlike_the_snapshot(graph, trace, end)
    width = graph.mesh.holders + graph.mesh.faces
    number = max(1, CHUNK_BYTES // (8 * width))
    judge = _Judge(graph, mass)
    for first in range(0, steps.size, number):
        rows = trace.at(np.arange(first, min(steps.size, first + number), dtype=np.int64))
        # The row before takes part, so that packets between two chunks are looked at too.
        before = trace.transported[first - 1 : first] if first else np.zeros((1, graph.mesh.faces), np.int64)
        since = int(steps[first - 1]) if first else 0
        yield from judge.problems(rows, np.asarray(before), since)
    last = int(steps[-1])
    if last < end.step:
        yield from judge.leaps(
            end.transported[None], trace.transported[-1:], np.array([end.step - last]), "the snapshot"
        )


def _unlike_the_snapshot(graph: IntegerGraph, trace: Trace, end: RunState) -> Iterator[str]:
    if not trace.step.size or int(trace.step[-1]) != end.step:
        return
    cells, row = graph.mesh.cells, trace.step.size - 1
    for name, found, expected in (
        ("mass", trace.mass[-1], end.mass[:cells]),
        ("ledger", trace.ledger[-1], end.mass[cells:]),
        ("transported", trace.transported[-1], end.transported),
        ("in_flight", trace.in_flight[-1:], np.array([end.in_flight])),
    ):
        if (index := first_true(np.asarray(found) != expected)) is not None:
            yield (
                f"a last row that is not the snapshot: {name}, row {row} [{index}] is {found[index]}, "
                f"the snapshot has {expected[index]}"
            )


class _Judge:
    """Looks at rows, some at a time."""

    def __init__(self, graph: IntegerGraph, mass: Integers) -> None:
        mesh = graph.mesh
        rows = Incidence(mesh.source, mesh.target, mesh.holders, 1).rows
        self._graph = graph
        self._start = graph.sole_field.holdings(mass)
        self._incidence = sparse.csr_matrix((rows.values, rows.columns, rows.starts), (mesh.holders, mesh.faces))
        self._most = 1 << (graph.bits(FLUX, "packet") - 1)

    def problems(self, rows: Trace, before: Integers, since: int) -> Iterator[str]:
        """What is wrong with consecutive rows; `before` are the packets of PDE step `since`, ahead of the first."""
        cells = self._graph.mesh.cells
        expected = self._start + np.asarray((self._incidence @ rows.transported.T).T)
        for name, found, right in (
            ("mass", rows.mass, expected[:, :cells]),
            ("ledger", rows.ledger, expected[:, cells:]),
        ):
            if (place := _place(found != right)) is not None:
                row, index = place
                yield (
                    f"{_BY_STEP[int(rows.step[row]) == 0]}: {name} [{index}] of PDE step {rows.step[row]} is "
                    f"{found[row, index]}, not {right[row, index]}"
                )
        gaps = np.diff(np.concatenate([[since], rows.step]))
        yield from self.leaps(rows.transported, np.concatenate([before, rows.transported[:-1]]), gaps, "", rows.step)
        yield from self._beyond(rows)
        yield from self._in_flight(rows, before, gaps)

    def leaps(
        self, after: Integers, before: Integers, gaps: Integers, name: str, steps: Integers | None = None
    ) -> Iterator[str]:
        """Packets between two rows that are more than so few PDE steps can send."""
        # Unsigned, a difference of two numbers of 64 bits cannot wrap.
        high, low = np.maximum(after, before), np.minimum(after, before)
        sent = high.astype(np.uint64) - low.astype(np.uint64)
        limits = [min(self._most * gap, (1 << 64) - 1) for gap in gaps.tolist()]
        place = _place(sent > np.array(limits, np.uint64)[:, None])
        if place is not None:
            row, index = place
            where = name or f"PDE step {0 if steps is None else steps[row]}"
            yield (
                f"more packets than {gaps[row]} PDE steps can send: transported [{index}] of {where} is "
                f"{after[row, index]}, and {before[row, index]} in the row before"
            )

    def _beyond(self, rows: Trace) -> Iterator[str]:
        """Masses and ledgers that no audited run can have kept."""
        graph = self._graph
        window, levels = graph.window, graph.sole_field.levels(rows.mass)
        if (place := _place((levels < window.lower) | (levels > window.upper))) is not None:
            row, index = place
            yield (
                f"masses outside the operating range: mass [{index}] of PDE step {rows.step[row]} is "
                f"{rows.mass[row, index]}"
            )
        half = 1 << (graph.bits(MEMBRANE, "ledger") - 1) if graph.mesh.reservoirs else 0
        if (place := _place((rows.ledger < -half) | (rows.ledger >= half))) is not None:
            row, index = place
            found = rows.ledger[row, index]
            yield f"a ledger beyond its bits: ledger [{index}] of PDE step {rows.step[row]} is {found}"

    def _in_flight(self, rows: Trace, before: Integers, gaps: Integers) -> Iterator[str]:
        packets = np.abs(np.diff(rows.transported, axis=0, prepend=before)).sum(axis=1)
        most = self._most * self._graph.mesh.faces
        wrong = (rows.in_flight < 0) | (rows.in_flight > most)
        wrong |= (gaps == 1) & (rows.in_flight != packets) | (rows.step == 0) & (rows.in_flight != 0)
        if (row := first_true(wrong)) is not None:
            found = rows.in_flight[row]
            yield f"other packets in flight than were sent: in_flight of PDE step {rows.step[row]} is {found}"


_BY_STEP = {True: "a first row that is not the start", False: "a row that the packets do not explain"}


def _place(wrong: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Row and index of the first element that is wrong."""
    if not wrong.any():
        return None
    row = int(wrong.any(axis=1).argmax())
    return row, int(wrong[row].argmax())
