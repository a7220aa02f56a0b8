"""Meshes of other numbers: one without geometry, and grids turned and mirrored."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.graph.stencil import Stencil
from pisnn_deploy.mesh import PERIODIC, FaceMesh, Mesh, face_grid, structured_mesh
from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.boundary import AXES
from pisnn_deploy.mesh.geometry import Field, Geometry
from pisnn_deploy.mesh.view import Line, View
from pisnn_deploy.mesh.window import Boxes


@dataclass(frozen=True)
class RelabelledMesh(FaceMesh):
    """Cells, faces and reservoirs of any numbers, without geometry: enough to run a graph, not to draw or store it.

    Attributes
    ----------
    source, target : int64 array [faces]
        Holder on either side of each face.
    by_side : mapping of str to int64 array
        Reservoirs behind each side.
    """

    source: Indices
    target: Indices
    number_of_cells: int
    number_of_reservoirs: int
    by_side: Mapping[str, Indices]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a field: one number per cell."""
        return (self.number_of_cells,)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.number_of_cells

    @property
    def reservoirs(self) -> int:
        """Number of reservoirs."""
        return self.number_of_reservoirs

    @property
    def grid(self) -> None:
        """None: the cells form no grid."""
        return None

    @property
    def volume(self) -> None:
        """None: there is no geometry."""
        return None

    @property
    def material_of_cells(self) -> Indices:
        """Material of each cell: its own."""
        return np.arange(self.cells, dtype=np.int64)

    @property
    def group_of_reservoirs(self) -> Indices:
        """Group of each reservoir: its own."""
        return np.arange(self.reservoirs, dtype=np.int64)

    @property
    def reservoirs_by_side(self) -> dict[str, Indices]:
        """Reservoirs behind each side, by its name."""
        return dict(self.by_side)

    @property
    def boundary_text(self) -> str:
        """Names of the sides with reservoirs."""
        return ", ".join(self.by_side)

    def geometry(self) -> Geometry:
        """Refuse.

        Raises
        ------
        TypeError
            There is no geometry.
        """
        raise TypeError("a relabelled mesh has no geometry")

    def centres(self) -> Field:
        """Refuse.

        Raises
        ------
        TypeError
            There is no geometry.
        """
        raise TypeError("a relabelled mesh has no geometry")

    def angles(self) -> Field | None:
        """None: there is no geometry."""
        return None

    def defects(self) -> Iterator[str]:
        """Yield nothing: the mesh is never stored."""
        yield from ()

    def view(self, most_cells: int | None = None) -> View:
        """Refuse.

        Raises
        ------
        TypeError
            There is no geometry.
        """
        raise TypeError("a relabelled mesh cannot be drawn")

    def middle_line(self) -> Line:
        """Refuse.

        Raises
        ------
        TypeError
            There is no geometry.
        """
        raise TypeError("a relabelled mesh cannot be drawn")


