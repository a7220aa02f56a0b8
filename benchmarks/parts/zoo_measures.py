"""Errors and drifts of the zoo's models and of their baselines, over time and on other meshes."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.baselines.setting import Field, Setting, mass_drift, setting
from benchmarks.common import BUILD
from benchmarks.parts.zoo import compiled, drift, horizon_steps, relative_l2, zoo_model
from pisnn_deploy.compiler.passes.lower import Lower
from pisnn_deploy.graph import FloatGraph, IntegerGraph
from pisnn_deploy.physics.model import Model
from pisnn_deploy.project.zoo import recipe_path
from pisnn_deploy.report.measures import Measures, measure_run
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.training.checkpoint import read_checkpoint, write_checkpoint
from pisnn_deploy.training.recipe import GaussNewtonOptions, read_recipe
from pisnn_deploy.training.trainer import train

BASELINES = BUILD / "baselines"
CACHE = BUILD / "float"
SERIES_ROWS = 160
LONG_ROWS = 200
VARIANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "heat1d": (
        ("64", "periodic"),
        ("128", "no-flux"),
        ("128", "dirichlet=0,1"),
        ("128", "x-=no-flux x+=dirichlet=1"),
        ("500", "periodic"),
    ),
    "heat2d": (
        ("32x32", "periodic"),
        ("64x64", "no-flux"),
        ("64x64", "x=dirichlet=1,1 y=no-flux"),
        ("128x128", "periodic"),
    ),
    "laplace2d": (("32x32", ""), ("128x128", "")),
    "advection_diffusion1d": (),
    "burgers1d": (),
}


@dataclass(frozen=True)
class Curve:
    """Error and drift of one method over time."""

    name: str
    time: Field
    relative_l2: Field
    drift: Field
    exact: bool = False

    def at(self, when: float) -> tuple[float, float]:
        """Error and drift at the nearest known time; NaN if none is within 2 %."""
        nearest = int(np.argmin(np.abs(self.time - when)))
        if abs(self.time[nearest] - when) > 0.02 * when:
            return math.nan, math.nan
        return float(self.relative_l2[nearest]), float(self.drift[nearest])


@dataclass(frozen=True)
class Results:
    """Measurements of one model."""

    graph: IntegerGraph
    model: Model
    short: Run
    measures: Measures
    far: Measures
    curves: tuple[Curve, ...]
    held_out: dict[str, float]
    lava: str
    variants: tuple[tuple[str, str, int, float, float, int], ...]


def float_model(name: str) -> Model:
    """Train a model of the zoo without rounding, or load it from the cache.

    Compensated rounding moves Burgers' weights onto their grid and leaves its biases free, so its network in float64 is
    the float model.
    """
    with recipe_path(name) as path:
        recipe = read_recipe(path)
    if isinstance(recipe.training, GaussNewtonOptions):
        return zoo_model(name)
    stored = CACHE / f"{name}.pt"
    if not stored.exists():
        stored.parent.mkdir(parents=True, exist_ok=True)
        options = recipe.training.model_copy(update={"quantised_from": 1.0})
        trained = train(recipe.model_copy(update={"training": options}), state_path=stored.with_suffix(".state"))
        write_checkpoint(stored, trained.model, trained.summary)
    return read_checkpoint(stored)


def float_curve(model: Model, case: Setting, rows: Sequence[float]) -> Curve:
    """Run a network in float64, with the time step of its float weights."""
    graph: FloatGraph = Lower(case.mesh.shape, case.problem.default_boundary(case.mesh.shape))(model)
    lasts = graph.time_step
    numbers = sorted({round(t / lasts) for t in rows})
    cells = graph.mesh.cells
    steps = enumerate(itertools.islice(graph.fields(), numbers[-1] + 1))
    rows_kept = [(step * lasts, values) for step, values in steps if step in numbers]
    start = rows_kept[0][1]
    drift = [mass_drift(field, start) for _, field in rows_kept]
    errors = [relative_l2(field[:cells], case.exact(t)) for t, field in rows_kept]
    return Curve("PISNN, float", np.array([t for t, _ in rows_kept]), np.array(errors), np.array(drift))


def baseline_curves(name: str) -> list[Curve]:
    """Read the curves measured by ``benchmarks.baselines``."""
    content = json.loads((BASELINES / f"{name}.json").read_text())
    return [
        Curve(
            baseline["name"],
            np.array([row["time"] for row in baseline["rows"]]),
            np.array([row["relative_l2"] for row in baseline["rows"]]),
            np.array([math.nan if row["drift"] is None else row["drift"] for row in baseline["rows"]]),
        )
        for baseline in content["baselines"]
    ]


def measured(name: str) -> Results:
    """Measure one model."""
    case, model = setting(name), zoo_model(name)
    graph = compiled(model)
    steps = horizon_steps(graph)
    start = graph.initial
    short = run_graph("fast", graph, start, RunOptions(2 * steps, every=max(1, 2 * steps // SERIES_ROWS)))
    measures = measure_run(graph, short, case.exact)
    multiple = 10 if case.is_steady else 100
    far = measure_run(
        graph,
        run_graph("fast", graph, start, RunOptions(multiple * steps, every=multiple * steps // LONG_ROWS)),
        case.exact,
    )
    times = np.concatenate([measures.time, far.time[1:]])
    errors = np.concatenate([measures.relative_l2, far.relative_l2[1:]])
    drifts = np.concatenate([measures.drift, far.drift[1:]])
    curves = [Curve("PISNN, integers", times, errors, drifts.astype(float), exact=True)]
    curves.append(float_curve(float_model(name), case, times.tolist()))
    curves += baseline_curves(name)
    held_out = {}
    for initial in case.problem.initial_conditions[1:]:
        values = case.problem.initial(case.mesh, case.reservoirs, initial)
        mass = graph.mass(values)
        run = run_graph("fast", graph, mass, RunOptions(steps, every=steps or 1))
        if run.conserved:
            exact = case.problem.reference(case.mesh, case.reservoirs, steps * graph.time_step, initial)
            assert exact is not None
            held_out[initial] = relative_l2(graph.values(run.trace.mass[-1]), exact)
    variants = []
    for mesh, boundary in VARIANTS[name]:
        other = compiled(model, tuple(map(int, mesh.split("x"))), boundary)
        assert other.quantisation.relative_l2_integer is not None
        count = other.quantisation.steps
        run = run_graph("fast", other, other.initial, RunOptions(count, every=count))
        assert run.conserved, run.failure
        errors_ = (other.quantisation.relative_l2_float or math.nan, other.quantisation.relative_l2_integer)
        variants.append((mesh, boundary or "default", count, *errors_, drift(run)))
    return Results(graph, model, short, measures, far, tuple(curves), held_out, lava_run(graph, steps), tuple(variants))


def lava_run(graph: IntegerGraph, steps: int) -> str:
    """Run on Lava, compare every kept integer with the `fast` backend, and describe the result."""
    options = RunOptions(steps, every=max(1, steps // 50))
    on_lava, on_fast = (run_graph(name, graph, graph.initial, options) for name in ("cpu", "fast"))
    same = all(
        np.array_equal(getattr(on_lava.trace, part), getattr(on_fast.trace, part))
        for part in ("mass", "ledger", "transported")
    )
    assert on_lava.conserved and same
    return (
        f"On Lava, as fixed-point processes: {on_lava.steps} PDE steps, verdict conserved, drift "
        f"{drift(on_lava)}, violations {sum(on_lava.violations.values())}; masses, ledgers and packets equal "
        f"those of `fast` at all {on_lava.trace.step.size} kept PDE steps."
    )
