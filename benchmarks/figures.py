"""Measure the figures and the picture of README.md, and write them.

Run it from the root of a checkout with ``make figures``. Everything is measured again; no figure is typed by hand.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, command, fill, line, page_parser, seconds, table
from benchmarks.parts.zoo import compiled, drift, error, exact, horizon_steps, relative_l2
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import PERIODIC, structured_mesh
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.report.picture import draw_run
from pisnn_deploy.runs import Run, RunOptions, run_graph

LONG_RUN_STEPS = 20_000
CASES: tuple[tuple[int, str, str], ...] = (
    (128, "periodic", "cpu"),
    (128, "no-flux", "cpu"),
    (128, "dirichlet=0,1", "cpu"),
    (64, "periodic", "fast"),
    (64, "no-flux", "fast"),
    (500, "periodic", "fast"),
    (500, "no-flux", "fast"),
)
COLUMNS = ("cells", "boundary", "backend", "PDE steps", "time", "relative L2 error", "drift", "violations")


def explicit_euler(cells: int) -> tuple[int, float]:
    """PDE steps and relative L2 error at t = 1 of float64 FTCS at r = 0.4, on the periodic line."""
    mesh = structured_mesh((cells,), (1.0,), ((PERIODIC, PERIODIC),))
    heat, nothing = problem("heat1d"), np.zeros(0)
    steps = int(np.ceil(heat.horizon * 0.01 * cells**2 / 0.4))
    number = heat.horizon * 0.01 * cells**2 / steps
    values = heat.initial(mesh, nothing)
    for _ in range(steps):
        values = values + number * (np.roll(values, 1) - 2 * values + np.roll(values, -1))
    reference = heat.reference(mesh, nothing, heat.horizon)
    assert reference is not None
    return steps, relative_l2(values, reference)


def row(graph: IntegerGraph, boundary: str, run: Run) -> str:
    """Row of the table."""
    reached, away = f"{run.steps * graph.time_step:.4f}", f"{error(graph, run.trace.mass[-1], run.steps):.1e}"
    violations = sum(run.violations.values())
    return line(graph.mesh.cells, boundary, run.backend, run.steps, reached, away, drift(run), violations)


def accuracy() -> list[str]:
    """Table of accuracy, with a long run on Lava at its end."""
    rows = []
    for cells, boundary, backend in CASES:
        graph = compiled("heat1d", (cells,), boundary)
        rows.append(row(graph, boundary, run_graph(backend, graph, graph.initial, RunOptions(horizon_steps(graph)))))
    graph = compiled("heat1d", (128,), "periodic")
    run = run_graph("cpu", graph, graph.initial, RunOptions(LONG_RUN_STEPS, every=1000))
    rows.append(row(graph, "periodic", run))
    quantisation = graph.quantisation
    states = [bound for bound in graph.bounds if bound.is_state_or_payload]
    ftcs_steps, ftcs_error = explicit_euler(128)
    return [
        *table(COLUMNS, rows),
        "",
        "The last row is a long run: the field has come to rest, every cell at the mean. It shows conservation, not "
        "accuracy.",
        "",
        f"At 128 cells: value of a quantum 2^{int(np.log2(graph.value_per_quantum))}, threshold 2^"
        f"{known_face(graph).exponent}, integer kernel {quantisation.kernel_chosen}, widest state or payload "
        f"{max(bound.bits for bound in states)} bits. The float model has a relative L2 error of "
        f"{quantisation.relative_l2_float:.1e} in {quantisation.steps} steps; float64 FTCS on the same mesh "
        f"{ftcs_error:.1e} in {ftcs_steps}.",
    ]


def help_seconds() -> float:
    """Median wall time of ``pisnn-deploy --help``."""
    return statistics.median(seconds(partial(command, "--help")) for _ in range(7))


def picture(path: Path) -> None:
    """Draw the picture of the README: heat1d on Lava."""
    graph = compiled("heat1d", (128,), "periodic")
    steps = horizon_steps(graph)
    run = run_graph("cpu", graph, graph.initial, RunOptions(steps))
    draw_run(path, graph, run, exact(graph, steps * graph.time_step))


def main() -> None:
    """Measure, print, and write unless ``--dry-run`` is given."""
    arguments = page_parser(__doc__).parse_args()
    text = "\n".join([*accuracy(), "", f"`pisnn-deploy --help` takes {help_seconds():.2f} s here."])
    sys.stdout.write(text + "\n")
    if not arguments.dry_run:
        fill(ROOT / "README.md", "figures", text)
        picture(ROOT / "docs" / "assets" / "heat1d.png")


if __name__ == "__main__":
    main()
