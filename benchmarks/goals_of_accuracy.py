"""Every goal on accuracy, and whether it is reached: writes ``docs/results/goals_of_accuracy.md``.

Run it from the root of a checkout: ``python -m benchmarks.goals_of_accuracy``. What was measured before is kept under
``build/results/accuracy`` and taken from there; ``--again`` measures anew. The scripts of the other pages measure.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import pisnn_deploy as pd
from benchmarks import burgers, limiter, meshes, residues
from benchmarks.common import BUILD, PAGES, line, page_parser, publish, table
from benchmarks.parts import shapes
from benchmarks.parts.goal import Row, goal
from benchmarks.parts.rectangles import of_rectangles, of_training
from benchmarks.parts.zoo import compiled, horizon_steps, relative_l2
from pisnn_deploy.compiler import LowerTwoPoint
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.mesh import CellMesh, read_mesh_file
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.runs import RunOptions, run_graph

PAGE = PAGES / "goals_of_accuracy.md"
FOLDER = BUILD / "accuracy"


def cells(row: str) -> list[str]:
    """Cells of a row of a Markdown table, without emphasis."""
    return [cell.strip(" *`") for cell in row.strip().strip("|").split("|")]


def of_residues() -> Iterator[Row]:
    """Faces that see residues, and exact moments."""
    for case in residues.CASES:
        if case.goal is None:
            continue
        row = cells(residues.row_of(case))
        at = dict(zip(residues.COLUMNS, row, strict=True))
        wanted = f"{case.model}: at most {case.goal:.1e}" + (f" in {case.steps} PDE steps" if case.steps else "")
        yield goal(wanted, f"{at['error']} in {at['PDE steps']}", at["reached"] == "yes", case.command)


def of_transport() -> Iterator[Row]:
    """Pure advection and a cell Peclet number of 50."""
    with tempfile.TemporaryDirectory() as name:
        for peclet in residues.CELL_PECLET[:2]:
            row = dict(zip(residues.LAW_COLUMNS, cells(residues.law_row(Path(name), peclet)), strict=True))
            met, command = row["reached"] == "yes", "compile transport.yaml"
            if peclet is None:
                yield goal("bump after one period: at most 6.0e-3", row["bump after a period"], met, command)
            else:
                yield goal("cell Peclet number 50: diffusivity within 1 %", f"{float(row['off']):.2%}", met, command)


WIDE = (-1.0, 2.0)
"""Range that has room for what a box overshoots without a limiter."""
BOX = f"from a box; compile advection_diffusion1d --range {WIDE[0]:g},{WIDE[1]:g}"


def of_box(**options: Any) -> tuple[float, float, float]:
    """Error of a box on the trained advection after its horizon, and its lowest and highest value on the way."""
    limits = OperatingRange(lower=WIDE[0], upper=WIDE[1])
    graph = compiled("advection_diffusion1d", limits=limits, placement="none", **options)
    steps = horizon_steps(graph)
    run = run_graph("fast", graph, graph.mass(limiter.box(graph)), RunOptions(steps))
    assert run.conserved, run.failure
    error = relative_l2(graph.values(run.trace.mass[-1]), limiter.exact_box(graph, steps * graph.time_step))
    ends = graph.values(np.array([run.trace.mass.min(), run.trace.mass.max()]))
    return error, float(ends[0]), float(ends[1])


def of_limiter() -> Iterator[Row]:
    """Floor and ceiling."""
    free, limited = (
        pd.compile("advection_diffusion1d", placement="none", limiter=each).graph.quantisation.relative_l2_integer
        for each in ("none", "positivity")
    )
    assert free is not None and limited is not None
    yield goal(
        "zoo advection: unchanged to within 3 %",
        f"{limited:.3e} (without {free:.3e})",
        abs(limited / free - 1) <= 0.03,
        "compile advection_diffusion1d --limiter positivity",
    )
    error, lowest, _ = of_box(limiter="positivity", floor=0.0)
    yield goal(
        "box: at most 2e-4, lowest cell at the floor",
        f"{error:.2e}, lowest {lowest:g}",
        error <= 2e-4 and lowest == 0,
        f"{BOX} --limiter positivity --floor 0",
    )
    error, lowest, highest = of_box(limiter="bounds", floor=0.0, ceiling=1.0)
    yield goal(
        "box with a ceiling: at most 6e-4, no cell beyond either limit",
        f"{error:.2e}, {lowest:g} to {highest:g}",
        error <= 6e-4 and lowest >= 0 and highest <= 1,
        f"{BOX} --limiter bounds --floor 0 --ceiling 1",
    )
    *_, far_from_limits = (case for case in limiter.CASES if case.model == "laplace2d")
    _, differs = limiter.lines(far_from_limits)
    yield goal(
        "laplace2d: the same integers with the limiter where nothing is near a limit",
        "different" if differs else "the same",
        not differs,
        "compile laplace2d --range -1,2 --limiter positivity --floor -1",
    )


def of_burgers() -> Iterator[Row]:
    """Taylor fluxes on smooth flows and on shocks."""
    graph = pd.compile("viscous_burgers1d", mesh=256).graph
    assert isinstance(graph.spec, LawSpec)
    result = burgers.in_integers(graph.spec, graph)
    yield goal(
        "Burgers, 256 cells, 512 evaluations: at most 1e-5",
        f"{result.error:.1e} in {result.steps}",
        result.error <= 1e-5 and result.steps <= 512,
        "compile viscous_burgers1d --mesh 256",
    )
    for count in (128, 256):
        spec = burgers.recipe(burgers.CANONICAL, 0.01 / math.pi)
        ours = burgers.in_integers(spec, burgers.compiled(spec, count))
        weno = burgers.in_floats(spec, count, "weno5")
        yield goal(
            f"canonical Burgers, {count} cells: at most WENO5's error, overshoot at most 1 %",
            f"{ours.error:.1e} (WENO5 {weno.error:.1e}), overshoot {ours.overshoot:.1e}",
            ours.error <= weno.error and ours.overshoot <= 0.01,
            "python -m benchmarks.burgers",
        )


SCRIPT = "python -m benchmarks.meshes"


def of_stretched() -> Iterator[Row]:
    """Steady flux through stretched triangles."""
    for row in map(cells, meshes.stretched()):
        flux = float(row[3])
        yield goal(
            f"tpfa_stretched, {row[0]}: flux 0.2500 within 1 %", f"{flux:.4f}", abs(flux / 0.25 - 1) <= 0.01, SCRIPT
        )


def of_refinements() -> Iterator[Row]:
    """Orders of the last of three refinements."""
    for name, shape, counts in (
        ("plate with a hole", shapes.plate, meshes.COUNTS_OF_PLATE),
        ("L-shaped domain, uniform", shapes.bend, meshes.COUNTS_OF_BEND),
        ("L-shaped domain, finer at the corner", shapes.graded, meshes.COUNTS_OF_BEND),
    ):
        rows = [*map(cells, meshes.convergence(shape, counts, *shapes.sides_of(shape)))]
        order, floats = float(rows[-1][3]), rows[-1][2]
        yield goal(
            f"{name}: error falls as h^2 (order at least 1.8)",
            f"order {order:.2f} (floats {floats}), error {rows[-2][3]}",
            order >= 1.8,
            SCRIPT,
        )


def of_cube() -> Iterator[Row]:
    """Orders on tetrahedra."""
    rows = [*map(cells, meshes.tetrahedra())]
    order, count = float(rows[-1][3]), len(rows) - 2
    yield goal(
        "cube of tetrahedra: error falls as h^2 on three refinements",
        f"order {order:.2f} on {count} refinements",
        order >= 1.8 and count >= 3,
        SCRIPT,
    )


def of_elements() -> Iterator[Row]:
    """Quadrilaterals and hexahedra from files."""
    counted = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "squares.vtk"
        path.write_text(
            "# vtk DataFile Version 3.0\nsquares\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 6 double\n"
            "0 0 0\n1 0 0\n2 0 0\n0 1 0\n1 1 0\n2 1 0\nCELLS 2 10\n4 0 1 4 3\n4 1 2 5 4\nCELL_TYPES 2\n9\n9\n"
        )
        mesh = LowerTwoPoint(read_mesh_file(path), {}, {})(meshes.model()).mesh
        assert isinstance(mesh, CellMesh)
        counted.append(mesh.cells)
    yield goal(
        "quadrilaterals and hexahedra are read",
        f"two squares become {counted[0]} cells",
        counted[0] in (2, 4),
        "compile heat2d --mesh squares.vtk",
    )


def of_materials() -> Iterator[Row]:
    """Jumps of the conductivity."""
    worst: dict[str, float] = {}
    for row in map(cells, meshes.materials()):
        worst[row[0]] = max(worst.get(row[0], 0.0), float(row[4]))
    for jump, off in worst.items():
        yield goal(
            f"jump {jump}: steady profile within 2 quanta of the floats", f"{off:.2f} quanta at most", off <= 2, SCRIPT
        )


def of_example() -> Iterator[Row]:
    """The plate of the example."""
    *_, last = map(cells, meshes.example())
    yield goal("plate with a hole: at most 1.1 times the float error", last[3], float(last[3]) <= 1.1, SCRIPT)


def of_habits() -> Iterator[Row]:
    """`converge` and `compile --explain`."""
    study = pd.converge("heat1d", "32,64,128,256", norm="l1")
    orders = {name: study.result.fitted_order("u", name) for name in ("integers", "without_quantum", "floats")}
    shown = ", ".join(f"{name.replace('_', ' ')} {order or 0:.2f}" for name, order in orders.items())
    yield goal(
        "converge: orders of the integers, without quanta and of a float scheme",
        shown,
        None not in orders.values(),
        "converge heat1d --meshes 32,64,128,256",
    )
    artifact = pd.compile("laplace2d", mesh="32x32", placement="none")
    stages = artifact.explain().stages
    last = artifact.graph.quantisation.relative_l2_integer
    known = [stage.error for stage in stages]
    met = None not in known and last is not None and math.isclose(known[-1] or 0.0, last, rel_tol=1e-3)
    yield goal(
        "compile --explain: an error after each step, the last is the compiled graph's",
        " -> ".join("-" if error is None else f"{error:.1e}" for error in known),
        met,
        "compile laplace2d --explain",
    )


MEASURES: Mapping[str, Callable[[], Iterator[Row]]] = {
    "1 Faces that see residues": of_residues,
    "2 Moments in integers first": of_transport,
    "3 The limiter": of_limiter,
    "4 Burgers and friends": of_burgers,
    "5 Any mesh: stretched triangles": of_stretched,
    "5 Any mesh: refinements": of_refinements,
    "5 Any mesh: tetrahedra": of_cube,
    "5 Any mesh: other elements": of_elements,
    "6 Materials": of_materials,
    "6 Materials: the example": of_example,
    "7 Rectangular cells": of_rectangles,
    "7 Rectangular cells: training": of_training,
    "8 and 9 Habits": of_habits,
}
"""By the number of the point in the list of goals, and its title."""


def path_of(key: str) -> Path:
    """Where the rows of a measure are kept."""
    return FOLDER / f"{key.lower().replace(' ', '_').replace(':', '')}.json"


def measured(key: str) -> Row:
    """Rows of a measure and their date, from its file or measured."""
    path = path_of(key)
    if path.exists():
        kept: Row = json.loads(path.read_text())
        return kept
    sys.stderr.write(f"measuring {key}\n")
    rows = {"date": date.today().isoformat(), "rows": [*MEASURES[key]()]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))
    return rows


def page(known: Mapping[str, Row]) -> str:
    """Format the page."""
    rows = [
        line(
            key, row["goal"], row["reached"], "yes" if row["met"] else "**missed**", f"`{row['command']}`", kept["date"]
        )
        for key, kept in known.items()
        for row in kept["rows"]
    ]
    missed = [row["goal"] for kept in known.values() for row in kept["rows"] if not row["met"]]
    missing = [key for key in MEASURES if key not in known]
    sentences = [f"Missed: {'; '.join(missed)}." if missed else "All measured goals are reached."]
    sentences += [f"Not measured: {'; '.join(missing)}."] if missing else []
    return "\n".join(
        [
            "# Goals of accuracy",
            "",
            "What accuracy was to reach, point by point, and what it is: figures of integers within 24-bit states and "
            "8-bit weights, each with the command that shows it and the day of its measurement. Errors are relative L2 "
            "errors unless the goal says otherwise. The pages of [residues](residues.md), [the limiter](limiter.md), "
            "[Burgers flows](burgers.md), [meshes](meshes.md) and [convergence](convergence.md) have more.",
            "",
            *(f"{sentence}" for sentence in sentences),
            "",
            *table(("point", "goal", "measured", "reached", "command", "date"), rows),
            "",
            "Made by `python -m benchmarks.goals_of_accuracy`.",
            "",
        ]
    )


def main(words: Sequence[str]) -> None:
    """Measure what is missing, and write."""
    parser = page_parser(__doc__)
    parser.add_argument("--again", action="store_true", help="measure everything anew")
    parser.add_argument("--only", choices=MEASURES, action="append", help="measure this anew, and write no page")
    parser.add_argument("--kept", action="store_true", help="measure nothing; the page says what is missing")
    arguments = parser.parse_args(words)
    for key in arguments.only or (MEASURES if arguments.again else ()):
        path_of(key).unlink(missing_ok=True)
    if arguments.only:
        for key in arguments.only:
            measured(key)
        return
    keys = [key for key in MEASURES if not arguments.kept or path_of(key).exists()]
    publish(PAGE, page({key: measured(key) for key in keys}), dry_run=arguments.dry_run)


if __name__ == "__main__":
    main(sys.argv[1:])
