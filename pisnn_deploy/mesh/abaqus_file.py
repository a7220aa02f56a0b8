"""Read the meshes of Abaqus input files.

Written here because the libraries leave out what they do not know without a word: elements of other types, second sets
of a name, generated nodes, other coordinate systems. Whatever is not read here is refused with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import FileError
from pisnn_deploy.mesh.abaqus_lines import Block, blocks
from pisnn_deploy.mesh.content import CORNERS, Indices, MeshContent, grouped

_TYPES = {
    "line": re.compile(r"(T2D2|T3D2|B21|B23|B31|B33|PIPE21|PIPE31|DC1D2|DCC1D2|AC1D2|R2D2|RB2D2|RB3D2|F2D2)[A-Z]*"),
    "triangle": re.compile(r"(CPS|CPE|CPEG|DC2D|DCC2D|AC2D|S|DS|STRI|M3D|SFM3D|R3D|F3D)3[A-Z]*"),
    "tetra": re.compile(r"(C3D|DC3D|DCC3D|AC3D|Q3D)4[A-Z]*"),
}
"""Elements that are read: two corners, three, four, whatever physics they are made for."""
_NO_MESH = re.compile(r"MASS|ROTARYI|HEATCAP|(SPRING|DASHPOT|CONN|DCOUP|GAP|JOINT|ITT|DRAG).*")
"""Elements that take no place."""
_AXISYMMETRIC = re.compile(r"[A-Z]*AX[A-Z]*\d.*")
_GENERATORS = frozenset({"NGEN", "NFILL", "NCOPY", "NMAP", "ELGEN", "ELCOPY", "SYSTEM"})
_SIDES: dict[str, dict[str, tuple[int, ...]]] = {
    "triangle": {"S1": (0, 1), "S2": (1, 2), "S3": (2, 0)},
    "tetra": {"S1": (0, 1, 2), "S2": (0, 3, 1), "S3": (1, 3, 2), "S4": (2, 3, 0)},
}
"""Sides of elements by their names in surfaces, as corners."""


@dataclass
class _Body:
    """A part with numbers of its own, or all that stands outside of parts."""

    nodes: list[NDArray[np.float64]] = field(default_factory=list)
    elements: dict[str, list[Indices]] = field(default_factory=lambda: {kind: [] for kind in CORNERS})
    sets: dict[str, list[Indices]] = field(default_factory=dict)
    surfaces: dict[str, list[tuple[Block, str, str]]] = field(default_factory=dict)


@dataclass
class _Model:
    """What stands outside of parts, the parts, and their instances. The mesh is made of instances and unused parts."""

    outside: _Body = field(default_factory=_Body)
    parts: dict[str, _Body] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    instances: dict[str, _Body] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    sections: set[str] = field(default_factory=set)
    node_sets: set[str] = field(default_factory=set)
    others: dict[str, int] = field(default_factory=dict)


def parse_abaqus(path: Path, content: bytes) -> MeshContent:
    """Mesh in the bytes of an input file.

    Cell sets name groups; where sections name sets, only these are materials. Surfaces name sides.

    Raises
    ------
    FileError
        Something that cannot be read, with its line.
    """
    model = _Model()
    here = model.outside
    for block in blocks(path, content):
        keyword = block.keyword
        if keyword == "PART":
            here = model.parts.setdefault(_name(block, "NAME").upper(), _Body())
        elif keyword == "INSTANCE":
            here = _instance(block, model)
        elif keyword in ("END PART", "END INSTANCE", "END ASSEMBLY", "ASSEMBLY"):
            here = model.outside
        elif keyword == "INCLUDE" or "INPUT" in block.parameters:
            raise block.error("includes another file", "write the mesh into one file")
        elif keyword in _GENERATORS:
            raise block.error(f"*{keyword} makes parts of the mesh", "write all nodes and elements out")
        elif keyword in _READERS:
            _READERS[keyword](block, here, model)
        elif keyword.endswith("SECTION") and "ELSET" in block.parameters:
            model.sections.add(block.parameters["ELSET"].upper())
    parts = [part for name, part in model.parts.items() if name not in model.used]
    return _assembled(path, model, [model.outside, *model.instances.values(), *parts])


def _name(block: Block, parameter: str) -> str:
    name = block.parameters.get(parameter, "")
    if not name:
        raise block.error(f"*{block.keyword} has no {parameter}=")
    return name


def _instance(block: Block, model: _Model) -> _Body:
    """A copy of a part, moved; what follows until its end is added to it."""
    of = block.parameters.get("PART", "").upper()
    if of and of not in model.parts:
        raise block.error(f"there is no part {block.parameters['PART'][:60]!r} above it")
    model.used.add(of)
    part = model.parts.get(of, _Body())
    body = _Body(
        [_moved(block, table) for table in part.nodes],
        {kind: list(tables) for kind, tables in part.elements.items()},
        {name: list(members) for name, members in part.sets.items()},
        {name: list(rows) for name, rows in part.surfaces.items()},
    )
    if model.instances.setdefault(_name(block, "NAME").upper(), body) is not body:
        raise block.error("has two instances of one name")
    return body


def _moved(block: Block, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nodes of an instance: first shifted, then turned about an axis."""
    if not block.data:
        return table
    lines = [replace(block, data=(line,)) for line in block.data]
    moved = table.copy()
    moved[:, 1:] += lines[0].numbers(1, 3)[0]
    if len(lines) > 1:
        *ends, degrees = lines[1].numbers(7, 7)[0]
        start, end = np.array(ends[:3]), np.array(ends[3:])
        axis = (end - start) / max(float(np.linalg.norm(end - start)), 1e-300)
        away, turn = moved[:, 1:] - start, np.radians(degrees)
        moved[:, 1:] = (
            start
            + away * np.cos(turn)
            + np.cross(axis, away) * np.sin(turn)
            + np.outer(away @ axis, axis) * (1 - np.cos(turn))
        )
    return moved


