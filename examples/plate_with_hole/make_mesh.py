"""Write plate.msh: a steel plate of 2 x 1 with a circular hole in a copper ring, as Gmsh 2.2 text.

Needs numpy, scipy and meshio, no Gmsh. The same versions write the same bytes:

    python examples/plate_with_hole/make_mesh.py [plate.msh]

Points stand on the outline, on the hole and on the interface between the materials, so the mesh conforms with all of
them. The points between them start on a hexagonal lattice and are relaxed until nearly all triangles are acute, that
is, until their circumcentres lie inside.
"""

from __future__ import annotations

import sys
from pathlib import Path

import meshio
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

Points = NDArray[np.float64]
Indices = NDArray[np.int64]

WIDTH, HEIGHT = 2.0, 1.0
CENTRE = np.array([1.0, 0.5])
HOLE_RADIUS, RING_RADIUS = 0.18, 0.31
SPACING = 1 / 21
"""Length of an edge; both sides of the plate are multiples of it."""
CLEARANCE = 0.6
"""Least distance of a lattice point from the fixed points' curves, in edges."""
RELAXATIONS = 400
RATE = 0.15
PULL = 1.2
"""Rest length of the springs over the mean edge: above 1 they push, and fill the domain evenly."""
NAMES = {"hole": (1, 1), "left": (2, 1), "right": (3, 1), "rest": (4, 1), "steel": (5, 2), "copper": (6, 2)}
"""Physical groups: number and dimension."""


def circle(radius: float) -> Points:
    """Points on a circle about the hole, an even number of them so that the mesh is free to be symmetric."""
    count = 2 * round(np.pi * radius / SPACING)
    angle = 2 * np.pi * np.arange(count) / count
    return np.asarray(CENTRE + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), np.float64)


def outline() -> Points:
    """Points on the four sides of the plate."""
    x, y = np.linspace(0, WIDTH, round(WIDTH / SPACING) + 1), np.linspace(0, HEIGHT, round(HEIGHT / SPACING) + 1)
    sides = [np.stack([x, np.full_like(x, at)], axis=1) for at in (0.0, HEIGHT)]
    sides += [np.stack([np.full_like(y, at), y], axis=1)[1:-1] for at in (0.0, WIDTH)]
    return np.concatenate(sides)


def lattice() -> Points:
    """A hexagonal lattice in the plate, clear of the outline and of both circles."""
    rows = np.arange(1, HEIGHT / SPACING / np.sqrt(0.75))
    rows = rows * HEIGHT / (rows.size + 1)
    columns = np.arange(-1, WIDTH / SPACING + 1) * SPACING
    points = np.concatenate(
        [np.stack([columns + (i % 2) * SPACING / 2, np.full_like(columns, y)], 1) for i, y in enumerate(rows)]
    )
    radius = np.hypot(*(points - CENTRE).T)
    clear = np.minimum(points, [WIDTH, HEIGHT] - points).min(axis=1) > CLEARANCE * SPACING
    clear &= (radius > HOLE_RADIUS + CLEARANCE * SPACING) & (abs(radius - RING_RADIUS) > CLEARANCE * SPACING)
    return np.asarray(points[clear], np.float64)


def triangulate(points: Points) -> Indices:
    """Delaunay triangles outside the hole."""
    triangles = Delaunay(points).simplices.astype(np.int64)
    radius = np.hypot(*(points[triangles].mean(axis=1) - CENTRE).T)
    return np.asarray(triangles[radius > chord(HOLE_RADIUS)], np.int64)


def chord(radius: float) -> float:
    """A radius between the chords of a circle's points and the circle."""
    return radius - SPACING**2 / (16 * radius)


def relax(points: Points, fixed: int) -> Points:
    """Let springs along the edges push the points after the first `fixed` ones."""
    for _ in range(RELAXATIONS):
        triangles = triangulate(points)
        edges = np.unique(np.sort(np.concatenate([np.roll(triangles, k, axis=1)[:, :2] for k in range(3)])), axis=0)
        along = points[edges[:, 1]] - points[edges[:, 0]]
        length = np.linalg.norm(along, axis=1)
        rest = PULL * np.sqrt(np.mean(length**2))
        push = (np.maximum(rest - length, 0) / length)[:, None] * along
        force = np.zeros_like(points)
        np.add.at(force, edges[:, 1], push)
        np.subtract.at(force, edges[:, 0], push)
        points = points.copy()
        points[fixed:] += RATE * force[fixed:]
    return points


def angles(points: Points, triangles: Indices) -> Points:
    """The three angles of each triangle, in degrees."""
    columns = []
    for k in range(3):
        corner, next_corner, last_corner = (points[triangles[:, (k + i) % 3]] for i in range(3))
        first, second = next_corner - corner, last_corner - corner
        cosine = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
        columns.append(np.degrees(np.arccos(cosine)))
    return np.stack(columns, axis=1)


def boundary(points: Points, triangles: Indices) -> tuple[Indices, Indices]:
    """Edges of one triangle only, and the number of the group of each."""
    sides = np.sort(np.concatenate([np.roll(triangles, k, axis=1)[:, :2] for k in range(3)]))
    edges, counts = np.unique(sides, axis=0, return_counts=True)
    edges = edges[counts == 1]
    middle = points[edges].mean(axis=1)
    group = np.full(len(edges), NAMES["rest"][0])
    group[np.hypot(*(middle - CENTRE).T) < RING_RADIUS] = NAMES["hole"][0]
    group[middle[:, 0] == 0] = NAMES["left"][0]
    group[middle[:, 0] == WIDTH] = NAMES["right"][0]
    return edges, group


def main(path: Path) -> None:
    """Make the mesh, print its quality and write it."""
    fixed = np.concatenate([outline(), circle(HOLE_RADIUS), circle(RING_RADIUS)])
    points = relax(np.concatenate([fixed, lattice()]), len(fixed)).round(6)
    triangles = triangulate(points)
    edges, group = boundary(points, triangles)
    radius = np.hypot(*(points[triangles].mean(axis=1) - CENTRE).T)
    material = np.where(radius < chord(RING_RADIUS), NAMES["copper"][0], NAMES["steel"][0])
    corner_angles = angles(points, triangles)
    acute = int((corner_angles.max(axis=1) < 90).sum())
    quality = f"{acute} of them acute, smallest angle {corner_angles.min():.1f} degrees"
    sys.stdout.write(f"{len(triangles)} triangles, {quality}\n")
    tags = [group, material]
    meshio.Mesh(
        np.column_stack([points, np.zeros(len(points))]),
        [("line", edges), ("triangle", triangles)],
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data={name: np.array(numbers) for name, numbers in NAMES.items()},
    ).write(path, file_format="gmsh22", binary=False, float_fmt=".7g")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("plate.msh"))
