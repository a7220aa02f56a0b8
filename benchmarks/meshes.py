"""Multi-point fluxes and materials beside finite elements: writes ``docs/results/meshes.md``.

Run it from the root of a checkout with ``make results``, or alone with ``python -m benchmarks.meshes``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import skfem
from matplotlib.tri import LinearTriInterpolator, Triangulation
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu, spsolve
from skfem.models.poisson import laplace, mass

from benchmarks.common import PAGES, ROOT, line, page_parser, publish, table
from benchmarks.parts.shapes import Cells, Points, Shape, Sides, bend, cube, graded, mesh_of, plate, sides_of
from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerMultiPoint, LowerTwoPoint, Material, compile_model
from pisnn_deploy.formats.reading import Request
from pisnn_deploy.graph import CellGraph, IntegerGraph
from pisnn_deploy.mesh import CellMesh, centroids, parse_boundary, read_mesh_file
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.project.model_file import read_model
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile

PAGE = PAGES / "meshes.md"
PLATE = ROOT / "examples" / "plate_with_hole" / "plate.msh"
STRETCHED = ROOT / "tests" / "cases" / "tpfa_stretched"
COUNTS_OF_PLATE, COUNTS_OF_BEND, COUNTS_OF_CUBE = (2, 4, 8, 16), (4, 8, 16, 32), (2, 4, 8, 16)
FINER = 4
"""Factor by which the mesh of the reference is finer than the finest one."""
JUMPS = (1, 10, 100, 1000)
STEPS = 10_000
STEPS_OF_ELEMENTS = 200

BEFORE = """# Meshes and materials

Fluxes on triangles and tetrahedra, and conductivities that jump. *Two-point* and *multi-point* are the float64 schemes
of `compile --fluxes`, *integers* are multi-point fluxes in integers for `loihi2` (24-bit states, 8-bit weights), *P1*
are linear finite elements on the same mesh (scikit-fem). Errors are relative to the L2 norm of the solution, taken at
the centroids of cells; P1 at the same places. A steady state of integers is the mean over the second half of a run that
starts from the steady state of the floats.

## Steady flux through stretched triangles

"""
OF_PLATE = """
## Plate with a hole

The hole is held at 1, both ends at 0. The reference are P1 elements on a mesh four times as fine as the finest.
Integers stop within half a level of the floats. Cells shrink towards the hole, so the smallest holds few quanta where
the largest still fits its bits: the finer the mesh, the coarser the level.

"""
OF_BEND = """
## L-shaped domain

Both ends of the L are held. Around the inner corner the solution grows like `r^(2/3)`, so that no scheme on uniform
meshes has more than order 4/3.

"""
OF_GRADED = """
With cells that shrink towards the inner corner, like the distance from it to the power of 3/2:

"""
OF_CUBE = """
## Cube of tetrahedra

A wave of the whole cube decays to a third; errors relative to the wave, against the exact solution. P1 are linear
finite elements on the same tetrahedra, exact in time but for Crank-Nicolson steps that are short enough not to count.
Multi-point fluxes are exact in time here, too; the explicit steps of the integers make up for a part of the error in
space.

"""
OF_MATERIALS = """
## Materials

Steady profiles: the largest distance of the integers from the floats, in quanta (the smallest difference of values that
fluxes resolve): of the mean over the second half of 10,000 PDE steps, and of any of 400 instants.

"""
OF_EXAMPLE = """
## The example

`examples/plate_with_hole` after 300 PDE steps, against the same fluxes exact in time.

