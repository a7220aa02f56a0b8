"""What a mesh file holds, whatever its format: points, elements, and the named groups that elements are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

CORNERS = {"line": 2, "triangle": 3, "tetra": 4}
"""Corners of the kinds of elements that are read."""


@dataclass(frozen=True)
class Elements:
    """All elements of one kind. An element may be in several groups, or in none.

    Attributes
    ----------
    corners : int64 array [elements, corners]
        Points of each element.
    member : int64 array [memberships]
        Element of each membership.
    group : int64 array [memberships]
        Group of each membership, an index into `names`.
    names : tuple of str
        Groups, sorted.
    """

    corners: Indices
    member: Indices
    group: Indices
    names: tuple[str, ...]


@dataclass(frozen=True)
class MeshContent:
    """What a mesh file holds.

    Attributes
    ----------
    points : array [points, axes]
        As read: any numbers.
    elements : mapping of str to Elements
        By kind, `CORNERS`.
    others : mapping of str to int
        Other kinds of elements that occur, and their dimension.
    unused : mapping of str to int
        Groups that no element of `elements` is in, and their dimension.
    warnings : tuple of str
        What a user must hear of how the file was read.
    unread : str
        Why cell data is not read as materials, if there is some.
    """

    points: NDArray[Any]
    elements: Mapping[str, Elements]
    others: Mapping[str, int]
    unused: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    unread: str = ""


def grouped(corners: Indices, names: Sequence[str], member: Indices, group: Indices) -> Elements:
    """Elements from memberships in any order, which may occur more than once; groups of the same name are one.

    Parameters
    ----------
    corners : int64 array [elements, corners]
        Points of each element.
    names : sequence of str
        Of groups; those without members are left out.
    member, group : int64 array [memberships]
        Element, and index into `names`.
    """
    used = np.unique(group).tolist()
    kept = tuple(sorted({names[k] for k in used}))
    place = {name: k for k, name in enumerate(kept)}
    number = np.full(len(names), -1, np.int64)
    number[used] = [place[names[k]] for k in used]
    distinct = np.unique(np.stack([member, number[group]], axis=1), axis=0)
    return Elements(corners, distinct[:, 0].astype(np.int64), distinct[:, 1].astype(np.int64), kept)
