"""Names of groups and materials: the group of each boundary face, and what other groups contain."""

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
"""Group of boundary faces without a group in the file."""
NAMELESS = "unnamed"
"""Used instead of ``rest`` or the default material's name if the file has a group of that name."""
LONGEST_NAME, MOST_NAMES = 256, 4096
"""Limits of the artifact format."""
_SHOWN = 20
_PEOPLE = {0: "point", 1: "edge", 2: "triangle", 3: "tetrahedron"}


def unknown_group(name: str, known: Sequence[str], elsewhere: Mapping[str, str]) -> str:
    """Explain why a group that contains no boundary face cannot have a Dirichlet condition.

    Parameters
    ----------
    name : str
        Name of the unknown group.
    known : sequence of str
        Boundary groups.
    elsewhere : mapping of str to str
        What each other group of the file contains.
    """
    if name in elsewhere:
        return f"group {name!r} {elsewhere[name]}; only boundary faces can have a condition"
    groups = listed(known) or "none"
    spaces = "; names with spaces can be given in a YAML file" if any(len(group.split()) > 1 for group in known) else ""
    return f"unknown group {name!r}; the mesh has {groups}{spaces}"


def listed(names: Sequence[str]) -> str:
    """Join names for people; long lists are shortened."""
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def free_name(name: str, used: Collection[str]) -> str:
    """Find a name that the file does not use, for what it leaves unnamed."""
    for candidate in itertools.chain((name, NAMELESS), (f"{NAMELESS} {k}" for k in itertools.count(2))):
        if candidate not in used:
            return candidate
    raise AssertionError("the candidates never end")


def boundary_groups(sides: Sides, names: tuple[str, ...]) -> tuple[Indices, Indices, tuple[str, ...]]:
    """Memberships of all boundary faces (those without a group are in ``rest``), and the group names."""
    ungrouped = np.setdiff1d(np.arange(len(sides.boundary)), sides.member)
    group = np.concatenate([sides.group, np.full(ungrouped.size, len(names))])
    every = (*names, free_name(REST, {names[k] for k in np.unique(sides.group).tolist()}))
    present = np.unique(group).tolist()
    present_names = tuple(sorted(every[k] for k in present))
    place = {name: k for k, name in enumerate(present_names)}
    number = np.full(len(every), -1, np.int64)
    number[present] = [place[every[k]] for k in present]
    member = np.concatenate([sides.member, ungrouped])
    order = np.lexsort((number[group], member))
    return member[order], number[group][order], present_names


def elsewhere_named(content: MeshContent, dims: int, sides: Sides, sides_names: tuple[str, ...]) -> dict[str, str]:
    """What each group without a boundary face contains."""
    places: dict[str, str] = {}
    for name, dimension in content.unused.items():
        places[name] = "contains points" if dimension == 0 else "has no elements"
    for kind, dimension in (("line", 1), ("triangle", 2), ("tetra", 3)):
        elements = content.elements[kind]
        counts = np.bincount(elements.group, minlength=len(elements.names))
        for name, count in zip(elements.names, counts.tolist(), strict=True):
            if dimension == dims:
                places[name] = f"({counted(count, dims)}) contains cells"
            elif dimension < dims - 1:
                places[name] = f"({counted(count, dimension)}) contains edges"
    for name, count in sides.outside.items():
        places[name] = f"({counted(count, dims - 1)}) contains no face of a cell"
    for name, count in sides.inside.items():
        places[name] = f"({counted(count, dims - 1)}) lies inside the mesh"
    return {name: text for name, text in places.items() if name not in sides_names}


def counted(count: int, dims: int) -> str:
    """Count with its noun, such as ``2 edges``."""
    name = _PEOPLE[dims]
    plural = "tetrahedra" if dims == 3 else f"{name}s"
    return f"{count} {name if count == 1 else plural}"


def check_names(path: Path, noun: str, names: tuple[str, ...]) -> None:
    """Refuse names that the artifact format does not allow.

    Raises
    ------
    FileError
        A name is empty or too long.
    """
    wrong = next((name for name in names if not 0 < len(name) <= LONGEST_NAME), None)
    if wrong is not None:
        raise FileError(
            path,
            f"has a {noun} whose name has {len(wrong)} characters, {wrong[:20]!r}...",
            remedy=f"use 1 to {LONGEST_NAME} characters",
        )


def check_count(path: Path, noun: str, names: tuple[str, ...]) -> None:
    """Refuse more names than the artifact format allows.

    Raises
    ------
    FileError
        There are too many names.
    """
    if len(names) > MOST_NAMES:
        raise FileError(path, f"has {len(names)} {noun}s, more than {MOST_NAMES}")
