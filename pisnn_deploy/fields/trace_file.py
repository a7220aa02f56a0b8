"""Read the masses of a saved trace (``.npz``)."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.npy import DAMAGED_ARCHIVE, read_header
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.fields.trajectory import Trajectory, require_rows
from pisnn_deploy.graph import IntegerGraph

LARGEST_META = 1 << 24
"""In bytes."""


def read_trace(path: Path, graph: IntegerGraph, *, last_only: bool = False) -> Trajectory:
    """Read cell averages at the kept steps of a trace.

    Parameters
    ----------
    last_only : bool
        Read the last one alone.

    Raises
    ------
    FileError
        It is no trace, or one of another mesh or another quantum.
    """
    require_content(path)
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(bytes(_array(archive, "meta", "u1", (None,), LARGEST_META)))
            _require_quanta(path, graph, meta)
            steps = _array(archive, "step", "i8", (None,), 1 << 32)
            require_rows(1 if last_only and steps.size else steps.size, int(np.prod(graph.shape)), path)
            mass = _array(archive, "mass", "i8", (steps.size, *graph.shape), last_only=last_only)
            step = float(meta["time_step"])
    except FileError:
        raise
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    except (*DAMAGED_ARCHIVE, RecursionError, TypeError) as error:
        raise FileError(path, f"is not a trace of this graph ({error})") from error
    if not (math.isfinite(step) and step > 0):
        raise FileError(path, f"has a time step of {step}")
    kept = steps[-1:] if last_only else steps
    return Trajectory(graph.values(mass.reshape(kept.size, -1)), kept * step)


def _array(
    archive: zipfile.ZipFile,
    name: str,
    kind: str,
    shape: tuple[int | None, ...],
    largest: int | None = None,
    *,
    last_only: bool = False,
) -> NDArray[Any]:
    """An array of little-endian numbers; its last row alone if asked for."""
    with archive.open(f"{name}.npy") as stream:
        actual, fortran, dtype = read_header(stream)  # type: ignore[arg-type]
        if dtype != np.dtype(kind).newbyteorder("<") or fortran or len(actual) != len(shape):
            raise ValueError(f"{name} holds {dtype} of shape {actual}")
        if any(want is not None and want != have for want, have in zip(shape, actual, strict=True)):
            raise ValueError(f"{name} has shape {actual}, expected {shape}")
        rows, row_bytes = actual[0], math.prod(actual[1:]) * dtype.itemsize
        if largest is not None and rows * row_bytes > largest:
            raise ValueError(f"{name} is too large")
        if last_only:
            stream.seek((rows - 1) * row_bytes, 1)
            rows = 1
        content = stream.read(rows * row_bytes)
        if len(content) != rows * row_bytes:
            raise ValueError(f"{name} ends too early")
        return np.frombuffer(content, dtype).reshape(rows, *actual[1:])


def _require_quanta(path: Path, graph: IntegerGraph, meta: Any) -> None:
    if not isinstance(meta, dict):
        raise ValueError("its description is no mapping")
    described = meta.get("fields") or [{"name": graph.fields[0].name, "quantum": meta.get("quantum")}]
    theirs = [(field["name"], field["quantum"]) for field in described]
    ours = [(field.name, field.quantum) for field in graph.fields]
    if theirs != ours:
        quanta = ", ".join(f"{name} {quantum}" for name, quantum in ours)
        remedy = "save the run in another format, such as .nc"
        raise FileError(path, f"was saved with other fields or quanta than the graph's ({quanta})", remedy=remedy)
