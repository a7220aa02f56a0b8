"""Speed of the `fast` backend's kernels compared with memory bandwidth: writes ``docs/results/fast.md``.

Run it from the root of a checkout: ``python -m benchmarks.fast_kernel``. Bandwidth, kernels with and without audit,
and plain numpy are measured in turns in one process, so that all see the same load; medians are reported.
"""

from __future__ import annotations

import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numba import njit

from benchmarks.common import BUILD, PAGES, in_turns, line, load, page_parser, publish, seconds, table, times
from benchmarks.parts.zoo import compiled
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.kernels.threads import available
from pisnn_deploy.runs.run import start_of

PAGE = PAGES / "fast.md"
DATA = BUILD / "fast.json"
MESHES: dict[str, tuple[tuple[int, ...], ...]] = {
    "heat1d": ((1 << 16,), (1 << 20,), (1 << 22,)),
    "heat2d": ((256, 256), (1024, 1024), (2048, 2048)),
    "laplace2d": ((256, 256), (1024, 1024), (2048, 2048)),
}
COLUMNS = (
    *(
        "problem",
        "mesh",
        "bytes per cell",
        "threads",
        "million cells per second",
        "memory",
        "audit",
        "speed-up over numpy",
    ),
)
SMALL_LINE = (128,)
ROUNDS = 7
RUN_SECONDS = 0.25
NOT_KEPT = ("output 0",)
"""Ends of the names of buffers that a step only writes for itself: packets."""
TRIAD_WORDS = 1 << 25
NUMPY_CELLS = 1 << 20
TARGET_RATE, TARGET_NUMPY, TARGET_AUDIT, TARGET_BANDWIDTH = 300e6, 10.0, 0.15, 0.6


@njit(nogil=True)
def _triad(a, b, c):
    for x in range(a.size):
        a[x] = b[x] + 3 * c[x]