def _read_nodes(block: Block, body: _Body, model: _Model) -> None:
    if block.parameters.get("SYSTEM", "R").upper() != "R":
        raise block.error("*NODE is in another coordinate system", "write rectangular coordinates")
    if "NSET" in block.parameters:
        model.node_sets.add(block.parameters["NSET"])
    if block.data:
        table = block.numbers(2, 4)
        if not (abs(table[:, 0]) < 2**53).all() or (table[:, 0] != np.floor(table[:, 0])).any():
            raise block.error("*NODE has a number that is not an integer")
        body.nodes.append(table)


def _read_elements(block: Block, body: _Body, model: _Model) -> None:
    kind_of = _name(block, "TYPE").upper()
    if _NO_MESH.fullmatch(kind_of):
        return
    kind = next((kind for kind, pattern in _TYPES.items() if pattern.fullmatch(kind_of)), None)
    if kind is None:
        if _AXISYMMETRIC.fullmatch(kind_of):
            raise block.error(f"has axisymmetric elements ({kind_of})", "only plane and solid meshes are read")
        model.others[kind_of] = 2 if re.match(r"CP[SE]|DC2D|AC2D|S\d|M3D|R3D|DS", kind_of) else 3
        return
    if not block.data:
        return
    table = block.elements(CORNERS[kind])
    body.elements[kind].append(table)
    if "ELSET" in block.parameters:
        _members(body, model, block.parameters["ELSET"]).append(table[:, 0])


def _members(body: _Body, model: _Model, name: str) -> list[Indices]:
    model.names.setdefault(name.upper(), name)
    return body.sets.setdefault(name.upper(), [])


def _read_set(block: Block, body: _Body, model: _Model) -> None:
    instance = block.parameters.get("INSTANCE")
    if instance is not None:
        if instance.upper() not in model.instances:
            raise block.error(f"there is no instance {instance[:60]!r} above it")
        body = model.instances[instance.upper()]
    elif body is model.outside and model.instances:
        raise block.error("a cell set of the assembly does not say of which instance", "give it INSTANCE=")
    members = _members(body, model, _name(block, "ELSET"))
    if "GENERATE" in block.parameters:
        table = block.numbers(2, 3).astype(np.int64)
        for first, last, step in table.tolist():
            step = step or 1
            if step < 0 or not 0 <= last - first <= 1 << 31:
                raise block.error(f"*ELSET generates from {first} to {last} by {step}")
            members.append(np.arange(first, last + 1, step))
        return
    for words in block.fields():
        for word in words:
            if word.isascii() and word.isdigit() and len(word) < 16:
                members.append(np.array([int(word)]))
            elif word.strip('"').upper() in body.sets:
                members += body.sets[word.strip('"').upper()]
            elif word:
                raise block.error(f"*ELSET has {word[:60]!r}, which is no element and no set above it")


def _read_node_set(block: Block, body: _Body, model: _Model) -> None:
    model.node_sets.add(_name(block, "NSET"))


def _read_surface(block: Block, body: _Body, model: _Model) -> None:
    if block.parameters.get("TYPE", "ELEMENT").upper() != "ELEMENT":
        return
    name = _name(block, "NAME")
    model.names.setdefault(name.upper(), name)
    for words in block.fields():
        which, side = words[0].strip('"').upper(), words[1].upper() if len(words) > 1 else ""
        bodies = [body]
        if body is model.outside and model.instances:
            bodies = [instance for instance in model.instances.values() if which in instance.sets]
        if not bodies:
            raise block.error(f"*SURFACE has {which[:60]!r}, which is no set above it")
        for one in bodies:
            one.surfaces.setdefault(name.upper(), []).append((block, which, side))


