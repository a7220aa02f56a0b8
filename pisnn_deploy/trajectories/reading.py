"""Read the arrays of a trajectory from .npz, .npy, NetCDF and Zarr.

Files are untrusted: headers of arrays are read before anything is allocated, and Python objects are never loaded.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.npy import DAMAGED_ARCHIVE, read_header
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.trajectories.content import AXES, TIMES, Array, Content

MOST_BYTES = 1 << 32
"""Most bytes of all arrays of a file."""
_NUMERIC = "iuf"
_WIDEST = 8
"""Bytes of the widest number."""
_PACKED = ("scale_factor", "add_offset")
_OF_NPY = "u"
"""Name of the field of a file with a single array."""


def read_content(path: Path) -> Content:
    """Read the numeric arrays of a file, by its suffix.

    Raises
    ------
    FileError
        The file is missing, damaged or too large, holds Python objects, or has another suffix.
    UsageError
        The package that reads it is not installed.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FileError(path, f"has the suffix {path.suffix!r}", remedy=f"expected one of {', '.join(_READERS)}")
    if not path.exists():
        raise FileError(path, "does not exist")
    if not path.is_dir():
        require_content(path)
    return Content(path, reader(path))


def _npz(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            allowed = MOST_BYTES
            arrays = {}
            for name, info in members.items():
                with archive.open(info) as stream:
                    array = _array(path, name, _as_binary(stream), info.file_size, allowed)
                if array is not None:
                    arrays[name] = array
                    allowed -= array.nbytes
    except FileError:
        raise
    except DAMAGED_ARCHIVE as error:
        raise FileError(path, "is not a numpy archive (.npz), or is damaged") from error
    return arrays


def _npy(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as stream:
            array = _array(path, "", stream, path.stat().st_size, MOST_BYTES)
    except FileError:
        raise
    except (OSError, ValueError) as error:
        raise FileError(path, "is not a numpy array (.npy), or is damaged") from error
    return {} if array is None else {_OF_NPY: array}


def _as_binary(stream: Any) -> BinaryIO:
    return io.BufferedReader(stream)


def _array(path: Path, name: str, stream: BinaryIO, size: int, allowed: int) -> Array | None:
    """Read an array; None if it is not numeric."""
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise FileError(path, "holds Python objects, which are never loaded", field=name, remedy="save numbers")
    if dtype.kind not in _NUMERIC or dtype.itemsize > _WIDEST:
        _refuse_complex(path, name, dtype)
        return None
    needed = math.prod(shape) * dtype.itemsize
    _require_size(path, name, needed, allowed)
    # The header may claim more than the file has.
    if needed > size:
        raise FileError(path, f"has {size} bytes, but its shape needs {needed}", field=name)
    data = stream.read(needed)
    if len(data) != needed:
        raise FileError(path, f"ends after {len(data)} of {needed} bytes", field=name)
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _refuse_complex(path: Path, name: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind == "c":
        raise FileError(path, "is complex", field=name, remedy="save its real part, or the density that is conserved")
    if dtype.kind == "f":
        raise FileError(path, f"has the type {dtype}", field=name, remedy="save float32 or float64")


def _require_size(path: Path, name: str, needed: int, allowed: int) -> None:
    if needed > allowed:
        problem = f"needs {needed} bytes, more than the {MOST_BYTES} of a file"
        raise FileError(path, problem, field=name, remedy="save fewer rows")


def _dataset(path: Path) -> dict[str, Array]:
    """Read a dataset by xarray, as it is stored."""
    engine = "zarr" if path.is_dir() else _engine(path)
    require(f"audit of {path.suffix} files", "xarray", engine)
    import xarray

    try:
        with xarray.open_dataset(path, engine=engine, decode_cf=False) as dataset:
            return _variables(path, dataset)
    except FileError:
        raise
    except Exception as error:  # xarray's engines raise any kind
        lines = str(error).strip().splitlines()
        reason = lines[0][:200] if lines else type(error).__name__
        raise FileError(path, f"cannot be read as a dataset ({reason})") from error


def _engine(path: Path) -> str:
    """Package that reads a file: classic NetCDF, or NetCDF-4."""
    with path.open("rb") as stream:
        return "scipy" if stream.read(3) == b"CDF" else "h5netcdf"


def _variables(path: Path, dataset: Any) -> dict[str, Array]:
    """Numeric variables, each with time as its first axis if it has one."""
    arrays, allowed = {}, MOST_BYTES
    for key, variable in dataset.variables.items():
        name = str(key)
        if variable.dtype.kind not in _NUMERIC or variable.dtype.itemsize > _WIDEST:
            _refuse_complex(path, name, variable.dtype)
            continue
        packed = [attribute for attribute in _PACKED if attribute in variable.attrs]
        if packed:
            problem = f"is packed ({packed[0]}), which hides what rounding loses"
            raise FileError(path, problem, field=name, remedy="save it unpacked")
        _require_size(path, name, variable.nbytes, allowed)
        allowed -= variable.nbytes
        time = [dimension for dimension in variable.dims if dimension in TIMES]
        others = [dimension for dimension in variable.dims if dimension not in time]
        # Datasets often list axes as (y, x): coordinates say which is which.
        others.sort(key=lambda dimension: AXES.index(dimension) if dimension in tuple(AXES) else len(AXES))
        array = np.asarray(variable.transpose(*time, *others).values)
        _require_present(path, name, array, variable.attrs)
        arrays[name] = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return arrays


def _require_present(path: Path, name: str, array: Array, attributes: Mapping[Any, Any]) -> None:
    for attribute in ("_FillValue", "missing_value"):
        fill = attributes.get(attribute)
        if fill is None or array.size == 0:
            continue
        missing = array == fill
        if missing.any():
            first = tuple(int(index) for index in np.argwhere(missing)[0])
            raise FileError(path, f"is missing at {first} ({attribute})", field=name)


_READERS: Mapping[str, Callable[[Path], dict[str, Array]]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".nc": _dataset,
    ".zarr": _dataset,
}
