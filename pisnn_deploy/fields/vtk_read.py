"""Read fields of cells from ``.vti`` and ``.vtu`` files, as ParaView and `vtk_write` write them.

Arrays may be text, base64 or appended (raw or base64), of either byte order, plain or compressed by zlib. Nothing
larger than the mesh needs is unpacked.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import read_bytes
from pisnn_deploy.fields.content import Content, Floats, fields_of, labels_of, quanta_of, require_close
from pisnn_deploy.fields.vtk_write import ABOUT, require_suffix
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.places import origin_of

Array = NDArray[Any]
LARGEST = 1 << 31
"""In bytes."""
_TYPES = {
    **{f"Float{bits}": f"f{bits // 8}" for bits in (32, 64)},
    **{f"Int{bits}": f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)},
}
_APPENDED = b"<AppendedData"
_COMMENT = re.compile(rb"<!--" + ABOUT.encode() + rb"(\{[^<>]*\})-->")


@dataclass(frozen=True)
class _Document:
    """A parsed file.

    Attributes
    ----------
    appended : bytes
        What follows the underscore of the appended data; empty without it.
    is_raw : bool
        Whether these bytes are raw; else base64.
    quanta : dict of str to float
        See `pisnn_deploy.fields.content.Content`.
    """

    path: Path
    root: ElementTree.Element
    appended: bytes
    is_raw: bool
    quanta: dict[str, float]

    @property
    def order(self) -> str:
        return ">" if self.root.get("byte_order") == "BigEndian" else "<"

    @property
    def header(self) -> np.dtype[Any]:
        """Type of the sizes before each array."""
        return np.dtype(f"{self.order}{'u8' if self.root.get('header_type') == 'UInt64' else 'u4'}")


def read_vtk(path: Path, graph: IntegerGraph) -> Floats:
    """Read cell averages.

    Returns
    -------
    float64 array [cells of all fields]
        Field by field.

    Raises
    ------
    FileError
        The file is invalid, has values at points alone, or is on another mesh.
    """
    require_suffix(path, graph)
    document = _parsed(path)
    kind = "ImageData" if graph.mesh.grid is not None else "UnstructuredGrid"
    data = document.root.find(kind)
    if data is None:
        raise FileError(path, f"holds no {kind}")
    pieces = data.findall("Piece")
    if len(pieces) != 1:
        raise FileError(path, f"has {len(pieces)} pieces", remedy="merge them into one")
    piece = pieces[0]
    if graph.mesh.grid is None:
        _require_cells(document, piece, graph)
    else:
        _require_grid(document, data, graph)
    arrays = piece.findall("CellData/DataArray")
    if not arrays and piece.find("PointData/DataArray") is not None:
        remedy = "turn them into values of cells, in ParaView with the filter Point Data to Cell Data"
        raise FileError(path, "has values at points", remedy=remedy)
    columns = {}
    for array in arrays:
        if array.get("NumberOfComponents", "1") in ("1", "0") and array.get("type") in _TYPES:
            name = array.get("Name", "")
            columns[name] = _in_order_of_cells(graph, _values(document, array, graph.mesh.cells))
    of_masses = {mass_label for _, mass_label in labels_of(graph)}
    values = {name: column.astype(np.float64) for name, column in columns.items() if name not in of_masses}
    masses = {name: column for name, column in columns.items() if name in of_masses and column.dtype.kind == "i"}
    content = Content(values, {name: column.astype(np.int64) for name, column in masses.items()}, document.quanta)
    return fields_of(graph, content, path)


def _parsed(path: Path) -> _Document:
    content = read_bytes(path, LARGEST)
    appended, is_raw = b"", False
    start = content.find(_APPENDED)
    if start >= 0:
        opening = content.find(b">", start)
        first = content.find(b"_", opening)
        end = content.rfind(b"</AppendedData>")
        if not 0 <= opening < first < end:
            raise FileError(path, "is damaged: its appended data does not begin or end")
        is_raw = b"raw" in content[start:opening]
        appended, content = content[first + 1 : end], content[:start] + b"</VTKFile>"
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise FileError(path, "has a document type, which files of VTK do not have")
    try:
        return _Document(path, ElementTree.fromstring(content), appended, is_raw, _quanta(content))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FileError(path, f"is not XML ({error})") from error


def _require_grid(document: _Document, data: ElementTree.Element, graph: IntegerGraph) -> None:
    grid = graph.grid
    extent = _words(document, data, "WholeExtent", 6)
    counts = [int(high - low) for low, high in zip(extent[::2], extent[1::2], strict=True)]
    axes = len(grid.shape)
    if tuple(counts[:axes]) != grid.shape or any(count > 1 for count in counts[axes:]):
        shape = "x".join(map(str, counts))
        raise FileError(document.path, f"has {shape} cells, the mesh has {'x'.join(map(str, grid.shape))}")
    spacing = np.array(_words(document, data, "Spacing", 3))[:axes]
    first = np.array(_words(document, data, "Origin", 3))[:axes] + np.array(extent[::2])[:axes] * spacing
    ends = np.stack([first, first + np.array(grid.shape) * spacing])
    lower = np.array(origin_of(graph), float)
    require_close(np.stack([lower, lower + np.array(grid.lengths)]), ends, document.path)


def _words(document: _Document, element: ElementTree.Element, name: str, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in (element.get(name) or "").split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise FileError(document.path, f"expected {count} numbers", field=f"{element.tag} {name}")
    return numbers


def _require_cells(document: _Document, piece: ElementTree.Element, graph: IntegerGraph) -> None:
    """Refuse other cells than those of the mesh, or another order, by the middles of their corners."""
    simplices = graph.mesh.simplices
    assert simplices is not None  # the mesh is no grid
    points, corners = simplices
    cells = piece.get("NumberOfCells", "")
    if cells != str(len(corners)):
        raise FileError(document.path, f"has {cells[:20] or 'no'} cells, the mesh has {len(corners)}")
    place = piece.find("Points/DataArray")
    links = [array for array in piece.findall("Cells/DataArray") if array.get("Name") == "connectivity"]
    points_text = piece.get("NumberOfPoints", "")
    if place is None or len(links) != 1 or not points_text.isdecimal() or len(points_text) > 12:
        raise FileError(document.path, "has no points, or no connectivity of its cells")
    theirs = _values(document, place, 3 * int(points_text)).reshape(-1, 3)[:, : points.shape[1]].astype(np.float64)
    connected = _values(document, links[0], corners.size).astype(np.int64).reshape(corners.shape)
    if connected.size and not 0 <= connected.min() <= connected.max() < len(theirs):
        raise FileError(document.path, "has a corner that is no point", field="connectivity")
    require_close(points[corners].mean(axis=1), theirs[connected].mean(axis=1), document.path)


def _in_order_of_cells(graph: IntegerGraph, values: Array) -> Array:
    grid = graph.mesh.grid
    return values if grid is None else values.reshape(grid.shape, order="F").reshape(-1)


def _values(document: _Document, array: ElementTree.Element, count: int) -> Array:
    """Numbers of an array, exactly as many."""
    name, kind = array.get("Name", "")[:40], array.get("type", "")
    if kind not in _TYPES:
        raise FileError(document.path, f"holds {kind[:20] or 'no type'}, expected numbers", field=name)
    dtype = np.dtype(f"{document.order}{_TYPES[kind]}")
    with np.errstate(all="ignore"):
        try:
            values = _decoded(document, array, dtype, count)
        except (ValueError, OverflowError, binascii.Error, zlib.error, IndexError) as error:
            raise FileError(document.path, f"is damaged ({error})", field=name) from error
    if values.size != count:
        raise FileError(document.path, f"has {values.size} numbers, expected {count}", field=name)
    return values


def _decoded(document: _Document, array: ElementTree.Element, dtype: np.dtype[Any], count: int) -> Array:
    form, text = array.get("format", "ascii"), array.text or ""
    if form == "ascii":
        words = text.split()
        return np.array([int(word) for word in words] if dtype.kind in "iu" else words, dtype)
    compressor = document.root.get("compressor", "")
    if compressor not in ("", "vtkZLibDataCompressor"):
        raise FileError(document.path, f"is compressed by {compressor[:40]}", remedy="save it with zlib, or without")
    if form == "binary":
        stream, is_raw = "".join(text.split()).encode(), False
    elif form == "appended":
        start = int(array.get("offset", ""))
        if not 0 <= start < max(1, len(document.appended)):
            raise ValueError("its offset is outside the appended data")
        stream, is_raw = document.appended[start:], document.is_raw
    else:
        raise ValueError(f"unknown format {form[:20]!r}")
    needed = count * dtype.itemsize
    read = _raw if is_raw else _base64
    content = _unpacked(document, read, stream, needed) if compressor else _plain(document, read, stream, needed)
    return np.frombuffer(content, dtype)


def _raw(stream: bytes, first: int, size: int) -> bytes:
    return stream[first : first + size]


def _base64(stream: bytes, first: int, size: int) -> bytes:
    """Bytes of a stream in base64; what it encodes begins at its start."""
    return base64.b64decode(stream[: 4 * -(-(first + size) // 3)], validate=True)[first : first + size]


def _plain(document: _Document, read: Any, stream: bytes, needed: int) -> bytes:
    width = document.header.itemsize
    size = int(np.frombuffer(read(stream, 0, width), document.header, 1)[0])
    if size != needed:
        raise ValueError(f"{size} bytes, expected {needed}")
    content: bytes = read(stream, width, needed)
    return content


def _unpacked(document: _Document, read: Any, stream: bytes, needed: int) -> bytes:
    """Blocks compressed by zlib, after their number and sizes; the header has a base64 of its own."""
    width = document.header.itemsize
    blocks = int(np.frombuffer(read(stream, 0, width), document.header, 1)[0])
    if not 0 <= blocks <= needed:
        raise ValueError(f"{blocks} blocks")
    head = (3 + blocks) * width
    sizes = [int(size) for size in np.frombuffer(read(stream, 0, head), document.header)[3:]]
    stream = stream[head:] if read is _raw else stream[4 * -(-head // 3) :]
    return b"".join(_blocks(read, stream, sizes, needed))


def _blocks(read: Any, stream: bytes, sizes: list[int], needed: int) -> Iterator[bytes]:
    content, first = read(stream, 0, sum(sizes)), 0
    for size in sizes:
        unpacker = zlib.decompressobj()
        block = unpacker.decompress(content[first : first + size], needed + 1)
        needed -= len(block)
        if needed < 0:
            raise ValueError("more bytes than the mesh has numbers")
        first += size
        yield block


def _quanta(head: bytes) -> dict[str, float]:
    """Quanta in the comment of `vtk_write`."""
    match = _COMMENT.search(head)
    with suppress(ValueError, RecursionError):
        return quanta_of(json.loads(match[1])) if match else {}
    return {}
