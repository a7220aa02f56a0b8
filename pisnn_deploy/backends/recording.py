"""A run on disk: the rows of its trace as they come, and the snapshot from which it can go on after a kill.

A recording is a folder beside the trace that it will become. Rows are appended to one raw file for each part of the
trace and reach the disk before the snapshot that counts them, so whatever a killed process left behind, the rows that
the last snapshot counts are whole; what lies beyond them is cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pisnn_deploy.backends.run import Integers, RunState, Trace
from pisnn_deploy.errors import FileError
from pisnn_deploy.graph.artifact import whole_file
from pisnn_deploy.graph.integer import IntegerGraph

SUFFIX = ".partial"
_PARTS = ("step", "mass", "ledger", "transported", "in_flight")
_ARRAYS = ("mass", "current", "residue", "transported")
_NUMBERS = ("step", "in_flight", "packets_sent", "quanta_sent")
_REMEDY = "start anew without --resume"


@dataclass(frozen=True)
class Progressed:
    """How far a recording is.

    Attributes
    ----------
    snapshot : RunState
    rows : int
        Rows of the trace that are on disk.
    seconds : float
        Time that stepping took so far.
    """

    snapshot: RunState
    rows: int
    seconds: float


@dataclass(frozen=True)
class Recording:
    """The folder of a run that is under way.

    Attributes
    ----------
    folder : Path
    graph : IntegerGraph
    identity : mapping of str to object
        What makes it this run and no other: artifact, start, number of steps. JSON values.
    """

    folder: Path
    graph: IntegerGraph
    identity: Mapping[str, object]

    def progressed(self) -> Progressed | None:
        """How far the run has come; None if nothing was recorded.

        Raises
        ------
        FileError
            The recording is of another run, or damaged.
        """
        path = self._snapshot
        if not path.exists():
            return None
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                content = {name: held[name] for name in held.files}
            said: dict[str, Any] = json.loads(bytes(content.pop("said")).decode())
            arrays = {name: np.asarray(content[name], np.int64) for name in _ARRAYS}
            numbers = {name: int(said[name]) for name in (*_NUMBERS, "rows")}
            events = {str(name): int(count) for name, count in said["events"].items()}
            identity, seconds = said["identity"], float(said["seconds"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            raise FileError(path, f"is damaged ({error})", remedy=_REMEDY) from error
        if identity != self.identity:
            wrong = next(key for key in self.identity if identity.get(key) != self.identity[key])
            raise FileError(self.folder, f"records another run: its {wrong} differs", remedy=_REMEDY)
        shapes = {name: array.shape for name, array in arrays.items()}
        faces, holders = (self.graph.mesh.faces,), (self.graph.mesh.holders,)
        if shapes != dict.fromkeys(_ARRAYS, faces) | {"mass": holders}:
            raise FileError(path, "is damaged (arrays of another mesh)", remedy=_REMEDY)
        rows = numbers.pop("rows")
        for name in _PARTS:
            if not self._raw(name).exists() or self._raw(name).stat().st_size < rows * self._row_bytes(name):
                raise FileError(self._raw(name), f"is damaged (fewer than {rows} rows)", remedy=_REMEDY)
        mass, current, residue, transported = (arrays[name] for name in _ARRAYS)
        step, in_flight, sent, quanta = (numbers[name] for name in _NUMBERS)
        snapshot = RunState(step, mass, current, residue, transported, in_flight, sent, quanta, events)
        return Progressed(snapshot, rows, seconds)

    def begin(self) -> None:
        """Forget what was recorded."""
        self._snapshot.unlink(missing_ok=True)
        for name in _PARTS:
            self._raw(name).write_bytes(b"")

    def append(self, trace: Trace, rows: int, end: RunState | None, seconds: float) -> int:
        """Add the rows of a segment, then the snapshot at its end.

        Parameters
        ----------
        trace : Trace
        rows : int
            Rows that are on disk already and count.
        end : RunState or None
            Where the run stands; None if it was stopped.
        seconds : float
            Time that stepping took so far.

        Returns
        -------
        int
            Rows on disk now.

        Raises
        ------
        FileError
            The disk is full.
        """
        try:
            for name in _PARTS:
                with self._raw(name).open("r+b") as stream:
                    stream.truncate(rows * self._row_bytes(name))
                    stream.seek(0, os.SEEK_END)
                    np.ascontiguousarray(getattr(trace, name), np.int64).tofile(stream)
                    stream.flush()
                    os.fsync(stream.fileno())
        except OSError as error:
            raise FileError(self.folder, f"cannot be written ({error.strerror or error})") from error
        rows += trace.step.size
        if end is not None:
            self._write_snapshot(end, rows, seconds)
        return rows

    def trace(self, rows: int) -> Trace:
        """The rows on disk, mapped for reading."""
        return Trace(*(self._mapped(name, rows) for name in _PARTS))

    def _write_snapshot(self, end: RunState, rows: int, seconds: float) -> None:
        said = {field.name: getattr(end, field.name) for field in fields(end) if field.name not in _ARRAYS}
        said["events"] = dict(end.events)
        text = json.dumps({**said, "rows": rows, "seconds": seconds, "identity": self.identity})
        with whole_file(self._snapshot) as stream:
            arrays: dict[str, Any] = {name: getattr(end, name) for name in _ARRAYS}
            np.savez(stream, said=np.frombuffer(text.encode(), np.uint8), **arrays)

    @property
    def _snapshot(self) -> Path:
        return self.folder / "snapshot.npz"

    def _raw(self, name: str) -> Path:
        return self.folder / f"{name}.int64"

    def _width(self, name: str) -> tuple[int, ...]:
        mesh = self.graph.mesh
        widths = {"mass": mesh.cells, "ledger": mesh.reservoirs, "transported": mesh.faces}
        return (widths[name],) if name in widths else ()

    def _row_bytes(self, name: str) -> int:
        return 8 * int(np.prod(self._width(name), dtype=np.int64))

    def _mapped(self, name: str, rows: int) -> Integers:
        shape = (rows, *self._width(name))
        if 0 in shape:
            return np.zeros(shape, np.int64)
        return np.memmap(self._raw(name), np.int64, "r", shape=shape)


@contextmanager
def recording(folder: Path, graph: IntegerGraph, identity: Mapping[str, object]) -> Iterator[Recording]:
    """Hold a folder for one run; nobody else can record there meanwhile.

    Parameters
    ----------
    folder : Path
        Made if missing.
    graph : IntegerGraph
    identity : mapping
        See `Recording`.

    Yields
    ------
    Recording

    Raises
    ------
    FileError
        Another run records there, or the folder cannot be made.
    """
    with held_folder(folder):
        yield Recording(folder, graph, identity)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold a folder; nobody else can hold it meanwhile, and a killed process no longer does.

    Parameters
    ----------
    folder : Path
        Made if missing.

    Raises
    ------
    FileError
        Another run records there, or the folder cannot be made.
    """
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise FileError(folder, f"cannot be written ({error.strerror or error})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FileError(folder, "is in use: another run records there", remedy="save to another file") from error
        yield
    finally:
        os.close(descriptor)


def discard(folder: Path) -> None:
    """Remove a recording whose trace is written."""
    shutil.rmtree(folder, ignore_errors=True)
