"""Content of a mesh file of any format: points, elements, and named groups of elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

CORNERS = {"line": 2, "triangle": 3, "tetra": 4}
"""Number of corners of each supported kind of element."""
BOXES = {"quad": 4, "hexahedron": 8}
"""Those of elements that are split into supported ones."""


@dataclass(frozen=True)
class Elements:
    """All elements of one kind; an element may be in any number of groups.

    Attributes
    ----------
    corners : int64 array [elements, corners]
        Points of each element.
    member : int64 array [memberships]
        Element index of each membership.
    group : int64 array [memberships]
        Group of each membership, an index into `names`.
    names : tuple of str
        Group names, sorted.
    """

    corners: Indices
    member: Indices
    group: Indices
    names: tuple[str, ...]


@dataclass(frozen=True)
class MeshContent:
    """Content of a mesh file.

    Attributes
    ----------
    points : array [points, axes]
        Coordinates as read, of any numeric type.
    elements : mapping of str to Elements
        Elements by kind, a key of `CORNERS` or `BOXES`.
    others : mapping of str to int
        Dimension of each unsupported kind of element in the file.
    unused : mapping of str to int
        Dimension of each group without an element in `elements`.
    warnings : tuple of str
        Warnings about how the file was read.
    unread : str
        Why cell data is not used as materials; empty without such data.
    """

    points: NDArray[Any]
    elements: Mapping[str, Elements]
    others: Mapping[str, int]
    unused: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    unread: str = ""


def grouped(corners: Indices, names: Sequence[str], member: Indices, group: Indices) -> Elements:
    """Sort and deduplicate memberships, and merge groups of the same name.

    Parameters
    ----------
    corners : int64 array [elements, corners]
        Points of each element.
    names : sequence of str
        Group names; groups without members are dropped.
    member, group : int64 array [memberships]
        Element index, and index into `names`.
    """
    used = np.unique(group).tolist()
    used_names = tuple(sorted({names[k] for k in used}))
    place = {name: k for k, name in enumerate(used_names)}
    number = np.full(len(names), -1, np.int64)
    number[used] = [place[names[k]] for k in used]
    distinct = np.unique(np.stack([member, number[group]], axis=1), axis=0)
    return Elements(corners, distinct[:, 0].astype(np.int64), distinct[:, 1].astype(np.int64), used_names)
