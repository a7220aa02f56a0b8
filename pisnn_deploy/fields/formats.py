"""The formats of fields, by the suffix of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.output import require_writable, write_whole
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.fields.content import Floats
from pisnn_deploy.fields.csv_file import read_csv, write_csv
from pisnn_deploy.fields.dataset_file import read_dataset, require_store, write_netcdf, write_zarr
from pisnn_deploy.fields.image import read_image
from pisnn_deploy.fields.npy_file import read_field
from pisnn_deploy.fields.snapshots import Snapshots
from pisnn_deploy.fields.trace_file import read_trace
from pisnn_deploy.fields.trajectory import Trajectory
from pisnn_deploy.fields.vtk_read import read_vtk
from pisnn_deploy.fields.vtk_write import frames_beside, require_suffix, write_pvd, write_vtk
from pisnn_deploy.graph import IntegerGraph

TRACE, ZARR, NETCDF = ".npz", ".zarr", ".nc"
MAGIC = b"\x93NUMPY"
"""Start of an array of numpy."""
_FILE = re.compile(r".*\.[A-Za-z_]\w*", re.DOTALL)


@dataclass(frozen=True)
class FieldFormat:
    """A format of fields.

    Attributes
    ----------
    content : str
        What a saved file holds, for messages and help.
    field : callable or None
        Reads the field that a run starts from; None if the format is only written.
    series : callable or None
        Reads all times; None if the format has one field.
    write : callable or None
        Writes a run; None if the format is only read. The trace has a writer of its own.
    modules : tuple of str
        Optional modules that it needs.
    """

    content: str
    field: Callable[[Path, IntegerGraph], Floats] | None
    series: Callable[[Path, IntegerGraph], Trajectory] | None = None
    write: Callable[[Path, Snapshots], None] | None = None
    modules: tuple[str, ...] = ()


def _read_npy(path: Path, graph: IntegerGraph) -> Floats:
    return read_field(path, graph.shape).reshape(-1)


def _write_npy(path: Path, snapshots: Snapshots) -> None:
    """Write the values of the last row, and their origin into a file of JSON beside them."""
    row = snapshots.last
    buffer = BytesIO()
    values = snapshots.graph.values(np.asarray(snapshots.run.trace.mass[row])).reshape(snapshots.graph.shape)
    np.save(buffer, values.astype("<f8"), allow_pickle=False)
    write_whole(path, buffer.getvalue())
    write_whole(sidecar_of(path), (json.dumps(snapshots.about(row), indent=2, sort_keys=True) + "\n").encode())


def sidecar_of(path: Path) -> Path:
    """File beside an array with what the array cannot hold: artifact, step, time, units."""
    return path.with_name(f"{path.name}.json")


def _last(trajectory: Trajectory) -> Floats:
    return np.asarray(trajectory.values[-1], np.float64)


def _last_of_dataset(path: Path, graph: IntegerGraph) -> Floats:
    return _last(read_dataset(path, graph, last_only=True))


def _last_of_trace(path: Path, graph: IntegerGraph) -> Floats:
    return _last(read_trace(path, graph, last_only=True))


FORMATS = {
    TRACE: FieldFormat("the trace", _last_of_trace, read_trace),
    ".npy": FieldFormat("the last field", _read_npy, None, _write_npy),
    ".csv": FieldFormat("the last field", read_csv, None, write_csv),
    ".vti": FieldFormat("the last field of a grid", read_vtk, None, write_vtk),
    ".vtu": FieldFormat("the last field of another mesh", read_vtk, None, write_vtk),
    ".pvd": FieldFormat("all kept steps", None, None, write_pvd),
    NETCDF: FieldFormat("all kept steps", _last_of_dataset, read_dataset, write_netcdf, ("xarray", "h5netcdf")),
    ZARR: FieldFormat("all kept steps", _last_of_dataset, read_dataset, write_zarr, ("xarray", "zarr")),
    ".png": FieldFormat("a picture", read_image, modules=("PIL",)),
}
"""Formats by suffix."""


def is_field_file(text: str) -> bool:
    """Whether a text means a file of a field: it ends like a file name, or exists."""
    try:
        float(text)
    except ValueError:
        pass
    else:
        return False  # such as 1.e3
    if _FILE.fullmatch(text):
        return True
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def format_to_write(path: Path, graph: IntegerGraph) -> FieldFormat:
    """Format of a file to save the fields of a graph; a name without suffix is that of a trace.

    Raises
    ------
    FileError
        The suffix is unknown, or that of a format that is only read, or not that of the mesh.
    UsageError
        A package that it needs is not installed.
    """
    chosen = FORMATS.get(path.suffix or TRACE)
    written = [suffix for suffix, known in FORMATS.items() if known.write is not None or suffix == TRACE]
    if chosen is None or (path.suffix or TRACE) not in written:
        raise FileError(path, f"`save` cannot write {path.suffix}", remedy=_use(written))
    require(f"`save` {path.suffix}", *chosen.modules)
    require_suffix(path, graph)
    frames = frames_beside(path)
    if chosen.write is write_pvd and frames.exists() and not frames.is_dir():
        raise FileError(frames, "is no folder, and the frames of the run go there", remedy="save to another name")
    return chosen


def require_writable_field(path: Path) -> None:
    """Check that a file to save can be written, see `pisnn_deploy.core.output.require_writable`.

    Raises
    ------
    FileError
        It cannot.
    """
    if path.suffix == ZARR and path.exists():
        require_store(path)
    else:
        require_writable(path)


def read_start(path: Path, graph: IntegerGraph) -> Floats:
    """Cell averages in a file, float64 [cells of all fields]; of a file with several times, the last.

    Raises
    ------
    FileError
        The suffix is unknown, or the file cannot be used.
    UsageError
        A package that it needs is not installed.
    """
    chosen = FORMATS.get(path.suffix)
    if chosen is None and _is_array(path):
        return _read_npy(path, graph)
    if chosen is None or chosen.field is None:
        readable = [suffix for suffix, known in FORMATS.items() if known.field is not None]
        remedy = "give one of its frames" if path.suffix == ".pvd" else _use(readable)
        raise FileError(path, f"a field cannot be read from {path.suffix or 'a file without suffix'}", remedy=remedy)
    require(f"`initial` {path.suffix}", *chosen.modules)
    return chosen.field(path, graph)


def read_series(path: Path, graph: IntegerGraph) -> Trajectory:
    """Fields of a file at all its times; one without a time where the format has none.

    Raises
    ------
    FileError
        As for `read_start`.
    UsageError
        As for `read_start`.
    """
    chosen = FORMATS.get(path.suffix)
    if chosen is None or chosen.series is None:
        return Trajectory(read_start(path, graph)[None, :])
    require(path.suffix, *chosen.modules)
    return chosen.series(path, graph)


def _is_array(path: Path) -> bool:
    """Whether a file of any name holds an array of numpy."""
    require_content(path)
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error


def _use(suffixes: list[str]) -> str:
    return f"use {', '.join(suffixes)}"
