"""Elements of a mesh that meshio has read, and the groups that they are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh.content import CORNERS, Elements, Indices, MeshContent, grouped

NUMBERS_OF_GROUPS = ("gmsh:physical", "medit:ref")
"""Cell data in which 0 is no group."""
NAMES_OF_MATERIALS = ("materialids", "materialid", "material", "materials", "cellentityids", "region", "regions")
"""Cell data that holds materials by number, in lower case without blanks, dashes and underscores."""
MOST_MATERIALS = 1024
"""Integer cell data with more different numbers is something else, such as the numbers of cells."""


def content_of(path: Path, mesh: Any) -> MeshContent:
    """Elements and groups of a mesh that was read by the library.

    Groups come from cell sets, from the numbers of Medit and Gmsh, or from integer cell data: that whose name says that
    it holds materials, else the only one there is.

    Raises
    ------
    FileError
        Elements, sets or numbers that are not what they should be.
    """
    numbers, warnings, unread = _numbers(path, mesh)
    elements = {kind: _elements(path, mesh, kind, numbers) for kind in CORNERS}
    others = {str(block.type): int(block.dim) for block in mesh.cells if len(block.data) and block.type not in CORNERS}
    return MeshContent(np.asarray(mesh.points), elements, others, {}, warnings, unread)


def _elements(path: Path, mesh: Any, kind: str, numbers: tuple[str, bool] | None) -> Elements:
    """All elements of a kind with the groups that each is in."""
    blocks = [k for k, block in enumerate(mesh.cells) if block.type == kind and len(block.data)]
    data = [np.asarray(mesh.cells[k].data) for k in blocks]
    count = CORNERS[kind]
    if any(d.dtype.kind not in "iu" or d.ndim != 2 or d.shape[1] != count for d in data):
        raise FileError(path, f"has elements of type {kind} whose corners are not {count} integers")
    corners = np.concatenate([np.zeros((0, count), np.int64), *(d.astype(np.int64) for d in data)])
    starts = np.cumsum([0, *(len(d) for d in data)])
    names, members, groups = _sets(path, mesh, blocks, starts)
    if numbers is not None and data:
        key, zero_is_none = numbers
        tags = np.concatenate([np.asarray(mesh.cell_data[key][k]).reshape(-1) for k in blocks])
        if tags.size != len(corners):
            raise FileError(path, f"has cell data {key!r} that is not one number an element")
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
    """Cell sets, as far as they have elements in some blocks: names, members, and the set of each member."""
    names, members, groups = [], [], []
    for number, (name, sets) in enumerate(mesh.cell_sets.items()):
        names.append(str(name))
        for k, start, end in zip(blocks, starts, starts[1:], strict=False):
            inside = sets[k] if k < len(sets) else None
            inside = np.zeros(0, np.int64) if inside is None else np.asarray(inside).reshape(-1)
            if not inside.size:
                continue
            if inside.dtype.kind not in "iu" or inside.min() < 0 or inside.max() >= end - start:
                raise FileError(path, f"has a cell set {name!r} with an element that is not there")
            members.append(start + inside.astype(np.int64))
            groups.append(np.full(inside.size, number))
    return names, members, groups


def _numbers(path: Path, mesh: Any) -> tuple[tuple[str, bool] | None, tuple[str, ...], str]:
    """Cell data that numbers materials, and whether its 0 means no group; a warning; why other data is not read."""
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
                return None, (), f"cell data {key!r} is not read as materials: it is not one integer a cell"
            return (key, False), (), ""
    candidates = [str(key) for key, data in mesh.cell_data.items() if not str(key).startswith("vtk") and _is_few(data)]
    if len(candidates) == 1:
        return (candidates[0], False), (f"mesh: the materials are the integers of the cell data {candidates[0]!r}",), ""
    if candidates:
        listed = ", ".join(map(repr, sorted(candidates)))
        return None, (), f"cell data {listed} is not read as materials: name that which holds them 'MaterialIDs'"
    return None, (), ""


def _is_numbers(data: Any) -> bool:
    """Whether cell data is one integer a cell."""
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
