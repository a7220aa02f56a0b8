"""Generated kernels on every kind of graph, compared with the reference: writes ``docs/results/kernels.md``.

Run it from the root of a checkout: ``python -m benchmarks.generated_kernels``. It takes some minutes. Each graph runs
audited on one thread, in turns with the reference in plain numpy; medians of processor time are reported. Kernels are
compiled into an empty folder.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pisnn_deploy as pisnn
from benchmarks.common import PAGES, in_turns, line, load, page_parser, publish, seconds, table
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.project.zoo import laws, names
from pisnn_deploy.runs.kernels.machine import FOLDER
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, Stepper

PAGE = PAGES / "kernels.md"
PLATE = Path(__file__).parents[1] / "examples" / "plate_with_hole"
ROUNDS = 5
RUN_SECONDS = 0.3
LONGEST = 1 << 40
TIMES = 20
"""Times the reference that kernels are to reach on every graph."""
FEW_STEPS = 400
"""PDE steps of a measurement at most, because some starts leave their range later."""


def graphs() -> Iterator[tuple[str, Callable[[], IntegerGraph]]]:
    """Every model and law of the zoo, and what the compiler adds to them."""
    for name in sorted({*names(), *laws()}):
        yield name, lambda name=name: pisnn.compile(name).graph
    yield "heat2d, floor and ceiling", lambda: pisnn.compile("heat2d", limiter="bounds").graph
    yield "heat2d, residues seen", lambda: pisnn.compile("heat2d", residues="seen").graph
    yield (
        "heat2d, plate with a hole",
        lambda: (
            pisnn.compile(
                "heat2d", mesh=PLATE / "plate.msh", materials=PLATE / "materials.yaml", boundary="hole=dirichlet=1"
            ).graph
        ),
    )


def steps_of(stepper: Stepper) -> int:
    """PDE steps of one measurement."""
    stepper.advance(1)
    return max(1, min(FEW_STEPS, int(RUN_SECONDS / seconds(partial(stepper.advance, 1), time.process_time))))


def rate(stepper: Stepper, start: Callable[[], None], steps: int) -> float:
    """PDE steps per second of processor time, from the start of the run."""
    start()
    return steps / seconds(partial(stepper.advance, steps), time.process_time)


def measured(graph: IntegerGraph) -> tuple[float, float, float, float]:
    """Seconds until a kernel is ready, PDE steps per second of kernel and reference, and the median of their ratios."""
    start = start_of(graph, graph.initial)
    begun = time.process_time()
    with closing(KernelStepper(graph, start, LONGEST, 1)) as kernel:
        kernel.prepare()
        ready = time.process_time() - begun
        measures = {}
        for name, stepper in (("kernel", kernel), ("reference", ReferenceStepper(graph, start, LONGEST))):
            stepper.begin()
            begin = partial(stepper.restore, stepper.state())
            measures[name] = partial(rate, stepper, begin, steps_of(stepper))
        rates = in_turns(measures, ROUNDS)
    ratios = [fast / slow for fast, slow in zip(rates["kernel"], rates["reference"], strict=True)]
    typical = [statistics.median(rates[name]) for name in ("kernel", "reference")]
    return ready, typical[0], typical[1], statistics.median(ratios)


def main() -> None:
    """Measure, write."""
    arguments = page_parser(__doc__).parse_args()
    rows, slow, busiest = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER] = folder
        for name, graph_of in graphs():
            graph = graph_of()
            ready, kernel, reference, ratio = measured(graph)
            busiest = max(busiest, load())
            slow += [f"{name} ({ratio:.0f})"] if ratio < TIMES else []
            speeds = f"{ready:.2f}", f"{kernel:,.0f}", f"{reference:,.0f}", f"{ratio:,.0f}"
            rows.append(line(name, f"{graph.mesh.cells:,}", *speeds))
            print(rows[-1], flush=True)
    columns = ("graph", "cells", "ready s", "PDE steps/s", "reference", "times")
    verdict = f"At least {TIMES} times the reference: " + (f"all but {', '.join(slow)}." if slow else "all.")
    text = f"""# Generated kernels

Kernels of the `fast` backend for every model and law of the zoo, and for what the compiler adds: audited at every PDE
step, on one thread, compared with the reference in plain numpy. Rates are per second of processor time, measured in
turns; `times` is the median of their ratios. A kernel is ready when its loops are made of the graph and LLVM has
compiled them, once, because their code is kept on disk. The load of the machine was up to {busiest:.1f}.

"""
    text += "\n".join([*table(columns, rows), "", verdict, "", "Made by `python -m benchmarks.generated_kernels`.", ""])
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
