"""Trained beside constructed fluxes of laws of the zoo: writes ``docs/results/trained_laws.md``.

Run it from the root of a checkout: ``python -m benchmarks.trained_laws [NAME ...]``. With names, only these laws are
measured, and the page is printed and not written. Checkpoints and the processor time of their trainings are kept in
``build/results``; a law whose checkpoint is there is not trained again. Integers run on `fast`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import BUILD, PAGES, ROOT, fill, line, publish, table, times
from pisnn_deploy.compiler import CompileOptions, compile_law
from pisnn_deploy.compiler.options import GraphOptions
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.laws.flux_network import TrainedFluxes
from pisnn_deploy.laws.problem import compare, solution
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.project.starting import initial_mass
from pisnn_deploy.project.training import train_to_file
from pisnn_deploy.project.zoo import recipe_path
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_law_checkpoint
from pisnn_deploy.training.checkpoint_file import read_content
from pisnn_deploy.training.laws.assessment import HELD_OUT_STARTS
from pisnn_deploy.training.laws.courses import HELD_OUT_STREAM, Course, course
from pisnn_deploy.training.laws.setting import Setting
from pisnn_deploy.training.laws.training import prepared

Floats = NDArray[np.float64]

PAGE = PAGES / "trained_laws.md"
GOALS = {"lwr": 3, "wave1d": 10, "shallow_water1d": 10, "burgers2d": 15}
"""Laws, and minutes that their training may take."""
PROFILE = "loihi2"

HEAD = """# Trained laws

Fluxes of laws of the zoo, trained by `pisnn-deploy train` with default options, beside those constructed from the law.
Both are integers that run on the same mesh to the same time, with time steps of their own. Errors on the recipe's start
are sums of absolute differences to its reference, relative to that of the reference. Held-out starts are {starts}
random ones that no training sees, on the periodic box of the training, compared with WENO5 on a grid four times finer;
their error is the L2 error of all fields relative to the variation of the starts, each field in units of its range.

Neurons, operations and connections are those of the graph, events are payloads other than 0, all for each cell;
operations and events in a PDE step. The third row is a constructed law of equal size: on a mesh so much finer that a
run takes as many operations as that of the trained law. Training times are processor time of one core.

"""
COLUMNS = (
    "method",
    "error on the recipe's start",
    "held-out error",
    "PDE steps",
    "neurons",
    "operations",
    "connections",
    "events",
    "drift",
)


@dataclass(frozen=True)
class Size:
    """What a graph has for each cell of its mesh.

    Attributes
    ----------
    operations : float
        Of all neurons in a PDE step.
    """

    neurons: float
    operations: float
    connections: float

    @staticmethod
    def of(graph: IntegerGraph) -> Size:
        """Size of a graph."""
        cells = graph.mesh.cells
        sizes = [(graph.size(each.name), len(each.program.operations)) for each in graph.populations]
        return Size(
            sum(size for size, _ in sizes) / cells,
            sum(size * operations for size, operations in sizes) / cells,
            sum(synapse.entries for synapse in graph.synapses) / cells,
        )


def main() -> None:
    """Measure laws and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(GOALS)} (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="print the page and write nothing")
    arguments = parser.parse_args()
    is_dry = arguments.dry_run or bool(arguments.names)
    sections = []
    for name in arguments.names or GOALS:
        lines, card = section(name)
        sections.append("\n".join(lines))
        if not is_dry:
            fill(ROOT / "models" / name / "card.md", "method", card)
    publish(PAGE, HEAD.format(starts=HELD_OUT_STARTS) + "\n".join(sections), dry_run=is_dry)


def trained(name: str) -> tuple[Path, float]:
    """Checkpoint of a law, and the seconds of processor time that its training took."""
    path, notes = BUILD / f"{name}.safetensors", BUILD / f"{name}.training.json"
    if not (path.exists() and notes.exists()):
        BUILD.mkdir(parents=True, exist_ok=True)
        begun = time.process_time()
        train_to_file(name, path).require_accepted()
        notes.write_text(json.dumps({"processor_seconds": time.process_time() - begun}), encoding="utf-8")
    return path, float(json.loads(notes.read_text(encoding="utf-8"))["processor_seconds"])


def section(name: str) -> tuple[list[str], str]:
    """Lines of the page about one law, and what its card says of both methods."""
    path, seconds = trained(name)
    law = read_law_checkpoint(path)
    content, _ = read_content(path)
    with recipe_path(name) as recipe:
        spec = read_law(recipe)
    setting = prepared(spec).setting
    courses = [course(setting, HELD_OUT_STREAM, number) for number in range(HELD_OUT_STARTS)]
    learned = measured(law.spec, spec.mesh, law.fluxes)
    made = measured(spec, spec.mesh)
    finer = (learned.work / made.work) ** (1 / (spec.dimensions + 1))
    mesh = tuple(round(finer * cells) for cells in spec.mesh)
    rows = [
        learned.row("trained", held_out(law.spec, law.fluxes, setting, courses)),
        made.row("constructed", held_out(spec, None, setting, courses)),
        measured(spec, mesh).row(f"constructed, {times(mesh)} cells", "-"),
    ]
    summary: dict[str, Any] = content["training"]
    text = (
        f"{times(spec.mesh)} cells. Trained in {seconds / 60:.1f} minutes of processor time (at most {GOALS[name]}): "
        f"{summary['hidden']} hidden units, window of {len(law.fluxes.networks[0].offsets)} cells, rollouts of "
        f"{setting.horizon} PDE steps. In float64 with the trained time step, held-out errors are "
        f"{summary['first_order_error']:.2e} by Godunov's scheme, {summary['second_order_error']:.2e} by MUSCL-Hancock "
        f"and {summary['held_out_error']:.2e} by the trained network. Fluxes of constant states are off by "
        f"{summary['flux_deviation']:.1e} of the range in a PDE step at most."
    )
    card = (
        f"The fluxes are constructed: {made.errors} in {made.size.operations:.0f} operations per cell and PDE step. "
        f"Trained ones: {learned.errors} in {learned.size.operations:.0f}; see docs/results/trained_laws.md."
    )
    return [f"## {name}", "", *wrap(text, 120, break_on_hyphens=False), "", *table(COLUMNS, rows), ""], "\n".join(
        wrap(card, 124, break_on_hyphens=False)
    )


