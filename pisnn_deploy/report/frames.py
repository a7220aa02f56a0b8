"""The animation of a run's field: integers of some steps and cells, packed so that a page can hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import CellMesh
from pisnn_deploy.runs.run import Trace

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
Kind = Literal["line", "plane", "triangles", "points"]
Reference = Callable[[float], Field | None]

MOST_FRAMES = 120
MOST_POINTS = 1 << 14
"""Cells that are drawn."""
MOST_BYTES = 1_200_000
"""Of all frames together, the reference's included."""
COORDINATE_BITS = 16
"""Corners of cells are drawn in so many bits of the mesh's extent: far finer than a screen."""


@dataclass(frozen=True)
class Packed:
    """Integers ``offset + (number << shift)`` as unsigned numbers of little-endian bytes.

    Attributes
    ----------
    data : bytes
    width : int
        Bytes of each number: 1, 2 or 4.
    offset, shift : int
        `shift` bits of each integer were dropped; 0 for exact integers.
    """

    data: bytes
    width: int
    offset: int
    shift: int


@dataclass(frozen=True)
class Shown:
    """The cells that are drawn, and where they lie.

    Attributes
    ----------
    kind : str
        ``line``: profiles; ``plane``: a map; ``triangles``; ``points``: centres of cells.
    cells : int64 array [points]
        Flat, in the order in which they are drawn.
    shape : tuple of int
        Points along each drawn axis; of cells of any shape their number.
    extent : tuple of float
        Lower and upper end of each drawn axis: ``(x0, x1)`` or ``(x0, x1, y0, y1)``.
    profile : range or None
        The points of a profile: all of a line, of a map those along its last axis through the middle; None of cells of
        any shape.
    vertices : float64 array [points, 3 or 1, 2] or None
        Corners of triangles, or centres; None on a grid.
    notes : tuple of str
        What is not drawn.
    """

    kind: Kind
    cells: Integers
    shape: tuple[int, ...]
    extent: tuple[float, ...]
    profile: range | None = None
    vertices: Field | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frames:
    """An animation, ready to be written into a page.

    Attributes
    ----------
    shown : Shown
    rows : int64 array [frames]
        Rows of the trace.
    levels : Packed
        Masses, times inverse volumes where cells differ: [frames, points].
    exact : Packed or None
        The reference along the profile in the same unit, rounded to integers; None without one.
    lowest, highest : float
        Of all drawn values, reference included.
    """

    shown: Shown
    rows: Integers
    levels: Packed
    exact: Packed | None
    lowest: float
    highest: float
    notes: tuple[str, ...] = field(default=())


def evenly(count: int, most: int) -> Integers:
    """At most `most` of the numbers below `count`, the first and the last among them, int64."""
    return np.unique(np.linspace(0, count - 1, min(count, max(most, 1))).astype(np.int64))


