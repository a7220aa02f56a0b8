"""Write fields for ParaView: grids as ``.vti``, other meshes as ``.vtu``, all kept steps as ``.pvd``.

Arrays are little-endian float64 and int64, base64 in the XML, without compression: the same field gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.fields.snapshots import Snapshots
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.places import origin_of
from pisnn_deploy.mesh.structured import Mesh

Array = NDArray[Any]
ABOUT = "about: "
"""Start of the comment with the origin of a file, as JSON: not all readers know arrays of text."""
CELL_TYPES = {2: 5, 3: 10}
"""Number of VTK for a triangle and a tetrahedron, by the number of dimensions."""
_FRAME = re.compile(r"step_\d{12}\.vt[iu]")
_TYPES = {"f8": "Float64", "i8": "Int64", "u1": "UInt8"}


def suffix_of(graph: IntegerGraph) -> str:
    """Suffix of a file for ParaView: ``.vti`` for a grid, else ``.vtu``."""
    return ".vtu" if graph.mesh.grid is None else ".vti"


def require_suffix(path: Path, graph: IntegerGraph) -> None:
    """Refuse a grid in a ``.vtu`` file, and any other mesh in a ``.vti`` file.

    Raises
    ------
    FileError
        It is the wrong one.
    """
    suffix = suffix_of(graph)
    if path.suffix in (".vti", ".vtu") and path.suffix != suffix:
        kind = "a grid" if suffix == ".vti" else "no grid"
        raise FileError(path, f"the mesh is {kind}", remedy=f"use a {suffix} file")


def write_vtk(path: Path, snapshots: Snapshots) -> None:
    """Write the last row.

    Raises
    ------
    FileError
        It cannot be written, or the suffix is not that of the mesh.
    """
    require_suffix(path, snapshots.graph)
    write_whole(path, _document(snapshots, snapshots.last))


def write_pvd(path: Path, snapshots: Snapshots) -> None:
    """Write all rows: a file for each in a folder beside the ``.pvd`` file, which has their times.

    Frames of an earlier run of the same name are removed.

    Raises
    ------
    FileError
        A file cannot be written.
    """
    folder, suffix = frames_beside(path), suffix_of(snapshots.graph)
    try:
        folder.mkdir(exist_ok=True)
        for stale in folder.iterdir():
            if _FRAME.fullmatch(stale.name):
                stale.unlink()
    except OSError as error:
        raise FileError(folder, f"cannot be written ({error.strerror or error})") from error
    lines = []
    for row in range(snapshots.last + 1):
        frame = folder / f"step_{int(snapshots.step[row]):012d}{suffix}"
        write_whole(frame, _document(snapshots, row))
        time = float(snapshots.step[row] * snapshots.graph.time_step)
        place = quoteattr(f"{folder.name}/{frame.name}")
        lines.append(f'    <DataSet timestep="{time!r}" group="" part="0" file={place}/>\n')
    collection = "".join(lines)
    write_whole(
        path,
        '<?xml version="1.0"?>\n<VTKFile type="Collection" version="1.0" byte_order="LittleEndian">\n'
        f"  <Collection>\n{collection}  </Collection>\n</VTKFile>\n".encode(),
    )


def frames_beside(path: Path) -> Path:
    """Folder of the frames of a ``.pvd`` file."""
    return path.with_suffix(".frames")


def _document(snapshots: Snapshots, row: int) -> bytes:
    graph = snapshots.graph
    kind, opening, pieces = _grid_parts(graph) if graph.mesh.grid is not None else _cell_parts(graph)
    origin = snapshots.about(row)
    # A comment must not have two hyphens in a row.
    comment = json.dumps(origin, sort_keys=True).replace("--", "-\\u002d")
    columns = "".join(_array(name, in_order_of_vtk(graph, values)) for name, values in snapshots.columns(row))
    (piece, *geometry) = pieces
    return (
        f'<?xml version="1.0"?>\n<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n'
        f"<!--{ABOUT}{comment}-->\n<{kind}{opening}>\n<FieldData>\n"
        f'<DataArray type="Float64" Name="TimeValue" NumberOfTuples="1" format="ascii">{origin["time"]!r}</DataArray>\n'
        "</FieldData>\n"
        f"<Piece{piece}>\n<CellData>\n{columns}</CellData>\n{''.join(geometry)}</Piece>\n</{kind}>\n</VTKFile>\n"
    ).encode()


def _grid_parts(graph: IntegerGraph) -> tuple[str, str, list[str]]:
    mesh: Mesh = graph.grid
    rest = (0,) * (3 - len(mesh.shape))
    extent = " ".join(f"0 {count}" for count in (*mesh.shape, *rest))
    origin = " ".join(map(repr, (*map(float, origin_of(graph)), *map(float, rest))))
    spacing = " ".join(map(repr, (*map(float, mesh.spacing), *(1.0 for _ in rest))))
    return "ImageData", f' WholeExtent="{extent}" Origin="{origin}" Spacing="{spacing}"', [f' Extent="{extent}"']


def _cell_parts(graph: IntegerGraph) -> tuple[str, str, list[str]]:
    simplices = graph.mesh.simplices
    assert simplices is not None  # the mesh is no grid
    points, corners = np.zeros((len(simplices[0]), 3)), simplices[1]
    dimensions = simplices[0].shape[1]
    points[:, :dimensions] = simplices[0]
    ends = np.arange(1, len(corners) + 1, dtype=np.int64) * corners.shape[1]
    kinds = np.full(len(corners), CELL_TYPES[dimensions], np.uint8)
    arrays = (("connectivity", corners.reshape(-1)), ("offsets", ends), ("types", kinds))
    cells = "".join(_array(name, values) for name, values in arrays)
    size = f' NumberOfPoints="{len(points)}" NumberOfCells="{len(corners)}"'
    parts = [size, f"<Points>\n{_array('points', points, 3)}</Points>\n", f"<Cells>\n{cells}</Cells>\n"]
    return "UnstructuredGrid", "", parts


def in_order_of_vtk(graph: IntegerGraph, values: Array) -> Array:
    """Values in the order of VTK, whose first axis varies fastest."""
    grid = graph.mesh.grid
    return values if grid is None else values.reshape(grid.shape).reshape(-1, order="F")


def _array(name: str, values: Array, components: int = 1) -> str:
    values = np.ascontiguousarray(values)
    content = values.astype(values.dtype.newbyteorder("<")).tobytes()
    text = base64.b64encode(struct.pack("<Q", len(content)) + content).decode()
    size = f' NumberOfComponents="{components}"' if components > 1 else ""
    kind = _TYPES[f"{values.dtype.kind}{values.dtype.itemsize}"]
    return f'<DataArray type="{kind}" Name={quoteattr(name)}{size} format="binary">{text}</DataArray>\n'
