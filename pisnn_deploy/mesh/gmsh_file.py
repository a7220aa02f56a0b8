"""Read Gmsh's MSH files: versions 2, 4.0 and 4.1, text and binary.

No maintained library reads all valid files: meshio and its fork keep only one of an entity's physical groups, merge
names that occur in two dimensions, and refuse curves without a group, parametric nodes, and data on some of the
elements. The format is described in the chapters "MSH file format" of Gmsh's reference manual.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import SupportsInt

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.content import BOXES, CORNERS, Elements, Indices, MeshContent, grouped
from pisnn_deploy.mesh.gmsh_numbers import DamagedFile, Numbers, sections

_KINDS = {1: "line", 2: "triangle", 3: "quad", 4: "tetra", 5: "hexahedron"}
"""Supported elements by Gmsh's type number."""
_NAMES: tuple[tuple[str, int, Mapping[int, int]], ...] = (
    ("point", 0, {15: 1}),
    ("line", 1, {8: 3, 26: 4, 27: 5, 28: 6, 62: 7, 63: 8, 64: 9, 65: 10, 66: 11}),
    ("triangle", 2, {9: 6, 20: 9, 21: 10, 22: 12, 23: 15, 24: 15, 25: 21}),
    ("quadrangle", 2, {10: 9, 16: 8, 36: 16, 37: 25, 38: 36}),
    ("tetrahedron", 3, {11: 10, 29: 20, 30: 35, 31: 56}),
    ("hexahedron", 3, {12: 27, 17: 20, 92: 64, 93: 125}),
    ("prism", 3, {6: 6, 13: 18, 18: 15, 90: 40, 91: 75}),
    ("pyramid", 3, {7: 5, 14: 14, 19: 13, 118: 30, 119: 55}),
)
"""Elements that are skipped or refused: shape, dimension, and number of points by Gmsh's type number."""
_OTHERS = {
    number: (f"{shape} of {points} points", dims, points)
    for shape, dims, numbers in _NAMES
    for number, points in numbers.items()
}
_CORNERS_OF = {number: (CORNERS | BOXES)[kind] for number, kind in _KINDS.items()} | {
    t: n for t, (_, _, n) in _OTHERS.items()
}
_DIMENSION = {1: 1, 2: 2, 3: 2, 4: 3, 5: 3} | {t: dims for t, (_, dims, _) in _OTHERS.items()}

Tags = dict[tuple[int, int], Indices]
"""Physical groups of entities, by dimension and number of the entity."""


@dataclass(frozen=True)
class _Block:
    """Elements of one kind: their node numbers [elements, corners] and physical groups.

    `physical` has one group per element (0 for none), or if `is_shared` the groups of all elements of the block.
    """

    kind: int
    nodes: Indices
    physical: Indices
    is_shared: bool


def parse_gmsh(content: bytes) -> MeshContent:
    """Parse an MSH file.

    Raises
    ------
    DamagedFile
        The content is not a valid file of version 2, 4.0 or 4.1.
    """
    parts = sections(content)
    if "MeshFormat" not in parts:
        legacy = " (version 1 is not supported; save as version 4.1)" if "NOD" in parts else ""
        raise DamagedFile(f"it has no section $MeshFormat{legacy}")
    version, is_binary, size_bytes, order = _format(parts["MeshFormat"])
    for choices in (("Nodes", "ParametricNodes"), ("Elements",)):
        if not set(choices) & set(parts):
            raise DamagedFile(f"it has no section ${choices[0]}")
    names = _physical_names(parts.get("PhysicalNames", b""))

    def numbers(name: str) -> Numbers:
        return Numbers(parts[name], order if is_binary else None, size_bytes)

    if version < 4:
        node_tags, points = _nodes_2(parts, numbers)
        blocks = _elements_2(numbers("Elements"))
    else:
        tags: Tags = {}
        if "Entities" in parts:
            _entities(numbers("Entities"), version, tags)
        if "PartitionedEntities" in parts:
            _partitioned_entities(numbers("PartitionedEntities"), version, tags)
        node_tags, points = _nodes_4(numbers("Nodes" if "Nodes" in parts else "ParametricNodes"), version)
        blocks = _elements_4(numbers("Elements"), version, tags)
    return _assembled(points, node_tags, blocks, names)


