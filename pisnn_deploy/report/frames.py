"""Animation of a run's field: integers of selected steps and cells, packed for a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import FieldColumns
from pisnn_deploy.mesh import View
from pisnn_deploy.report.places import view_of
from pisnn_deploy.runs.run import Trace

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
Reference = Callable[[float], Field | None]

MOST_FRAMES = 120
MOST_FIELDS = 8
"""Maximum number of drawn fields."""
MOST_POINTS = 1 << 14
"""Maximum number of drawn cells."""
MOST_BYTES = 1_200_000
"""Maximum size of all frames, including the reference."""
COORDINATE_BITS = 16
"""Resolution of cell corners within the mesh's extent, far finer than a screen."""


@dataclass(frozen=True)
class Packed:
    """Integers ``offset + (number << shift)``, with the numbers as unsigned little-endian bytes.

    Attributes
    ----------
    data : bytes
        The numbers.
    width : int
        Bytes per number: 1, 2 or 4.
    offset, shift : int
        Offset, and number of dropped low bits; 0 if the integers are exact.
    """

    data: bytes
    width: int
    offset: int
    shift: int


@dataclass(frozen=True)
class Frames:
    """An animation for a page.

    Attributes
    ----------
    rows : int64 array [frames]
        Drawn rows of the trace.
    levels : Packed
        Masses [frames, points], multiplied by inverse volumes if cells differ.
    exact : Packed or None
        Reference along the profile, in the same unit and rounded to integers.
    lowest, highest : float
        Range of all drawn cell values, including the reference.
    """

    columns: FieldColumns
    shown: View
    rows: Integers
    levels: Packed
    exact: Packed | None
    lowest: float
    highest: float
    notes: tuple[str, ...] = field(default=())


def evenly(count: int, most: int) -> Integers:
    """Up to `most` evenly spaced integers from 0 to ``count - 1``, both included, int64."""
    return np.unique(np.linspace(0, count - 1, min(count, max(most, 1))).astype(np.int64))


def _notes(view: View) -> list[str]:
    """Sentences about what is not drawn."""
    notes = []
    if view.plane is not None:
        axis, number, count = view.plane
        notes.append(f"The map shows the middle plane, number {number} of {count} normal to {axis}.")
    if view.stride > 1 and view.vertices is None:
        notes.append(f"One of every {view.stride} cells along each axis is drawn.")
    elif view.stride > 1:
        notes.append(f"The centre of one of every {view.stride} cells is drawn.")
    if view.seen_along:
        notes.append(f"Dots are the centres of the tetrahedra, seen along {view.seen_along}, the nearest on top.")
    return notes


