"""Conserved is not plausible: fields beyond what bounds them, and modes that grow, are told with place and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled, heat_model

from pisnn_deploy.api.run import SimulationRun
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.graph.claims import Claim
from pisnn_deploy.graph.integer import FLUX, IntegerGraph
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.plausibility import plausibility
from pisnn_deploy.runs.run import Run


def ran(graph: IntegerGraph, steps: int = 20) -> Run:
    return fast.run(graph, graph.initial, RunOptions(steps, 1))


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
    bounded = found.bounded
    assert found.holds and found.sentences == () and bounded is not None
    assert bounded.allowance.quanta == 2 and (bounded.excess is None or bounded.excess.quanta <= 2)
    least, largest = bounded.extremes
    assert found.summary.startswith(f"yes: values range from {least:.6g} to {largest:.6g}")


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
    assert wrong.conserved and found.holds is False and found.bounded is not None
    excess = found.bounded.excess
    assert excess is not None and (excess.step, excess.cell, excess.quanta) == (5, cell, 300)
    lower, upper = found.bounded.bounds
    value = (bound + (300 if above else -300)) * graph.value_per_quantum
    assert found.sentences == (
        f"cell {cell} has the value {value:.6g} at PDE step 5, 300 quanta {side} the range of start and "
        f"reservoirs, {lower:.6g} to {upper:.6g}",
    )
    assert found.to_dict()["holds"] is False and found.to_dict()["warnings"] == list(found.sentences)


def test_reservoirs_bound_the_field_too() -> None:
    graph = compiled(cells=16, boundary="dirichlet=0,1")
    values = np.concatenate([graph.initial, graph.sole_field.reservoirs])
    found = plausibility(graph, ran(graph))
    scale = graph.value_per_quantum
    assert found.bounded is not None and found.holds
    assert found.bounded.bounds == (values.min() * scale, values.max() * scale)
    assert set(graph.sole_field.reservoirs.tolist()) == {0, round(1 / scale)}


def test_what_rounding_explains_is_no_excess() -> None:
    graph = compiled(cells=16)
    run = ran(graph, 0)
    top, bottom = int(run.trace.mass[0].argmax()), int(run.trace.mass[0].argmin())
    doubled = replace(run, trace=run.trace.at(np.array([0, 0])))
    rounded = plausibility(graph, moved(doubled, 1, (bottom, top), 2))
    assert rounded.holds and rounded.bounded is not None
    scale, mass = graph.value_per_quantum, run.trace.mass[0]
    low, high = int(mass[bottom]) * scale, int(mass[top]) * scale
    assert rounded.bounded.extremes == (low - 2 * scale, high + 2 * scale)
    assert rounded.summary == (
        f"yes: values range from {low - 2 * scale:.6g} to {high + 2 * scale:.6g}, start and reservoirs from "
        f"{low:.6g} to {high:.6g}; no mode grows, according to the certificate"
    )
    assert plausibility(graph, moved(doubled, 1, (bottom, top), 3)).holds is False


def test_a_wave_has_no_maximum_principle() -> None:
    graph = compiled(heat_model(leak=1024), cells=9, boundary="dirichlet=0,1")
    run = ran(graph)
    found = plausibility(graph, moved(run, 5, (1, 2), 10**4))
    assert found.holds and found.bounded is None and found.to_dict()["extremes"] is None
    assert found.summary == "yes: no maximum principle applies; no mode grows, according to the certificate"


def test_a_wave_without_a_proof_cannot_be_judged() -> None:
    graph = compiled(heat_model(leak=1024), cells=9, boundary="dirichlet=0,1")
    found = plausibility(claiming(graph, Claim("none", "too-large")), ran(graph))
    assert found.holds is None and found.sentences == ()
    doubt = "no maximum principle applies, and no proof excludes growing modes"
    assert found.doubt == doubt and found.summary == f"cannot be judged: {doubt}"


def claiming(graph: IntegerGraph, stability: Claim) -> IntegerGraph:
    assert graph.certificate is not None
    return replace(graph, certificate=replace(graph.certificate, stability=stability))


@pytest.mark.parametrize(
    ("claim", "growth"),
    [
        (Claim("proved", "fourier", {"modulus": 1.0}), "no mode grows, according to the certificate"),
        (Claim("proved", "maximum-principle", {"reservoirs": 0}), "no mode grows, according to the certificate"),
        (
            Claim("proved", "constant-sum"),
            "whether modes grow is not proved, only that masses stay above a floor and their sum never changes, so "
            "from any such start no cell ever holds more than the whole mass above the floors",
        ),
        (Claim("none", "nonlinear"), "whether modes grow is not proved: the flux network is not linear"),
        (Claim("none", "limited"), "whether modes grow is not proved: the limiter makes the update nonlinear"),
    ],
)
def test_of_modes_it_says_what_the_claim_says(claim: Claim, growth: str) -> None:
    graph = claiming(compiled(cells=16), claim)
    found = plausibility(graph, ran(graph))
    assert found.holds and found.summary.endswith(f"; {growth}")
    uncertified = replace(graph, certificate=None)
    assert plausibility(uncertified, ran(graph)).summary.endswith("; no certificate says whether modes grow")


def test_a_violated_run_is_not_called_plausible() -> None:
    graph = compiled(cells=16)
    run = ran(graph)
    stopped = replace(run, failure="local: a violation", trace=run.trace.at(np.arange(5)))
    found = plausibility(graph, stopped)
    assert found.holds is None and found.sentences == () and found.bounded is not None
    least, largest = found.bounded.extremes
    told = f"cannot be judged: the run is violated; values range from {least:.6g} to {largest:.6g}"
    assert found.summary.startswith(told) and "yes" not in found.summary and "no mode" not in found.summary


def test_an_allowance_that_is_large_beside_the_range_is_told() -> None:
    graph = compiled(cells=16)
    scale = graph.value_per_quantum
    for width, is_small in ((2000, True), (1999, False)):
        narrow = graph.with_field(window=replace(graph.window, lower=0, upper=width))
        found = plausibility(narrow, ran(graph))
        assert found.bounded is not None and found.bounded.allowance.is_small is is_small
        assert found.holds is (True if is_small else None)
    doubt = f"an allowance of {2 * scale:.6g} for rounding (2 quanta) in an operating range of {1999 * scale:.6g}"
    assert found.doubt == found.to_dict()["doubt"] == doubt
    assert found.bounded is not None
    least, largest = found.bounded.extremes
    assert found.summary.startswith(f"cannot be judged: {doubt}; values range from {least:.6g} to {largest:.6g}")
    # What rounding cannot explain is told all the same.
    assert plausibility(narrow, moved(ran(graph), 5, (0, 8), 10**6)).holds is False


def test_a_mode_that_grows_is_told() -> None:
    graph = compiled(cells=16)
    graph = claiming(graph, Claim("none", "growth", {"modulus": 1.0321}))
    run = ran(graph)
    found = plausibility(graph, run)
    sentence = "the operator multiplies a mode by 1.0321 in each PDE step, so it grows"
    assert run.conserved and found.sentences == (sentence,)
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
    assert found.stability is not None and found.stability.status == "none"
    assert found.amplification == pytest.approx(1.0589, abs=1e-4)
    assert plausibility(unstable(3), fast.run(unstable(3), graph.initial, RunOptions(4))).holds is False


def test_a_run_without_rows_has_no_bounds() -> None:
    graph = compiled(cells=8)
    run = fast.run(graph, graph.initial + graph.window.upper, RunOptions(9))
    found = plausibility(graph, run)
    assert run.trace.step.size == 0 and found.bounded is None and found.holds is None
    assert found.summary == "cannot be judged: the run is violated"
