"""Read fields of cell averages from untrusted files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.npy import read_header
from pisnn_deploy.core.pointers import require_content


def read_field(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Read cell averages from an ``.npy`` file.

    Parameters
    ----------
    path : Path
        Floats or integers of any width and byte order; no pickle.
    shape : tuple of int
        Shape of the values of all fields; nothing larger is read.

    Returns
    -------
    float64 array
        Cell averages, of the shape of the mesh.

    Raises
    ------
    FileError
        It is not such a file, has another shape, or holds values that are not finite.
    """
    require_content(path)
    try:
        if path.exists() and not path.is_file():
            raise FileError(path, "is not a file")
        with path.open("rb") as stream:
            try:
                stored_shape, fortran, dtype = read_header(stream)
            except ValueError as error:
                raise FileError(path, str(error), remedy="write it with numpy.save") from error
            if dtype.kind not in "fiu" or dtype.itemsize > 8:
                raise FileError(path, f"holds {dtype}, it must hold floats of at most 64 bits")
            if stored_shape != shape:
                raise FileError(path, f"has shape {stored_shape}, the mesh has {shape}")
            if path.stat().st_size - stream.tell() < math.prod(shape) * dtype.itemsize:
                raise FileError(path, "ends too early")
            numbers = np.frombuffer(stream.read(math.prod(shape) * dtype.itemsize), dtype)
            with np.errstate(invalid="ignore"):  # NaN is refused below
                values = numbers.reshape(shape, order="F" if fortran else "C").astype(np.float64, order="C")
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    bad = np.flatnonzero(~np.isfinite(values.reshape(-1)))
    if bad.size:
        raise FileError(path, f"value {values.reshape(-1)[bad[0]]} is not finite", field=f"cell {int(bad[0])}")
    return values
