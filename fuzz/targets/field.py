"""Fields of cell averages, and conductivities of cells, as arrays of numpy."""

from pathlib import Path

import numpy as np

from fuzz.mutations import npy, npy_changed
from fuzz.oracle import require
from fuzz.target import Target
from pisnn_deploy.fields.npy_file import read_field
from pisnn_deploy.project.conditions import read_cell_property

SHAPE = (4, 4)


def _seeds(folder: Path) -> list[bytes]:
    values = np.linspace(0.5, 1.0, 16).reshape(SHAPE)
    kinds = ("<f8", ">f8", "<f4", "<f2", "<i8", "|u1")
    return [npy((values * 40).astype(kind)) for kind in kinds] + [npy(np.asfortranarray(values))]


def _read(path: Path) -> None:
    field = read_field(path, SHAPE)
    require(field.shape == SHAPE and bool(np.isfinite(field).all()), "a field was accepted that no mesh can start from")
    copy = path.with_name("copy.npy")
    copy.write_bytes(npy(field))
    require(np.array_equal(read_field(copy, SHAPE), field), "a field reads differently once it is written")
    values = read_cell_property(path, SHAPE)
    require(values is not None and bool((values > 0).all()), "a property was accepted that is not positive")


TARGET = Target("input.npy", _read, _seeds, npy_changed)
