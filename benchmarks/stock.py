"""Cost and accuracy of Lava's own processes compared with C-LIF: writes ``docs/results/stock.md``.

Run it from the root of a checkout with ``python -m benchmarks.stock``. Models of the zoo are compiled both ways; errors
come from runs to the problem's horizon on the reference, speeds from runs on Lava.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.common import PAGES, line, page_parser, publish, table, times
from benchmarks.parts.zoo import compiled, drift, error, horizon_steps, zoo_model
from pisnn_deploy.compiler.options import GraphKeywords, ProcessKind
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import RunOptions, fast

PAGE = PAGES / "stock.md"
CASES: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("heat1d", (128,), "periodic"),
    ("heat1d", (128,), "no-flux"),
    ("heat2d", (64, 64), "periodic"),
    ("advection_diffusion1d", (256,), "periodic"),
)
KINDS: tuple[ProcessKind, ...] = ("c-lif", "stock")
STOCK: GraphKeywords = {"processes": "stock", "placement": "none"}
PARTS = (1, 2, 3, 4, 6)
THRESHOLDS = (1, 16, 64, 256, 1024, 4096)
TIMED_STEPS = 200
TIMES = 5
LONG_STEPS = 20_000
COMPARED_COLUMNS = (
    *("model", "cells", "boundary", "processes", "neurons", "synapses", "PDE steps", "time steps", "error", "drift"),
    *("events", "PDE steps/s on Lava", "time/s on Lava"),
)
THRESHOLD_COLUMNS = (
    *("threshold", "in values", "error", "packets", f"in {LONG_STEPS} PDE steps", "in the last 1000", "drift"),
)

BEFORE = f"""# Lava's own processes compared with C-LIF

`compile --processes stock` compared with the default graph, both for loihi2
([how it works](../explanation/stock.md)). Errors are relative L2 errors at the problem's horizon;
drift is the change of the sum of all masses. Events are spikes up to the horizon.
Speeds are those of {TIMED_STEPS} audited PDE steps on Lava's CPU simulator, the best of {TIMES} runs on two cores
that were busy with other work, so they are rough. A stock step covers about a third of the time of a C-LIF step.

"""
PARTS_TEXT = """
## A third of the flux

If fluxes are one step old, `z^2 - z + s = 0`. A step of a third of the trained one matches the equation to second
order. heat1d on 128 periodic cells, with its weights divided by several numbers:

"""
ROUNDING_TEXT = """
## Rounding

A `Sparse` floors the shifted sum. A neuron that always sends half a unit turns this into rounding to nearest. heat1d on
128 cells; the last column is the largest difference, in quanta, between a field and the mirrored field of the run from
the mirrored start:

"""
THRESHOLD_TEXT = """
## Sending less

With `--send-threshold`, a `SigmaDelta` keeps smaller packets in its residue. heat1d on 128 periodic cells. With a
threshold of 1, a settled field is silent, because drives below half a quantum are rounded away; with larger thresholds,
faces keep exchanging what accumulates in them:

"""
AFTER = """
Made by `python -m benchmarks.stock`.
"""


def compared() -> list[str]:
    """Table of both kinds of graphs."""
    rows = []
    for name, shape, boundary in CASES:
        for kind in KINDS:
            graph = compiled(name, shape, boundary, processes=kind, placement="none")
            steps = horizon_steps(graph)
            run = fast.run(graph, graph.initial, RunOptions(steps, every=steps))
            options = RunOptions(TIMED_STEPS, every=TIMED_STEPS)
            timed = [cpu.run(graph, graph.initial, options) for _ in range(TIMES)]
            assert run.conserved and all(timed_run.conserved and drift(timed_run) == 0 for timed_run in timed)
            speed = TIMED_STEPS / min(timed_run.wall_seconds for timed_run in timed)
            # A stock graph includes the rounding neuron and its synapses.
            neurons, synapses = graph.neurons, sum(synapse.entries for synapse in graph.synapses)
            if kind == "stock":
                neurons, synapses = neurons + 1, synapses + graph.mesh.faces
            events = sum(run.events.values()) + (run.steps + 1 if kind == "stock" else 0)
            counts = (neurons, synapses, steps, run.time_steps)
            distance = f"{error(graph, run.trace.mass[-1], steps):.1e}"
            speeds = (f"{speed:.0f}", f"{speed * graph.time_step:.2f}")
            rows.append(line(name, times(shape), boundary, kind, *counts, distance, drift(run), events, *speeds))
            sys.stderr.write(f"{rows[-1]}\n")
    return table(COMPARED_COLUMNS, rows)


def parts() -> list[str]:
    """Table of steps of different fractions of the trained one."""
    model, rows = zoo_model("heat1d"), []
    for part in PARTS:
        scaled = replace(model, weights=tuple(weight * (3 / part) for weight in model.weights))
        graph = compiled(scaled, (128,), "periodic", **STOCK)
        steps, symbol_error = horizon_steps(graph), graph.quantisation.symbol_error_chosen
        off = "unstable, or no wave decays like the equation" if symbol_error is None else f"{symbol_error:.1e}"
        mass = Semantics(replace(graph, bounds=())).masses_after(graph.initial, steps)
        rows.append(line(part, steps, off, f"{error(graph, mass, steps):.1e}"))
    return table(("divided by", "PDE steps", "error of the decay rate", "error"), rows)


def floored_masses(graph: IntegerGraph, mass: Integers, steps: int) -> Integers:
    """Masses after some PDE steps without the rounding neuron: shifted sums are floored."""
    weights, route, shift = graph.matrix(MEMBRANE, FLUX), graph.matrix(FLUX, MEMBRANE), known_face(graph).exponent
    current = (weights @ mass) >> shift
    for _ in range(steps):
        current, packets = (weights @ mass) >> shift, current  # every packet is sent whole
        mass = mass + route @ packets
    return mass


def roundings() -> list[str]:
    """Table of roundings."""
    rows = []
    for boundary in ("periodic", "no-flux"):
        graph = compiled("heat1d", (128,), boundary, **STOCK)
        steps, start = horizon_steps(graph), graph.initial
        ways: dict[str, Callable[[Integers, int], Integers]] = {
            "floor": partial(floored_masses, graph),
            "to nearest": Semantics(graph).masses_after,
        }
        for name, masses_after in ways.items():
            mass, mirrored = (masses_after(field, steps) for field in (start, start[::-1].copy()))
            distance, off = f"{error(graph, mass, steps):.1e}", np.abs(mass - mirrored[::-1]).max()
            rows.append(line(boundary, name, distance, off))
    return table(("boundary", "rounding", "error", "asymmetry"), rows)


def thresholds() -> list[str]:
    """Table of send thresholds."""
    rows = []
    for threshold in THRESHOLDS:
        graph = compiled("heat1d", (128,), "periodic", **STOCK, send_threshold=threshold)
        steps, start = horizon_steps(graph), graph.initial
        run = fast.run(graph, start, RunOptions(steps, every=steps))
        most = fast.run(graph, start, RunOptions(LONG_STEPS, every=LONG_STEPS, until=LONG_STEPS - 1000))
        last = fast.run(graph, start, RunOptions(LONG_STEPS, every=LONG_STEPS, start=most.end))
        distance, value = error(graph, run.trace.mass[-1], steps), threshold * graph.value_per_quantum
        total = sum(last.trace.mass[-1].tolist()) - sum(start.tolist())
        sent = (run.packets_sent, last.packets_sent, last.packets_sent - most.packets_sent)
        rows.append(line(threshold, f"{value:.1e}", f"{distance:.1e}", *sent, total))
    return table(THRESHOLD_COLUMNS, rows)


def page() -> str:
    """Format the page."""
    tables: Sequence[tuple[str, list[str]]] = (
        (BEFORE, compared()),
        (PARTS_TEXT, parts()),
        (ROUNDING_TEXT, roundings()),
        (THRESHOLD_TEXT, thresholds()),
    )
    return "".join(text + "\n".join(lines) + "\n" for text, lines in tables) + AFTER


def main() -> None:
    """Write the page."""
    arguments = page_parser(__doc__).parse_args()
    publish(PAGE, page(), dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
