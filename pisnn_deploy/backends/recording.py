"""A run on disk: the rows of its trace as they come, and the snapshot from which it can go on after a kill.

A recording is a folder beside the trace that it will become. Rows are appended to one raw file for each part of the
trace and reach the disk before the snapshot that counts them, so whatever a killed process left behind, the rows that
the last snapshot counts are whole; what lies beyond them is cut off.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.backends.run import Integers, RunState, Trace
from pisnn_deploy.errors import FileError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.npy import DAMAGED_ARCHIVE, int64_array, write_arrays
from pisnn_deploy.output import whole_file
from pisnn_deploy.pointers import require_content

SUFFIX = ".partial"
_PARTS = ("step", "mass", "ledger", "transported", "in_flight")
_ARRAYS = ("mass", "current", "residue", "transported")
_NUMBERS = ("step", "in_flight", "packets_sent", "quanta_sent")
_REMEDY = "start anew without --resume"
_LARGEST_TEXT = 1 << 20
"""Bytes of what a snapshot says beside its arrays, and of all headers in it."""
_LARGEST_NUMBER = 1 << 62
"""Of steps, rows, and quanta in flight, which are held in 64 bits."""
_LARGEST_COUNT = 1 << 128
"""Of what is summed over a run, as Python integers; no run gets there."""
_LONGEST_REASON = 80
_LOCK = "lock"


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
            require_content(path)
            members = _members(path, self._largest_snapshot)
            said: dict[str, Any] = json.loads(members.pop("said").astype(np.uint8).tobytes())
            held = {name: _counted(said[name], _LARGEST_NUMBER) for name in ("step", "in_flight", "rows")}
            numbers = held | {name: _counted(said[name], _LARGEST_COUNT) for name in ("packets_sent", "quanta_sent")}
            events = {str(name): _counted(count, _LARGEST_COUNT) for name, count in said["events"].items()}
            identity, seconds = said["identity"], float(said["seconds"])
            if not 0 <= seconds < math.inf:
                raise ValueError("a time that is none")
        except (*DAMAGED_ARCHIVE, TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            raise FileError(path, f"is damaged ({reason})", remedy=_REMEDY) from error
        if not isinstance(identity, dict) or identity != self.identity:
            held = identity if isinstance(identity, dict) else {}
            wrong = next((key for key in self.identity if held.get(key) != self.identity[key]), "description")
            raise FileError(self.folder, f"records another run: its {wrong} differs", remedy=_REMEDY)
        shapes = {name: array.shape for name, array in members.items()}
        faces, holders = (self.graph.mesh.faces,), (self.graph.mesh.holders,)
        if shapes != dict.fromkeys(_ARRAYS, faces) | {"mass": holders}:
            raise FileError(path, "is damaged (arrays of another mesh)", remedy=_REMEDY)
        rows = numbers.pop("rows")
        for name in _PARTS:
            if not self._raw(name).exists() or self._raw(name).stat().st_size < rows * self._row_bytes(name):
                raise FileError(self._raw(name), f"is damaged (fewer than {rows} rows)", remedy=_REMEDY)
        mass, current, residue, transported = (members[name] for name in _ARRAYS)
        step, in_flight, sent, quanta = (numbers[name] for name in _NUMBERS)
        snapshot = RunState(step, mass, current, residue, transported, in_flight, sent, quanta, events)
        return Progressed(snapshot, rows, seconds)

    def begin(self) -> None:
        """Forget what was recorded.

        Raises
        ------
        FileError
            The folder is not writable, or the disk is full.
        """
        try:
            self._snapshot.unlink(missing_ok=True)
            for name in _PARTS:
                self._raw(name).write_bytes(b"")
        except OSError as error:
            raise _unwritable(self.folder, error) from error

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
            raise _unwritable(self.folder, error) from error
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
            arrays = {name: np.asarray(getattr(end, name), np.int64) for name in _ARRAYS}
            write_arrays(stream, {"said": np.frombuffer(text.encode(), np.uint8).astype(np.int64), **arrays})

    @property
    def _largest_snapshot(self) -> int:
        """Bytes; a larger file is refused before it is read."""
        return _LARGEST_TEXT + 8 * (self.graph.mesh.holders + len(_ARRAYS) * self.graph.mesh.faces)

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
    descriptor = _lock(folder)
    try:
        _require_plain_files(folder)
        yield
    finally:
        os.close(descriptor)


def discard(folder: Path) -> None:
    """Remove a recording whose trace is written, while it is held: the lock goes last, so that no other run is hit."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name != _LOCK:
                path.unlink()
        (folder / _LOCK).unlink()
        folder.rmdir()


def _lock(folder: Path) -> int:
    """Make the folder and lock it; the lock is held as long as the descriptor is open."""
    path = folder / _LOCK
    while True:
        descriptor = -1
        try:
            folder.mkdir(exist_ok=True)
            _require_plain_files(folder)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
            os.close(descriptor)  # of a run that ended meanwhile and took its folder along
        except BlockingIOError as error:
            os.close(descriptor)
            raise FileError(folder, "is in use: another run records there", remedy="save to another file") from error
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            if not (isinstance(error, FileNotFoundError) and folder.parent.is_dir()):
                raise _unwritable(folder, error) from error


def _require_plain_files(folder: Path) -> None:
    """A recording may come from anyone: a link in it would have another file emptied or written to."""
    kinds = {path: path.lstat().st_mode for path in (folder, *folder.iterdir())}
    for path, mode in kinds.items():
        if not (stat.S_ISDIR(mode) if path == folder else stat.S_ISREG(mode)):
            raise FileError(path, "is not what a recording is made of", remedy=f"remove {folder}")


def _unwritable(path: Path, error: OSError) -> FileError:
    return FileError(path, f"cannot be written ({error.strerror or error})")


def _members(path: Path, largest: int) -> dict[str, Integers]:
    """Arrays of a snapshot by name, each no larger than what is stored for it."""
    if path.stat().st_size > largest:
        raise ValueError(f"larger than {largest} bytes")
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sorted(info.filename for info in infos) != sorted(f"{name}.npy" for name in ("said", *_ARRAYS)):
            raise ValueError("other members than those of a snapshot")
        if any(info.compress_type != zipfile.ZIP_STORED or info.file_size > largest for info in infos):
            raise ValueError("a member is compressed, or larger than the file")
        return {info.filename.removesuffix(".npy"): int64_array(archive.read(info)) for info in infos}


def _counted(value: object, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("a count that is none")
    return value