def frames_of(graph: IntegerGraph, trace: Trace, reference: Reference | None) -> tuple[Frames, ...]:
    """Select and pack the frames of a run.

    Parameters
    ----------
    trace : Trace
        Trace with at least one row.
    reference : callable or None
        Exact cell values at a physical time, field by field, drawn with the profile.

    Returns
    -------
    tuple of Frames
        One for each of the first `MOST_FIELDS` fields, all with the same rows.
    """
    shown, fields = view_of(graph, MOST_POINTS), trace.columns.fields[:MOST_FIELDS]
    rows = evenly(trace.step.size, MOST_FRAMES)
    drafts = [_draft(graph, trace, shown, field, rows, reference) for field in fields]
    room = min(draft.room(MOST_BYTES // len(fields), rows.size) for draft in drafts)
    selected = evenly(rows.size, max(1, room))
    return tuple(draft.frames(selected, trace.step.size, MOST_BYTES // len(fields)) for draft in drafts)


@dataclass(frozen=True)
class _Draft:
    """Integers of a field before some of its rows are packed."""

    columns: FieldColumns
    shown: View
    rows: Integers
    levels: Integers
    exact: Integers | None

    def width(self, most_bytes: int) -> int:
        """Bytes per number."""
        width = _width(self.levels)
        return min(width, 2) if self.rows.size * width > self._places(most_bytes) else width

    def room(self, most_bytes: int, rows: int) -> int:
        """Number of rows that fit."""
        return min(rows, self._places(most_bytes) // self.width(most_bytes))

    def _places(self, most_bytes: int) -> int:
        return most_bytes // (self.shown.cells.size + (0 if self.exact is None else self.exact.shape[1]))

    def frames(self, selected: Integers, kept: int, most_bytes: int) -> Frames:
        """Pack the selected rows."""
        width, rows, levels = self.width(most_bytes), self.rows[selected], self.levels[selected]
        exact = None if self.exact is None else self.exact[selected]
        notes = _notes(self.shown)
        if rows.size < kept:
            notes.append(f"{rows.size:,} of {kept:,} kept steps are drawn.")
        packed = _packed(levels, width)
        if packed.shift:
            notes.append(f"Drawn masses are rounded down to multiples of {1 << packed.shift:,} quanta.")
        ends = [(int(numbers.min()), int(numbers.max())) for numbers in (levels, exact) if numbers is not None]
        scale = self.columns.field.value_per_quantum
        lowest, highest = min(low for low, _ in ends) * scale, max(high for _, high in ends) * scale
        drawn = None if exact is None else _packed(exact, width)
        return Frames(self.columns, self.shown, rows, packed, drawn, lowest, highest, tuple(notes))


def _draft(
    graph: IntegerGraph, trace: Trace, shown: View, columns: FieldColumns, rows: Integers, reference: Reference | None
) -> _Draft:
    # Row by row, because a trace mapped from disk may be far larger than the memory.
    levels = np.stack([columns.field.levels(trace.mass[row][columns.cells])[shown.cells] for row in rows])
    exact = None
    if reference is not None and shown.profile is not None:
        exact = _exact(columns, shown.cells[shown.profile], trace.step[rows] * graph.time_step, reference)
    return _Draft(columns, shown, rows, levels, exact)


def _exact(columns: FieldColumns, cells: Integers, times: Field, reference: Reference) -> Integers | None:
    fields = [reference(float(time)) for time in times]
    known = [values[columns.cells][cells] for values in fields if values is not None]
    if len(known) < len(fields):
        return None
    return np.asarray(np.rint(np.stack(known) / columns.field.value_per_quantum), np.int64)


def _width(numbers: Integers) -> int:
    span = int(numbers.max()) - int(numbers.min())
    return next((width for width in (1, 2) if span < 1 << 8 * width), 4)


def _packed(numbers: Integers, width: int) -> Packed:
    lowest, highest = int(numbers.min()), int(numbers.max())
    shift = max(0, (highest - lowest).bit_length() - 8 * width)
    data = ((numbers - lowest) >> shift).astype(f"<u{width}").tobytes()
    return Packed(data, width, lowest, shift)


def packed_vertices(shown: View) -> bytes | None:
    """Pack x and y of triangle corners or centres as little-endian 16-bit fractions of the extent; None on a grid."""
    if shown.vertices is None:
        return None
    low, high = np.array(shown.extent[::2]), np.array(shown.extent[1::2])
    span = np.where(high > low, high - low, 1.0)
    most = (1 << COORDINATE_BITS) - 1
    return bytes(np.rint((shown.vertices - low) / span * most).astype("<u2").tobytes())


def describe(graph: IntegerGraph, trace: Trace, frames: Frames) -> dict[str, Any]:
    """Describe the frames for the page's script, as plain data for JSON.

    Returns
    -------
    dict
        Offsets are strings, because they may not be exact as float64.
    """
    steps, profile = trace.step[frames.rows], frames.shown.profile
    packed = {"levels": frames.levels} | ({} if frames.exact is None else {"exact": frames.exact})
    return {
        "kind": frames.shown.kind,
        "shape": list(frames.shown.shape),
        "extent": list(frames.shown.extent),
        "profile": None if profile is None else [profile.start, len(profile)],
        "steps": steps.tolist(),
        "times": (steps * graph.time_step).tolist(),
        "last_step": int(trace.step[-1]),
        "lowest": frames.lowest,
        "highest": frames.highest,
        "value_per_quantum": frames.columns.field.value_per_quantum,
        "masses": graph.materials is None,
        "packed": {
            name: {"width": numbers.width, "offset": str(numbers.offset), "shift": numbers.shift}
            for name, numbers in packed.items()
        },
    }
