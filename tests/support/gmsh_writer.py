"""Small MSH files in all their forms: version, text or binary, order of bytes, numbers of nodes, order of blocks."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

KIND_OF = {2: 1, 3: 2, 4: 4}
"""Gmsh's number of a line, a triangle and a tetrahedron, by corners."""


@dataclass(frozen=True)
class Entity:
    """A curve, surface or volume: its elements as points, and the numbers of the physical groups that it is in."""

    corners: NDArray[np.int64]
    groups: tuple[int, ...]

    @property
    def dims(self) -> int:
        """Its dimension."""
        return int(self.corners.shape[1]) - 1


@dataclass(frozen=True)
class Form:
    """How a file is written."""

    version: str = "4.1"
    order: str | None = None
    parametric: bool = False
    partitioned: bool = False
    seed: int | None = None


class _Sink:
    def __init__(self, order: str | None) -> None:
        self.order = order
        self.out = io.BytesIO()

    def line(self, *words: object) -> None:
        self.out.write((" ".join(map(str, words)) + "\n").encode())

    def put(self, kind: str, *values: Any) -> None:
        """Numbers of a kind: i an int, z a size, d a double."""
        if self.order is None:
            self.line(*(repr(float(v)) if kind == "d" else int(v) for v in values))
        else:
            self.out.write(np.array(values, f"{self.order}{ {'i': 'i4', 'z': 'u8', 'd': 'f8'}[kind] }").tobytes())


def msh(
    points: NDArray[np.float64], entities: Sequence[Entity], names: Mapping[tuple[int, int], str], form: Form
) -> bytes:
    """A file; with a seed nodes get other numbers and blocks, groups and elements another order and orientation."""
    random = Random(form.seed)
    shuffled = form.seed is not None
    tags = np.arange(1, len(points) + 1)
    order = list(range(len(points)))
    numbered = list(enumerate(entities, start=1))
    named = list(names.items())
    if shuffled:
        tags = np.array(random.sample(range(1, 40 * len(points)), len(points)))
        random.shuffle(order)
        random.shuffle(numbered)
        random.shuffle(named)
    sink = _Sink(form.order)
    sink.line("$MeshFormat")
    sink.line(form.version, 0 if form.order is None else 1, 8)
    if form.order is not None:
        sink.put("i", 1)
        sink.line()
    sink.line("$EndMeshFormat")
    sink.line("$PhysicalNames")
    sink.line(len(named))
    for (dims, number), name in named:
        sink.line(dims, number, f'"{name}"')
    sink.line("$EndPhysicalNames")
    if shuffled:
        sink.line("$Comments\nthis is $ not a section\n$EndComments")
    write = _version_2 if form.version.startswith("2") else _version_4
    write(sink, points, order, tags, numbered, form, random)
    sink.line('$ElementData\n1\n"v"\n1\n0.0\n3\n0\n1\n1\n1 0.5\n$EndElementData')
    return sink.out.getvalue()


def _rows(corners: NDArray[np.int64], tags: NDArray[np.int64], form: Form, random: Random) -> list[list[int]]:
    rows = [[int(tags[k]) for k in row] for row in corners]
    if form.seed is not None:
        random.shuffle(rows)
        rows = [random.sample(row, len(row)) for row in rows]
    return rows


def _version_2(
    sink: _Sink,
    points: NDArray[np.float64],
    order: list[int],
    tags: NDArray[np.int64],
    entities: list[tuple[int, Entity]],
    form: Form,
    random: Random,
) -> None:
    name = "ParametricNodes" if form.parametric else "Nodes"
    sink.line(f"${name}")
    sink.line(len(points))
    for k in order:
        head = _Sink(form.order)
        head.put("i", tags[k])
        head.put("d", *points[k])
        if form.parametric:
            dims = k % 4
            head.put("i", dims, 1)
            if dims in (1, 2):
                head.put("d", *[0.25] * dims)
        data = head.out.getvalue()
        sink.out.write(data if form.order else data.replace(b"\n", b" ") + b"\n")
    if form.order:
        sink.line()
    sink.line(f"$End{name}")
    rows = []
    for number, entity in entities:
        # An element is written once for each group of its entity, and once if there is none.
        for group in entity.groups or (0,):
            sign = random.choice((1, -1)) if form.seed is not None else 1
            partitions = [1, 1] if form.partitioned else []
            head_of = [3 if not partitions else 5, sign * group, number, *partitions][1:]
            rows += [(KIND_OF[entity.dims + 1], head_of, row) for row in _rows(entity.corners, tags, form, random)]
    if form.seed is not None and form.seed % 2:
        random.shuffle(rows)
    sink.line("$Elements")
    sink.line(len(rows))
    for number, (kind, head_of, row) in enumerate(rows, start=1):
        if form.order is None:
            sink.line(number, kind, len(head_of), *head_of, *row)
        else:
            sink.put("i", kind, 1, len(head_of), number, *head_of, *row)
    if form.order:
        sink.line()
    sink.line("$EndElements")


def _version_4(
    sink: _Sink,
    points: NDArray[np.float64],
    order: list[int],
    tags: NDArray[np.int64],
    entities: list[tuple[int, Entity]],
    form: Form,
    random: Random,
) -> None:
    is_new = form.version == "4.1"
    name = "PartitionedEntities" if form.partitioned else "Entities"
    sink.line(f"${name}")
    if form.partitioned:
        sink.put("z", 2, 0)
    sink.put("z", 1, *(sum(entity.dims == dims for _, entity in entities) for dims in (1, 2, 3)))
    for dims in range(4):
        listed = [(7, ())] if dims == 0 else [(n, entity.groups) for n, entity in entities if entity.dims == dims]
        for number, groups in listed:
            sink.put("i", number, *((dims, number) if form.partitioned else ()))
            if form.partitioned:
                sink.put("z", 1)
                sink.put("i", 1)
            sink.put("d", *[0.0] * (3 if dims == 0 and is_new else 6))
            signed = [random.choice((1, -1)) * g for g in random.sample(groups, len(groups))] if form.seed else groups
            sink.put("z", len(groups))
            if groups:
                sink.put("i", *signed)
            if dims:
                sink.put("z", 2)
                sink.put("i", 7, -7)
    if form.order:
        sink.line()
    sink.line(f"$End{name}")
    half = len(order) // 2
    blocks = [order[:half], [], order[half:]]
    sink.line("$Nodes")
    sink.put("z", len(blocks), len(order), *((1, 10**6) if is_new else ()))
    for dims, block in enumerate(blocks, start=1):
        sink.put("i", *((dims, 1) if is_new else (1, dims)), int(form.parametric))
        sink.put("z", len(block))
        places = [[*points[k], *([0.5] * dims if form.parametric else [])] for k in block]
        if is_new and block:
            for k in block:
                sink.put("z", tags[k])
            for place in places:
                sink.put("d", *place)
        elif block:
            for k, place in zip(block, places, strict=True):
                sink.put("i", tags[k])
                sink.put("d", *place)
    if form.order:
        sink.line()
    sink.line("$EndNodes")
    total = sum(len(entity.corners) for _, entity in entities)
    sink.line("$Elements")
    sink.put("z", len(entities), total, *((1, total) if is_new else ()))
    count = 0
    for number, entity in entities:
        sink.put("i", *((entity.dims, number) if is_new else (number, entity.dims)), KIND_OF[entity.dims + 1])
        sink.put("z", len(entity.corners))
        for row in _rows(entity.corners, tags, form, random):
            count += 1
            sink.put("z" if is_new else "i", count, *row)
    if form.order:
        sink.line()
    sink.line("$EndElements")
