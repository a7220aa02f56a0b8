"""Measure the figures of README.md, and its picture, and write them there.

Run it from the root of a checkout with ``make figures``. Everything is measured anew; nothing is typed by hand.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler import CompileOptions, Lower, compile_model
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import PERIODIC, parse_boundary, structured_mesh
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.zoo import model_path
from pisnn_deploy.report.picture import draw_run
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[1]
BLOCK = ("<!-- figures -->", "<!-- /figures -->")
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


Field = NDArray[np.float64]


def relative_l2(values: Field, exact: Field) -> float:
    """Relative L2 distance of two fields."""
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))


def exact(graph: IntegerGraph, time_: float) -> Field:
    """Exact cell averages."""
    solution = problem("heat1d").reference(graph.grid, graph.values(graph.sole_field.reservoirs), time_)
    assert solution is not None
    return solution


def compiled(cells: int, boundary: str) -> IntegerGraph:
    """The zoo's heat1d for a line of `cells`."""
    with model_path("heat1d") as path:
        model = read_checkpoint(path)
    return compile_model(model, CompileOptions(Lower((cells,), parse_boundary(boundary, 1)), load_profile("loihi2")))


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
    """One line of the table."""
    reached = run.steps * graph.time_step
    error = relative_l2(graph.values(run.trace.mass[-1]), exact(graph, reached))
    totals = run.trace.totals()
    drift = totals[-1] - totals[0]
    return (
        f"| {graph.mesh.cells} | {boundary} | {run.backend} | {run.steps} | {reached:.4f} | {error:.1e} "
        f"| {drift} | {sum(run.violations.values())} |"
    )


def table() -> list[str]:
    """The accuracy table, with a long run on Lava at its end."""
    lines = [
        "| cells | boundary | backend | PDE steps | time | relative L2 error | drift | violations |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cells, boundary, backend in CASES:
        graph = compiled(cells, boundary)
        steps = round(problem("heat1d").horizon / graph.time_step)
        lines.append(row(graph, boundary, run_graph(backend, graph, graph.initial, RunOptions(steps))))
    graph = compiled(128, "periodic")
    run = run_graph("cpu", graph, graph.initial, RunOptions(LONG_RUN_STEPS, every=1000))
    lines.append(row(graph, "periodic", run))
    quantisation = graph.quantisation
    states = [bound for bound in graph.bounds if bound.is_state_or_payload]
    ftcs_steps, ftcs_error = explicit_euler(128)
    lines += [
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
    return lines


def help_seconds() -> float:
    """Median wall time of ``pisnn-deploy --help``."""
    command = [str(Path(sys.executable).with_name("pisnn-deploy")), "--help"]
    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def fill(path: Path, text: str) -> None:
    """Put `text` between the figure marks of a file."""
    before, _, rest = path.read_text().partition(BLOCK[0])
    _, _, after = rest.partition(BLOCK[1])
    path.write_text(f"{before}{BLOCK[0]}\n{text}\n{BLOCK[1]}{after}")


def picture(path: Path) -> None:
    """The picture of the README: heat1d on Lava."""
    graph = compiled(128, "periodic")
    steps = round(problem("heat1d").horizon / graph.time_step)
    run = run_graph("cpu", graph, graph.initial, RunOptions(steps))
    draw_run(path, graph, run, exact(graph, steps * graph.time_step))


def main() -> None:
    """Measure, print, and write unless ``--dry-run`` is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="print only")
    arguments = parser.parse_args()
    text = "\n".join([*table(), "", f"`pisnn-deploy --help` takes {help_seconds():.2f} s here."])
    sys.stdout.write(text + "\n")
    if not arguments.dry_run:
        fill(ROOT / "README.md", text)
        picture(ROOT / "docs" / "assets" / "heat1d.png")


if __name__ == "__main__":
    main()
