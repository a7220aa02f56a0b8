"""Sides that give functions of time: the table's values, near the solver, equal on every backend and after a resume."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from fields_by_hand import first_masses
from law_recipes import masses_after, recipe, total, values

from pisnn_deploy.compiler import CompileOptions, GraphOptions
from pisnn_deploy.compiler.compile import compile_law
from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.contract import contract_defects
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.laws.problem import compare as compare_fields
from pisnn_deploy.laws.reference import solved
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.time_table import TimeTable
from pisnn_deploy.programs import parse
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.target import load_profile

WAVE: dict[str, Any] = {"times": [0, 0.1, 0.3, 0.4], "values": [0.3, 0.8, 0.5, 0.3], "periodic": True}
RAMP = {"times": [0.05, 0.2], "values": [0.3, 0.7]}
FLUX = {"times": [0, 0.2, 0.4], "values": [0, 0.2, 0]}
LAWS: dict[str, tuple[dict[str, Any], Any]] = {
    "spread": ({"diffusion": {"u": "0.02"}}, {"left": {"held": WAVE}, "right": {"flux": FLUX}}),
    "varying": ({"diffusion": {"u": "0.02*(1 + u + x)"}}, {"left": {"held": WAVE}, "right": "wall"}),
    "level": ({"level": {"u": "u**2"}, "diffusion": {"u": "0.02"}}, {"left": {"held": RAMP}, "right": "wall"}),
    "carried": ({"flux": {"u": "u - u**2/4"}}, {"left": {"inflow": WAVE}, "right": "outflow"}),
    "linear": ({"flux": {"u": "u"}, "diffusion": {"u": "0.01"}}, {"left": {"inflow": WAVE}, "right": "outflow"}),
    "robin": ({"diffusion": {"u": "0.05"}}, {"left": {"robin": ["0.5 + x", WAVE]}, "right": {"robin": [1, RAMP]}}),
    "short": ({"level": {"u": "u - 0.0001*laplacian(u)"}}, {"left": "wall", "right": {"flux": FLUX}}),
}


def spec_of(name: str) -> LawSpec:
    law, boundary = LAWS[name]
    return recipe({"fields": ["u"], **law}, boundary, initial={"u": "0.3"}, range={"u": [0, 1]}, time=0.4)


@cache
def compiled(name: str) -> IntegerGraph:
    return compile_law(spec_of(name), (24,), CompileOptions(None, load_profile("loihi2"), GraphOptions(coding="dense")))


@pytest.mark.parametrize("name", LAWS)
def test_integers_are_near_the_solver_and_conserved(name: str) -> None:
    spec = spec_of(name)
    graph = construct(spec, (48,))
    steps = min(400, round(0.3 / graph.time_step))
    after = masses_after(graph, steps)
    assert total(graph, after) == total(graph, masses_after(graph, 0))
    floats = {"u": solved(spec, (48,), steps * graph.time_step).state[0]}
    assert compare_fields(values(graph, after), floats)["u"].l1 < 0.02


@pytest.mark.parametrize("name", LAWS)
def test_every_backend_has_the_same_integers_also_after_a_resume(name: str) -> None:
    graph, steps = compiled(name), 12
    assert any(population.clock for population in graph.between_fields)
    mass = first_masses(graph)
    whole = run_graph("fast", graph, mass, RunOptions(steps))
    for backend in ("torch", "onnx"):
        comparison = compare(("fast", backend), graph, mass, RunOptions(steps))
        assert comparison.difference is None, comparison.difference.sentence("fast", backend)
    for backend in ("fast", "torch", "onnx"):
        first = run_graph(backend, graph, mass, RunOptions(steps, until=5))
        second = run_graph(backend, graph, mass, RunOptions(steps, start=first.end))
        assert np.array_equal(second.trace.mass[-1], whole.trace.mass[-1]) and second.events == whole.events


def test_lava_continues_with_the_same_integers() -> None:
    graph = compiled("spread")
    mass, steps = first_masses(graph), 12
    whole = run_graph("fast", graph, mass, RunOptions(steps))
    first = run_graph("fast", graph, mass, RunOptions(steps, until=5))
    second = run_graph("cpu", graph, mass, RunOptions(steps, start=first.end))
    assert np.array_equal(second.trace.mass[-1], whole.trace.mass[-1]) and second.events == whole.events


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_sends_its_table_to_the_nearest_quantum(side: str) -> None:
    graph, table = construct(spec_of("robin"), (24,)), TimeTable((0.05, 0.2), (0.3, 0.7))
    if side == "left":
        table = TimeTable(tuple(WAVE["times"]), tuple(WAVE["values"]), True)
    semantics, quantum = Semantics(graph), graph.fields[0].value_per_quantum
    mass = semantics.start(first_masses(graph)).mass
    for step in (0, 1, 17, 123, 1001):
        (sent,) = semantics.between(mass, step)[f"u-{side}-time1"].sends[0]
        apart = abs(float(sent) * quantum - float(table.at((step + 0.5) * graph.time_step)))
        assert apart < 2 * quantum, (step, apart / quantum)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            {"times": [0, 1e9], "values": [0.3, 0.4]},
            "the last time 1e.09 is .* PDE steps away, expected at most 4194304",
        ),
        ({**WAVE, "times": [0, 1e-6, 2e-6, 3e-6]}, "the period 3e-06 is .* PDE steps, expected 2 to 4194304"),
        ({**WAVE, "times": [0, 1e7, 2e7, 3e7]}, "the period 3e.07 is .* PDE steps, expected 2 to 4194304"),
    ],
)
def test_tables_beyond_a_clock_are_refused(table: dict[str, Any], problem: str) -> None:
    law, _ = LAWS["spread"]
    spec = recipe(
        {"fields": ["u"], **law},
        {"left": {"held": table}, "right": "wall"},
        initial={"u": "0.3"},
        range={"u": [0, 1]},
    )
    with pytest.raises(UsageError, match=r"domain\.boundary\.left\.u: " + problem):
        construct(spec, (24,))


def test_an_inflow_that_turns_round_is_refused() -> None:
    spec = recipe(
        {"fields": ["u"], "flux": {"u": "u*(1 - u)"}},
        {"left": {"inflow": {"times": [0, 1], "values": [0.2, 0.9]}}, "right": "outflow"},
        initial={"u": "0.3"},
        range={"u": [0, 1]},
    )
    with pytest.raises(UsageError, match="some values of its table flow in, others flow out; use held"):
        construct(spec, (24,))


def test_no_other_state_between_holders_and_channels_is_allowed() -> None:
    graph = construct(spec_of("spread"), (8,))
    assert [*contract_defects(graph)] == []
    clocks = {population.name: population for population in graph.between_fields if population.clock}
    name, clock = next(iter(clocks.items()))
    program = parse(str(clock.program).replace("raised = add(count, 1)", "raised = add(count, 0)"))
    populations = [replace(p, program=program) if p.name == name else p for p in graph.populations]
    (defect,) = contract_defects(replace(graph, populations=tuple(populations)))
    assert defect == f"{name} is neither holder nor channel, but its program has states and is no clock"
