"""Speed of exported C beside `fast` and a float64 solver: processor time of one thread, in turns."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common import medians_in_turns
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.c.writer import c_files
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs import RunOptions, run_graph

COUNT = Path(__file__).parent / "machines" / "count.c"
MAIN = "int run(void);\nint main(void) { return run(); }\n"
OPTIMISED = ("gcc", "-std=c99", "-O3", "-march=native", "-mprefer-vector-width=256")
"""With vectors of 512 bits, which gcc takes where there are any, heat2d is slower; LLVM takes 256 of itself, too."""
ROUNDS = 5
FLOAT_SHARE = 100
"""The float solver runs fewer steps by this factor, because it is slower."""


def microseconds(graph: IntegerGraph, steps: int) -> dict[str, float]:
    """Median microseconds of processor time of a PDE step, both audited, and of a float64 step with as many cells.

    Parameters
    ----------
    steps : int
        PDE steps of each measurement.
    """
    os.environ["PISNN_THREADS"] = "1"
    options = RunOptions(steps, every=steps)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in c_files(plan(graph)).items():
            (folder / file).write_bytes(content)
        (folder / "start.c").write_text(MAIN)
        program = folder / "program"
        sources = ["start.c", str(COUNT), "pisnn.c"]
        command = [*OPTIMISED, f"-DSTEPS={steps}", "-DPISNN_AUDIT=1", "-I.", *sources, "-o", str(program)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        run_graph("fast", graph, graph.initial, options)  # compiles the kernel
        field = graph.initial.astype(np.float64).reshape(graph.mesh.shape)
        measures = {
            "C": lambda: _used(lambda: subprocess.run([program], check=True)),
            "fast": lambda: _used(lambda: run_graph("fast", graph, graph.initial, options)),
            "float64": lambda: FLOAT_SHARE * _used(lambda: _diffuse(field, steps // FLOAT_SHARE)),
        }
        return {name: 1e6 * time / steps for name, time in medians_in_turns(measures, ROUNDS).items()}


def _used(run: Callable[[], object]) -> float:
    """Processor time of a run in seconds, that of its processes included; other programs do not add to it."""
    start = _processor_time()
    run()
    return _processor_time() - start


def _processor_time() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _diffuse(field: np.ndarray[tuple[int, ...], np.dtype[np.float64]], steps: int) -> None:
    """Explicit diffusion in numpy on a periodic mesh, a two-point flux along each axis."""
    for _ in range(steps):
        change = np.zeros_like(field)
        for axis in range(field.ndim):
            flux = 0.2 * (np.roll(field, -1, axis) - field)
            change += flux - np.roll(flux, 1, axis)
        field = field + change
