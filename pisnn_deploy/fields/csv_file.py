"""Fields as comma-separated values: centres, value and mass of a cell in each line."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.reading import read_bytes
from pisnn_deploy.fields.content import Content, Floats, fields_of, labels_of, quanta_of, require_places
from pisnn_deploy.fields.snapshots import Snapshots
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.places import centres_of
from pisnn_deploy.mesh.boundary import AXES

LARGEST = 1 << 30
"""In bytes."""


def write_csv(path: Path, snapshots: Snapshots) -> None:
    """Write the last row: a comment with its origin, a line of names, and a line for each cell.

    Numbers have as many digits as it takes to read the same float64.
    """
    centres = centres_of(snapshots.graph)
    columns = dict(snapshots.columns(snapshots.last))
    stream = io.StringIO()
    stream.write(f"# {json.dumps(snapshots.about(snapshots.last), sort_keys=True)}\n")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*AXES[: centres.shape[1]], *columns])
    writer.writerows(zip(*centres.T.tolist(), *(values.tolist() for values in columns.values()), strict=True))
    write_whole(path, stream.getvalue().encode())


def read_csv(path: Path, graph: IntegerGraph) -> Floats:
    """Read cell averages.

    Lines that start with ``#`` are comments. With a line of names, columns named ``x``, ``y``, ``z`` must be the
    centres of the cells; without one, the numbers are the field, in two dimensions with a line for each position along
    the first axis.

    Returns
    -------
    float64 array [cells of all fields]
        Field by field.

    Raises
    ------
    FileError
        The file is too large, is no such table, or has other cells.
    """
    try:
        text = read_bytes(path, LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(path, "is not text in UTF-8") from error
    lines = text.splitlines()
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    numbers = [number for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    rows = list(csv.reader(lines[number - 1] for number in numbers))
    if not rows:
        raise FileError(path, "has no numbers")
    width = len(rows[0])
    for number, row in zip(numbers, rows, strict=False):
        if len(row) != width:
            raise FileError(path, f"has {len(row)} columns, the first line has {width}", field=f"line {number}")
    if all(_is_number(word) for word in rows[0]):
        return fields_of(graph, Content({"value": _bare(path, rows, numbers, graph)}), path)
    names = [word.strip() for word in rows[0]]
    if len(set(names)) != len(names):
        raise FileError(path, "names a column twice", field=f"line {numbers[0]}")
    if len(rows) - 1 != graph.mesh.cells:
        raise FileError(path, f"has {len(rows) - 1} cells, the mesh has {graph.mesh.cells}")
    columns = dict(zip(names, _numbers(path, rows[1:], numbers[1:]).T, strict=True))
    axes = AXES[: centres_of(graph).shape[1]]
    if all(axis in columns for axis in axes):
        require_places(graph, np.stack([columns[axis] for axis in axes], axis=-1), path)
    of_masses = {mass_label for _, mass_label in labels_of(graph)} & set(columns)
    values = {name: column for name, column in columns.items() if name not in AXES and name not in of_masses}
    masses = {name: _integers(rows, names.index(name)) for name in of_masses}
    known = {name: column for name, column in masses.items() if column is not None}
    return fields_of(graph, Content(values, known, _quanta(comments)), path)


def _bare(path: Path, rows: list[list[str]], numbers: list[int], graph: IntegerGraph) -> Floats:
    """Numbers of a table without names, in the order of the cells."""
    shape = graph.mesh.shape
    table = _numbers(path, rows, numbers)
    as_read = table.shape if table.shape[1] > 1 else table.shape[:1]
    as_read = table.shape[1:] if len(shape) == 1 and table.shape[0] == 1 else as_read
    if len(graph.fields) > 1 or as_read != shape:
        expected = f"{shape[0]} numbers" if len(shape) == 1 else "lines and columns as the mesh has cells"
        remedy = "name the columns in the first line" if len(graph.fields) > 1 or len(shape) > 2 else ""
        size = f"{table.shape[0]} lines of {table.shape[1]} numbers"
        raise FileError(path, f"has {size} without names; the mesh {shape} takes {expected}", remedy=remedy)
    return table.reshape(-1)


def _numbers(path: Path, rows: list[list[str]], numbers: list[int]) -> Floats:
    try:
        return np.array(rows, np.float64)
    except ValueError:
        for number, row in zip(numbers, rows, strict=True):
            wrong = [word for word in row if not _is_number(word)]
            if wrong:
                raise FileError(path, f"{wrong[0][:40]!r} is not a number", field=f"line {number}") from None
        raise


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _integers(rows: list[list[str]], column: int) -> Any:
    """A column of integers, exactly; None if it holds anything else."""
    with suppress(ValueError, OverflowError):
        return np.array([int(row[column]) for row in rows[1:]], np.int64)
    return None


def _quanta(comments: list[str]) -> dict[str, float]:
    """Quanta in the comment of `write_csv`."""
    with suppress(ValueError, RecursionError):
        return quanta_of(json.loads(comments[0])) if comments else {}
    return {}
