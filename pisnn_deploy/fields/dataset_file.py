"""NetCDF and Zarr, by xarray."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import whole_file
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.fields.content import Content, Floats, fields_of, labels_of, require_close
from pisnn_deploy.fields.dataset import dataset_of
from pisnn_deploy.fields.snapshots import Snapshots
from pisnn_deploy.fields.trajectory import Trajectory, require_rows
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.places import centres_of
from pisnn_deploy.laws.units import UnitError, parse_unit
from pisnn_deploy.mesh.boundary import AXES

if TYPE_CHECKING:
    import xarray

_STORES = (".zgroup", "zarr.json")
"""Files that a Zarr store has, of either version of the format."""


def write_netcdf(path: Path, snapshots: Snapshots) -> None:
    """Write all rows as NetCDF-4, whose integers have 64 bits.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    dataset = dataset_of(snapshots.graph, snapshots.run, snapshots.digest)
    with tempfile.TemporaryDirectory() as folder, whole_file(path) as stream:
        place = Path(folder, "run.nc")
        dataset.to_netcdf(place, engine="h5netcdf")
        with place.open("rb") as written:
            shutil.copyfileobj(written, stream)


def require_store(path: Path) -> None:
    """Refuse to replace anything but a Zarr store.

    Raises
    ------
    FileError
        Something else has that name.
    """
    if not path.exists() and not path.is_symlink():
        return
    if path.is_symlink() or not path.is_dir() or not any((path / name).is_file() for name in _STORES):
        raise FileError(path, "exists and is not a Zarr store", remedy="save to another name")


def write_zarr(path: Path, snapshots: Snapshots) -> None:
    """Write all rows as a Zarr store: into a folder beside it, which then takes its name.

    Raises
    ------
    FileError
        The folder cannot be written, or something else than a Zarr store has that name.
    """
    require_store(path)
    dataset = dataset_of(snapshots.graph, snapshots.run, snapshots.digest)
    fresh = path.with_name(f".{path.name[:32]}.{secrets.token_hex(8)}.part")
    try:
        try:
            dataset.to_zarr(fresh, mode="w", consolidated=True)
            if path.exists():
                stale = fresh.with_suffix(".old")
                path.replace(stale)
                fresh.replace(path)
                shutil.rmtree(stale)
            else:
                fresh.replace(path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror or error})") from error


def read_dataset(path: Path, graph: IntegerGraph, *, last_only: bool = False) -> Trajectory:
    """Read cell averages from NetCDF or Zarr.

    Dimensions are found by name: those of the mesh (``x``, ``y``, ``z``, or ``cell``) in any order, and ``time``.
    Coordinates, where the file has them, must be those of the mesh.

    Parameters
    ----------
    last_only : bool
        Read the last time alone.

    Raises
    ------
    FileError
        The file is invalid, or has other fields, units or cells.
    """
    with _opened(path) as dataset:
        _require_coordinates(path, graph, dataset)
        names = {label: _variable(path, graph, dataset, label) for label, _ in labels_of(graph)}
        rows = int(dataset.sizes.get("time", 1))
        require_rows(1 if last_only and rows else rows, int(np.prod(graph.shape)), path)
        chosen = [rows - 1] if last_only else range(rows)
        values = np.stack([fields_of(graph, _content(path, graph, dataset, names, row), path) for row in chosen])
        time = None
        if "time" in dataset.coords and dataset["time"].dtype.kind in "fiu":
            time = np.asarray(dataset["time"].values, np.float64).reshape(-1)[list(chosen)]
    return Trajectory(values, time)


@contextmanager
def _opened(path: Path) -> Iterator[xarray.Dataset]:
    import xarray

    is_store = path.is_dir()
    if not is_store:
        require_content(path)
    if not path.exists():
        raise FileError(path, f"cannot be read ({os.strerror(2)})")
    try:
        opened = xarray.open_dataset(path, engine="zarr" if is_store else _engine(path), decode_times=False)
        with opened as dataset:
            yield dataset
    except FileError:
        raise
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or str(error)[:200]})") from error
    # Libraries raise many kinds of errors for damaged files.
    except Exception as error:
        raise FileError(path, f"cannot be read as a dataset ({type(error).__name__}: {str(error)[:200]})") from error