def _format(text: bytes) -> tuple[float, bool, int, str]:
    """Parse $MeshFormat: version, whether binary, bytes of a size, and byte order."""
    line, _, rest = text.lstrip().partition(b"\n")
    words = line.split()
    try:
        version, kind, size_bytes = float(words[0]), int(words[1]), int(words[2])
    except (IndexError, ValueError):
        raise DamagedFile("its section $MeshFormat lacks a version, a type or a size") from None
    if not (2 <= version < 3 or version in (4.0, 4.1)):
        raise DamagedFile(f"its version {version:g} is not supported; save as version 4.1")
    if kind not in (0, 1) or size_bytes not in (4, 8):
        raise DamagedFile(f"its section $MeshFormat has the type {kind} and the size {size_bytes}")
    order = "<"
    if kind == 1:
        if len(rest) < 4 or rest[:4] not in (struct.pack("<i", 1), struct.pack(">i", 1)):
            raise DamagedFile("its section $MeshFormat does not give the byte order")
        order = "<" if rest[:4] == struct.pack("<i", 1) else ">"
    return version, kind == 1, size_bytes, order


def _physical_names(text: bytes) -> dict[tuple[int, int], str]:
    """Names of physical groups by dimension and number."""
    try:
        lines = text.decode().strip().splitlines()
    except UnicodeDecodeError:
        lines = text.decode("latin-1").strip().splitlines()
    names: dict[tuple[int, int], str] = {}
    for line in lines[1:]:
        words = line.strip().split(None, 2)
        if not words:
            continue
        try:
            dims, number = int(words[0]), abs(int(words[1]))
        except (IndexError, ValueError):
            raise DamagedFile(f"its section $PhysicalNames has the line {line[:60]!r}") from None
        name = (words[2] if len(words) == 3 else "").strip()
        name = name[1:-1] if len(name) >= 2 and name[0] == name[-1] == '"' else name
        if name:
            names[dims, number] = name
    return names


# Version 2 ------------------------------------------------------------------------------------------------------------


def _nodes_2(parts: Mapping[str, bytes], numbers: Callable[[str], Numbers]) -> tuple[Indices, NDArray[np.float64]]:
    if "Nodes" not in parts:
        return _parametric_nodes_2(numbers("ParametricNodes"))
    stream = numbers("Nodes")
    count = stream.count_line()
    tags, points = stream.rows(count, ("i", 1), ("d", 3))
    return tags[:, 0].astype(np.int64), points.astype(np.float64)


def _parametric_nodes_2(stream: Numbers) -> tuple[Indices, NDArray[np.float64]]:
    """Read nodes that are followed by their entity and by one or two parameters on it."""
    count = stream.count_line()
    if stream.order is None:
        tags, points = stream.heads(count, 4)
        return tags, points
    tags, points = np.zeros(count, np.int64), np.zeros((count, 3))
    head = struct.Struct(f"{stream.order}i3dii")
    for k in range(count):
        number, *point, dims, _ = head.unpack(stream.take_bytes(head.size))
        stream.take_bytes(8 * dims if dims in (1, 2) else 0)
        tags[k], points[k] = number, point
    return tags, points


