"""The Lava backend: equal to the contract, and every fault is seen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from models_under_test import binary_box, compiled, compiled_box, heat_model, hidden_model, laplace_model, plane_model
from network_runs import assert_same, break_with
from reference_runs import reference_run

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.optional import INTERPRETER_VARIABLE
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import RunOptions, fast

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "periodic": lambda: compiled(cells=32),
    "no-flux, odd number of cells": lambda: compiled(cells=9, boundary="no-flux"),
    "leaky": lambda: compiled(heat_model(leak=1024), cells=12),
    "one hidden layer": lambda: compiled(hidden_model((4,)), cells=10),
    "two hidden layers, leaky": lambda: compiled(hidden_model((3, 2), leak=2048), cells=7, boundary="no-flux"),
    "dense": lambda: compiled(cells=11, coding="dense"),
    "dense, two hidden layers": lambda: compiled(hidden_model((3, 2)), cells=8, coding="dense"),
    "two cells": lambda: compiled(cells=2),
    "reservoirs": lambda: compiled(cells=10, boundary="dirichlet=0.5,1.5"),
    "reservoir and wall, dense": lambda: compiled(cells=9, boundary="x-=no-flux x+=dirichlet=1", coding="dense"),
    "reservoirs, hidden layer": lambda: compiled(hidden_model((4,)), cells=6, boundary="dirichlet=-1,1"),
    "plane, friction, parabolas": lambda: compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"),
    "plane, transverse": lambda: compiled_box(plane_model(), (5, 6), "x=periodic y=dirichlet=1,1"),
    "binary spikes": lambda: binary_box(heat_model(), (16,), "periodic"),
    "binary spikes, dense, reservoirs": lambda: binary_box(heat_model(), (9,), "dirichlet=0,1", "dense"),
    "binary spikes, two hidden layers": lambda: binary_box(hidden_model((3, 2)), (7,), "no-flux"),
    "binary spikes, leaky": lambda: binary_box(heat_model(leak=1024), (12,), "no-flux"),
}


def lively_mass(graph: IntegerGraph) -> Integers:
    """Random masses in the middle half of the window, so that packets move; reservoirs move them by themselves."""
    if graph.mesh.reservoirs:
        return graph.initial
    window = graph.window
    quarter = (window.upper - window.lower) // 4
    if window.difference is not None:
        quarter = min(quarter, window.difference // 4)
    middle = (window.upper + window.lower) // 2
    return np.random.default_rng(5).integers(middle - quarter, middle + quarter, graph.mesh.cells, dtype=np.int64)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_integer_equals_the_reference(name: str) -> None:
    graph = GRAPHS[name]()
    mass = lively_mass(graph)
    options = RunOptions(40, every=3)
    expected = reference_run(graph, mass, options)
    assert expected.packets_sent > 0 and not expected.failure
    assert_same(cpu.run(graph, mass, options), expected)


def test_no_steps_at_all() -> None:
    graph = compiled()
    mass = graph.initial
    assert_same(cpu.run(graph, mass, RunOptions(0)), fast.run(graph, mass, RunOptions(0)))


def test_progress_counts_pde_steps() -> None:
    graph = compiled()
    heard: list[int] = []
    cpu.run(graph, graph.initial, RunOptions(300), heard.append)
    assert heard == sorted(heard) and heard[-1] == 300


def test_a_wrong_weight_of_the_route_is_caught() -> None:
    graph = compiled()
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    broken = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    mass = graph.initial
    found = cpu.run(broken, mass, RunOptions(50))
    assert found.failure.startswith("local invariant broken: membrane [2] at PDE step 1: expected ")
    assert_same(found, fast.run(broken, mass, RunOptions(50)))


def test_a_dropped_packet_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "dropped_packet")
    graph = compiled()
    run = cpu.run(graph, graph.initial, RunOptions(50))
    assert run.failure.startswith("local invariant broken: membrane [0] at PDE step 5: expected ")
    assert run.violations["local"] == 2 and run.steps == 4 and run.trace.step.tolist() == [0, 1, 2, 3, 4]


def test_a_flipped_bit_of_a_membrane_is_caught_in_the_same_time_step(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "flipped_bit")
    graph = compiled()
    run = cpu.run(graph, graph.initial, RunOptions(50))
    assert run.failure.startswith("local invariant broken: membrane [3] at PDE step 4: expected ")
    assert run.violations["local"] == 1 and run.violations["global"] == 1 and run.time_steps == 9


def test_a_lossy_reset_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "lossy_reset")
    graph = compiled()
    run = cpu.run(graph, graph.initial, RunOptions(50))
    assert run.failure.startswith("flux invariant broken: flux [0] at PDE step 0: expected ")
    assert run.violations["flux"] > 0 and not run.conserved


@pytest.mark.parametrize(
    ("population", "quantity"),
    [("membrane", "mass"), ("flux", "drive"), ("flux", "current"), ("flux", "residue"), ("flux", "packet")],
)
def test_an_overflow_names_population_index_and_step(population: str, quantity: str) -> None:
    graph = compiled()
    tight = tuple(
        replace(b, bits=3) if (b.population, b.quantity) == (population, quantity) else b for b in graph.bounds
    )
    narrow = replace(graph, bounds=tight)
    mass = graph.initial
    found = cpu.run(narrow, mass, RunOptions(50))
    assert found.failure.startswith(f"overflow: {population} {quantity} [")
    assert found.failure.endswith("outside its 3 signed bits") and " at PDE step 0, " in found.failure
    assert found.violations["overflow"] == 1
    assert_same(found, fast.run(narrow, mass, RunOptions(50)))


def test_a_payload_beyond_its_width_stops_the_run() -> None:
    graph = compiled()
    tight = tuple(
        replace(b, bits=3) if (b.population, b.quantity) == ("membrane", "payload") else b for b in graph.bounds
    )
    narrow = replace(graph, bounds=tight)
    mass = graph.initial
    found = cpu.run(narrow, mass, RunOptions(50))
    assert found.failure.startswith("overflow: membrane payload [") and " at PDE step 1, " in found.failure
    assert_same(found, fast.run(narrow, mass, RunOptions(50)))


def test_leaving_the_operating_range_is_a_violation() -> None:
    graph = compiled()
    mass = graph.initial.copy()
    mass[7] = graph.window.upper + 5
    found = cpu.run(graph, mass, RunOptions(50))
    assert found.failure.startswith("operating range left: membrane [7] at PDE step 0: limit ")
    assert_same(found, fast.run(graph, mass, RunOptions(50)))


def test_a_mantissa_that_lava_would_change_is_refused() -> None:
    graph = compiled()
    drive = graph.synapses[0]
    odd = replace(drive.with_mantissas(drive.mantissas // 2), exponent=0)
    with pytest.raises(UsageError) as caught:
        cpu.run(replace(graph, synapses=(odd, *graph.synapses[1:])), graph.initial, RunOptions(5))
    first = next(mantissa for mantissa in odd.mantissas.tolist() if mantissa % 2)
    assert str(caught.value) == (
        f"cpu backend: synapse {drive.name}: mantissa {first} is odd, "
        "and Lava clears the lowest bit of weights of mixed sign"
    )


def test_a_mesh_without_faces_is_refused() -> None:
    graph = compiled(cells=2)
    lone = replace(graph, mesh=replace(graph.grid, source=graph.mesh.source[:0], target=graph.mesh.target[:0]))
    with pytest.raises(UsageError) as caught:
        cpu.run(lone, graph.initial, RunOptions(5))
    assert str(caught.value) == ("cpu backend: the mesh has no faces, but Lava needs at least one; use `backend` fast")


def test_another_python_is_told_which_interpreter_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INTERPRETER_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(UsageError) as caught:
        cpu.worker_command()
    assert str(caught.value) == (
        "cpu backend: Lava needs Python 3.10 and this is 3.12; name a Python 3.10 interpreter that has pisnn-deploy in "
        "PISNN_LAVA_PYTHON, or use `backend` fast"
    )
    monkeypatch.setenv(INTERPRETER_VARIABLE, "/opt/python3.10")
    assert cpu.worker_command()[0] == "/opt/python3.10"


def test_an_interpreter_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INTERPRETER_VARIABLE, "/no/such/python")
    graph = compiled()
    with pytest.raises(UsageError) as caught:
        cpu.run(graph, graph.initial, RunOptions(5))
    assert str(caught.value) == "cpu backend: /no/such/python cannot be started (No such file or directory)"


@pytest.mark.parametrize(
    ("population", "quantity"), [("hidden1", "drive"), ("hidden1", "activation"), ("flux", "potential")]
)
def test_an_overflow_at_the_start_stops_both_backends_alike(population: str, quantity: str) -> None:
    graph = compiled(hidden_model((4,)), cells=10)
    narrow = tuple(
        replace(bound, bits=3) if (bound.population, bound.quantity) == (population, quantity) else bound
        for bound in graph.bounds
    )
    broken = replace(graph, bounds=narrow)
    ends = [backend.run(broken, graph.initial, RunOptions(5)) for backend in (cpu, fast)]
    assert ends[0].failure == ends[1].failure
    assert ends[0].failure.startswith(f"overflow: {population} {quantity} [")
    assert "at PDE step 0, outside its 3 signed bits" in ends[0].failure
    assert [end.violations["overflow"] for end in ends] == [1, 1]