_READERS = {
    "NODE": _read_nodes,
    "ELEMENT": _read_elements,
    "ELSET": _read_set,
    "NSET": _read_node_set,
    "SURFACE": _read_surface,
}


def _assembled(path: Path, model: _Model, bodies: list[_Body]) -> MeshContent:
    points: list[NDArray[np.float64]] = [np.zeros((0, 3))]
    corners: dict[str, list[Indices]] = {kind: [np.zeros((0, n), np.int64)] for kind, n in CORNERS.items()}
    groups: dict[str, list[tuple[str, Indices]]] = {kind: [] for kind in CORNERS}
    count, starts = 0, dict.fromkeys(CORNERS, 0)
    dims = 3 if any(body.elements["tetra"] for body in bodies) else 2
    for body in bodies:
        nodes = np.concatenate([np.zeros((0, 4)), *body.nodes])
        order, numbers = _numbered(path, nodes[:, 0], "node")
        known: dict[str, tuple[Indices, Indices, Indices]] = {}
        for kind, width in CORNERS.items():
            table = np.concatenate([np.zeros((0, 1 + width), np.int64), *body.elements[kind]])
            place = _found(path, numbers, table[:, 1:])
            mine = count + order[place]
            known[kind] = (*_numbered(path, table[:, 0], "element"), mine)
            corners[kind].append(mine)
        for name, members in body.sets.items():
            wanted = np.unique(np.concatenate([np.zeros(0, np.int64), *members]))
            for kind, (order_of, numbers_of, _) in known.items():
                inside = np.isin(numbers_of, wanted)
                groups[kind].append((model.names[name], starts[kind] + order_of[inside]))
        for kind in CORNERS:
            starts[kind] += len(known[kind][2])
        for name, rows in body.surfaces.items():
            sides = _surface(rows, body, known["tetra" if dims == 3 else "triangle"], dims)
            kind = "triangle" if dims == 3 else "line"
            groups[kind].append((model.names[name], starts[kind] + np.arange(len(sides))))
            corners[kind].append(sides)
            starts[kind] += len(sides)
        points.append(nodes[:, 1:])
        count += len(nodes)
    named = {name for listed in groups.values() for name, members in listed if members.size}
    unused = dict.fromkeys(model.node_sets, 0) | dict.fromkeys(model.names.values(), dims)
    solid = "tetra" if dims == 3 else "triangle"
    if model.sections:
        groups[solid] = [(name, members) for name, members in groups[solid] if name.upper() in model.sections]
    elements = {kind: grouped(np.concatenate(corners[kind]), groups[kind]) for kind in CORNERS}
    return MeshContent(
        np.concatenate(points), elements, model.others, {n: d for n, d in unused.items() if n not in named}
    )


def _numbered(path: Path, numbers: NDArray[np.float64] | Indices, what: str) -> tuple[Indices, Indices]:
    """The order that sorts the numbers of nodes or elements, and the sorted numbers; none may be there twice."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order].astype(np.int64)
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if twice.size:
        raise FileError(path, f"has the {what} {ordered[twice[0]]} twice")
    return order, ordered


def _found(path: Path, numbers: Indices, wanted: Indices) -> Indices:
    """Places of numbers among sorted ones."""
    place = np.minimum(np.searchsorted(numbers, wanted), max(numbers.size - 1, 0))
    missing = wanted[numbers[place] != wanted] if numbers.size else wanted.reshape(-1)
    if missing.size:
        raise FileError(path, f"has an element with the node {missing[0]}, which is not there")
    return place


def _surface(
    rows: list[tuple[Block, str, str]], body: _Body, cells: tuple[Indices, Indices, Indices], dims: int
) -> Indices:
    """Corners of the sides of a surface."""
    order, numbers, corners = cells
    sides = [np.zeros((0, dims), np.int64)]
    for block, which, side in rows:
        members = body.sets.get(which)
        if members is not None:
            wanted = np.concatenate([np.zeros(0, np.int64), *members])
        elif which.isascii() and which.isdigit() and len(which) < 16:
            wanted = np.array([int(which)])
        else:
            raise block.error(f"*SURFACE has {which[:60]!r}, which is no element and no set above it")
        chosen = _SIDES["tetra" if dims == 3 else "triangle"].get(side)
        if chosen is None:
            raise block.error(f"*SURFACE has the side {side[:60]!r}", "sides of cells are S1, S2, ...")
        inside = np.isin(numbers, wanted)
        sides.append(corners[order[inside]][:, list(chosen)])
    return np.concatenate(sides)