def _elements_2(stream: Numbers) -> list[_Block]:
    count = stream.count_line()
    words = stream.integers()
    blocks: list[_Block] = []
    at = done = 0
    while done < count:
        if stream.order is None:  # number, kind, tags, tags..., nodes...
            head = words[at : at + 3]
            _require(head.size == 3, "its section $Elements ends too soon")
            kind, tag_count = int(head[1]), int(head[2])
            first, group, width = 1, 1, 3 + tag_count + _corners(kind, tag_count)
        else:  # kind, elements, tags, then number, tags..., nodes... of each; often one element at a time
            head = words[at : at + 3]
            _require(head.size == 3, "its section $Elements ends too soon")
            kind, group, tag_count = (int(word) for word in head)
            _require(group > 0, "its section $Elements has a block without elements")
            first, width = 0, 1 + tag_count + _corners(kind, tag_count)
        if stream.order is not None and group > 1:
            block = words[at + 3 : at + 3 + group * width].reshape(-1)
            _require(block.size == group * width, "its section $Elements ends too soon")
            rows = block.reshape(group, width)
            at += 3 + group * width
        else:
            stride = width if stream.order is None else 3 + width
            equal = slice(first, 3)
            length = _run(words[at:], stride, equal, count - done)
            _require(length > 0, "its section $Elements ends too soon")
            rows = words[at : at + length * stride].reshape(length, stride)
            rows = np.delete(rows, [1, 2], axis=1) if stream.order is None else rows[:, 3:]
            at += length * stride
        done += len(rows)
        physical = abs(rows[:, 1]) if tag_count else np.zeros(len(rows), np.int64)
        blocks.append(_Block(kind, rows[:, 1 + tag_count :], physical, False))
    _require(done == count, f"its section $Elements has {done} elements, not {count}")
    return blocks


def _corners(kind: int, tag_count: int) -> int:
    _require(0 <= tag_count < 1 << 20, f"its section $Elements has an element with {tag_count} tags")
    if kind not in _CORNERS_OF:
        raise DamagedFile(f"its element type {kind} is unknown")
    return _CORNERS_OF[kind]


