"""Record rows on disk as they are finished, so that a kill only loses running cases.

A record is a folder next to the final table. Each row is a line of JSON and is flushed to the disk before waiting for
the next one; an incomplete last line after a kill is removed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from pisnn_deploy.campaign.case import OWN, Case
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.seal import damage, sealed_line
from pisnn_deploy.campaign.table import read_table
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.mesh import parse_shape
from pisnn_deploy.runs.recording import SUFFIX, held_folder

ROWS = "rows.jsonl"
"""File name of the rows in a record."""
LARGEST_RECORD = 1 << 30
"""Maximum size in bytes, checked before reading."""
_ROW = TypeAdapter(Row)
_REMEDY = "start anew without `resume`"
SHOWN_KEY = 12
"""Number of characters of a key in messages."""


class Record:
    """The rows of a running campaign.

    Parameters
    ----------
    stream : binary stream
        Stream opened for appending.
    path : Path
        Path of the stream.
    rows : sequence of Row
        Rows recorded so far.
    source : Path
        File from which these rows were read.
    """

    def __init__(self, stream: BinaryIO, path: Path, rows: Sequence[Row], source: Path) -> None:
        self._stream = stream
        self._path = path
        self._source = source
        self.rows = {row.key: row for row in rows}
        """Rows by the key of the case; the last one if a case was run again."""

    def require(self, cases: Sequence[Case]) -> None:
        """Check that recorded rows match their cases and agree on shared facts.

        Raises
        ------
        FileError
            A row has the key of another case, or rows contradict each other.
        """
        problem = self._problem_of(cases)
        if problem:
            raise FileError(self._source, f"is damaged ({problem})", remedy=_REMEDY)

    def require_agreement(self, cases: Sequence[Case]) -> None:
        """Check that rows agree on shared facts, after running cases.

        Raises
        ------
        FileError
            Workers produced different results for the same artifact.
        """
        problem = self._problem_of(cases)
        if problem:
            remedy = "install the same packages on all workers and start anew without `resume`"
            raise FileError(self._path, f"has rows that contradict each other ({problem})", remedy=remedy)

    def _problem_of(self, cases: Sequence[Case]) -> str:
        shared: dict[object, tuple[object, ...]] = {}
        for case in cases:
            row = self.rows.get(case.key)
            if row is None:
                continue
            problem = case.contradicted_by(asdict(row)) or _of_another_mesh(case, row)
            for subject, facts in shared_facts(case, row):
                if not problem and shared.setdefault(subject, facts) != facts:
                    problem = "facts about its artifact that differ from those in another row"
            if problem:
                return f"the row of case {case.key[:SHOWN_KEY]} has {problem}"
        return ""

    def append(self, rows: Sequence[Row]) -> None:
        """Append rows and wait until they are on disk.

        Raises
        ------
        FileError
            The file cannot be written, for example because the disk is full.
        """
        self.rows |= {row.key: row for row in rows}
        try:
            self._stream.write(_lines(rows))
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise FileError(self._path, f"cannot be written ({error.strerror or error})") from error


def folder_of(table: Path) -> Path:
    """Folder that records the rows of a table until it is complete."""
    return table.with_name(table.name + SUFFIX)


@contextmanager
def record_of(table: Path, *, resume: bool) -> Iterator[Record]:
    """Open the record of a table.

    Parameters
    ----------
    resume : bool
        Whether to continue from the record, or from the table if there is no record; otherwise start empty.

    Raises
    ------
    FileError
        Another campaign uses the folder, it cannot be created, it has other files, or the recorded rows are damaged.
    """
    with held_folder(folder_of(table), (ROWS,)):
        path = source = folder_of(table) / ROWS
        rows: list[Row] = []
        if resume and path.exists():
            rows = _recorded(path)
        elif resume and table.exists():
            rows, source = read_table(table), table
        # Atomic, so that a kill at this point loses nothing; this also removes an incomplete line.
        write_whole(path, _lines(rows))
        with path.open("ab") as stream:
            yield Record(stream, path, rows, source)


def shared_facts(case: Case, row: Row) -> Iterator[tuple[object, tuple[object, ...]]]:
    """Facts that rows of other cases must share: about the artifact, and about its problem's final time."""
    if row.artifact is not None:
        yield case.target, (row.artifact, row.compile_warnings, row.cells, row.faces)
        if case.steps is None and row.asked_steps is not None:
            yield (case.target, "horizon"), (row.asked_steps,)


def _of_another_mesh(case: Case, row: Row) -> str:
    mesh = case.target.mesh
    if mesh.is_file or mesh.text == OWN or row.cells in (None, math.prod(parse_shape(mesh.text))):
        return ""
    return f"{row.cells} cells, but its mesh is {mesh.text}"


def _lines(rows: Iterable[Row]) -> bytes:
    return b"".join(sealed_line(row) + b"\n" for row in rows)


def _recorded(path: Path) -> list[Row]:
    if path.stat().st_size > LARGEST_RECORD:
        raise FileError(path, f"is larger than {LARGEST_RECORD} bytes", remedy=_REMEDY)
    *lines, _ = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = _ROW.validate_json(line)
        except ValidationError as error:
            raise FileError(path, damage(error), field=f"line {number}", remedy=_REMEDY) from error
        if sealed_line(row) != line:
            raise FileError(path, "is damaged (the line was changed)", field=f"line {number}", remedy=_REMEDY)
        rows.append(row)
    return rows
