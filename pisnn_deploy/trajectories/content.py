"""Arrays of a trajectory's file, and what each of them is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.printable import counted
from pisnn_deploy.core.suggestions import did_you_mean

Array = NDArray[Any]
TIMES = ("time", "times", "t")
VOLUMES = ("volume", "volumes")
ENTERED = "entered"
AXES = "xyz"
TRANSPORTED = tuple(f"transported_{axis}" for axis in AXES)
MOST_AXES = 3
LARGEST = 1e60
"""Largest float, so that no square or product overflows."""
_SHOWN_NAMES = 12
_OF_RUNS = re.compile(r"(^|\.)(transported|entered$|probe\.)|(^|_)ledger$")
"""Names of what runs record beside fields."""
_LEDGER = re.compile(r"(^|_)ledger$")


@dataclass(frozen=True)
class Content:
    """Arrays of a file by name.

    Attributes
    ----------
    path : Path
        The file, for messages.
    arrays : mapping of str to array
        All numeric arrays.
    """

    path: Path
    arrays: Mapping[str, Array]

    def of_field(self, name: str, field: str, *, is_only: bool) -> Array | None:
        """Array of a name for a field (``FIELD.NAME``), or of the name alone for the only field.

        Raises
        ------
        FileError
            The name alone does not say which of several fields it is of, or of which parts of a sum.
        """
        array = self.arrays.get(f"{field}.{name}")
        if array is None and name in self.arrays:
            if not is_only or "+" in field:
                remedy = f"name it {field}.{name}, or choose one field with --field"
                raise FileError(self.path, f"does not say that it is of {field}", field=name, remedy=remedy)
            array = self.arrays[name]
        return array

    @property
    def has_ledgers(self) -> bool:
        """Whether a run of `simulate` recorded what passed its sides and sources."""
        return any(_LEDGER.search(name) for name in self.arrays)

    def first(self, names: tuple[str, ...]) -> tuple[str, Array] | None:
        """First array of some names that the file has."""
        return next(((name, self.arrays[name]) for name in names if name in self.arrays), None)


@dataclass(frozen=True)
class Trajectory:
    """Fields over time.

    Attributes
    ----------
    path : Path
        File that it was read from.
    shape : tuple of int
        Cells along each axis, or one number for cells in any order.
    fields : mapping of str to array [rows, *shape]
        Floats or integers, all finite.
    times : float64 array [rows], or None
        Ascending; None if the file has none.
    volumes : float64 array [*shape], or None
        Volume of each cell; None if all are equal.
    lengths : tuple of float, or None
        Extent along each axis by the file's coordinates.
    """

    path: Path
    shape: tuple[int, ...]
    fields: Mapping[str, Array]
    times: NDArray[np.float64] | None
    volumes: NDArray[np.float64] | None
    lengths: tuple[float, ...] | None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(next(iter(self.fields.values())).shape[0])

    @property
    def cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)


def trajectory_of(content: Content, mesh: tuple[int, ...] | None, names: tuple[str, ...]) -> Trajectory:
    """Find the fields, times and volumes among the arrays of a file.

    Parameters
    ----------
    mesh : tuple of int, or None
        Cells along each axis, which fields may also list as one axis (C order); None takes the fields' own shape.
    names : tuple of str
        Fields to read; none for all arrays that have the shape of one. ``a+b`` is the sum of two.

    Raises
    ------
    FileError
        There is no field, or an array has a wrong shape or a value that is not finite.
    """
    path = content.path
    chosen = {name: _sum(content, name.split("+")) for name in names} if names else _fields(content, mesh)
    if not chosen:
        of = "" if mesh is None else f" of {_text(mesh)} cells"
        raise FileError(
            path, f"has no field [time, *mesh]{of}", remedy=f"{_arrays_text(content)}; see --field and --mesh"
        )
    shaped = {name: _shaped(path, name, array, mesh) for name, array in chosen.items()}
    (first, array), *rest = shaped.items()
    for name, other in rest:
        if other.shape != array.shape:
            remedy = "choose fields of one shape with --field"
            problem = f"has shape {_text(other.shape)}, but {first} has {_text(array.shape)}"
            raise FileError(path, problem, field=name, remedy=remedy)
    for name, each in shaped.items():
        _require_finite(path, name, each)
    shape = array.shape[1:]
    return Trajectory(
        path, shape, shaped, _times(content, array.shape[0]), _volumes(content, shape), _lengths(content, shape)
    )


def _fields(content: Content, mesh: tuple[int, ...] | None) -> dict[str, Array]:
    """Arrays with a row for each time; with a mesh, those of its shape alone."""
    known = {*TIMES, *VOLUMES, *AXES}
    fields = {}
    for name, array in content.arrays.items():
        if name in known or _OF_RUNS.search(name) or array.ndim < 2:
            continue
        if mesh is None or array.shape[1:] in (mesh, (math.prod(mesh),)):
            fields[name] = array
    return fields


def _sum(content: Content, names: list[str]) -> Array:
    """Sum of arrays, in the type that they have together."""
    total: Array | None = None
    for name in names:
        array = content.arrays.get(name)
        if array is None:
            problem = f"has no array {name!r}{did_you_mean(name, content.arrays)}"
            raise FileError(content.path, problem, remedy=_arrays_text(content))
        if total is not None and array.shape != total.shape:
            problem = f"has shape {_text(array.shape)}, but {names[0]} has {_text(total.shape)}"
            raise FileError(content.path, problem, field=name)
        total = array if total is None else _added(total, array)
    assert total is not None  # split never returns an empty list
    return total


def _added(first: Array, second: Array) -> Array:
    if first.dtype.kind == "i" and second.dtype.kind == "i":
        return np.add(first, second, dtype=np.object_)
    return np.asarray(first + second)


def _shaped(path: Path, name: str, array: Array, mesh: tuple[int, ...] | None) -> Array:
    if array.ndim < 2:
        problem = f"has shape {_text(array.shape)}; expected [time, *mesh]"
        raise FileError(path, problem, field=name)
    if not array.size:
        raise FileError(path, f"is empty: its shape is {_text(array.shape)}", field=name)
    if array.shape[0] < 2:
        raise FileError(path, "has one row; a balance needs at least two", field=name)
    if mesh is None:
        if array.ndim - 1 > MOST_AXES:
            remedy = "give the --mesh, and one field at a time"
            raise FileError(path, f"has shape {_text(array.shape)}: {array.ndim - 1} axes", field=name, remedy=remedy)
        return array
    if array.shape[1:] == mesh:
        return array
    if array.shape[1:] == (math.prod(mesh),):
        return array.reshape(array.shape[0], *mesh)
    problem = f"has shape {_text(array.shape)}; a row of {_text(mesh)} cells was expected"
    raise FileError(path, problem, field=name, remedy="time is the first axis; correct the --mesh or the file")


def _require_finite(path: Path, name: str, array: Array) -> None:
    if array.dtype.kind != "f":
        return
    for row, values in enumerate(array):
        is_wrong = beyond(values)
        if is_wrong.any():
            cell = tuple(int(index) for index in np.argwhere(is_wrong)[0])
            number = counted(int(is_wrong.sum()), "such value")
            problem = f"is {values[cell]} in row {row}, cell {cell_text(cell)} ({number} in this row)"
            raise FileError(path, problem, field=name, remedy=f"expected numbers up to {LARGEST:g}")


def _times(content: Content, rows: int) -> NDArray[np.float64] | None:
    named = content.first(TIMES)
    if named is None:
        return None
    name, array = named
    if array.shape != (rows,) or array.dtype.kind not in "iuf":
        raise FileError(content.path, f"has shape {_text(array.shape)}; expected one time per row ({rows})", field=name)
    times = array.astype(np.float64)
    if not np.isfinite(times).all():
        row = int(np.flatnonzero(~np.isfinite(times))[0])
        raise FileError(content.path, f"is {times[row]} in row {row}", field=name)
    backwards = np.flatnonzero(np.diff(times) <= 0)
    if backwards.size:
        row = int(backwards[0])
        problem = f"does not ascend: {times[row]:g} in row {row}, then {times[row + 1]:g}"
        raise FileError(content.path, problem, field=name)
    return times


def _volumes(content: Content, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    named = content.first(VOLUMES)
    if named is None:
        return None
    name, array = named
    if array.size != math.prod(shape) or array.dtype.kind not in "iuf":
        problem = f"has shape {_text(array.shape)}; expected one volume per cell, {_text(shape)}"
        raise FileError(content.path, problem, field=name)
    volumes = array.astype(np.float64).reshape(shape)
    wrong = np.argwhere(~((volumes > 0) & (volumes <= LARGEST)))
    if wrong.size:
        cell = tuple(int(index) for index in wrong[0])
        raise FileError(content.path, f"is {volumes[cell]:g} in cell {cell_text(cell)}; must be positive", field=name)
    return volumes


def _lengths(content: Content, shape: tuple[int, ...]) -> tuple[float, ...] | None:
    """Extent along each axis, where the file has equally spaced centres of the cells for all axes."""
    lengths = []
    for axis, count in zip(AXES, shape, strict=False):
        centres = content.arrays.get(axis)
        if centres is None or centres.shape != (count,) or count < 2 or centres.dtype.kind not in "iuf":
            return None
        steps = np.diff(centres.astype(np.float64))
        width = float(steps.mean())
        if not width > 0 or float(np.abs(steps - width).max()) > _UNEVEN * width:
            return None
        lengths.append(width * count)
    return tuple(lengths)


_UNEVEN = 1e-4
"""Share of a cell's width by which distances of centres may differ: coordinates may be float32."""


def beyond(values: Array) -> NDArray[np.bool_]:
    """Which floats are not finite or larger than `LARGEST`."""
    return np.asarray(~(np.abs(values) <= min(LARGEST, float(np.finfo(values.dtype).max))))


def cell_text(cell: tuple[int, ...]) -> str:
    """Index of a cell, such as ``17`` or ``(3, 4)``."""
    return str(cell[0]) if len(cell) == 1 else str(cell)


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "of a single number"


def _arrays_text(content: Content) -> str:
    names = [f"{name} {_text(array.shape)}" for name, array in content.arrays.items()]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"its arrays are {', '.join(names[:_SHOWN_NAMES])}{more}" if names else "it has no numeric array"


def is_field_list(text: str) -> bool:
    """Whether a text names one field, or several to be added."""
    return re.fullmatch(r"[^+]+(\+[^+]+)*", text) is not None