"""
AFTER = """Made by `python -m benchmarks.meshes`, which `make results` runs.
"""


@cache
def model() -> Model:
    """The model of the zoo for diffusion; only its equation counts."""
    return read_model("heat2d", Request(None, None, None, None, None, True)).model


def steady(graph: CellGraph) -> Points:
    """Steady state of the floats."""
    rates, cells = graph.rates, graph.mesh.cells
    matrix = csr_matrix((rates.values, rates.columns, rates.starts), shape=rates.shape)
    return np.asarray(spsolve(matrix[:, :cells].tocsc(), -(matrix[:, cells:] @ graph.reservoirs)))


def compiled(lower: LowerTwoPoint, digits: str = "many") -> IntegerGraph:
    """Integers for values from 0 to 1."""
    graph = GraphOptions(digits=digits, placement="none")  # type: ignore[arg-type]
    options = CompileOptions(lower, load_profile("loihi2"), graph, OperatingRange(lower=0.0, upper=1.0))
    return compile_model(model(), options)


def mean_of_run(graph: IntegerGraph, start: Points, steps: int = STEPS) -> Points:
    """Mean of the second half of a run."""
    return np.asarray(rows_of_run(graph, start, steps, max(1, steps // 40))[-20:].mean(axis=0))


def rows_of_run(graph: IntegerGraph, start: Points, steps: int, every: int) -> Points:
    """Values of every so many PDE steps of a run."""
    run = run_graph("fast", graph, graph.mass(start), RunOptions(steps, every=every))
    if run.failure or not run.conserved:
        raise SystemExit(f"{graph.mesh.cells} cells: {run.failure}")
    return np.asarray(graph.values(run.trace.mass))


def elements(points: Points, cells: Cells) -> skfem.Basis:
    """Linear finite elements."""
    kind = skfem.MeshTri if points.shape[1] == 2 else skfem.MeshTet
    element = skfem.ElementTriP1() if points.shape[1] == 2 else skfem.ElementTetP1()
    return skfem.Basis(kind(np.ascontiguousarray(points.T), np.ascontiguousarray(cells.T)), element)


def finite_elements(points: Points, cells: Cells, sides: Sides, values: Mapping[str, float]) -> Points:
    """Values at the points by finite elements."""
    basis = elements(points, cells)
    matrix, solution = laplace.assemble(basis), np.zeros(len(points))
    fixed = []
    for name, value in values.items():
        facets = basis.mesh.facets_satisfying(lambda x, within=sides[name]: within(x.T), boundaries_only=True)
        at = np.unique(basis.mesh.facets[:, facets])
        solution[at] = value
        fixed.append(at)
    return np.asarray(skfem.solve(*skfem.condense(matrix, x=solution, D=np.concatenate(fixed))))


def decayed(points: Points, cells: Cells, start: Points, time: float) -> Points:
    """Mean of the corners of each cell, after diffusion between walls by finite elements from values at the points."""
    basis = elements(points, cells)
    step = time / STEPS_OF_ELEMENTS
    stiffness, weight = laplace.assemble(basis), mass.assemble(basis)
    solve = splu((weight + step / 2 * stiffness).tocsc())
    values = start
    for _ in range(STEPS_OF_ELEMENTS):
        values = solve.solve((weight - step / 2 * stiffness) @ values)
    return np.asarray(values[cells].mean(axis=1))


def order(errors: list[float]) -> str:
    """Order from the last refinement."""
    return f"{np.log2(errors[-2] / errors[-1]):.2f}"


def distance(values: Points, exact: Points, volumes: Points) -> float:
    """Relative L2 error."""
    return float(np.sqrt((volumes * (values - exact) ** 2).sum() / (volumes * exact**2).sum()))


def convergence(shape: Shape, counts: tuple[int, ...], sides: Sides, values: Mapping[str, float]) -> Iterator[str]:
    """Rows of a table of errors against finite elements on a mesh that is finer than the finest."""
    fine_points, fine_cells = shape(counts[-1] * FINER)
    # Finite elements are linear in each triangle; matplotlib finds the triangle of a point without comparing all pairs.
    fine = LinearTriInterpolator(
        Triangulation(fine_points[:, 0], fine_points[:, 1], fine_cells),
        finite_elements(fine_points, fine_cells, sides, values),
    )
    errors_by_scheme: dict[str, list[float]] = {name: [] for name in ("two-point", "multi-point", "integers", "P1")}
    for count in counts:
        points, cells = shape(count)
        file = mesh_of(points, cells, sides)
        several = LowerMultiPoint(file, values, {"whole": Material(1.0)})
        floats, two = several(model()), LowerTwoPoint(file, values, {"whole": Material(1.0)})(model())
        mesh = floats.mesh
        assert isinstance(mesh, CellMesh)
        at, volumes = centroids(mesh), floats.capacity
        exact = np.asarray(fine(*at.T))
        multi = steady(floats)
        own = finite_elements(points, cells, sides, values)[cells].mean(axis=1)
        graph = compiled(several)
        beside = np.asarray(fine(*mesh.centres().T))
        errors_by_scheme["two-point"].append(distance(steady(two), beside, volumes))
        errors_by_scheme["multi-point"].append(distance(multi, exact, volumes))
        errors_by_scheme["integers"].append(distance(mean_of_run(graph, multi, 4_000), exact, volumes))
        errors_by_scheme["P1"].append(distance(own, exact, volumes))
        yield line(
            str(mesh.cells), *(f"{errors[-1]:.2e}" for errors in errors_by_scheme.values()), f"{graph.resolution:.1e}"
        )
    yield line("order of the last refinement", *(order(errors) for errors in errors_by_scheme.values()), "")


def tetrahedra() -> Iterator[str]:
    """Rows of the cube: a wave of the whole cube that decays to a third, against the exact solution."""
    errors_by_scheme: dict[str, list[float]] = {name: [] for name in ("two-point", "multi-point", "integers", "P1")}
    time = np.log(3) / (3 * np.pi**2)
    for count in COUNTS_OF_CUBE:
        points, cells = cube(count)
        file = mesh_of(points, cells, {})
        row = []
        for kind in (LowerTwoPoint, LowerMultiPoint):
            lower = kind(file, {}, {"whole": Material(1.0)})
            floats = lower(model())
            mesh = floats.mesh
            assert isinstance(mesh, CellMesh)
            at = centroids(mesh) if kind is LowerMultiPoint else mesh.centres()
            wave = np.cos(np.pi * at).prod(axis=1)
            moved = replace(floats, initial=0.5 + 0.4 * wave)
            exact = 0.5 + 0.4 * wave / 3
            row.append(distance(moved.exact(time) - 0.5, exact - 0.5, floats.capacity))
        graph = compiled(lower)
        steps = max(1, round(time / graph.time_step))
        run = run_graph("fast", graph, graph.mass(0.5 + 0.4 * wave), RunOptions(steps))
        left = 0.4 * wave * np.exp(-3 * np.pi**2 * steps * graph.time_step)
        row.append(distance(graph.values(run.trace.mass[-1]) - 0.5, left, floats.capacity))
        of_elements = decayed(points, cells, np.cos(np.pi * points).prod(axis=1), time)
        row.append(distance(of_elements, wave / 3, floats.capacity))
        for errors, error in zip(errors_by_scheme.values(), row, strict=True):
            errors.append(error)
        yield line(str(len(cells)), *(f"{error:.2e}" for error in row), str(int(floats.fluxes.lengths.max())))
    yield line("order of the last refinement", *(order(errors) for errors in errors_by_scheme.values()), "")


def stretched() -> Iterator[str]:
    """Rows of the steady flux through stretched triangles."""
    for name in ("coarse", "stretch"):
        file = read_mesh_file(STRETCHED / f"{name}.msh")
        row = [name]
        for kind in (LowerTwoPoint, LowerMultiPoint):
            lower = kind(file, {"cold": 0.0, "hot": 1.0}, {"plate": Material(1.0)})
            floats = lower(model())
            through = floats.fluxes @ np.concatenate([steady(floats), floats.reservoirs])
            hot = floats.mesh.reservoirs_by_side["hot"] + floats.mesh.cells
            row.append(f"{abs(through[np.isin(floats.mesh.target, hot)].sum()):.4f}")
        graph = compiled(lower)
        run = run_graph("fast", graph, graph.mass(steady(floats)), RunOptions(STEPS, every=STEPS // 2))
        side = graph.ledgers_of(graph.sole_field)["hot"]
        gained = np.diff(run.trace.ledger, axis=0)[-1][side].sum()
        yield line(*row, f"{abs(gained * graph.quantum / (STEPS // 2 * graph.time_step)):.4f}", "0.2500")


def materials() -> Iterator[str]:
    """Rows of steady profiles across jumps of the conductivity."""
    sides = parse_boundary("x=no-flux y=dirichlet=0,1", 2)
    file = read_mesh_file(PLATE)
    for jump in JUMPS:
        conductivity = np.full((16, 16), 0.01)
        conductivity[4:12, 5:12] /= jump
        grid = LowerTwoPoint((16, 16), sides, {"default": Material(1.0)}, conductivity)
        metals = {"steel": Material(0.01), "copper": Material(0.01 * jump)}
        at_sides = {"hole": 1.0, "left": 0.0, "right": 0.0}
        for name, lower in (
            ("grid 16 x 16", grid),
            ("plate, two-point", LowerTwoPoint(file, at_sides, metals)),
            ("plate, multi-point", LowerMultiPoint(file, at_sides, metals)),
        ):
            graph, exact = compiled(lower), steady(lower(model()))
            values = rows_of_run(graph, exact, STEPS, STEPS // 400)
            off = np.abs(values[200:].mean(axis=0) - exact).max(), np.abs(values - exact).max()
            quanta = (f"{distance / graph.resolution:.2f}" for distance in off)
            yield line(f"1:{jump}", name, f"{graph.resolution:.1e}", *quanta)


def example() -> Iterator[str]:
    """Rows of the example: errors after 300 PDE steps, against the same fluxes exact in time."""
    metals = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}
    lower = LowerTwoPoint(read_mesh_file(PLATE), {"hole": 1.0, "left": 0.0, "right": 0.0}, metals)
    for digits in ("one", "many"):
        figures = compiled(lower, digits).quantisation
        assert figures.relative_l2_float is not None and figures.relative_l2_integer is not None
        times = figures.relative_l2_integer / figures.relative_l2_float
        yield line(digits, f"{figures.relative_l2_float:.2e}", f"{figures.relative_l2_integer:.2e}", f"{times:.2f}")


def lines(rows: list[str]) -> Iterator[str]:
    """Lines of a page."""
    return (f"{row}\n" for row in rows)


def main() -> None:
    """Measure everything and write the page."""
    schemes = ("cells", "two-point", "multi-point", "integers", "P1", "level")
    of_cube, of_materials = (*schemes[:5], "values at a face"), ("jump", "mesh", "quantum", "mean", "instants")
    parts = [
        BEFORE,
        *lines(table(("mesh", "two-point", "multi-point", "integers", "exact"), stretched())),
        OF_PLATE,
        *lines(table(schemes, convergence(plate, COUNTS_OF_PLATE, *sides_of(plate)))),
        OF_BEND,
        *lines(table(schemes, convergence(bend, COUNTS_OF_BEND, *sides_of(bend)))),
        OF_GRADED,
        *lines(table(schemes, convergence(graded, COUNTS_OF_BEND, *sides_of(graded)))),
        OF_CUBE,
        *lines(table(of_cube, tetrahedra())),
        OF_MATERIALS,
        *lines(table(of_materials, materials())),
        OF_EXAMPLE,
        *lines(table(("digits", "float", "integer", "times"), example())),
        "\n",
        AFTER,
    ]
    publish(PAGE, "".join(parts), dry_run=page_parser(__doc__).parse_args().dry_run)


if __name__ == "__main__":
    main()
