"""HDF5 files, read in this process instead of the separate one that imports use."""

import io
from pathlib import Path

import h5py
import numpy as np

from fuzz.networks import model_of_zoo
from fuzz.oracle import require
from fuzz.target import Target
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.netx import hdf5_reader
from pisnn_deploy.formats.netx.writer import netx_file
from pisnn_deploy.formats.nir.writer import network_file

DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError)
"""What h5py raises of a damaged file; `hdf5_reader.main` expects them."""


def _seeds(folder: Path) -> list[bytes]:
    model = model_of_zoo("heat1d")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["a/b"] = np.arange(6).reshape(2, 3)
        file["texts"] = ["x", "y"]
        file.create_dataset("packed", data=np.ones(100), compression="gzip", shuffle=True, fletcher32=True)
    return [netx_file(model), network_file(model), buffer.getvalue()]


def _read(path: Path) -> None:
    try:
        with h5py.File(io.BytesIO(path.read_bytes()), "r") as file:
            tree = hdf5_reader._Reader(h5py).group(file, "", 0)
    except (hdf5_reader._Refused, *DAMAGED) as error:
        raise FileError(path, "is refused") from error
    again = hdf5_reader.unpacked(hdf5_reader.packed(tree))
    require(_same(tree, again), "a tree reads differently once it is packed")


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return one == other


TARGET = Target("input.h5", _read, _seeds, size=1 << 14, is_apart=True)
