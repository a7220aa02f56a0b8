"""Functions of time as tables: linear between points, constant beyond them, or periodic."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.field_errors import shown
from pisnn_deploy.core.reading import read_bytes
from pisnn_deploy.laws.text import number_text
from pisnn_deploy.mesh.boundary import LARGEST_VALUE

Field = NDArray[np.float64]
MOST_POINTS = 4096
MOST_BYTES = 1 << 18
"""Largest file of a table."""
KEYS = ("times", "values", "table", "periodic")
"""Entries of a table in a recipe; ``table`` names a file in place of times and values."""


class TableError(ValueError):
    """What is wrong with a table, as the end of a sentence that starts with its place."""


@dataclass(frozen=True)
class TimeTable:
    """A function of time.

    Attributes
    ----------
    times, values : tuple of float
        Points, in ascending order of times; at least two.
    periodic : bool
        Whether the function repeats after the last time; else it keeps its first and last value beyond the points.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    periodic: bool = False

    @property
    def period(self) -> float:
        """Time from the first to the last point."""
        return self.times[-1] - self.times[0]

    def at(self, time: float | Field) -> Field:
        """Values at times, float64 like them."""
        times = np.asarray(time, np.float64)
        if self.periodic:
            times = self.times[0] + np.mod(times - self.times[0], self.period)
        return np.asarray(np.interp(times, self.times, self.values), np.float64)

    def __str__(self) -> str:
        start, end = number_text(self.times[0]), number_text(self.times[-1])
        text = f"a table of {len(self.times)} values at times {start} to {end}"
        return f"{text}, periodic" if self.periodic else text


def is_table(content: object) -> bool:
    """Whether a value in a recipe is written as a table."""
    return isinstance(content, Mapping) and any(key in content for key in KEYS)


def read_table(content: Mapping[str, object]) -> TimeTable:
    """Read a table from a recipe.

    Raises
    ------
    TableError
        An entry is unknown, missing or wrong, or points are not in order.
    """
    unknown = [str(key) for key in content if key not in KEYS]
    if unknown:
        raise TableError(f"has an unknown entry {unknown[0]}; a table has times and values, and perhaps periodic")
    if "table" in content:
        raise TableError(
            f"names the file {shown(content['table'])}, which is only read beside a recipe; give times and values"
        )
    periodic = content.get("periodic", False)
    if not isinstance(periodic, bool):
        raise TableError(f"has periodic {shown(periodic)}, expected true or false")
    times, values = (_numbers(content, key) for key in ("times", "values"))
    return checked(times, values, periodic)


def checked(times: Sequence[float], values: Sequence[float], periodic: bool) -> TimeTable:
    """Make a table of points.

    Raises
    ------
    TableError
        There are too few or too many points, or they are not in order.
    """
    if len(times) != len(values):
        raise TableError(f"has {len(times)} times but {len(values)} values")
    if not 2 <= len(times) <= MOST_POINTS:
        raise TableError(f"has {len(times)} points, expected 2 to {MOST_POINTS}")
    for before, after in zip(times, times[1:], strict=False):
        if not before < after:
            raise TableError(f"has the time {after:g} after {before:g}; times must grow")
    if periodic and values[0] != values[-1]:
        raise TableError(f"is periodic, but begins with {values[0]:g} and ends with {values[-1]:g}; both must be equal")
    return TimeTable(tuple(times), tuple(values), periodic)


def _numbers(content: Mapping[str, object], key: str) -> list[float]:
    numbers = content.get(key)
    if not isinstance(numbers, list | tuple):
        raise TableError(f"needs {key}: a list of numbers" + ("" if numbers is None else f", not {shown(numbers)}"))
    for number in numbers:
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not abs(number) <= LARGEST_VALUE:
            raise TableError(f"has {shown(number)} in {key}, expected numbers of at most 2^53")
    return [float(number) for number in numbers]


def with_files(recipe: Path, boundary: object) -> object:
    """Boundary section of a recipe with the points of its files in place of their names.

    Parameters
    ----------
    recipe : Path
        File of the recipe; tables are in the same folder.

    Raises
    ------
    FileError
        A file is elsewhere, cannot be read, or is no table of two columns.
    """
    if not isinstance(boundary, Mapping):
        return [with_files(recipe, entry) for entry in boundary] if isinstance(boundary, list) else boundary
    name = boundary.get("table")
    if not isinstance(name, str) or {"times", "values"} & boundary.keys():
        return {key: with_files(recipe, entry) for key, entry in boundary.items()}
    if Path(name).name != name or Path(name).suffix != ".csv":
        raise FileError(
            recipe, f"names the table {shown(name)}, expected a .csv file in the same folder", field="table"
        )
    times, values = _columns(recipe.parent / name)
    return {**{key: entry for key, entry in boundary.items() if key != "table"}, "times": times, "values": values}


def _columns(path: Path) -> tuple[list[float], list[float]]:
    """Two columns of numbers; a first line that is not numbers is a heading."""
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error):
        raise FileError(path, "is no text of comma-separated values") from None
    points = []
    for number, row in enumerate(rows):
        numbers = [_number(cell) for cell in row]
        if len(row) != 2 or (number and None in numbers):
            raise FileError(path, f"row {number + 1} is {shown(','.join(row))}, expected a time and a value")
        if None not in numbers:
            points.append(numbers)
    if len(points) > MOST_POINTS:
        raise FileError(path, f"has {len(points)} rows, expected at most {MOST_POINTS}")
    return [float(time or 0.0) for time, _ in points], [float(value or 0.0) for _, value in points]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
