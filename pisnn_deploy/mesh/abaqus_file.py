"""Read meshes from Abaqus input files.

Existing libraries silently skip what they do not support: other element types, a second set of the same name, generated
nodes, other coordinate systems. This reader rejects whatever it does not support and names the line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh.abaqus_lines import Block, blocks
from pisnn_deploy.mesh.content import CORNERS, Elements, Indices, MeshContent, grouped

_TYPES = {
    "line": re.compile(r"(T2D2|T3D2|B21|B23|B31|B33|PIPE21|PIPE31|DC1D2|DCC1D2|AC1D2|R2D2|RB2D2|RB3D2|F2D2)[A-Z]*"),
    "triangle": re.compile(r"(CPS|CPE|CPEG|DC2D|DCC2D|AC2D|S|DS|STRI|M3D|SFM3D|R3D|F3D)3[A-Z]*"),
    "tetra": re.compile(r"(C3D|DC3D|DCC3D|AC3D|Q3D)4[A-Z]*"),
}
"""Supported element types by shape (two, three or four corners), whatever their physics."""
_NO_MESH = re.compile(r"MASS|ROTARYI|HEATCAP|(SPRING|DASHPOT|CONN|DCOUP|GAP|JOINT|ITT|DRAG).*")
"""Elements without a volume, which are skipped."""
_AXISYMMETRIC = re.compile(r"[A-Z]*AX[A-Z]*\d.*")
_LONGEST_TYPE = 40
_GENERATORS = frozenset({"NGEN", "NFILL", "NCOPY", "NMAP", "ELGEN", "ELCOPY", "SYSTEM"})
_SIDES: dict[str, dict[str, tuple[int, ...]]] = {
    "triangle": {"S1": (0, 1), "S2": (1, 2), "S3": (2, 0)},
    "tetra": {"S1": (0, 1, 2), "S2": (0, 3, 1), "S3": (1, 3, 2), "S4": (2, 3, 0)},
}
"""Corners of each side of an element, by the name that surfaces use."""


Item = Indices | tuple[int, int, int] | str
"""An entry of a set: element numbers, a range of them (first, last, step), or the name of another set."""


@dataclass
class _Body:
    """A part with its own numbering, or everything outside parts; set entries are in file order."""

    nodes: list[NDArray[np.float64]] = field(default_factory=list)
    elements: dict[str, list[Indices]] = field(default_factory=lambda: {kind: [] for kind in CORNERS})
    sets: list[tuple[str, Item]] = field(default_factory=list)
    set_names: set[str] = field(default_factory=set)
    surfaces: dict[str, list[tuple[Block, str, str]]] = field(default_factory=dict)


@dataclass
class _Model:
    """Everything outside parts, the parts, and their instances. The mesh consists of instances and unused parts."""

    outside: _Body = field(default_factory=_Body)
    parts: dict[str, _Body] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    instances: dict[str, _Body] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    sections: set[str] = field(default_factory=set)
    node_sets: set[str] = field(default_factory=set)
    others: dict[str, int] = field(default_factory=dict)


def parse_abaqus(path: Path, content: bytes) -> MeshContent:
    """Parse an Abaqus input file.

    Element sets become groups; if any section names a set, only the sets named by sections are materials. Surfaces
    become boundary groups.

    Raises
    ------
    FileError
        The file has something unsupported or damaged; the message names the line.
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
            raise block.error("includes another file", "write the whole mesh to one file")
        elif keyword in _GENERATORS:
            raise block.error(f"*{keyword} generates parts of the mesh", "list all nodes and elements explicitly")
        elif keyword in _READERS:
            _READERS[keyword](block, here, model)
        elif keyword.endswith("SECTION") and "ELSET" in block.parameters:
            model.sections.add(block.parameters["ELSET"].upper())
    parts = [part for name, part in model.parts.items() if name not in model.used]
    return _assembled(path, model, [model.outside, *model.instances.values(), *parts])


