"""Recording of a run on disk: rows of its trace, and a snapshot from which the run can be resumed.

A recording is a folder next to the future trace. Rows are appended to a raw file for each part of the trace and reach
the disk before the snapshot that counts them. So the rows of the last snapshot are complete even if the process was
killed, and any bytes after them are truncated.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import is_leftover
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.probes import Probe, Probed, quantities
from pisnn_deploy.runs.run import Integers, RunState, Trace
from pisnn_deploy.runs.snapshot import REMEDY, Snapshot, read_snapshot, write_snapshot

SUFFIX = ".partial"
_PARTS = ("step", "mass", "ledger", "transported", "in_flight")
_SNAPSHOT = "snapshot.npz"
_LOCK = "lock"
FILES = (*(f"{name}.int64" for name in _PARTS), _SNAPSHOT)
"""Files of a recording, in addition to those of probes, its lock and temporary files of a killed writer."""
_PROBED = "probe.*.int64"
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class Recording:
    """Folder of a recorded run.

    Attributes
    ----------
    identity : mapping of str to object
        Identity of the run: artifact, start, number of steps; JSON values.
    probes : tuple of Probe
        What the run probes.
    """

    folder: Path
    graph: IntegerGraph
    identity: Mapping[str, object]
    probes: tuple[Probe, ...] = ()

    @property
    def is_begun(self) -> bool:
        """Whether the recording has a snapshot to resume from."""
        return self._snapshot.exists()

    def progressed(self) -> Snapshot | None:
        """Return the last snapshot, or None.

        Raises
        ------
        FileError
            If the recording is of another run, or damaged.
        """
        if not self.is_begun:
            return None
        snapshot = read_snapshot(self._snapshot, self.graph)
        if snapshot.identity != self.identity:
            keys = (*self.identity, *snapshot.identity)
            wrong = next((key for key in keys if snapshot.identity.get(key) != self.identity.get(key)), "description")
            raise FileError(self.folder, f"records another run, with a different value of {wrong}", remedy=REMEDY)
        rows = snapshot.rows
        for name in self._parts:
            if not self._raw(name).exists() or self._raw(name).stat().st_size < rows * self._row_bytes(name):
                raise FileError(self._raw(name), f"is damaged (fewer than {rows} rows)", remedy=REMEDY)
        return snapshot

    def require_digest(self, snapshot: Snapshot) -> None:
        """Refuse packets in flight and probes that differ from the recorded ones.

        Raises
        ------
        FileError
            If their hash differs.
        """
        if snapshot.in_flight_sha256 != self._digest(snapshot.rows):
            damaged = self.folder if self.probes else self._raw("in_flight")
            raise FileError(damaged, "is damaged (its hash differs from the snapshot's)", remedy=REMEDY)

    def begin(self) -> None:
        """Delete all recorded rows.

        Raises
        ------
        FileError
            If the folder is not writable, or the disk is full.
        """
        try:
            self._snapshot.unlink(missing_ok=True)
            for path in self.folder.glob(_PROBED):  # an earlier run may have probed other neurons
                path.unlink()
            for name in self._parts:
                self._raw(name).write_bytes(b"")
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def append(
        self, trace: Trace, rows: int, end: RunState | None, seconds: float, before: RunState | None = None
    ) -> int:
        """Append the rows of a segment, and write the snapshot at its end.

        Parameters
        ----------
        rows : int
            Number of valid rows on disk.
        end : RunState or None
            State at the end; None if the run was stopped.
        seconds : float
            Total time of stepping so far.
        before : RunState, optional
            State at the start of the segment (default: the start of the run).

        Returns
        -------
        int
            Number of rows on disk.

        Raises
        ------
        FileError
            If the disk is full.
        """
        probed = {_part(values.probe, name): rows for values in trace.probes for name, rows in values.values.items()}
        try:
            for name in self._parts:
                with self._raw(name).open("r+b") as stream:
                    stream.truncate(rows * self._row_bytes(name))
                    stream.seek(0, os.SEEK_END)
                    values = probed[name] if name in probed else getattr(trace, name)
                    np.ascontiguousarray(values, np.int64).tofile(stream)
                    stream.flush()
                    os.fsync(stream.fileno())
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        rows += trace.step.size
        if end is not None:
            snapshot = Snapshot(end, before, rows, seconds, self._digest(rows), self.identity)
            write_snapshot(self._snapshot, snapshot)
        return rows

    def trace(self, rows: int) -> Trace:
        """Map the rows on disk for reading."""
        step, mass, ledger, transported, in_flight = (self._mapped(name, rows) for name in _PARTS)
        probed = tuple(
            Probed(
                probe,
                {name: self._mapped(_part(probe, name), rows) for name in quantities(self.graph, probe.population)},
            )
            for probe in self.probes
        )
        return Trace(step, mass, ledger, transported, in_flight, columns_of(self.graph), probes=probed)

    def _digest(self, rows: int) -> str:
        digest = hashlib.sha256()
        for name in ("in_flight", *self._neurons):
            left = rows * self._row_bytes(name)
            with self._raw(name).open("rb") as stream:
                while left and (content := stream.read(min(left, _CHUNK_BYTES))):
                    digest.update(content)
                    left -= len(content)
        return digest.hexdigest()

    @cached_property
    def _neurons(self) -> dict[str, int]:
        """Number of neurons of each part of the probes."""
        return {
            _part(probe, name): probe.neurons.size
            for probe in self.probes
            for name in quantities(self.graph, probe.population)
        }

    @property
    def _parts(self) -> tuple[str, ...]:
        return (*_PARTS, *self._neurons)

    @property
    def _snapshot(self) -> Path:
        return self.folder / _SNAPSHOT

    def _raw(self, name: str) -> Path:
        return self.folder / f"{name}.int64"

    def _width(self, name: str) -> tuple[int, ...]:
        columns = columns_of(self.graph)
        widths = {"mass": columns.cells, "ledger": columns.reservoirs, "transported": columns.size, **self._neurons}
        return (widths[name],) if name in widths else ()

    def _row_bytes(self, name: str) -> int:
        return 8 * int(np.prod(self._width(name), dtype=np.int64))

    def _mapped(self, name: str, rows: int) -> Integers:
        shape = (rows, *self._width(name))
        if 0 in shape:
            return np.zeros(shape, np.int64)
        return np.memmap(self._raw(name), np.int64, "r", shape=shape)


def _part(probe: Probe, quantity: str) -> str:
    """Name of the part with a probed quantity."""
    return f"probe.{probe.population}.{quantity}"


def _files_of(folder: Path) -> tuple[str, ...]:
    """Files that the recording in a folder may have."""
    return (*FILES, *(path.name for path in folder.glob(_PROBED)))


@contextmanager
def recording(
    folder: Path, graph: IntegerGraph, identity: Mapping[str, object], probes: tuple[Probe, ...] = ()
) -> Iterator[Recording]:
    """Lock a folder for the recording of one run.

    Parameters
    ----------
    folder : Path
        Folder, created if missing.
    identity, probes
        See `Recording`.

    Raises
    ------
    FileError
        If another run records there, the folder cannot be created, or it has files that do not belong to a recording.
    """
    with held_folder(folder, _files_of(folder)):
        yield Recording(folder, graph, identity, probes)


@contextmanager
def held_folder(folder: Path, names: Collection[str]) -> Iterator[None]:
    """Lock a folder; the lock ends with the process.

    Parameters
    ----------
    folder : Path
        Folder, created if missing.
    names : collection of str
        Files that it may contain.

    Raises
    ------
    FileError
        If another run records there, the folder cannot be created, or it has other files.
    """
    descriptor = _lock(folder, names)
    try:
        _require_own_files(folder, names)
        yield
    finally:
        os.close(descriptor)


def discard(folder: Path, names: Collection[str] | None = None) -> None:
    """Remove a recording after its trace is written; the folder must be locked, and the lock is removed last.

    Files of others are kept, and the folder with them.

    Parameters
    ----------
    names : collection of str, optional
        Files of the recording (default: those of a run).
    """
    names = _files_of(folder) if names is None else names
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _is_one_of(path.name, names):
                path.unlink()
        (folder / _LOCK).unlink()
        folder.rmdir()


def _is_one_of(name: str, names: Collection[str]) -> bool:
    """Whether a file has one of the names, or is a temporary file of a killed writer."""
    return name in names or any(is_leftover(name, target) for target in names)


def _lock(folder: Path, names: Collection[str]) -> int:
    """Create and lock a folder; the lock is held while the returned descriptor is open."""
    path = folder / _LOCK
    while True:
        descriptor = -1
        try:
            folder.mkdir(exist_ok=True)
            _require_own_files(folder, names)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
            os.close(descriptor)  # another run has ended and removed the folder meanwhile
        except BlockingIOError as error:
            os.close(descriptor)
            raise FileError(folder, "is in use: another run records there", remedy="save to another file") from error
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            if not (isinstance(error, FileNotFoundError) and folder.parent.is_dir()):
                raise _unwritable(folder, error) from error


def _require_own_files(folder: Path, names: Collection[str]) -> None:
    """Refuse links, which would redirect writing to other files, and files of others."""
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise FileError(folder, "is not the folder of a recording", remedy="save to another file")
    for path in sorted(folder.iterdir()):
        is_known = path.name == _LOCK or _is_one_of(path.name, names)
        if not (is_known and stat.S_ISREG(path.lstat().st_mode)):
            raise FileError(
                path, "is not a file of a recording", remedy=f"move it out of {folder}, or save to another file"
            )


def _unwritable(path: Path, error: OSError) -> FileError:
    return FileError(path, f"cannot be written ({error.strerror or error})")
