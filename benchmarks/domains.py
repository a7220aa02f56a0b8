"""One field on several MPI ranks: writes docs/results/domains.md.

Usage: python -m benchmarks.domains
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import COMMAND, PAGES, command, cores, line, load, medians_in_turns, page_parser, publish, table
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.runs.domains.boxes import blocks_of, reach
from pisnn_deploy.runs.domains.partition import divided

PAGE = PAGES / "domains.md"
MPIRUN = str(Path(sys.executable).with_name("mpirun"))
ROUNDS, STEPS = 3, 200
HALF, WHOLE = "1448x1448", "2048x2048"
"""Meshes; the first has half as many cells."""
SHAPE = (8192, 8192)
"""Mesh of the projection."""
LATENCY, BANDWIDTH = 2e-6, 25e9
"""Seconds and bytes per second of the network of the projection."""
BYTES = 8
"""Of a cell or face of a halo: a mass and a residue of 32 bits, about."""


def seconds(folder: Path, mesh: str, ranks: int, threads: int) -> float:
    """Seconds of the steps of a run; without a launcher for one rank."""
    launched = [MPIRUN, "-n", str(ranks)] if ranks > 1 else []
    words = ("simulate", f"{mesh}.pisnn", "--backend", "fast", "--steps", str(STEPS), "--every", str(STEPS), "--json")
    done = subprocess.run(
        [*launched, *COMMAND, *words, "-q"],
        cwd=folder,
        env=os.environ | {"PISNN_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    run = json.loads(done.stdout)
    if run["verdict"] != "conserved":
        raise SystemExit(f"{mesh} on {ranks} ranks: {run['verdict']}")
    return float(run["wall_seconds"])


def message_times() -> dict[int, float]:
    """Seconds of a message from one rank to another, by its bytes."""
    words = [MPIRUN, "-n", "2", sys.executable, "-m", "benchmarks.parts.messages"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {int(size): float(each) for size, each in json.loads(done.stdout).items()}


def fitted(times: dict[int, float]) -> tuple[float, float]:
    """Latency in seconds and bandwidth in bytes per second, by least squares of relative errors."""
    sizes, measured = np.array([*times]), np.array([*times.values()])
    rows = np.stack([np.ones(sizes.size), sizes], axis=1) / measured[:, None]
    (latency, per_byte), *_ = np.linalg.lstsq(rows, np.ones(sizes.size), rcond=None)
    return float(latency), 1 / float(per_byte)


def projected(graph: IntegerGraph, alone_per_cell: float, per_cell: float, ranks: int) -> tuple[float, float]:
    """Speed-up over one process, and the part of the time that messages take."""
    extents = [extent // n for extent, n in zip(SHAPE, blocks_of(SHAPE, ranks), strict=True)]
    alone = alone_per_cell * math.prod(SHAPE)
    best = (0.0, 0.0)
    for rounds in range(1, 33):
        halo = reach(graph) * rounds
        cells = math.prod(extent + 2 * halo for extent in extents)
        copied = cells - math.prod(extents)
        # Eight neighbours, after each `rounds` PDE steps.
        messages = (8 * LATENCY + copied * BYTES * 3 / BANDWIDTH) / rounds
        step = per_cell * cells + messages
        best = max(best, (alone / step, messages / step))
    return best


def shown(speed_up: float, mesh: str) -> str:
    """Speed-up of a run on the whole mesh."""
    return f"{speed_up:.2f}" if mesh == WHOLE else ""


def main() -> None:
    """Measure and write the page."""
    arguments = page_parser(__doc__).parse_args()
    graph = compile_requested(compile_request("heat2d", mesh="64x64", placement="none"))[0]
    cases = {
        "1 process, 1 thread": (WHOLE, 1, 1),
        "1 process, 2 threads": (WHOLE, 1, 2),
        "2 ranks, 1 thread each": (WHOLE, 2, 1),
        "half the cells, 1 process, 1 thread": (HALF, 1, 1),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for mesh in (HALF, WHOLE):
            command(
                "compile", "heat2d", "--mesh", mesh, "--placement", "none", "-q", "-o", str(folder / f"{mesh}.pisnn")
            )
        for mesh, ranks, threads in cases.values():
            seconds(folder, mesh, ranks, threads)  # builds the kernels
        measures = {case: partial(seconds, folder, *each) for case, each in cases.items()}
        times = medians_in_turns(measures, ROUNDS)
    alone, on_threads, on_ranks, half = times.values()
    messages = message_times()
    latency, bandwidth = fitted(messages)
    alone_per_cell, per_cell = (each / (STEPS * 2048**2) for each in (alone, 2 * on_ranks))
    rows = [
        line(case, f"{took:.2f} s", f"{alone / took:.2f}" if cases[case][0] == WHOLE else "")
        for case, took in times.items()
    ]
    far = [
        line(count, f"{speed_up:.0f}", f"{speed_up / count:.0%}", f"{share:.0%}")
        for count in (2, 64, 1024, 4096)
        for speed_up, share in (projected(graph, alone_per_cell, per_cell, count),)
    ]
    text = PAGE_TEXT.format(
        steps=STEPS,
        rounds=ROUNDS,
        cores=cores(),
        load=load(),
        exchange=divided(graph, 2).rounds,
        rows="\n".join(table(("2048 x 2048 cells", "median", "speed-up"), rows)),
        strong=alone / on_ranks,
        met="reached" if alone / on_ranks >= 1.6 else "missed",
        weak=half / on_ranks,
        threads=half / on_threads,
        share=on_threads / on_ranks,
        met_weak="reached" if on_threads / on_ranks >= 0.8 else "missed",
        messages="\n".join(
            table(("bytes", "one way"), [line(f"{size:,}", f"{1e6 * each:.1f} us") for size, each in messages.items()])
        ),
        latency=1e6 * latency,
        bandwidth=bandwidth / 1e9,
        rate=1e-6 / per_cell,
        network_latency=1e6 * LATENCY,
        network=BANDWIDTH / 1e9,
        far="\n".join(table(("ranks", "speed-up", "efficiency", "time of messages"), far)),
    )
    publish(PAGE, text, dry_run=arguments.dry_run)


PAGE_TEXT = """# Domains on MPI ranks

`python -m benchmarks.domains` writes this page. heat2d, {steps} PDE steps with the audit of each, medians of {rounds}
rounds in turns on {cores} cores, load average {load:.1f} at the end. All runs of a mesh give the same bytes
(`tests/runs/domains`).

## Measured
{rows}

* Strong scaling: 2 ranks are {strong:.2f} times as fast as one process on one thread (goal 1.6: {met}).
  One process runs four PDE steps in a sweep over blocks in the cache; ranks run one after another, which needs more
  of the memory's bandwidth, and two share it.
* Weak scaling: with twice the cells on twice the cores, efficiency {weak:.0%} for ranks and {threads:.0%} for threads;
  ranks reach {share:.0%} of what threads do (goal 80 %: {met_weak}).

Messages between two ranks on this machine:

{messages}

Fitted: {latency:.1f} us and {bandwidth:.1f} GB/s.

## Projected, not measured
8192 x 8192 cells, a core for each rank. The time of a PDE step is that of the cells of a domain with its halo
({rate:.0f} million cells per second of a rank here, two beside each other) and of messages to eight neighbours after
as many PDE steps as are best, over a network with {network_latency:.0f} us and {network:.0f} GB/s for each rank, which
are round figures for HPE Slingshot 11 (200 Gb/s). It leaves out contention, and the memory bandwidth that more cores of
a node would share.

{far}
"""

if __name__ == "__main__":
    main()