def _run(words: Indices, stride: int, equal: slice, most: int) -> int:
    """Number of consecutive rows of `stride` words that agree with the first row in the columns `equal`."""
    length = 0
    chunk = 1
    while length < most:
        rows = words[length * stride : (length + chunk) * stride]
        rows = rows[: rows.size // stride * stride].reshape(-1, stride)[: most - length]
        differ = np.flatnonzero((rows[:, equal] != words[equal]).any(axis=1))
        length += int(differ[0]) if differ.size else len(rows)
        if differ.size or len(rows) < chunk:
            break
        chunk *= 2
    return length


# Version 4 ------------------------------------------------------------------------------------------------------------


def _entities(stream: Numbers, version: float, tags: Tags) -> None:
    counts = stream.take("z", 4)
    for dims, count in enumerate(counts.tolist()):
        for _ in range(_size(count)):
            number = int(stream.take("i", 1)[0])
            # The bounding box of an entity; for points version 4.1 has only their coordinates.
            stream.take("d", 3 if dims == 0 and version > 4 else 6)
            _physical(stream, dims, number, tags)


def _partitioned_entities(stream: Numbers, version: float, tags: Tags) -> None:
    stream.take("z", 1)
    ghosts = _size(stream.take("z", 1)[0])
    stream.take("i", 2 * ghosts)
    counts = stream.take("z", 4)
    for dims, count in enumerate(counts.tolist()):
        for _ in range(_size(count)):
            number = int(stream.take("i", 3)[0])
            stream.take("i", _size(stream.take("z", 1)[0]))
            stream.take("d", 3 if dims == 0 and version > 4 else 6)
            _physical(stream, dims, number, tags)


def _physical(stream: Numbers, dims: int, number: int, tags: Tags) -> None:
    """Read the physical groups of an entity, and skip the entities that bound it."""
    groups = abs(stream.take("i", _size(stream.take("z", 1)[0])))
    tags[dims, number] = groups[groups != 0].astype(np.int64)
    if dims:
        stream.take("i", _size(stream.take("z", 1)[0]))


def _nodes_4(stream: Numbers, version: float) -> tuple[Indices, NDArray[np.float64]]:
    blocks, total = (_size(number) for number in stream.take("z", 2))
    if version > 4:
        stream.take("z", 2)
    tags, points = [np.zeros(0, np.int64)], [np.zeros((0, 3))]
    for _ in range(blocks):
        first, second, parametric = (int(number) for number in stream.take("i", 3))
        dims = first if version > 4 else second
        count = _size(stream.take("z", 1)[0])
        width = 3 + (dims if parametric and 1 <= dims <= 3 else 0)
        if version > 4:
            tags.append(stream.take("z", count))
            points.append(stream.take("d", count * width).reshape(count, width)[:, :3])
        else:
            numbers, places = stream.rows(count, ("i", 1), ("d", width))
            tags.append(numbers[:, 0].astype(np.int64))
            points.append(places[:, :3])
    joined = np.concatenate(tags)
    _require(len(joined) == total, f"its section $Nodes has {len(joined)} nodes, not {total}")
    return joined, np.concatenate(points)


def _elements_4(stream: Numbers, version: float, tags: Tags) -> list[_Block]:
    count, total = (_size(number) for number in stream.take("z", 2))
    if version > 4:
        stream.take("z", 2)
    blocks = []
    for _ in range(count):
        first, second, kind = (int(number) for number in stream.take("i", 3))
        entity = (first, second) if version > 4 else (second, first)
        length = _size(stream.take("z", 1)[0])
        width = 1 + _corners(kind, 0)
        rows = stream.take("z" if version > 4 else "i", length * width).reshape(length, width)
        blocks.append(_Block(kind, rows[:, 1:].astype(np.int64), tags.get(entity, np.zeros(0, np.int64)), True))
    elements = sum(len(block.nodes) for block in blocks)
    _require(elements == total, f"its section $Elements has {elements} elements, not {total}")
    return blocks


# Both -----------------------------------------------------------------------------------------------------------------


def _assembled(
    points: NDArray[np.float64], node_tags: Indices, blocks: list[_Block], names: Mapping[tuple[int, int], str]
) -> MeshContent:
    order = np.argsort(node_tags, kind="stable")
    ordered = node_tags[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if twice.size:
        raise DamagedFile(f"it defines node {ordered[twice[0]]} twice")
    others = {_OTHERS[b.kind][0]: _OTHERS[b.kind][1] for b in blocks if b.kind in _OTHERS and len(b.nodes)}
    elements = {}
    seen: set[tuple[int, int]] = set()
    for number, kind in _KINDS.items():
        of_kind = [block for block in blocks if block.kind == number and len(block.nodes)]
        elements[kind] = _elements(of_kind, number, order, ordered, names, seen)
    unused = {name: dims for (dims, number), name in names.items() if (dims, number) not in seen}
    warnings: tuple[str, ...] = ()
    if names and not seen:
        warnings = ("mesh: no element is in a physical group; in version 2 of the format Mesh.SaveAll omits groups",)
    return MeshContent(points, elements, others, unused, warnings)


def _elements(
    blocks: list[_Block],
    number: int,
    order: Indices,
    ordered: Indices,
    names: Mapping[tuple[int, int], str],
    seen: set[tuple[int, int]],
) -> Elements:
    width, dims = _CORNERS_OF[number], _DIMENSION[number]
    nodes = np.concatenate([np.zeros((0, width), np.int64), *(block.nodes for block in blocks)])
    corners = nodes
    if nodes.size:
        place = np.minimum(np.searchsorted(ordered, nodes), ordered.size - 1)
        if not ordered.size or (ordered[place] != nodes).any():
            raise DamagedFile("an element has an undefined node")
        corners = order[place]
    members, tags = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    start = 0
    for block in blocks:
        count, groups = len(block.nodes), block.physical
        if block.is_shared:
            members.append(np.tile(np.arange(start, start + count), groups.size))
            tags.append(np.repeat(groups, count))
        else:
            members.append(start + np.flatnonzero(groups))
            tags.append(groups[groups != 0])
        start += count
    distinct, group = np.unique(np.concatenate(tags), return_inverse=True)
    seen.update((dims, tag) for tag in distinct.tolist())
    used = {names[dims, tag] for tag in distinct.tolist() if (dims, tag) in names}
    labels = [names.get((dims, tag), str(tag) if str(tag) not in used else f"group {tag}") for tag in distinct.tolist()]
    return grouped(corners, labels, np.concatenate(members), group.reshape(-1))


def _size(number: SupportsInt) -> int:
    size = int(number)
    _require(size >= 0, f"it declares {size} entries")
    return size


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise DamagedFile(reason)
