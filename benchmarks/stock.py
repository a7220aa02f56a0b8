"""What a graph of Lava's own processes costs and gives beside C-LIF: writes ``docs/results/stock.md``.

Run it from the root of a checkout with ``python -m benchmarks.stock``. Models of the zoo are compiled both ways; errors
come from runs to the problem's horizon on the reference, speeds from runs on Lava.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
from pisnn_deploy.compiler.options import ProcessKind
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project.zoo import model_path
from pisnn_deploy.runs import Run, RunOptions, fast
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

PAGE = Path(__file__).parents[1] / "docs" / "results" / "stock.md"
CASES: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("heat1d", (128,), "periodic"),
    ("heat1d", (128,), "no-flux"),
    ("heat2d", (64, 64), "periodic"),
    ("advection_diffusion1d", (256,), "periodic"),
)
KINDS: tuple[ProcessKind, ...] = ("c-lif", "stock")
PARTS = (1, 2, 3, 4, 6)
THRESHOLDS = (1, 16, 64, 256, 1024, 4096)
TIMED_STEPS = 200
TIMES = 5
LONG_STEPS = 20_000

BEFORE = f"""# Lava's own processes beside C-LIF

`compile --processes stock` against the usual graph, both for loihi2
([how it works](../explanation/stock.md)). Errors are relative L2 errors at the problem's horizon;
drift is what the sum of all masses has changed by. Events are spikes up to the horizon.
Speeds are of {TIMED_STEPS} PDE steps on Lava's CPU simulator with the audit inside, the best of {TIMES} runs
on two cores that were busy with other work: they are rough. A stock step lasts about a third as long as the other.

"""
PARTS_TEXT = """
## A third of the flux

Where fluxes are one step old, `z^2 - z + s = 0`. A step that lasts a third of the one that a network was trained for
matches the equation to second order. heat1d on 128 periodic cells, with its weights divided by several numbers:

"""
ROUNDING_TEXT = """
## Rounding

A `Sparse` floors the sum that it shifts. A neuron that always sends half a unit turns that into rounding to nearest.
heat1d on 128 cells; the last column is the largest difference between a field and the mirror image of the run from the
mirrored start, in quanta:

"""
THRESHOLD_TEXT = """
## Sending less

With `--send-threshold` a `SigmaDelta` keeps what is smaller in its residue. heat1d on 128 periodic cells. With a
threshold of 1 a settled field is silent, because drives of less than half a quantum are rounded away; with larger ones
faces go on exchanging what has added up in them:

"""
AFTER = """
Made by `python -m benchmarks.stock`.
"""


def compiled(
    model: Model, shape: tuple[int, ...], boundary: str, kind: ProcessKind, send_threshold: int | None = None
) -> IntegerGraph:
    """A model compiled for loihi2."""
    sides = parse_boundary(boundary, len(shape))
    options = CompileOptions(
        Lower(shape, sides),
        load_profile("loihi2"),
        GraphOptions(processes=kind, send_threshold=send_threshold, placement="none"),
    )
    return compile_model(model, options)


def read(name: str) -> Model:
    """A model of the zoo."""
    with model_path(name) as path:
        return read_checkpoint(path)


def horizon(graph: IntegerGraph) -> int:
    """PDE steps to the problem's horizon."""
    return round(problem(graph.spec.problem, graph.spec.diffusivity, graph.spec.velocity).horizon / graph.time_step)


def error(graph: IntegerGraph, mass: Integers, steps: int) -> float:
    """Relative L2 error against the problem's reference."""
    own = problem(graph.spec.problem, graph.spec.diffusivity, graph.spec.velocity)
    exact = own.reference(graph.grid, graph.reservoir_values(), steps * graph.time_step)
    assert exact is not None
    return float(np.linalg.norm(graph.values(mass) - exact) / np.linalg.norm(exact))


def drift(run: Run) -> int:
    """Change of the sum of all masses."""
    first, *_, last = run.trace.totals()
    return last - first