@dataclass(frozen=True)
class Measured:
    """Integers at the end of their run from the recipe's start.

    Attributes
    ----------
    errors : str
        Relative L1 error of each field.
    events : float
        For each cell and PDE step.
    """

    errors: str
    steps: int
    size: Size
    events: float
    drift: int
    cells: int

    @property
    def work(self) -> float:
        """Operations of the whole run."""
        return self.size.operations * self.cells * self.steps

    def row(self, label: str, error: str) -> str:
        """Row of the table, with the error on held-out starts."""
        figures = (self.size.neurons, self.size.operations, self.size.connections, self.events)
        return line(label, self.errors, error, self.steps, *(f"{figure:.0f}" for figure in figures), self.drift)


def measured(spec: LawSpec, mesh: tuple[int, ...], fluxes: TrainedFluxes | None = None) -> Measured:
    """Run a law from its own start to its final time."""
    graph = _compiled(spec, mesh, fluxes)
    steps = round(spec.time / graph.time_step)
    run = run_graph("fast", graph, graph.initial, RunOptions(steps, every=steps))
    assert run.conserved, run.failure
    truth = solution(spec, mesh, steps * graph.time_step)
    assert truth is not None
    parts = compare(_fields(graph, run), truth.fields)
    errors = ", ".join(f"{field} {part.l1:.2e}" for field, part in parts.items())
    events = sum(run.events.values()) / graph.mesh.cells / steps
    return Measured(errors, steps, Size.of(graph), events, run.verdict.drift, graph.mesh.cells)


def _compiled(spec: LawSpec, shape: tuple[int, ...], fluxes: TrainedFluxes | None) -> IntegerGraph:
    options = CompileOptions(None, load_profile(PROFILE), GraphOptions(placement="none"))
    return compile_law(spec, shape, options, fluxes=fluxes)


def _fields(graph: IntegerGraph, run: Run) -> Mapping[str, Floats]:
    """Cell averages of each field at the end of a run."""
    masses, shape = run.trace.mass[-1], graph.mesh.shape
    return {part.name: part.field.values(masses[part.cells]).reshape(shape) for part in columns_of(graph).fields}


def held_out(spec: LawSpec, fluxes: TrainedFluxes | None, setting: Setting, courses: list[Course]) -> str:
    """Error of integers on held-out starts, at the time of the trained steps or just before it."""
    box = {"lengths": list(setting.grid.lengths), "boundary": "periodic"}
    middle = {name: float(sum(limits) / 2) for name, limits in spec.range.items()}
    plain = spec.model_dump(mode="json", by_alias=True)
    changed = {**plain, "domain": box, "mesh": list(setting.grid.shape), "initial": middle, "reference": None}
    graph = _compiled(LawSpec.model_validate(changed), setting.grid.shape, fluxes)
    wide, whole, scales = np.diff(setting.ranges, axis=1)[:, 0], 0.0, setting.scales[:, None]
    variation = 0.0
    for each in courses:
        start, names = each.states[0] * scales, setting.law.fields
        shaped = {name: values.reshape(setting.grid.shape) for name, values in zip(names, start, strict=True)}
        mass, _ = initial_mass(graph, shaped if len(names) > 1 else shaped[names[0]])
        steps = int(setting.horizon * setting.time_step / graph.time_step * (1 + 1e-9))
        run = run_graph("fast", graph, mass, RunOptions(steps, every=steps))
        if not run.conserved:
            return f"stops: {run.failure}"
        at_end = _between(each, steps * graph.time_step / setting.time_step) * scales
        values = np.stack([_fields(graph, run)[name].reshape(-1) for name in names])
        whole += float(np.square((values - at_end) / wide[:, None]).sum())
        variation += float(np.square((start - start.mean(axis=1, keepdims=True)) / wide[:, None]).sum())
    return f"{(whole / variation) ** 0.5:.2e}"


def _between(each: Course, step: float) -> Floats:
    """Exact averages at a time that need not be a whole number of trained steps, by cubic interpolation."""
    nearest = round(step)
    if abs(step - nearest) < 1e-9:
        return np.asarray(each.states[nearest], np.float64)
    first = min(max(int(step) - 1, 0), len(each.states) - 4)
    nodes = np.arange(first, first + 4)
    weights = [np.prod([(step - other) / (node - other) for other in nodes if other != node]) for node in nodes]
    return np.asarray(sum(weight * each.states[node] for weight, node in zip(weights, nodes, strict=True)))


if __name__ == "__main__":
    main()
