"""Rows on disk as they come, so that a kill costs no more than what is running.

A record is a folder beside the table that it will become. Each row is a line of JSON, which reaches the disk before
the next one is waited for; what a kill left of a last line is cut off.
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
"""The file of a record."""
LARGEST_RECORD = 1 << 30
"""Bytes; a larger one is refused before it is read."""
_ROW = TypeAdapter(Row)
_REMEDY = "start anew without `resume`"
SHOWN_KEY = 12
"""Characters of a key that a message shows."""


class Record:
    """The rows of a campaign that is under way.

    Parameters
    ----------
    stream : binary stream
        For appending.
    path : Path
        Of the stream.
    rows : sequence of Row
        What it holds.
    source : Path
        Where these come from.
    """

    def __init__(self, stream: BinaryIO, path: Path, rows: Sequence[Row], source: Path) -> None:
        self._stream = stream
        self._path = path
        self._source = source
        self.rows = {row.key: row for row in rows}
        """By the key of the case; the last one, where a case was run again."""

    def require(self, cases: Sequence[Case]) -> None:
        """Make sure that rows match their cases, and agree on what cases share.

        Raises
        ------
        FileError
            A row bears the key of a case and is another one's.
        """
        problem = self._problem_of(cases)
        if problem:
            raise FileError(self._source, f"is damaged ({problem})", remedy=_REMEDY)

    def require_agreement(self, cases: Sequence[Case]) -> None:
        """Make sure that rows agree on what cases share, once cases were run.

        Raises
        ------
        FileError
            Workers did not make the same of one artifact.
        """
        problem = self._problem_of(cases)
        if problem:
            remedy = "give all workers the same packages and start anew without `resume`"
            raise FileError(self._path, f"cannot become a table ({problem})", remedy=remedy)

    def _problem_of(self, cases: Sequence[Case]) -> str:
        shared: dict[object, tuple[object, ...]] = {}
        for case in cases:
            row = self.rows.get(case.key)
            if row is None:
                continue
            problem = case.contradicted_by(asdict(row)) or _of_another_mesh(case, row)
            for subject, facts in shared_facts(case, row):
                if not problem and shared.setdefault(subject, facts) != facts:
                    problem = "other facts of its artifact than a row of the same artifact"
            if problem:
                return f"the row of case {case.key[:SHOWN_KEY]} has {problem}"
        return ""

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, and wait until they are on disk.

        Raises
        ------
        FileError
            The disk is full.
        """
        self.rows |= {row.key: row for row in rows}
        try:
            self._stream.write(_lines(rows))
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise FileError(self._path, f"cannot be written ({error.strerror or error})") from error


def folder_of(table: Path) -> Path:
    """Folder in which the rows of a table are recorded until it is complete."""
    return table.with_name(table.name + SUFFIX)


@contextmanager
def record_of(table: Path, *, resume: bool) -> Iterator[Record]:
    """Hold the record of a table.

    Parameters
    ----------
    resume : bool
        Go on with what was recorded, or with the rows of the table if nothing was; otherwise begin with none.

    Raises
    ------
    FileError
        Another campaign records there, the folder cannot be made or holds other files, or what is to go on is damaged.
    """
    with held_folder(folder_of(table), (ROWS,)):
        path = source = folder_of(table) / ROWS
        rows: list[Row] = []
        if resume and path.exists():
            rows = _recorded(path)
        elif resume and table.exists():
            rows, source = read_table(table), table
        # Whole, so that a kill right here loses none of them; this also cuts off a torn line.
        write_whole(path, _lines(rows))
        with path.open("ab") as stream:
            yield Record(stream, path, rows, source)


def shared_facts(case: Case, row: Row) -> Iterator[tuple[object, tuple[object, ...]]]:
    """Facts that rows of other cases must share: of one artifact, and of its problem's horizon."""
    if row.artifact is not None:
        yield case.target, (row.artifact, row.compile_warnings, row.cells, row.faces)
        if case.steps is None and row.asked_steps is not None:
            yield (case.target, "horizon"), (row.asked_steps,)


def _of_another_mesh(case: Case, row: Row) -> str:
    mesh = case.target.mesh
    if mesh.is_file or mesh.text == OWN or row.cells in (None, math.prod(parse_shape(mesh.text))):
        return ""
    return f"{row.cells} cells, and its mesh is {mesh.text}"


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
            raise FileError(path, "is damaged (not the line that was recorded)", field=f"line {number}", remedy=_REMEDY)
        rows.append(row)
    return rows
