"""Names of groups and materials: which faces of the boundary are in which group, and what other groups are."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.content import MeshContent
from pisnn_deploy.mesh.sides import Sides

REST = "rest"
"""Group of boundary faces that the file gives none."""
NAMELESS = "unnamed"
"""Takes its place, or that of the default material, where a group of the file has that name itself."""
LONGEST_NAME, MOST_NAMES = 256, 4096
"""What an artifact holds."""
_SHOWN = 20
_PEOPLE = {0: "point", 1: "edge", 2: "triangle", 3: "tetrahedron"}


def unknown_group(name: str, known: Sequence[str], elsewhere: Mapping[str, str]) -> str:
    """Why nothing can be held at a group that no face of the boundary is in.

    Parameters
    ----------
    name : str
        Of the unknown group.
    known : sequence of str
        Groups of the boundary.
    elsewhere : mapping of str to str
        Other groups of the file, and what they are.
    """
    if name in elsewhere:
        return f"group {name!r} {elsewhere[name]}; only sides can be held"
    groups = listed(known) or "none"
    spaces = "; names with spaces can be given in a YAML file" if any(len(group.split()) > 1 for group in known) else ""
    return f"unknown group {name!r}; the mesh has {groups}{spaces}"


def listed(names: Sequence[str]) -> str:
    """Names for people, the first ones of many."""
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def free_name(name: str, taken: Collection[str]) -> str:
    """A name for what the file leaves unnamed; the file does not use it."""
    for candidate in itertools.chain((name, NAMELESS), (f"{NAMELESS} {k}" for k in itertools.count(2))):
        if candidate not in taken:
            return candidate
    raise AssertionError("there is always another number")


def boundary_groups(sides: Sides, names: tuple[str, ...]) -> tuple[Indices, Indices, tuple[str, ...]]:
    """Memberships of all faces of the boundary: those in no group are in ``rest``."""
    lonely = np.setdiff1d(np.arange(len(sides.boundary)), sides.member)
    group = np.concatenate([sides.group, np.full(lonely.size, len(names))])
    every = (*names, free_name(REST, {names[k] for k in np.unique(sides.group).tolist()}))
    present = np.unique(group).tolist()
    present_names = tuple(sorted(every[k] for k in present))
    place = {name: k for k, name in enumerate(present_names)}
    number = np.full(len(every), -1, np.int64)
    number[present] = [place[every[k]] for k in present]
    member = np.concatenate([sides.member, lonely])
    order = np.lexsort((number[group], member))
    return member[order], number[group][order], present_names


def elsewhere_named(content: MeshContent, dims: int, sides: Sides, sides_names: tuple[str, ...]) -> dict[str, str]:
    """What each group names that has no face of the boundary."""
    places: dict[str, str] = {}
    for name, dimension in content.unused.items():
        places[name] = "names points" if dimension == 0 else "has no elements"
    for kind, dimension in (("line", 1), ("triangle", 2), ("tetra", 3)):
        elements = content.elements[kind]
        counts = np.bincount(elements.group, minlength=len(elements.names))
        for name, count in zip(elements.names, counts.tolist(), strict=True):
            if dimension == dims:
                places[name] = f"({counted(count, dims)}) names cells"
            elif dimension < dims - 1:
                places[name] = f"({counted(count, dimension)}) names edges"
    for name, count in sides.outside.items():
        places[name] = f"({counted(count, dims - 1)}) names no side of a cell"
    for name, count in sides.inside.items():
        places[name] = f"({counted(count, dims - 1)}) lies inside the mesh"
    return {name: text for name, text in places.items() if name not in sides_names}


def counted(count: int, dims: int) -> str:
    """A number of elements for people, such as ``2 edges``."""
    name = _PEOPLE[dims]
    plural = "tetrahedra" if dims == 3 else f"{name}s"
    return f"{count} {name if count == 1 else plural}"


def check_names(path: Path, noun: str, names: tuple[str, ...]) -> None:
    """Refuse names that an artifact would not hold.

    Raises
    ------
    FileError
        A name that is empty or too long.
    """
    wrong = next((name for name in names if not 0 < len(name) <= LONGEST_NAME), None)
    if wrong is not None:
        raise FileError(
            path,
            f"has a {noun} whose name has {len(wrong)} characters, {wrong[:20]!r}...",
            remedy=f"give it a name of at most {LONGEST_NAME}",
        )


def check_count(path: Path, noun: str, names: tuple[str, ...]) -> None:
    """Refuse more names than an artifact holds.

    Raises
    ------
    FileError
        There are too many.
    """
    if len(names) > MOST_NAMES:
        raise FileError(path, f"has {len(names)} {noun}s, more than {MOST_NAMES}")