@dataclass(frozen=True)
class Move:
    """A symmetry of the grids: axes in another order, some of them backwards.

    Attributes
    ----------
    order : tuple of int
        Axis of the original that becomes each axis.
    backwards : tuple of bool
        Whether each axis of the original is reversed.
    """

    order: tuple[int, ...]
    backwards: tuple[bool, ...]

    @property
    def text(self) -> str:
        """Name, such as ``mesh with axes y, x, x reversed``."""
        names = [AXES[axis] for axis in self.order]
        turned = [AXES[axis] for axis, is_back in enumerate(self.backwards) if is_back]
        parts = [] if self.order == tuple(sorted(self.order)) else [f"axes in the order {', '.join(names)}"]
        parts += [f"{' and '.join(turned)} reversed"] if turned else []
        return f"mesh with {', '.join(parts)}"

    def mesh(self, mesh: Mesh) -> Mesh:
        """Return the moved mesh."""
        sides = [
            (high, low) if back else (low, high)
            for (low, high), back in zip(mesh.boundary, self.backwards, strict=True)
        ]
        shape, lengths = (tuple(values[axis] for axis in self.order) for values in (mesh.shape, mesh.lengths))
        return structured_mesh(
            tuple(map(int, shape)), tuple(map(float, lengths)), tuple(sides[axis] for axis in self.order)
        )

    def cells(self, mesh: Mesh) -> Indices:
        """Number in the original of each cell of the moved mesh, int64 [cells]."""
        numbers = np.arange(mesh.cells, dtype=np.int64).reshape(mesh.shape)
        numbers = np.flip(numbers, [axis for axis, back in enumerate(self.backwards) if back])
        return np.ascontiguousarray(numbers.transpose(self.order)).reshape(-1)

    def faces(self, mesh: Mesh) -> Indices:
        """Number in the original of each face of the moved mesh, int64 [faces]."""
        parts = []
        for axis in self.order:
            base, _, counts = face_grid(mesh, axis)
            numbers = base + np.arange(int(np.prod(counts)), dtype=np.int64).reshape(counts)
            parts.append(self._moved_faces(mesh, axis, numbers).reshape(-1))
        return np.concatenate(parts)

    def _moved_faces(self, mesh: Mesh, axis: int, numbers: Indices) -> Indices:
        flipped = np.flip(numbers, [a for a, back in enumerate(self.backwards) if back])
        if self.backwards[axis] and mesh.boundary[axis][1] == PERIODIC:
            # The face behind the last cell stays the last one: it joins the same two cells.
            flipped = np.roll(flipped, -1, axis)
        return np.ascontiguousarray(flipped.transpose(self.order))

    def stencil(self, stencil: Stencil, mesh: Mesh) -> Stencil | None:
        """Return the connections on the moved mesh; None if a box wraps around a periodic side.

        Parameters
        ----------
        mesh : Mesh
            The moved mesh.
        """
        old, order = stencil.mesh, list(self.order)
        lower, values = stencil.boxes.lower.copy(), stencil.values.copy()
        offsets, per_face = stencil.offsets.copy(), stencil.outputs_per_face
        box_of = np.repeat(np.arange(stencil.boxes.axis.size), np.diff(stencil.starts[::per_face]))
        for axis, back in enumerate(self.backwards):
            if back:
                normal = stencil.boxes.axis == axis
                _, first, counts = face_grid(old, axis)
                last = np.where(normal, old.shape[axis] - 2, old.shape[axis] - 1)
                lower[:, axis] = last - (stencil.boxes.lower[:, axis] + stencil.boxes.shape[:, axis] - 1)
                if old.boundary[axis][1] == PERIODIC:
                    whole = stencil.boxes.shape[:, axis] == counts[axis]
                    if not whole[normal].all():
                        return None
                    lower[normal, axis] = first
                offsets[:, axis] = normal[box_of].astype(np.int64) - stencil.offsets[:, axis]
                values = np.where(normal[box_of], -values, values)
        boxes = Boxes(np.argsort(order)[stencil.boxes.axis], lower[:, order], stencil.boxes.shape[:, order])
        return _sorted(Stencil(mesh, boxes, stencil.starts, offsets[:, order], values, per_face))


def _sorted(stencil: Stencil) -> Stencil:
    """Order the entries of each output by the cells that the first face of its box reads, as files have them."""
    boxes, starts = stencil.boxes, stencil.starts
    row = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    cells = (boxes.lower[row // stencil.outputs_per_face] + stencil.offsets) % np.array(stencil.mesh.shape)
    order = np.lexsort((*cells.T[::-1], row))
    return Stencil(stencil.mesh, boxes, starts, stencil.offsets[order], stencil.values[order], stencil.outputs_per_face)


def moves(axes: int) -> Iterator[Move]:
    """Yield generators of the symmetries of a box: each axis reversed, all reversed, axes exchanged and turned."""
    straight = tuple(range(axes))
    for axis in range(axes):
        yield Move(straight, tuple(a == axis for a in straight))
    if axes > 1:
        yield Move(straight, (True,) * axes)
    for order in itertools.islice(itertools.permutations(straight), 1, None):
        yield Move(order, (False,) * axes)
    if axes > 1:
        # A quarter turn: axes exchanged and one of them reversed.
        yield Move((1, 0, *straight[2:]), (True, *(False,) * (axes - 1)))
