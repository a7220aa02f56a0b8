"""Convert a mesh read by meshio to elements and groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh.content import BOXES, CORNERS, Elements, Indices, MeshContent, grouped

READ = CORNERS | BOXES
NUMBERS_OF_GROUPS = ("gmsh:physical", "medit:ref")
"""Cell data in which 0 means no group."""
NAMES_OF_MATERIALS = ("materialids", "materialid", "material", "materials", "cellentityids", "region", "regions")
"""Names of cell data that holds material numbers, in lower case without spaces, dashes and underscores."""
MOST_MATERIALS = 1024
"""Integer cell data with more distinct values is something else, such as cell numbers."""


def content_of(path: Path, mesh: Any) -> MeshContent:
    """Convert a mesh read by meshio.

    Groups come from cell sets, from the group numbers of Medit and Gmsh, or from integer cell data: the array whose
    name says that it holds materials, else the only integer array.

    Raises
    ------
    FileError
        Elements, sets or group numbers are invalid.
    """
    numbers, warnings, unread = _numbers(path, mesh)
    elements = {kind: _elements(path, mesh, kind, numbers) for kind in READ}
    others = {str(block.type): int(block.dim) for block in mesh.cells if len(block.data) and block.type not in READ}
    return MeshContent(np.asarray(mesh.points), elements, others, {}, warnings, unread)


def _elements(path: Path, mesh: Any, kind: str, numbers: tuple[str, bool] | None) -> Elements:
    """All elements of a kind with their groups."""
    blocks = [k for k, block in enumerate(mesh.cells) if block.type == kind and len(block.data)]
    data = [np.asarray(mesh.cells[k].data) for k in blocks]
    count = READ[kind]
    if any(d.dtype.kind not in "iu" or d.ndim != 2 or d.shape[1] != count for d in data):
        raise FileError(path, f"has elements of type {kind} that do not have {count} integer corners")
    corners = np.concatenate([np.zeros((0, count), np.int64), *(d.astype(np.int64) for d in data)])
    starts = np.cumsum([0, *(len(d) for d in data)])
    names, members, groups = _sets(path, mesh, blocks, starts)
    if numbers is not None and data:
        key, zero_is_none = numbers
        tags = np.concatenate([np.asarray(mesh.cell_data[key][k]).reshape(-1) for k in blocks])
        if tags.size != len(corners):
            raise FileError(path, f"has cell data {key!r} that is not one number per element")
        chosen = np.flatnonzero(tags) if zero_is_none else np.arange(tags.size)
        distinct, group = np.unique(tags[chosen], return_inverse=True)
        members.append(chosen)
        groups.append(len(names) + group.reshape(-1))
        names += [str(int(tag)) for tag in distinct.tolist()]
    nothing = np.zeros(0, np.int64)
    return grouped(corners, names, np.concatenate([nothing, *members]), np.concatenate([nothing, *groups]))


def _sets(
    path: Path, mesh: Any, blocks: list[int], starts: NDArray[np.int64]
) -> tuple[list[str], list[Indices], list[Indices]]:
    """Cell sets with elements in the given blocks: names, members, and the set of each member."""
    names, members, groups = [], [], []
    for number, (name, sets) in enumerate(mesh.cell_sets.items()):
        names.append(str(name))
        for k, start, end in zip(blocks, starts, starts[1:], strict=False):
            inside = sets[k] if k < len(sets) else None
            inside = np.zeros(0, np.int64) if inside is None else np.asarray(inside).reshape(-1)
            if not inside.size:
                continue
            if inside.dtype.kind not in "iu" or inside.min() < 0 or inside.max() >= end - start:
                raise FileError(path, f"has a cell set {name!r} with an undefined element")
            members.append(start + inside.astype(np.int64))
            groups.append(np.full(inside.size, number))
    return names, members, groups


def _numbers(path: Path, mesh: Any) -> tuple[tuple[str, bool] | None, tuple[str, ...], str]:
    """Cell data with material numbers and whether 0 means no group; warnings; why other data is ignored."""
    for key in NUMBERS_OF_GROUPS:
        if key in mesh.cell_data:
            if not _is_numbers(mesh.cell_data[key]):
                raise FileError(path, "has elements whose group is not an integer")
            return (key, True), (), ""
    named = {"".join(c for c in str(key).lower() if c not in " -_"): str(key) for key in mesh.cell_data}
    for plain in NAMES_OF_MATERIALS:
        if plain in named:
            key = named[plain]
            if not _is_numbers(mesh.cell_data[key]):
                return None, (), f"cell data {key!r} is not used as materials: it is not one integer per cell"
            return (key, False), (), ""
    candidates = [str(key) for key, data in mesh.cell_data.items() if not str(key).startswith("vtk") and _is_few(data)]
    if len(candidates) == 1:
        return (candidates[0], False), (f"mesh: materials are taken from the integer cell data {candidates[0]!r}",), ""
    if candidates:
        listed = ", ".join(map(repr, sorted(candidates)))
        return None, (), f"cell data {listed} is not used as materials: name the one that holds them 'MaterialIDs'"
    return None, (), ""


def _is_numbers(data: Any) -> bool:
    """Whether cell data has one integer per cell."""
    arrays = [np.asarray(array) for array in data]
    return all(
        (array.ndim == 1 or array.shape[1:] == (1,))
        and (
            array.dtype.kind in "iu"
            or (array.dtype.kind == "f" and bool((abs(array) < 2**53).all() and (array == np.floor(array)).all()))
        )
        for array in arrays
    )


def _is_few(data: Any) -> bool:
    arrays = [np.asarray(array) for array in data]
    return (
        all(array.dtype.kind in "iu" for array in arrays)
        and _is_numbers(data)
        and len(np.unique(np.concatenate([array.reshape(-1) for array in arrays]))) <= MOST_MATERIALS
    )
