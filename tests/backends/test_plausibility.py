"""Conserved is not plausible: fields beyond what bounds them, and modes that grow, are told with place and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled, heat_model

from pisnn_deploy.api.run import SimulationRun
from pisnn_deploy.backends import RunOptions, fast
from pisnn_deploy.backends.plausibility import plausibility
from pisnn_deploy.backends.run import Run
from pisnn_deploy.compiler.prove import Prove
from pisnn_deploy.graph.claims import Claim
from pisnn_deploy.graph.integer import FLUX, IntegerGraph


def ran(graph: IntegerGraph, steps: int = 20) -> Run:
    return fast.run(graph, graph.membrane.initial, RunOptions(steps, 1))


def moved(run: Run, row: int, cells: tuple[int, int], quanta: int) -> Run:
    """The same run with quanta that were carried from one cell to another in a row: it still adds up."""
    mass = run.trace.mass.copy()
    mass[row, cells[0]] -= quanta
    mass[row, cells[1]] += quanta
    return replace(run, trace=replace(run.trace, mass=mass))


@pytest.mark.parametrize("boundary", ["periodic", "no-flux", "dirichlet=0,1"])
def test_a_run_within_its_bounds_is_plausible(boundary: str) -> None:
    graph = compiled(cells=16, boundary=boundary)
    found = plausibility(graph, ran(graph))
    assert found.holds and found.sentences == () and found.excess is not None
    assert found.excess.quanta <= found.allowance == 2
    assert found.summary.startswith("yes: kept steps lie within ")


@pytest.mark.parametrize(("above", "side"), [(True, "above"), (False, "below")])
def test_a_value_beyond_start_and_sides_is_told_with_step_cell_and_size(above: bool, side: str) -> None:
    graph = compiled(cells=16)
    run = ran(graph)
    mass = run.trace.mass[5]
    bound = int(run.trace.mass[0].max() if above else run.trace.mass[0].min())
    cell = int(mass.argmax() if above else mass.argmin())
    quanta = (bound - int(mass[cell]) + 300) if above else (int(mass[cell]) - bound + 300)
    other = (cell + 8) % 16
    wrong = moved(run, 5, (other, cell) if above else (cell, other), quanta)
    found = plausibility(graph, wrong)
    assert wrong.conserved and not found.holds and found.excess is not None and found.bounds is not None
    assert (found.excess.step, found.excess.cell, found.excess.quanta) == (5, cell, 300)
    lower, upper = found.bounds
    value = (bound + (300 if above else -300)) * graph.value_per_quantum
    assert found.sentences == (
        f"cell {cell} has the value {value:.6g} at PDE step 5, 300 quanta {side} what start and reservoirs bound it "
        f"by, {lower:.6g} to {upper:.6g}",
    )
    assert found.to_dict()["holds"] is False and found.to_dict()["warnings"] == list(found.sentences)


def test_reservoirs_bound_the_field_too() -> None:
    graph = compiled(cells=16, boundary="dirichlet=0,1")
    values = np.concatenate([graph.membrane.initial, graph.membrane.reservoirs])
    found = plausibility(graph, ran(graph))
    scale = graph.value_per_quantum
    assert found.bounds == (values.min() * scale, values.max() * scale) and found.holds
    assert set(graph.membrane.reservoirs.tolist()) == {0, round(1 / scale)}


def test_what_rounding_explains_is_no_excess() -> None:
    graph = compiled(cells=16)
    run = ran(graph, 0)
    top, bottom = int(run.trace.mass[0].argmax()), int(run.trace.mass[0].argmin())
    doubled = replace(run, trace=run.trace.at(np.array([0, 0])))
    assert plausibility(graph, moved(doubled, 1, (bottom, top), 2)).holds
    assert not plausibility(graph, moved(doubled, 1, (bottom, top), 3)).holds


def test_a_wave_has_no_maximum_principle() -> None:
    graph = compiled(heat_model(leak=1024), cells=9, boundary="dirichlet=0,1")
    run = ran(graph)
    found = plausibility(graph, moved(run, 5, (1, 2), 10**4))
    assert found.holds and found.bounds is None and found.excess is None
    assert found.summary.startswith("no maximum principle to hold it against")


def test_a_mode_that_grows_is_told() -> None:
    graph = compiled(cells=16)
    assert graph.certificate is not None
    growing = replace(graph.certificate, stability=Claim("none", "growth", {"modulus": 1.0321}))
    graph = replace(graph, certificate=growing)
    run = ran(graph)
    found = plausibility(graph, run)
    sentence = "the operator multiplies a mode by 1.0321 in each PDE step, so that it grows"
    assert run.conserved and found.sentences == (sentence,) and found.stability == "none"
    read = SimulationRun(graph, run, None)
    assert read.verdict == "conserved" and not read.plausible.holds and sentence in repr(read)


def unstable(factor: int) -> IntegerGraph:
    """Integers of a kernel that is so many times too strong: conservative all the same."""
    graph = compiled(cells=16)
    operator = tuple(replace(layer, weight=layer.weight * factor) for layer in graph.operator)
    synapses = tuple(
        synapse.with_mantissas(synapse.mantissas * factor) if synapse.target == FLUX else synapse
        for synapse in graph.synapses
    )
    bounds = tuple(replace(bound, bits=min(64, bound.bits + 4)) for bound in graph.bounds)
    return Prove()(replace(graph, operator=operator, synapses=synapses, bounds=bounds))


def test_unstable_integers_conserve_and_are_told_before_they_leave_the_range() -> None:
    graph = unstable(2)
    run = ran(graph, 60)
    found = plausibility(graph, run)
    assert run.conserved and run.steps == 60 and not found.holds
    assert found.stability == "none" and found.amplification == pytest.approx(1.0589, abs=1e-4)
    assert not plausibility(unstable(3), fast.run(unstable(3), graph.membrane.initial, RunOptions(4))).holds


def test_a_run_without_rows_has_no_bounds() -> None:
    graph = compiled(cells=8)
    run = fast.run(graph, graph.membrane.initial + graph.window.upper, RunOptions(9))
    assert run.trace.step.size == 0 and plausibility(graph, run).bounds is None
