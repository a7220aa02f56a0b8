"""Consistency checks of a trace from disk, which is untrusted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.columns import columns_of, incidence_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.run import Integers, RunOptions, RunState, Trace, row_bytes
from pisnn_deploy.runs.states import first_true, largest_packet

CHUNK_BYTES = 1 << 25
"""Approximate size of the chunks of rows that are checked together, in bytes."""


def rows_problem(graph: IntegerGraph, mass: Integers, trace: Trace, options: RunOptions, end: RunState) -> str:
    """Return the first error in the recorded rows of a run, or an empty string.

    Row 0 must be the start. Each row must have the initial masses plus its packets, within the operating range. No face
    may send more between two rows than it can. A row at the snapshot's PDE step must equal the snapshot. Packets in
    flight can only be checked between consecutive PDE steps.

    Parameters
    ----------
    mass : int64 array [cells]
        Initial masses in quanta.
    options : RunOptions
        Options of the whole run.
    end : RunState
        The snapshot, already checked.

    Returns
    -------
    str
        Error with part, row and index; empty without errors.
    """
    return next(_problems(graph, mass, trace, options, end), "")


def _problems(graph: IntegerGraph, mass: Integers, trace: Trace, options: RunOptions, end: RunState) -> Iterator[str]:
    steps = RunOptions(options.steps, options.every).kept_steps()[: trace.step.size]
    if (row := first_true(trace.step != steps)) is not None:
        yield f"rows of other PDE steps: step, row {row}: {trace.step[row]}, not {steps[row]}"
    yield from _unlike_the_snapshot(graph, trace, end)
    number = max(1, CHUNK_BYTES // row_bytes(graph))
    judge = _Judge(graph, mass)
    for first in range(0, steps.size, number):
        rows = trace.at(np.arange(first, min(steps.size, first + number), dtype=np.int64))
        # Include the previous row, so that packets between two chunks are checked, too.
        before = trace.transported[first - 1 : first] if first else np.zeros((1, trace.transported.shape[1]), np.int64)
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
    (mass, ledger), row = columns_of(graph).split(end.mass), trace.step.size - 1
    for name, recorded, expected in (
        ("mass", trace.mass[-1], mass),
        ("ledger", trace.ledger[-1], ledger),
        ("transported", trace.transported[-1], end.transported),
        ("in_flight", trace.in_flight[-1:], np.array([end.in_flight])),
    ):
        if (index := first_true(np.asarray(recorded) != expected)) is not None:
            yield (
                f"the last row differs from the snapshot: {name}, row {row} [{index}] is {recorded[index]}, "
                f"the snapshot has {expected[index]}"
            )


class _Judge:
    """Checks rows in chunks."""

    def __init__(self, graph: IntegerGraph, mass: Integers) -> None:
        self._graph = graph
        self._columns = columns_of(graph)
        self._start = self._columns.holdings(mass)
        self._incidence = incidence_of(graph)
        self._most = {ends.population: largest_packet(graph, ends.population) for ends in graph.channels}

    def problems(self, rows: Trace, before: Integers, since: int) -> Iterator[str]:
        """Yield errors in consecutive rows; `before` has the packets of the previous row, of PDE step `since`."""
        mass, ledger = self._columns.split(self._start + np.asarray((self._incidence @ rows.transported.T).T))
        for name, recorded, right in (("mass", rows.mass, mass), ("ledger", rows.ledger, ledger)):
            if (place := _place(recorded != right)) is not None:
                row, index = place
                yield (
                    f"{_BY_STEP[int(rows.step[row]) == 0]}: {name} [{index}] of PDE step {rows.step[row]} is "
                    f"{recorded[row, index]}, not {right[row, index]}"
                )
        gaps = np.diff(np.concatenate([[since], rows.step]))
        yield from self.leaps(rows.transported, np.concatenate([before, rows.transported[:-1]]), gaps, "", rows.step)
        yield from self._beyond(rows)
        yield from self._in_flight(rows, before, gaps)

    def leaps(
        self, after: Integers, before: Integers, gaps: Integers, name: str, steps: Integers | None = None
    ) -> Iterator[str]:
        """Yield rows with more packets than their PDE steps can send."""
        # Unsigned, because the difference of two signed 64-bit integers may wrap.
        high, low = np.maximum(after, before), np.minimum(after, before)
        sent = high.astype(np.uint64) - low.astype(np.uint64)
        for channels in self._columns.channels:
            most = self._most[channels.population]
            limits = [min(most * gap, (1 << 64) - 1) for gap in gaps.tolist()]
            place = _place(sent[:, channels.part] > np.array(limits, np.uint64)[:, None])
            if place is None:
                continue
            row, index = place[0], channels.first + place[1]
            where = name or f"PDE step {0 if steps is None else steps[row]}"
            yield (
                f"more packets than {gaps[row]} PDE steps can send: transported [{index}] of {where} is "
                f"{after[row, index]}, but {before[row, index]} in the row before"
            )

    def _beyond(self, rows: Trace) -> Iterator[str]:
        """Yield masses and ledgers that the audit would have refused."""
        for columns in self._columns.fields:
            window, levels = columns.field.window, columns.field.levels(rows.mass[:, columns.cells])
            if (place := _place((levels < window.lower) | (levels > window.upper))) is not None:
                row, index = place[0], columns.first_cell + place[1]
                yield (
                    f"masses outside the operating range: mass [{index}] of PDE step {rows.step[row]} is "
                    f"{rows.mass[row, index]}"
                )
            if not columns.field.reservoirs.size:
                continue
            half, ledgers = 1 << (self._graph.bits(columns.holder, "ledger") - 1), rows.ledger[:, columns.reservoirs]
            if (place := _place((ledgers < -half) | (ledgers >= half))) is not None:
                row, index = place[0], columns.first_reservoir + place[1]
                ledger = rows.ledger[row, index]
                yield f"a ledger exceeds its bits: ledger [{index}] of PDE step {rows.step[row]} is {ledger}"

    def _in_flight(self, rows: Trace, before: Integers, gaps: Integers) -> Iterator[str]:
        packets = np.abs(np.diff(rows.transported, axis=0, prepend=before)).sum(axis=1)
        most = sum(self._most[channels.population] * channels.count for channels in self._columns.channels)
        wrong = (rows.in_flight < 0) | (rows.in_flight > most)
        wrong |= (gaps == 1) & (rows.in_flight != packets) | (rows.step == 0) & (rows.in_flight != 0)
        if (row := first_true(wrong)) is not None:
            in_flight = rows.in_flight[row]
            yield f"packets in flight differ from those sent: in_flight of PDE step {rows.step[row]} is {in_flight}"


_BY_STEP = {True: "the first row differs from the start", False: "a row does not match its packets"}


def _place(wrong: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Row and index of the first wrong element."""
    if not wrong.any():
        return None
    row = int(wrong.any(axis=1).argmax())
    return row, int(wrong[row].argmax())