def shown_cells(graph: IntegerGraph) -> Shown:
    """Choose the cells to draw: of a box the middle plane of its first axis, and no more than a page can hold.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    Shown
    """
    mesh = graph.mesh
    if isinstance(mesh, CellMesh):
        return _shown_of_any_shape(mesh)
    numbers = np.arange(mesh.cells).reshape(mesh.shape)
    notes: list[str] = []
    if numbers.ndim == 3:
        notes.append(f"The map shows the middle plane, number {mesh.shape[0] // 2} of {mesh.shape[0]} across x.")
        numbers = numbers[mesh.shape[0] // 2]
    lengths = mesh.lengths[-numbers.ndim :]
    stride = 1
    while np.prod([-(-count // stride) for count in numbers.shape]) > MOST_POINTS:
        stride += 1
    if stride > 1:
        notes.append(f"One cell of {stride} along each axis is drawn.")
        numbers = numbers[(slice(stride // 2, None, stride),) * numbers.ndim]
    extent = tuple(end for length in lengths for end in (0.0, float(length)))
    kind: Kind = "line" if numbers.ndim == 1 else "plane"
    along = numbers.shape[-1]
    first = 0 if kind == "line" else numbers.shape[0] // 2 * along
    return Shown(kind, numbers.reshape(-1), numbers.shape, extent, range(first, first + along), notes=tuple(notes))


def _shown_of_any_shape(mesh: CellMesh) -> Shown:
    points = mesh.points
    stride = -(-mesh.cells // MOST_POINTS)
    cells = np.arange(stride // 2, mesh.cells, stride)
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    extent = tuple(float(end) for axis in range(2) for end in (low[axis], high[axis]))
    notes = [] if stride == 1 else [f"The centre of one cell of {stride} is drawn."]
    if mesh.dimensions == 2 and stride == 1:
        return Shown("triangles", cells, (cells.size,), extent, vertices=points[mesh.corners])
    centres = points[mesh.corners[cells]].mean(axis=1)
    if mesh.dimensions == 3:
        notes.append("Dots are the centres of the tetrahedra, seen along z, the nearest on top.")
        order = np.argsort(centres[:, 2], kind="stable")
        cells, centres = cells[order], centres[order]
    return Shown("points", cells, (cells.size,), extent, vertices=centres[:, None, :2], notes=tuple(notes))


def frames_of(graph: IntegerGraph, trace: Trace, reference: Reference | None) -> Frames:
    """Choose and pack the frames of a run.

    Parameters
    ----------
    graph : IntegerGraph
    trace : Trace
        With at least one row.
    reference : callable or None
        Exact cell values at a physical time; drawn beside the profile.

    Returns
    -------
    Frames
    """
    shown = shown_cells(graph)
    rows = evenly(trace.step.size, MOST_FRAMES)
    # Row by row: a trace may be far larger than the memory, mapped from disk.
    levels = np.stack([graph.levels(trace.mass[row])[shown.cells] for row in rows])
    exact = None
    if reference is not None and shown.profile is not None:
        exact = _exact(graph, shown.cells[shown.profile], trace.step[rows] * graph.time_step, reference)
    width = _width(levels)
    room = MOST_BYTES // (shown.cells.size + (0 if exact is None else exact.shape[1]))
    if rows.size * width > room:
        width = min(width, 2)
    kept = evenly(rows.size, max(1, room // width))
    rows, levels, exact = rows[kept], levels[kept], None if exact is None else exact[kept]
    notes = list(shown.notes)
    if rows.size < trace.step.size:
        notes.append(f"{rows.size:,} of {trace.step.size:,} kept steps are drawn.")
    packed = _packed(levels, width)
    if packed.shift:
        notes.append(f"Drawn masses are rounded down to multiples of {1 << packed.shift:,} quanta.")
    ends = [(int(numbers.min()), int(numbers.max())) for numbers in (levels, exact) if numbers is not None]
    scale = graph.value_per_quantum
    lowest, highest = min(low for low, _ in ends) * scale, max(high for _, high in ends) * scale
    drawn = None if exact is None else _packed(exact, width)
    return Frames(shown, rows, packed, drawn, lowest, highest, tuple(notes))


def _exact(graph: IntegerGraph, cells: Integers, times: Field, reference: Reference) -> Integers | None:
    found = [reference(float(time)) for time in times]
    known = [values[cells] for values in found if values is not None]
    if len(known) < len(found):
        return None
    return np.asarray(np.rint(np.stack(known) / graph.value_per_quantum), np.int64)


def _width(numbers: Integers) -> int:
    span = int(numbers.max()) - int(numbers.min())
    return next((width for width in (1, 2) if span < 1 << 8 * width), 4)


def _packed(numbers: Integers, width: int) -> Packed:
    lowest, highest = int(numbers.min()), int(numbers.max())
    shift = max(0, (highest - lowest).bit_length() - 8 * width)
    data = ((numbers - lowest) >> shift).astype(f"<u{width}").tobytes()
    return Packed(data, width, lowest, shift)


def packed_vertices(shown: Shown) -> bytes | None:
    """Where triangles or centres lie: x and y of each corner as little-endian 16-bit fractions of the extent.

    Parameters
    ----------
    shown : Shown

    Returns
    -------
    bytes or None
        None on a grid.
    """
    if shown.vertices is None:
        return None
    low, high = np.array(shown.extent[::2]), np.array(shown.extent[1::2])
    span = np.where(high > low, high - low, 1.0)
    most = (1 << COORDINATE_BITS) - 1
    return bytes(np.rint((shown.vertices - low) / span * most).astype("<u2").tobytes())


def describe(graph: IntegerGraph, trace: Trace, frames: Frames) -> dict[str, Any]:
    """What the page's script must know of the frames, as plain data for JSON.

    Parameters
    ----------
    graph : IntegerGraph
    trace : Trace
    frames : Frames

    Returns
    -------
    dict
        Offsets are text: they may not fit into a float64.
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
        "value_per_quantum": graph.value_per_quantum,
        "masses": graph.materials is None,
        "packed": {
            name: {"width": one.width, "offset": str(one.offset), "shift": one.shift} for name, one in packed.items()
        },
    }
