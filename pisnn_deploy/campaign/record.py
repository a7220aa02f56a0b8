"""Rows on disk as they come, so that a kill costs no more than what is running.

A record is a folder beside the table that it will become. Each row is a line of JSON, which reaches the disk before
the next one is waited for; what a kill left of a last line is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from pisnn_deploy.backends.recording import SUFFIX, held_folder
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.table import read_table
from pisnn_deploy.errors import FileError
from pisnn_deploy.output import write_whole

LARGEST_RECORD = 1 << 30
"""Bytes; a larger one is refused before it is read."""
_ROW = TypeAdapter(Row)


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
    """

    def __init__(self, stream: BinaryIO, path: Path, rows: Sequence[Row]) -> None:
        self._stream = stream
        self._path = path
        self.rows = {row.key: row for row in rows}
        """By the key of the case; the last one, where a case was run again."""

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
    table : Path
    resume : bool
        Go on with what was recorded, or with the rows of the table if nothing was; otherwise begin with none.

    Yields
    ------
    Record

    Raises
    ------
    FileError
        Another campaign records there, the folder cannot be made, or what is to go on is damaged.
    """
    with held_folder(folder_of(table)):
        path = folder_of(table) / "rows.jsonl"
        rows = _recorded(path) if resume and path.exists() else read_table(table) if resume and table.exists() else []
        # Whole, so that a kill right here loses none of them; this also cuts off a torn line.
        write_whole(path, _lines(rows))
        with path.open("ab") as stream:
            yield Record(stream, path, rows)


def _lines(rows: Iterable[Row]) -> bytes:
    return b"".join(json.dumps(asdict(row), allow_nan=False).encode() + b"\n" for row in rows)


def _recorded(path: Path) -> list[Row]:
    if path.stat().st_size > LARGEST_RECORD:
        raise FileError(path, f"is larger than {LARGEST_RECORD} bytes", remedy="start anew without --resume")
    *lines, _ = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_ROW.validate_json(line))
        except ValidationError as error:
            raise FileError(path, "is damaged", field=f"line {number}", remedy="start anew without --resume") from error
    return rows
