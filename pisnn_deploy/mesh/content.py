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


def grouped(corners: Indices, groups: Sequence[tuple[str, Indices]]) -> Elements:
    """Elements from the members of named groups; groups of the same name are one.

    Parameters
    ----------
    corners : int64 array [elements, corners]
    groups : sequence of (str, int64 array)
        Name and elements of each group; an element may occur more than once.
    """
    names = tuple(sorted({name for name, members in groups if members.size}))
    place = {name: k for k, name in enumerate(names)}
    pairs = [
        np.stack([members, np.full(members.size, place[name])], axis=1) for name, members in groups if members.size
    ]
    distinct = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *pairs]), axis=0)
    return Elements(corners, distinct[:, 0].astype(np.int64), distinct[:, 1].astype(np.int64), names)
