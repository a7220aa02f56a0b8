"""Cost of arithmetic, audit and trace on top of Lava's messages and synchronisation.

Runs a linear graph on the `cpu` backend in turns with the same network, the same ports and the same messages, whose
models compute nothing, and compares the median times. Usage::

    python -m benchmarks.parts.lava_overhead --artifact FILE.pisnn [--steps 500] [--rounds 5] [--output FILE.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from unittest import mock

from benchmarks.common import cores, load
from pisnn_deploy.graph.artifact import read_sealed_artifact
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import RunOptions

STEPS_PER_SECOND = 300.0
RATIO = 1.3
IDLE_COMMAND = [sys.executable, str(Path(__file__).with_name("idle_worker.py"))]


def measure(graph: IntegerGraph, steps: int, rounds: int) -> dict[str, object]:
    """Time both networks in turns.

    Parameters
    ----------
    graph : IntegerGraph
        Without hidden layers.
    steps : int
        PDE steps of one run.
    rounds : int
        Runs of each network.

    Returns
    -------
    dict
        Seconds of every run, medians, PDE steps per second, and the ratio of the medians.
    """
    real, idle = [], []
    options = RunOptions(steps)
    for _ in range(rounds):
        run = cpu.run(graph, graph.initial, options)
        if not run.conserved:
            raise SystemExit(f"the run was not conserved: {run.failure}")
        real.append(run.wall_seconds)
        with mock.patch.object(cpu, "worker_command", lambda: IDLE_COMMAND):
            idle.append(cpu.run(graph, graph.initial, options).wall_seconds)
    median_real, median_idle = statistics.median(real), statistics.median(idle)
    return {
        "cells": graph.mesh.cells,
        "steps": steps,
        "time_steps": steps * int(graph.period or 0) + 1,
        "cores": cores(),
        "load_average": load(),
        "seconds": real,
        "seconds_without_arithmetic": idle,
        "steps_per_second": steps / median_real,
        "steps_per_second_without_arithmetic": steps / median_idle,
        "ratio": median_real / median_idle,
        "goal": {"steps_per_second": STEPS_PER_SECOND, "ratio": RATIO},
    }


def table(result: dict[str, object]) -> str:
    """Format the result as a table."""
    lines = [f"{'N = ' + str(result['cells']):28} {'steps/s':>9}"]
    for title, key in (
        ("Lava, full", "steps_per_second"),
        ("Lava, no arithmetic", "steps_per_second_without_arithmetic"),
    ):
        lines.append(f"{title:28} {result[key]:9.0f}")
    lines.append(f"{'ratio of times':28} {result['ratio']:9.2f}   (goal: at most {RATIO})")
    return "\n".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--artifact", type=Path, required=True, help="a linear graph, written by pisnn-deploy compile")
    parser.add_argument("--steps", type=int, default=500, help="PDE steps of one run")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each network")
    parser.add_argument("--output", type=Path, help="also write the JSON to this file")
    arguments = parser.parse_args()
    graph = read_sealed_artifact(arguments.artifact).graph
    if graph.between_fields:
        parser.error(f"{arguments.artifact}: a graph without hidden layers is needed")
    result = measure(graph, arguments.steps, arguments.rounds)
    text = json.dumps(result, indent=2)
    print(text)
    print(table(result), file=sys.stderr)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