def bandwidth(threads: int) -> float:
    """Bytes per second of ``a = b + 3 c`` over 32-bit words (12 bytes per word), on arrays larger than any cache."""
    arrays = [np.ones(TRIAD_WORDS, np.int32) for _ in range(3)]
    cuts = [slice(TRIAD_WORDS * t // threads, TRIAD_WORDS * (t + 1) // threads) for t in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def once() -> None:
            list(pool.map(lambda cut: _triad(*(array[cut] for array in arrays)), cuts))

        once()
        return 12 * TRIAD_WORDS / min(seconds(once) for _ in range(3))


def bytes_of_step(stepper: KernelStepper, cells: int) -> float:
    """Bytes a cell that a step must move: each number of the state is read once and written once."""
    kept = [pair[0].nbytes for name, pair in stepper.kernel.pairs.items() if not name.endswith(NOT_KEPT)]
    return 2 * sum(kept) / cells


@dataclass
class Case:
    """A mesh, its steppers, and the steps of one measurement of each."""

    name: str
    graph: IntegerGraph
    steppers: dict[tuple[int, bool], KernelStepper]
    steps: dict[tuple[int, bool], int]

    def rate(self, key: tuple[int, bool]) -> float:
        """Cells per second of one stepper."""
        stepper, steps = self.steppers[key], self.steps[key]
        return steps * self.graph.mesh.cells / seconds(partial(stepper.advance, steps))


def graph_of(name: str, shape: tuple[int, ...]) -> IntegerGraph:
    """Compile a model of the zoo on a mesh.

    On a line of a million cells, neighbours differ by a few quanta, less than rounding adds, so its operating range is
    widened for the measurement.
    """
    graph = compiled(name, shape)
    if len(shape) == 1 and shape != SMALL_LINE:
        wider = tuple(replace(b, bits=min(b.bits + 6, 24)) for b in graph.bounds)
        field = graph.sole_field
        wide = replace(field, window=replace(field.window, difference=None))
        graph = replace(graph, fields=(wide,), bounds=wider)
    return graph


def case_of(name: str, shape: tuple[int, ...], threads: tuple[int, ...]) -> Case:
    """Prepare the steppers of a mesh and choose the steps of one measurement."""
    graph = graph_of(name, shape)
    case = Case(name, graph, {}, {})
    for key in [(count, audited) for count in threads for audited in (True, False)]:
        start = start_of(graph, graph.initial)
        stepper = KernelStepper(graph, start, 2**40, key[0], audited=key[1])
        stepper.advance(1)
        steps = max(1, int(RUN_SECONDS / seconds(partial(stepper.advance, 1))))
        steps = max(1, int(RUN_SECONDS * steps / seconds(partial(stepper.advance, steps))))
        case.steppers[key], case.steps[key] = stepper, steps
    return case


def numpy_rate(graph: IntegerGraph) -> float:
    """Cells per second of the reference without its audit."""
    semantics = Semantics(graph)
    state = semantics.step(semantics.start(graph.initial))
    return graph.mesh.cells / statistics.median(seconds(partial(semantics.step, state)) for _ in range(3))


def main() -> None:
    """Measure, write."""
    parser = page_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    threads = tuple(sorted({1, available()}))
    triads: dict[int, list[float]] = {count: [] for count in threads}
    rows = []
    meshes = [(name, shape) for name, shapes in MESHES.items() for shape in shapes]
    for name, shape in [("heat1d", SMALL_LINE), *meshes]:
        case = case_of(name, shape, threads if shape != SMALL_LINE else (1,))
        bandwidths = {count: partial(bandwidth, count) for count in threads}
        measured = in_turns(bandwidths | {key: partial(case.rate, key) for key in case.steppers}, arguments.rounds)
        for count in threads:
            triads[count] += measured[count]
        stepper = next(iter(case.steppers.values()))
        row = {
            "problem": name,
            "mesh": times(shape),
            "cells": case.graph.mesh.cells,
            "bytes": bytes_of_step(stepper, case.graph.mesh.cells),
            "rate": {count: statistics.median(measured[count, True]) for count, audited in case.steppers if audited},
            "audit": {
                count: statistics.median(
                    bare / full - 1 for full, bare in zip(measured[count, True], measured[count, False], strict=True)
                )
                for count, audited in case.steppers
                if audited
            },
            "numpy": numpy_rate(case.graph) if case.graph.mesh.cells <= NUMPY_CELLS else None,
            "load": load(),
        }
        for stepper in case.steppers.values():
            stepper.close()
        rows.append(row)
        print(row, flush=True)
    figures = {
        "cores": available(),
        "bandwidth": {count: statistics.median(values) for count, values in triads.items()},
        "rows": rows,
    }
    text = page(figures)
    publish(PAGE, text, dry_run=arguments.dry_run)
    if not arguments.dry_run:
        DATA.parent.mkdir(parents=True, exist_ok=True)
        DATA.write_text(json.dumps(figures, indent=1) + "\n")


def page(figures: dict) -> str:
    """The page in Markdown."""
    cores, bytes_a_second = figures["cores"], figures["bandwidth"]
    busiest = max(row["load"] for row in figures["rows"])
    speeds = [f"{value / 1e9:.1f} GB/s on {count} thread{'s' * (count > 1)}" for count, value in bytes_a_second.items()]
    head = f"""# Speed of the fast backend

Linear models of the zoo on compiled kernels, audited at every PDE step. The machine has {cores} cores; its load average
was up to {busiest:.1f}, including the benchmark's own threads. Memory bandwidth is that of the triad `a = b + 3 c` over
32-bit words (12 bytes per word), measured in turns with the kernels: {", ".join(speeds)}.

A step must read and write each number of its state: masses and sums of packets (32 bits), residues (16 bits), and
currents (32 bits) if the leak keeps them. `memory` is this traffic relative to the bandwidth on the same number of
threads; where steps share a [sweep](../architecture.md#the-fast-backend), some of it stays in the cache, and there may
be more than the memory could move. `audit` is the extra time of the audit. Numpy is the reference without its audit.
"""
    rows = []
    for row in figures["rows"]:
        for count, rate in row["rate"].items():
            share = rate * row["bytes"] / bytes_a_second[count]
            faster = f"{rate / row['numpy']:.0f}" if row["numpy"] else ""
            kernel = (f"{row['bytes']:.0f}", count, f"{rate / 1e6:.0f}", f"{share:.0%}", f"{row['audit'][count]:.0%}")
            rows.append(line(row["problem"], row["mesh"], *kernel, faster))
    small = figures["rows"][0]
    aim = next(row for row in figures["rows"] if (row["problem"], row["cells"]) == ("heat2d", 1 << 20))
    rate = aim["rate"][cores]
    share = rate * aim["bytes"] / bytes_a_second[cores]
    verdicts = {
        f"{TARGET_RATE / 1e6:.0f} million cells per second": rate >= TARGET_RATE,
        f"{TARGET_NUMPY:.0f} times numpy": rate >= TARGET_NUMPY * aim["numpy"],
        f"an audit under {TARGET_AUDIT:.0%}": aim["audit"][cores] < TARGET_AUDIT,
        f"{TARGET_BANDWIDTH:.0%} of the bandwidth": share >= TARGET_BANDWIDTH,
    }
    lines = [
        head,
        *table(COLUMNS, rows),
        "",
        f"Targets for heat2d on 1024x1024 cells and {cores} cores: "
        + "; ".join(f"{what}: {'met' if met else 'missed'}" for what, met in verdicts.items())
        + ".",
        f"heat1d on {small['mesh']} cells does {small['rate'][1] / small['cells']:,.0f} PDE steps per second.",
        "",
        "Made by `python -m benchmarks.fast_kernel`.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
