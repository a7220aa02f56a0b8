"""Saved traces of `pisnn-deploy simulate`: integers with ledgers, which are audited exactly without a graph."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.exact_sums import LARGEST, largest
from pisnn_deploy.mesh.boundary import PERIODIC, Boundary
from pisnn_deploy.mesh.structured import structured_mesh
from pisnn_deploy.trajectories.content import Array, Content

_OF_TRACES = frozenset({"step", "mass", "ledger", "transported", "in_flight", "meta"})
_MOST_META = 1 << 24


def is_own_trace(content: Content) -> bool:
    """Whether a file has the arrays of a trace."""
    return content.arrays.keys() >= _OF_TRACES


def axes_of(content: Content) -> int:
    """Number of axes of a trace's mesh."""
    return max(1, content.arrays["mass"].ndim - 1 - (len(_field_names(_meta(content))) > 1))


def as_trajectory(content: Content, boundary: Boundary | None) -> Content:
    """Write a trace as masses, times, and what came from ledgers and through faces in each step.

    Parameters
    ----------
    boundary : Boundary or None
        Conditions of the sides of a grid with one field, which tell the faces apart; None leaves them out.

    Raises
    ------
    FileError
        An array has a wrong shape or type.
    """
    arrays = content.arrays
    meta, rows = _meta(content), arrays["step"].size
    for name in ("mass", "ledger", "transported"):
        array = arrays[name]
        if array.dtype != np.int64 or not array.ndim or array.shape[0] != rows:
            raise FileError(content.path, f"is {array.dtype} {array.shape}; expected int64 [{rows}, ...]", field=name)
    names = _field_names(meta)
    of = "+".join(names) or "mass"
    written: dict[str, Array] = {}
    written[of] = _added(arrays["mass"]) if len(names) > 1 and arrays["mass"].ndim > 2 else arrays["mass"]
    time_step = meta.get("time_step")
    if isinstance(time_step, int | float) and math.isfinite(time_step) and time_step > 0:
        written["time"] = arrays["step"].astype(np.float64) * time_step
    ledgers = arrays["ledger"].reshape(rows, -1).astype(np.object_).sum(axis=1) if arrays["ledger"].size else None
    gained = np.zeros(rows, np.object_) if ledgers is None else ledgers
    # What ledgers took left the cells.
    written[f"{of}.entered"] = gained[:-1] - gained[1:]
    if boundary is not None and len(names) <= 1:
        written |= _faces(content, boundary)
    return Content(content.path, written)


def _meta(content: Content) -> Mapping[str, Any]:
    raw = content.arrays["meta"]
    try:
        if raw.dtype != np.uint8 or raw.size > _MOST_META:
            raise ValueError
        meta = json.loads(raw.tobytes())
    except (ValueError, RecursionError) as error:
        raise FileError(content.path, "is not JSON", field="meta") from error
    return meta if isinstance(meta, dict) else {}


def _field_names(meta: Mapping[str, Any]) -> list[str]:
    """Names of the fields of a trace; empty if it has one without a name."""
    fields = meta.get("fields")
    names = [each.get("name") for each in fields if isinstance(each, dict)] if isinstance(fields, list) else []
    return [name for name in names if isinstance(name, str)]


def _added(masses: Array) -> Array:
    """Sum of all fields in each cell: quanta may move from one field to another. Fields are the second axis."""
    fits = largest(masses) < LARGEST // max(1, masses.shape[1])
    return np.asarray((masses if fits else masses.astype(np.object_)).sum(axis=1))


def _faces(content: Content, boundary: Boundary) -> dict[str, NDArray[np.int64]]:
    """Packets of each step through the faces of each axis, in an array of all faces: those of no-flux sides have 0."""
    transported, shape = content.arrays["transported"], content.arrays["mass"].shape[1:]
    if len(shape) != len(boundary.sides):
        return {}
    mesh = structured_mesh(shape, (1.0,) * len(shape), boundary.sides)
    if transported.shape[1:] != (mesh.source.size,):
        problem = f"has {math.prod(transported.shape[1:])} channels, but a grid with this boundary {mesh.source.size}"
        remedy = "give the --boundary of the run, or none, for the balance of the whole domain alone"
        raise FileError(content.path, problem, field="transported", remedy=remedy)
    packets = np.diff(transported, axis=0)
    written = {}
    for axis, sides in enumerate(boundary.sides):
        part = packets[:, mesh.axis == axis]
        is_periodic = sides == (PERIODIC, PERIODIC)
        inner = [sum(side == "dirichlet" for side in sides) + shape[axis] - 1, shape[axis]][is_periodic]
        part = part.reshape(len(packets), *shape[:axis], inner, *shape[axis + 1 :])
        if is_periodic:
            # The mesh lists a periodic face by its lower cell; here it is the lower face of its upper cell.
            part = np.roll(part, 1, axis + 1)
        else:
            pads = [(0, 0)] * part.ndim
            pads[axis + 1] = (int(sides[0] != "dirichlet"), int(sides[1] != "dirichlet"))
            part = np.pad(part, pads)
        written[f"transported_{'xyz'[axis]}"] = part
    return written
