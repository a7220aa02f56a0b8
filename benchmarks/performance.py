"""Speed compared with alternatives, measured in one run: writes docs/results/performance.md.

Run it from the root of a checkout: ``python -m benchmarks.performance`` (``make bench``). Lava's figures are PDE steps
per second of the `cpu` backend, of the same network without arithmetic, and of Lava's own LIF and Sparse; the others
are seconds for one problem, heat1d to time 1.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import PAGES, ROOT, cores, line, load, medians_in_turns, page_parser, publish, seconds, table
from benchmarks.parts.lava_overhead import measure
from benchmarks.parts.zoo import exact, problem_of, relative_l2
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.runs import RunOptions, fast, onnx

PAGE = PAGES / "performance.md"
DATA = ROOT / "build" / "bench" / "performance.json"
MESHES = (
    *(("heat1d", "128"), ("heat1d", "4096"), ("heat1d", "65536"), ("heat1d", "1048576")),
    *(("heat2d", "64x64"), ("heat2d", "512x512")),
)
MEASURE_SECONDS = 2.0
ROUNDS = 3
CELLS = 128
LAVA_COLUMNS = ("problem", "mesh", "PDE steps per second", "time / no arithmetic", "stock network")
SOLVER_COLUMNS = ("solver", "seconds", "relative L2 error", "drift", "time / ours")


def lava_row(name: str, mesh: str) -> dict[str, object]:
    """Measure PDE steps per second on Lava, and compare with the network without arithmetic and a stock network."""
    graph = compile_requested(compile_request(name, mesh=mesh, placement="none"))[0]
    trial = measure(graph, 4, 1)
    steps = max(4, int(MEASURE_SECONDS * float(str(trial["steps_per_second"]))))
    speeds = measure(graph, steps, ROUNDS)
    entries = sum(synapse.entries for synapse in graph.synapses)
    time_steps = steps * int(graph.period or 0)
    on_stock = statistics.median(stock(graph.mesh.cells, entries, time_steps) for _ in range(ROUNDS))
    return {
        "problem": name,
        "mesh": mesh,
        "steps_per_second": speeds["steps_per_second"],
        "ratio_without_arithmetic": speeds["ratio"],
        "stock_steps_per_second": steps / on_stock,
    }


def stock(neurons: int, entries: int, steps: int) -> float:
    """Seconds of a stock Lava network with the given numbers of neurons and synapses."""
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "parts" / "stock_lava.py"),
        *map(str, (neurons, entries, steps)),
    ]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def solver_rows() -> list[dict[str, object]]:
    """Seconds and relative L2 errors of heat1d to time 1 on 128 cells, without compilation."""
    graph = compile_requested(compile_request("heat1d", mesh=str(CELLS)))[0]
    start = np.asarray(problem_of(graph).initial(graph.grid, np.zeros(0), None), np.float64)
    ftcs = round(graph.model_spec.diffusivity * CELLS**2 / 0.4)
    solvers: dict[str, Callable[[], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]] = {
        "pisnn-deploy, fast": lambda: ours(graph, "fast"),
        "pisnn-deploy, onnx": lambda: ours(graph, "onnx"),
        "plain numpy, explicit float64": lambda: numpy_explicit(start, graph.model_spec.diffusivity, ftcs),
        "py-pde, explicit, numba": lambda: py_pde(start, graph.model_spec.diffusivity, ftcs, "numba"),
        "py-pde, explicit, numpy": lambda: py_pde(start, graph.model_spec.diffusivity, ftcs, "numpy"),
        "FiPy, Crank-Nicolson, 100 steps": lambda: fipy_implicit(start, graph.model_spec.diffusivity, 100),
    }
    fields = {name: solver() for name, solver in solvers.items()}  # also compiles
    medians = medians_in_turns({name: partial(seconds, solver) for name, solver in solvers.items()}, ROUNDS)
    rows = []
    for name, field in fields.items():
        reached = round(1.0 / graph.time_step) * graph.time_step if name.startswith("pisnn") else 1.0
        error, drift = relative_l2(field, exact(graph, reached)), float(field.sum() / start.sum() - 1)
        rows.append({"solver": name, "seconds": medians[name], "error": error, "drift": drift})
        sys.stderr.write(f"{rows[-1]}\n")
    return rows


def ours(graph: IntegerGraph, backend: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Run the zoo's model."""
    steps = round(1.0 / graph.time_step)
    run = {"fast": fast, "onnx": onnx}[backend].run(graph, graph.initial, RunOptions(steps, every=steps))
    if not run.conserved:
        raise SystemExit(run.failure)
    return graph.values(run.trace.mass[-1])