def compared() -> list[str]:
    """Lines of the table of both kinds."""
    lines = [
        "| model | cells | boundary | processes | neurons | synapses | PDE steps | time steps | error | drift | events "
        "| PDE steps/s on Lava | time/s on Lava |",
        "| --- |" + " --- |" * 12,
    ]
    for name, shape, boundary in CASES:
        for kind in KINDS:
            graph = compiled(read(name), shape, boundary, kind)
            steps, cells = horizon(graph), graph.mesh.cells
            run = fast.run(graph, graph.initial, RunOptions(steps, every=steps))
            options = RunOptions(TIMED_STEPS, every=TIMED_STEPS)
            timed = [cpu.run(graph, graph.initial, options) for _ in range(TIMES)]
            assert run.conserved and all(timed_run.conserved and drift(timed_run) == 0 for timed_run in timed)
            speed = TIMED_STEPS / min(timed_run.wall_seconds for timed_run in timed)
            # The neuron that rounds, and its synapses, are part of a stock graph.
            neurons, synapses = graph.neurons, sum(synapse.entries for synapse in graph.synapses)
            if kind == "stock":
                neurons, synapses = neurons + 1, synapses + graph.mesh.faces
            events = sum(run.events.values()) + (run.steps + 1 if kind == "stock" else 0)
            lines.append(
                f"| {name} | {'x'.join(map(str, shape))} | {boundary} | {kind} | {neurons} | {synapses} | {steps} | "
                f"{run.time_steps} | {error(graph, run.trace.mass[-1], steps):.1e} | {drift(run)} | {events} | "
                f"{speed:.0f} | {speed * graph.time_step:.2f} |"
            )
            print(lines[-1], f"({cells} cells)", file=sys.stderr)
    return lines


def parts() -> list[str]:
    """Lines of the table of steps that last different parts of the trained one."""
    model, lines = (
        read("heat1d"),
        ["| divided by | PDE steps | decay rate off by | error |", "| --- | --- | --- | --- |"],
    )
    for part in PARTS:
        scaled = replace(model, weights=tuple(weight * (3 / part) for weight in model.weights))
        graph = compiled(scaled, (128,), "periodic", "stock")
        steps, symbol_error = horizon(graph), graph.quantisation.symbol_error_chosen
        off = "unstable, or no wave decays like the equation" if symbol_error is None else f"{symbol_error:.1e}"
        mass = Semantics(replace(graph, bounds=())).masses_after(graph.initial, steps)
        lines.append(f"| {part} | {steps} | {off} | {error(graph, mass, steps):.1e} |")
    return lines


def floored_masses(graph: IntegerGraph, mass: Integers, steps: int) -> Integers:
    """Masses after some PDE steps without the neuron that rounds, so with the floor of the shifted sum."""
    weights, route, shift = graph.matrix(MEMBRANE, FLUX), graph.matrix(FLUX, MEMBRANE), known_face(graph).exponent
    current = (weights @ mass) >> shift
    for _ in range(steps):
        current, packets = (weights @ mass) >> shift, current  # every packet is sent whole
        mass = mass + route @ packets
    return mass


def roundings() -> list[str]:
    """Lines of the table of roundings."""
    lines = ["| boundary | rounding | error | not mirrored by |", "| --- | --- | --- | --- |"]
    for boundary in ("periodic", "no-flux"):
        graph = compiled(read("heat1d"), (128,), boundary, "stock")
        steps, start = horizon(graph), graph.initial
        ways: dict[str, Callable[[Integers, int], Integers]] = {
            "floor": partial(floored_masses, graph),
            "to nearest": Semantics(graph).masses_after,
        }
        for name, masses_after in ways.items():
            mass, mirrored = (masses_after(field, steps) for field in (start, start[::-1].copy()))
            lines.append(
                f"| {boundary} | {name} | {error(graph, mass, steps):.1e} | {np.abs(mass - mirrored[::-1]).max()} |"
            )
    return lines


def thresholds() -> list[str]:
    """Lines of the table of send thresholds."""
    lines = [
        f"| threshold | in values | error | packets | in {LONG_STEPS} PDE steps | in the last 1000 of them | drift |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for threshold in THRESHOLDS:
        graph = compiled(read("heat1d"), (128,), "periodic", "stock", threshold)
        steps, start = horizon(graph), graph.initial
        run = fast.run(graph, start, RunOptions(steps, every=steps))
        most = fast.run(graph, start, RunOptions(LONG_STEPS, every=LONG_STEPS, until=LONG_STEPS - 1000))
        last = fast.run(graph, start, RunOptions(LONG_STEPS, every=LONG_STEPS, start=most.end))
        distance, value = error(graph, run.trace.mass[-1], steps), threshold * graph.value_per_quantum
        total = sum(last.trace.mass[-1].tolist()) - sum(start.tolist())
        lines.append(
            f"| {threshold} | {value:.1e} | {distance:.1e} | {run.packets_sent} "
            f"| {last.packets_sent} | {last.packets_sent - most.packets_sent} | {total} |"
        )
    return lines


def page() -> str:
    """The whole page."""
    tables: Sequence[tuple[str, list[str]]] = (
        (BEFORE, compared()),
        (PARTS_TEXT, parts()),
        (ROUNDING_TEXT, roundings()),
        (THRESHOLD_TEXT, thresholds()),
    )
    return "".join(text + "\n".join(lines) + "\n" for text, lines in tables) + AFTER


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Compare stock processes with C-LIF.")
    parser.add_argument("--output", type=Path, default=PAGE)
    words = parser.parse_args()
    words.output.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
