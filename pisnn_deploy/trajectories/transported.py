"""Local balance of a field, where the file says what passed through the faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.trajectories.balance import OPERATIONS, Rounding, unit_roundoff
from pisnn_deploy.trajectories.content import ENTERED, TRANSPORTED, Array, Content, Trajectory, beyond
from pisnn_deploy.trajectories.sums import Field, total_of

MASS, LEDGER = "mass", "ledger"
"""Names of integers in a dataset of `simulate` with one field."""


@dataclass(frozen=True)
class LocalBalance:
    """What the change of a cell and the amounts through its faces differ by.

    Attributes
    ----------
    largest : float64 array [steps]
        Largest absolute difference of each step, as a mass.
    first_break : (int, tuple of int), or None
        First step, from 1, and its first cell beyond what rounding allows.
    worst : (int, tuple of int)
        Step and cell of the largest difference.
    broken : int
        Pairs of cell and step beyond what rounding allows.
    """

    largest: Field
    first_break: tuple[int, tuple[int, ...]] | None
    worst: tuple[int, tuple[int, ...]]
    broken: int


def transported_of(content: Content, trajectory: Trajectory, field: str) -> tuple[Array, ...] | None:
    """Amounts through the faces normal to each axis; None if the file has none.

    Returns
    -------
    tuple of array [steps, *faces]
        One face more than cells along the axis, or as many along a periodic one: each the lower face of its cell.

    Raises
    ------
    FileError
        An axis is missing, or an array has a wrong shape or a value that is not finite.
    """
    shape, steps = trajectory.shape, trajectory.rows - 1
    names = TRANSPORTED[: len(shape)]
    is_only = len(trajectory.fields) == 1
    arrays = [content.of_field(name, field, is_only=is_only) for name in names]
    if all(array is None for array in arrays):
        return None
    result = []
    for axis, (name, array) in enumerate(zip(names, arrays, strict=True)):
        if array is None:
            raise FileError(content.path, f"has no array {name!r}", remedy="save what passed along every axis")
        expected = {
            (steps, *shape[:axis], count, *shape[axis + 1 :]): count for count in (shape[axis], shape[axis] + 1)
        }
        if array.shape not in expected:
            texts = " or ".join("x".join(map(str, each)) for each in expected)
            problem = f"has shape {'x'.join(map(str, array.shape))}; expected {texts}: steps, then faces"
            raise FileError(content.path, problem, field=name)
        _require_finite(content, name, array)
        result.append(array)
    return tuple(result)


def entered_of(content: Content, trajectory: Trajectory, field: str) -> Array | None:
    """Amount that came in through the sides in each step: by its own array, or by the faces at the sides.

    Raises
    ------
    FileError
        The array has a wrong shape or a value that is not finite.
    """
    array = content.of_field(ENTERED, field, is_only=len(trajectory.fields) == 1)
    ledger = content.arrays.get(LEDGER)
    if array is None and field == MASS and ledger is not None and ledger.dtype.kind == "i":
        taken = ledger.reshape(len(ledger), -1).astype(np.object_).sum(axis=1)
        # What ledgers took left the cells.
        array = taken[:-1] - taken[1:]
    if array is not None:
        if array.shape != (trajectory.rows - 1,):
            problem = f"has shape {'x'.join(map(str, array.shape))}; expected one amount per step"
            raise FileError(content.path, f"{problem} ({trajectory.rows - 1})", field=ENTERED)
        _require_finite(content, ENTERED, array)
        return array
    faces = transported_of(content, trajectory, field)
    if faces is None:
        return None
    sums = []
    for step in range(trajectory.rows - 1):
        total = total_of(np.zeros(1, faces[0].dtype))
        for axis, array in enumerate(faces):
            if array.shape[axis + 1] == trajectory.shape[axis] + 1:
                total += total_of(np.take(array[step], 0, axis)) - total_of(np.take(array[step], -1, axis))
        sums.append(total)
    if all(array.dtype.kind != "f" for array in faces):
        return np.array([int(total) for total in sums], np.object_)
    return np.array([float(total) for total in sums])


def local_balance(field: Array, volumes: Field | float, faces: tuple[Array, ...], rounding: Rounding) -> LocalBalance:
    """Compare the change of each cell with what passed through its faces.

    Parameters
    ----------
    field : array [rows, *shape]
        Floats, or integers, which are masses themselves.
    volumes : float64 array [*shape], or float
        Volume of each cell, or of all of them.
    faces : tuple of array
        As of `transported_of`.
    """
    is_exact = field.dtype.kind != "f" and all(array.dtype.kind != "f" for array in faces)
    largest, first, worst, broken = np.zeros(len(field) - 1), None, (1, (0,) * (field.ndim - 1)), 0
    for step in range(len(field) - 1):
        rest, allowed = _rest(field[step : step + 2], volumes, [array[step] for array in faces], is_exact, rounding)
        sizes = np.abs(rest)
        cell = _cell(int(np.argmax(sizes)), sizes.shape)
        largest[step] = float(sizes[cell])
        if largest[step] > largest[worst[0] - 1]:
            worst = (step + 1, cell)
        beyond = np.asarray(sizes > allowed)
        broken += int(beyond.sum())
        if first is None and beyond.any():
            first = (step + 1, _cell(int(np.argmax(beyond)), sizes.shape))
    return LocalBalance(largest, first, worst, broken)


def _rest(
    rows: Array, volumes: Field | float, faces: list[Array], is_exact: bool, rounding: Rounding
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Change of each cell that its faces do not explain, and how much rounding allows."""
    if is_exact:
        # Differences of 64-bit integers may need more bits.
        change = rows[1].astype(np.object_) - rows[0].astype(np.object_)
        rest = change - sum(_gain(array.astype(np.object_), axis, rows[0].shape) for axis, array in enumerate(faces))
        return rest, np.zeros(rest.shape, np.int64)
    before, after = rows.astype(np.float64)
    factor = volumes if rows.dtype.kind == "f" else 1.0
    rest, allowed = (
        (after - before) * factor,
        rounding.unit * rounding.substeps * OPERATIONS * 0.5 * ((np.abs(before) + np.abs(after)) * factor),
    )
    for axis, array in enumerate(faces):
        amounts, unit = array.astype(np.float64), max(unit_roundoff(array.dtype), rounding.unit)
        rest = rest - _gain(amounts, axis, rest.shape)
        allowed = allowed + unit * OPERATIONS * _touching(np.abs(amounts), axis, rest.shape)
    if rounding.tolerance is not None:
        mean = float((np.abs(before) * factor).mean())
        allowed = np.full(rest.shape, rounding.tolerance * mean)
    return np.asarray(rest), np.asarray(allowed)


def _gain(faces: NDArray[Any], axis: int, shape: tuple[int, ...]) -> NDArray[Any]:
    lower, upper = _both_sides(faces, axis, shape)
    return np.asarray(lower - upper)


def _touching(faces: NDArray[Any], axis: int, shape: tuple[int, ...]) -> NDArray[Any]:
    lower, upper = _both_sides(faces, axis, shape)
    return np.asarray(lower + upper)


def _both_sides(faces: NDArray[Any], axis: int, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Amounts through the lower and the upper face of each cell along an axis."""
    if faces.shape[axis] == shape[axis]:
        return faces, np.roll(faces, -1, axis)
    lower, upper = ([slice(None)] * len(shape) for _ in range(2))
    lower[axis], upper[axis] = slice(None, -1), slice(1, None)
    return faces[tuple(lower)], faces[tuple(upper)]


def _cell(number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(number, shape))


def _require_finite(content: Content, name: str, array: Array) -> None:
    if array.dtype.kind != "f":
        return
    is_wrong = beyond(array)
    if is_wrong.any():
        first = tuple(int(index) for index in np.argwhere(is_wrong)[0])
        raise FileError(content.path, f"is {array[first]} at {first}", field=name)
