"""Scaling of a run divided into domains on a local Dask cluster: writes docs/results/domains.md.

Each worker has one thread, so that one worker and two can be compared. Usage: python -m benchmarks.domains
"""

from __future__ import annotations

import json
import os
import statistics
import sys

os.environ["PISNN_THREADS"] = "1"

from benchmarks.common import PAGES, line, page_parser, publish, table
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.cluster import cluster
from pisnn_deploy.runs.domains.run import LARGEST_HALO, MOST_ROUNDS, dask_workers, divided, divided_run, rounds_of
from pisnn_deploy.runs.run import Run

PAGE = PAGES / "domains.md"
ROUNDS = 3
STEPS = 480


def compiled(mesh: str) -> IntegerGraph:
    """Compile heat2d on a mesh, without placement."""
    return compile_requested(compile_request("heat2d", mesh=mesh, placement="none"))[0]


def seconds(graph: IntegerGraph, parts: int) -> float:
    """Median time of a run with one worker per domain; 1 is the undivided run."""
    options = RunOptions(STEPS, every=STEPS)
    times = []
    for _ in range(ROUNDS):
        if parts == 1:
            run: Run = fast.run(graph, graph.initial, options)
        else:
            domains, rounds, halo = divided(graph, parts)
            with cluster(workers=parts) as client, dask_workers(client, domains, STEPS, halo) as workers:
                divided_run(graph, domains, workers, rounds, RunOptions(rounds, every=rounds))  # compiles the kernels
                run = divided_run(graph, domains, workers, rounds, options)
        if not run.conserved:
            raise SystemExit(run.failure)
        times.append(run.wall_seconds)
    return statistics.median(times)


def main() -> None:
    """Measure and write the page."""
    arguments = page_parser(__doc__).parse_args()
    small, large = compiled("768x768"), compiled("1086x1086")
    fast.run(small, small.initial, RunOptions(1))  # compiles the kernels
    times = {"small_1": seconds(small, 1), "small_2": seconds(small, 2), "large_1": seconds(large, 1)}
    times["large_2"] = seconds(large, 2)
    strong = times["large_1"] / times["large_2"]
    weak = times["small_1"] / times["large_2"]
    # Smallest model with both costs: t = a * cells of a domain with its halos + b for each exchange.
    a = times["large_1"] / (large.mesh.cells * STEPS)
    rounds = rounds_of(large, 2)
    halo = large.model_spec.half_width * rounds
    with_halo = (large.grid.shape[0] / 2 + halo) * large.grid.shape[1]
    b = max(0.0, times["large_2"] - a * with_halo * STEPS) / (STEPS / rounds)
    rows = []
    for parts in (2, 4, 8, 16, 64):
        side = 8192
        each = rounds_of_rows(side // parts, large.model_spec.half_width)
        work = a * (side / parts + 2 * large.model_spec.half_width * each) * side * each
        exchange = b * (side / large.grid.shape[1])
        total = work + exchange
        rows.append(line(parts, f"{a * side * side * each / total:.1f}", f"{exchange / total:.0%}"))
    text = PAGE_TEXT.format(
        steps=STEPS,
        strong=strong,
        weak=weak,
        rate=1e-6 / a,
        exchange=1e3 * b,
        rounds=rounds,
        rows="\n".join(table(("workers", "speed-up", "time spent on exchange"), rows)),
        **times,
    )
    sys.stderr.write(json.dumps(times | {"strong": strong, "weak": weak}, indent=2) + "\n")
    publish(PAGE, text, dry_run=arguments.dry_run)


def rounds_of_rows(rows: int, reach: int) -> int:
    """PDE steps between exchanges, as `pisnn_deploy.runs.domains.run.rounds_of` chooses them."""
    return int(min(MOST_ROUNDS, max(1, LARGEST_HALO * rows / 2 // reach)))


PAGE_TEXT = """# Domains on a Dask cluster

`python -m benchmarks.domains` writes this page. heat2d, {steps} PDE steps, medians of three runs, one thread per
worker, both workers on one machine with two cores; domains exchange halos every {rounds} PDE steps. The integers equal
those of the undivided run (`tests/runs/domains`).

| cells | undivided, 1 thread | 2 domains, 2 workers |
| --- | --- | --- |
| 768 x 768 | {small_1:.2f} s | {small_2:.2f} s |
| 1086 x 1086 | {large_1:.2f} s | {large_2:.2f} s |

* strong scaling (1086 x 1086): speed-up {strong:.2f} with 2 workers
* weak scaling (590,000 cells per worker): efficiency {weak:.0%}

## More workers: an estimate
A model, not a measurement. The time of a PDE step is proportional to a domain's cells, halos included ({rate:.0f}
million cells per second on one thread here). The time of an exchange is proportional to the columns ({exchange:.1f} ms
measured here for 1086 columns, all strips through one client on one machine) and independent of the number of domains.
A network, and a client that serves many workers, will be slower. For 8192 x 8192 cells:

{rows}
"""

if __name__ == "__main__":
    main()