def _name(block: Block, parameter: str) -> str:
    name = block.parameters.get(parameter, "")
    if not name:
        raise block.error(f"*{block.keyword} lacks {parameter}=")
    return name


def _instance(block: Block, model: _Model) -> _Body:
    """Make a moved copy of a part; the blocks up to the end of the instance are added to it."""
    part_name = block.parameters.get("PART", "").upper()
    if part_name and part_name not in model.parts:
        raise block.error(f"there is no part {block.parameters['PART'][:60]!r} above this line")
    model.used.add(part_name)
    part = model.parts.get(part_name, _Body())
    body = _Body(
        [_moved(block, table) for table in part.nodes],
        {kind: list(tables) for kind, tables in part.elements.items()},
        list(part.sets),
        set(part.set_names),
        {name: list(rows) for name, rows in part.surfaces.items()},
    )
    if model.instances.setdefault(_name(block, "NAME").upper(), body) is not body:
        raise block.error("has a second instance of the same name")
    return body


def _moved(block: Block, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nodes of an instance: first translated, then rotated about an axis."""
    if not block.data:
        return table
    lines = [replace(block, data=(line,)) for line in block.data]
    moved = table.copy()
    # What is not finite stays so, and points that are not finite are refused.
    with np.errstate(all="ignore"):
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
        raise block.error("*NODE uses another coordinate system", "use rectangular coordinates")
    if "NSET" in block.parameters:
        model.node_sets.add(block.parameters["NSET"])
    if block.data:
        table = block.numbers(2, 4)
        block.as_integers(table[:, 0])
        body.nodes.append(table)


def _read_elements(block: Block, body: _Body, model: _Model) -> None:
    kind_of = _name(block, "TYPE").upper()[:_LONGEST_TYPE]
    if _NO_MESH.fullmatch(kind_of):
        return
    kind = next((kind for kind, pattern in _TYPES.items() if pattern.fullmatch(kind_of)), None)
    if kind is None:
        if _AXISYMMETRIC.fullmatch(kind_of):
            raise block.error(f"has axisymmetric elements ({kind_of})", "only plane and solid meshes are supported")
        model.others[kind_of] = 2 if re.match(r"CP[SE]|DC2D|AC2D|S\d|M3D|R3D|DS", kind_of) else 3
        return
    if not block.data:
        return
    table = block.elements(CORNERS[kind])
    body.elements[kind].append(table)
    if "ELSET" in block.parameters:
        _put(body, model, _name(block, "ELSET"), table[:, 0])


def _put(body: _Body, model: _Model, name: str, *items: Item) -> None:
    model.names.setdefault(name.upper(), name)
    body.set_names.add(name.upper())
    body.sets += [(name.upper(), item) for item in items]


def _read_set(block: Block, body: _Body, model: _Model) -> None:
    instance = block.parameters.get("INSTANCE")
    if instance is not None:
        if instance.upper() not in model.instances:
            raise block.error(f"there is no instance {instance[:60]!r} above this line")
        body = model.instances[instance.upper()]
    elif body is model.outside and model.instances:
        raise block.error("an element set of the assembly does not name its instance", "add INSTANCE=")
    name = _name(block, "ELSET")
    if "GENERATE" in block.parameters:
        for first, last, step in block.integers(2, 3).tolist():
            if step < 0 or last < first:
                raise block.error(f"*ELSET cannot generate numbers from {first} to {last} in steps of {step or 1}")
            _put(body, model, name, (first, last, step or 1))
        return
    numbers: list[int] = []
    others: dict[str, None] = {}
    for word in itertools.chain.from_iterable(block.fields()):
        plain = word.strip('"').upper()
        if word.isascii() and word.isdigit() and len(word) < 16:
            numbers.append(int(word))
        elif plain in body.set_names:
            others[plain] = None
        elif word:
            raise block.error(f"*ELSET has {word[:60]!r}, which is neither an element nor a set above this line")
    _put(body, model, name, np.array(numbers, np.int64), *others)


def _read_node_set(block: Block, body: _Body, model: _Model) -> None:
    model.node_sets.add(_name(block, "NSET"))


def _read_surface(block: Block, body: _Body, model: _Model) -> None:
    if block.parameters.get("TYPE", "ELEMENT").upper() != "ELEMENT":
        return
    name = _name(block, "NAME")
    model.names.setdefault(name.upper(), name)
    for words in block.fields():
        set_name, side = words[0].strip('"').upper(), words[1].upper() if len(words) > 1 else ""
        bodies = [body]
        if body is model.outside and model.instances:
            bodies = [instance for instance in model.instances.values() if set_name in instance.set_names]
        if not bodies:
            raise block.error(f"*SURFACE has {set_name[:60]!r}, which is not a set above this line")
        for owner in bodies:
            owner.surfaces.setdefault(name.upper(), []).append((block, set_name, side))


_READERS = {
    "NODE": _read_nodes,
    "ELEMENT": _read_elements,
    "ELSET": _read_set,
    "NSET": _read_node_set,
    "SURFACE": _read_surface,
}


@dataclass(frozen=True)
class _Numbering:
    """Elements of a body by ascending number: the kind of each, and its index among all elements of that kind."""

    numbers: Indices
    kind: Indices
    place: Indices

    def of(self, item: Item, sets: Mapping[str, list[Indices]]) -> Indices:
        """Rows of the elements that a set entry names; numbers without an element are ignored."""
        if isinstance(item, str):
            return _joined(sets.get(item, []))
        if isinstance(item, tuple):
            first, last, step = item
            low, high = np.searchsorted(self.numbers, [first, last + 1]).tolist()
            rows = np.arange(low, high)
            return np.asarray(rows[(self.numbers[rows] - first) % step == 0], np.int64)
        rows = np.searchsorted(self.numbers, item)
        inside = rows < self.numbers.size
        inside[inside] = self.numbers[rows[inside]] == item[inside]
        return np.asarray(rows[inside], np.int64)


def _joined(parts: list[Indices]) -> Indices:
    return np.asarray(np.unique(np.concatenate([np.zeros(0, np.int64), *parts])), np.int64)


class _Groups:
    """Elements of one kind and their groups."""

    def __init__(self, width: int) -> None:
        self.corners = [np.zeros((0, width), np.int64)]
        self.names: list[str] = []
        self.members = [np.zeros(0, np.int64)]
        self.groups = [np.zeros(0, np.int64)]
        self.count = 0

    def add(self, corners: Indices) -> Indices:
        """Append elements and return their indices."""
        self.corners.append(corners)
        self.count += len(corners)
        return np.arange(self.count - len(corners), self.count)

    def name(self, name: str, members: Indices) -> None:
        """Put elements into a group."""
        self.members.append(members)
        self.groups.append(np.full(members.size, len(self.names)))
        self.names.append(name)

    def elements(self) -> Elements:
        """All elements with their groups."""
        return grouped(
            np.concatenate(self.corners), self.names, np.concatenate(self.members), np.concatenate(self.groups)
        )


def _assembled(path: Path, model: _Model, bodies: list[_Body]) -> MeshContent:
    dims = 3 if any(body.elements["tetra"] for body in bodies) else 2
    # Kinds are lines, triangles and tetrahedra; the cells are of the highest kind present.
    cells, sides = dims - 1, dims - 2
    kinds = [_Groups(width) for width in CORNERS.values()]
    points: list[NDArray[np.float64]] = [np.zeros((0, 3))]
    count = 0
    named: set[str] = set()
    for body in bodies:
        nodes = np.concatenate([np.zeros((0, 4)), *body.nodes])
        numbering = _number_elements(path, body, nodes, count, kinds)
        sets: dict[str, list[Indices]] = {}
        for name, item in body.sets:
            sets.setdefault(name, []).append(numbering.of(item, sets))
        for name, parts in sets.items():
            rows = _joined(parts)
            sets[name] = [rows]
            named |= {model.names[name]} if rows.size else set()
            for number, kind in enumerate(kinds):
                of_kind = rows[numbering.kind[rows] == number]
                # If sections say which sets are materials, other sets of cells are not.
                if of_kind.size and (number != cells or not model.sections or name in model.sections):
                    kind.name(model.names[name], numbering.place[of_kind])
        solid = np.concatenate(kinds[cells].corners)
        for name, surface in body.surfaces.items():
            corners = _surface(surface, numbering, sets, solid, cells)
            named |= {model.names[name]} if len(corners) else set()
            kinds[sides].name(model.names[name], kinds[sides].add(corners))
        points.append(nodes[:, 1:])
        count += len(nodes)
    unused = dict.fromkeys(model.node_sets, 0) | dict.fromkeys(model.names.values(), dims)
    return MeshContent(
        np.concatenate(points),
        {kind: group.elements() for kind, group in zip(CORNERS, kinds, strict=True)},
        model.others,
        {name: d for name, d in unused.items() if name not in named},
    )


def _number_elements(
    path: Path, body: _Body, nodes: NDArray[np.float64], start: int, kinds: list[_Groups]
) -> _Numbering:
    """Add the elements of a body to `kinds`; `start` is the index of its first point."""
    order, node_numbers = _numbered(path, nodes[:, 0], "node")
    numbers, kind_numbers, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for number, (kind, width) in enumerate(CORNERS.items()):
        table = np.concatenate([np.zeros((0, 1 + width), np.int64), *body.elements[kind]])
        numbers.append(table[:, 0])
        kind_numbers.append(np.full(len(table), number))
        places.append(kinds[number].add(start + order[_node_places(path, node_numbers, table[:, 1:])]))
    by_number, ordered = _numbered(path, np.concatenate(numbers), "element")
    return _Numbering(ordered, np.concatenate(kind_numbers)[by_number], np.concatenate(places)[by_number])


def _numbered(path: Path, numbers: NDArray[np.float64] | Indices, noun: str) -> tuple[Indices, Indices]:
    """Sorting order and sorted numbers of nodes or elements; duplicates are refused."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order].astype(np.int64)
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if twice.size:
        raise FileError(path, f"defines {noun} {ordered[twice[0]]} twice")
    return order, ordered


def _node_places(path: Path, numbers: Indices, nodes: Indices) -> Indices:
    """Index of each node in the sorted node numbers."""
    place = np.minimum(np.searchsorted(numbers, nodes), max(numbers.size - 1, 0))
    missing = nodes[numbers[place] != nodes] if numbers.size else nodes.reshape(-1)
    if missing.size:
        raise FileError(path, f"has an element with the undefined node {missing[0]}")
    return place


def _surface(
    surface: list[tuple[Block, str, str]],
    numbering: _Numbering,
    sets: Mapping[str, list[Indices]],
    corners: Indices,
    kind: int,
) -> Indices:
    """Corners of each side of a surface; `corners` are those of the cells."""
    sides = [np.zeros((0, corners.shape[1] - 1), np.int64)]
    names = _SIDES[list(CORNERS)[kind]]
    for block, element_or_set, side in surface:
        if element_or_set in sets:
            rows = numbering.of(element_or_set, sets)
        elif element_or_set.isascii() and element_or_set.isdigit() and len(element_or_set) < 16:
            rows = numbering.of(np.array([int(element_or_set)]), sets)
        else:
            raise block.error(
                f"*SURFACE has {element_or_set[:60]!r}, which is neither an element nor a set above this line"
            )
        if side not in names:
            raise block.error(f"*SURFACE has the unknown side {side[:60]!r}", "use S1, S2, ...")
        cells = numbering.place[rows[numbering.kind[rows] == kind]]
        sides.append(corners[cells][:, list(names[side])])
    return np.concatenate(sides)
