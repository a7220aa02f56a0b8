"""What a file of fields holds, and how it becomes the fields of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.places import centres_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
CLOSE = 1e-6
"""How far, in parts of the extent of the mesh, the centres in a file may be from those of the mesh."""


@dataclass(frozen=True)
class Content:
    """Content of a file.

    Attributes
    ----------
    values : mapping of str to float64 array [cells]
        Columns of the file by name, in the order of the cells of the mesh.
    masses : mapping of str to int64 array [cells]
        Columns of integers by name; a file of ``--save`` has masses among them.
    quanta : mapping of str to float
        ``value_per_quantum`` of each field when the file was written, by the name of its column; empty if unknown.
    """

    values: Mapping[str, Floats]
    masses: Mapping[str, Integers] = field(default_factory=dict)
    quanta: Mapping[str, float] = field(default_factory=dict)


def labels_of(graph: IntegerGraph) -> list[tuple[str, str]]:
    """Names of the columns of values and masses of each field: ``value`` and ``mass`` if there is only one field."""
    names = [conserved.name for conserved in graph.fields]
    return [("value", "mass")] if len(names) == 1 else [(name, f"{name}_mass") for name in names]


def fields_of(graph: IntegerGraph, content: Content, path: Path) -> Floats:
    """Cell averages of a graph's fields from the columns of a file.

    Returns
    -------
    float64 array [cells of all fields]
        Field by field.

    Raises
    ------
    FileError
        A field is missing or not finite, or its masses are not those of its values.
    """
    parts = []
    for conserved, (label, mass_label) in zip(graph.fields, labels_of(graph), strict=True):
        name = _column(content.values, (label, conserved.name), path, is_sole=len(graph.fields) == 1)
        values = content.values[name]
        if values.shape != (conserved.cells,):
            raise FileError(path, f"has {values.size} cells, the mesh has {conserved.cells}", field=name)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise FileError(path, f"value {values[bad[0]]} is not finite", field=f"{name}, cell {int(bad[0])}")
        masses = content.masses.get(mass_label)
        if masses is not None and content.quanta.get(label) == conserved.value_per_quantum:
            differing = np.flatnonzero(conserved.values(masses) != values)
            if differing.size:
                cell = int(differing[0])
                raise FileError(
                    path,
                    f"has the value {values[cell]:.17g} and a mass of {masses[cell]} quanta, which disagree",
                    field=f"{name}, cell {cell}",
                    remedy=f"leave out the column {mass_label} to start from the values",
                )
        parts.append(values)
    return np.concatenate(parts)


def _column(values: Mapping[str, Floats], names: Sequence[str], path: Path, *, is_sole: bool) -> str:
    for name in names:
        if name in values:
            return name
    if is_sole and len(values) == 1:
        return next(iter(values))
    have = ", ".join(values) or "none"
    raise FileError(path, f"has no column {names[0]!r}; its columns are: {have}")


def require_places(graph: IntegerGraph, places: Floats, path: Path) -> None:
    """Refuse a file whose cells lie elsewhere, or in another order.

    Parameters
    ----------
    places : float64 array [cells, dimensions]
        Centres in the file, in its order.

    Raises
    ------
    FileError
        A centre is further than `CLOSE` from that of the mesh.
    """
    centres = centres_of(graph)
    require_close(centres, places, path)


def require_close(centres: Floats, places: Floats, path: Path) -> None:
    """Refuse places that are not these centres; see `require_places`."""
    if places.shape != centres.shape:
        raise FileError(path, f"has {len(places)} cells, the mesh has {len(centres)}")
    extent = float(np.ptp(centres, axis=0).max(initial=0.0)) or 1.0
    wrong = np.flatnonzero(~(np.abs(places - centres).max(axis=1) <= CLOSE * extent))
    if wrong.size:
        cell = int(wrong[0])
        raise FileError(
            path,
            f"lies at {_place(places[cell])}, in the mesh at {_place(centres[cell])}",
            field=f"cell {cell}",
            remedy="write the cells of the same mesh, in its order",
        )


def _place(place: Floats) -> str:
    return "(" + ", ".join(f"{coordinate:g}" for coordinate in place) + ")"


def about(graph: IntegerGraph, digest: str) -> dict[str, Any]:
    """What every saved field says of its origin: artifact, model, time step, and units and quanta by column."""
    columns = {
        label: {"unit": conserved.unit, "value_per_quantum": conserved.value_per_quantum}
        for conserved, (label, _) in zip(graph.fields, labels_of(graph), strict=True)
    }
    return {"artifact": digest, "model": graph.spec.name, "time_step": graph.time_step, "columns": columns}


def quanta_of(described: Any) -> dict[str, float]:
    """``value_per_quantum`` of each column in what `about` wrote; empty for anything else, which is untrusted."""
    columns = described.get("columns") if isinstance(described, dict) else None
    if not isinstance(columns, dict):
        return {}
    quanta = {name: column.get("value_per_quantum") for name, column in columns.items() if isinstance(column, dict)}
    return {name: quantum for name, quantum in quanta.items() if isinstance(quantum, float)}