def _engine(path: Path) -> str:
    with path.open("rb") as stream:
        if stream.read(3) == b"CDF":
            return "scipy"
    import h5py

    # Of a file that is no HDF5, h5netcdf leaves half an object, whose end Python reports on stderr.
    h5py.File(path, "r").close()
    return "h5netcdf"


def _require_coordinates(path: Path, graph: IntegerGraph, dataset: xarray.Dataset) -> None:
    centres = centres_of(graph)
    for number, axis in enumerate(AXES[: centres.shape[1]]):
        if axis not in dataset.coords or dataset[axis].ndim != 1:
            continue
        ours = centres[:, number]
        if graph.mesh.grid is not None:
            ours = np.moveaxis(ours.reshape(graph.mesh.shape), number, 0).reshape(graph.mesh.shape[number], -1)[:, 0]
        theirs = np.asarray(dataset[axis].values, np.float64)
        if theirs.shape != ours.shape:
            raise FileError(path, f"has {theirs.size} positions, the mesh has {ours.size}", field=axis)
        require_close(ours[:, None], theirs[:, None], path)


def _variable(path: Path, graph: IntegerGraph, dataset: xarray.Dataset, label: str) -> str:
    """Name of the variable of a field: its own, or the only one over the cells of a graph of one field."""
    over = set(graph.mesh.axes)
    mass_labels = {mass_label for _, mass_label in labels_of(graph)}
    fitting = [
        str(name)
        for name, variable in dataset.data_vars.items()
        if over <= set(variable.dims) <= over | {"time"} and name not in mass_labels
    ]
    own = [name for name in (label, *(f.name for f in graph.fields if len(graph.fields) == 1)) if name in fitting]
    if own or (len(graph.fields) == 1 and len(fitting) == 1):
        name = (own or fitting)[0]
        _require_unit(path, graph, dataset, label, name)
        return name
    dimensions = ", ".join(graph.mesh.axes)
    have = ", ".join(fitting) or "none"
    raise FileError(path, f"has no variable {label!r} over {dimensions}; its variables over them are: {have}")


def _require_unit(path: Path, graph: IntegerGraph, dataset: xarray.Dataset, label: str, name: str) -> None:
    wanted = next(f.unit for f, (own, _) in zip(graph.fields, labels_of(graph), strict=True) if own == label)
    unit = dataset[name].attrs.get("units", "")
    if wanted and unit and not is_same_unit(str(unit), wanted):
        raise FileError(path, f"is in {unit!s:.40}, the field is in {wanted}", field=name)


def is_same_unit(first: str, second: str) -> bool:
    """Whether two texts mean one unit, such as ``m/s`` and ``m s^-1``; texts that are no units must be equal."""
    try:
        return parse_unit(first) == parse_unit(second)
    except UnitError:
        return first.strip() == second.strip()


def _content(path: Path, graph: IntegerGraph, dataset: xarray.Dataset, names: dict[str, str], row: int) -> Content:
    values: dict[str, Floats] = {}
    masses: dict[str, NDArray[np.int64]] = {}
    quanta: dict[str, float] = {}
    for label, mass_label in labels_of(graph):
        variable = dataset[names[label]]
        values[label] = np.asarray(_row(graph, variable, row, path), np.float64)
        quantum = variable.attrs.get("value_per_quantum")
        if mass_label in dataset and set(dataset[mass_label].dims) == set(variable.dims) and quantum is not None:
            masses[mass_label] = np.asarray(_row(graph, dataset[mass_label], row, path), np.int64)
            quanta[label] = float(quantum)
    return Content(values, masses, quanta)


def _row(graph: IntegerGraph, variable: xarray.DataArray, row: int, path: Path) -> NDArray[np.generic]:
    at_time = variable.isel(time=row) if "time" in variable.dims else variable
    ordered = at_time.transpose(*graph.mesh.axes)
    if ordered.shape != graph.mesh.shape:
        raise FileError(path, f"has shape {ordered.shape}, the mesh has {graph.mesh.shape}", field=str(variable.name))
    if ordered.dtype.kind not in "fiu":
        raise FileError(path, f"holds {ordered.dtype}, expected numbers", field=str(variable.name))
    return np.asarray(ordered.values).reshape(-1)