def numpy_explicit(
    start: np.ndarray[tuple[int, ...], np.dtype[np.float64]], diffusivity: float, steps: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Forward Euler, central differences."""
    field = start.copy()
    number = diffusivity * CELLS**2 / steps
    for _ in range(steps):
        field = field + number * (np.roll(field, 1) - 2 * field + np.roll(field, -1))
    return field


def py_pde(
    start: np.ndarray[tuple[int, ...], np.dtype[np.float64]], diffusivity: float, steps: int, backend: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """py-pde's explicit solver, to time 1."""
    stepper, field = py_pde_stepper(start, diffusivity, steps, backend)
    stepper(field, 0.0, 1.0)
    return np.asarray(field.data, np.float64)


def py_pde_stepper(
    start: np.ndarray[tuple[int, ...], np.dtype[np.float64]], diffusivity: float, steps: int, backend: str
) -> tuple[Callable[..., object], Any]:
    """py-pde's explicit solver with some steps in a unit of time, made once, and a field to step."""
    import pde

    grid = pde.CartesianGrid([[0, 1]], CELLS, periodic=True)
    equation = _EQUATIONS.setdefault(diffusivity, pde.DiffusionPDE(diffusivity))
    key = (backend, steps)
    if key not in _STEPPERS:
        solver = pde.ExplicitSolver(equation, backend=backend)
        _STEPPERS[key] = solver.make_stepper(pde.ScalarField(grid, start), dt=1 / steps)
    return _STEPPERS[key], pde.ScalarField(grid, start)


_EQUATIONS: dict[float, object] = {}
_STEPPERS: dict[tuple[str, int], Callable[..., object]] = {}


def fipy_implicit(
    start: np.ndarray[tuple[int, ...], np.dtype[np.float64]], diffusivity: float, steps: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """FiPy's Crank-Nicolson scheme."""
    import fipy

    mesh = fipy.PeriodicGrid1D(nx=CELLS, dx=1 / CELLS)
    field = fipy.CellVariable(mesh=mesh, value=start, hasOld=True)
    equation = fipy.TransientTerm() == (
        0.5 * fipy.DiffusionTerm(diffusivity) + 0.5 * fipy.ExplicitDiffusionTerm(diffusivity)
    )
    solver = fipy.LinearLUSolver(tolerance=1e-12)
    for _ in range(steps):
        field.updateOld()
        equation.solve(var=field, dt=1 / steps, solver=solver)
    return np.asarray(field.value, np.float64)


PAGE_TEXT = """# Performance

`make bench` measures everything in one run and writes this page and `build/bench/performance.json`; medians of
{rounds} runs on {cores} cores, load average {load:.1f} at the end. See [fast.md](fast.md) for the kernels of `fast`
compared with memory bandwidth, [scale.md](scale.md) for large meshes and [domains.md](domains.md) for runs on
MPI ranks.

## On Lava's simulator
PDE steps per second of the `cpu` backend; its time relative to the same network and messages without arithmetic; and
the speed of a stock network: two layers of Lava's LIF and a Sparse with the same number of neurons, synapses and time
steps. The stock network computes something else and sends binary spikes; it shows the cost of Lava itself.

{lava}

## One problem, several solvers
heat1d on 128 cells to time 1, without compilation. `drift` is the relative change of the total mass.

{solvers}

On a CPU, compiled floats are faster. Integers are for chips without floats, and for a total mass that never drifts.
"""


def page(figures: dict[str, Any]) -> str:
    """Format the page."""
    lava = []
    for row in figures["lava"]:
        speed, ratio = f"{row['steps_per_second']:.3g}", f"{row['ratio_without_arithmetic']:.2f}"
        lava.append(line(row["problem"], row["mesh"], speed, ratio, f"{row['stock_steps_per_second']:.3g}"))
    solvers = []
    for row in figures["solvers"]:
        errors = (f"{row['error']:.1e}", f"{row['drift']:.0e}")
        over_ours = row["seconds"] / figures["solvers"][0]["seconds"]
        solvers.append(line(row["solver"], f"{row['seconds']:.2g}", *errors, f"{over_ours:.2g}"))
    return PAGE_TEXT.format(
        rounds=ROUNDS,
        cores=figures["cores"],
        load=figures["load"],
        lava="\n".join(table(LAVA_COLUMNS, lava)),
        solvers="\n".join(table(SOLVER_COLUMNS, solvers)),
    )


def main() -> None:
    """Measure, write."""
    arguments = page_parser(__doc__).parse_args()
    rows = []
    for name, mesh in MESHES:
        rows.append(lava_row(name, mesh))
        sys.stderr.write(f"{rows[-1]}\n")
    figures = {
        "lava": rows,
        "solvers": solver_rows(),
        "cores": cores(),
        "load": load(),
    }
    publish(PAGE, page(figures), dry_run=arguments.dry_run)
    if not arguments.dry_run:
        DATA.parent.mkdir(parents=True, exist_ok=True)
        DATA.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
