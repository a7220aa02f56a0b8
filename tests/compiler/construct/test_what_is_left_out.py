"""Laws with parts that depend on no field, and sums that need every bit of a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from law_recipes import Floats, Integers, masses_after, recipe, total, values

from pisnn_deploy.compiler import CompileOptions
from pisnn_deploy.compiler.compile import compile_law
from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.construct.circuit import Circuit
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.laws.expression import evaluate
from pisnn_deploy.laws.reference import solved
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.target import load_profile


def gas() -> LawSpec:
    """Gas of constant temperature between walls."""
    return recipe(
        {
            "fields": ["rho", "m"],
            "parameters": {"c": 1.0},
            "flux": {"rho": "m", "m": "m**2/rho + c**2*rho"},
            "vector": ["m"],
            "positive": ["rho"],
        },
        "wall",
        initial={"rho": "1 + 0.2*exp(-100*(x - 0.5)**2)", "m": "0"},
        range={"rho": [0.7, 1.4], "m": [-0.4, 0.4]},
    )


def assert_bounded(spec: LawSpec, shape: tuple[int, ...]) -> None:
    assert compile_law(spec, shape, CompileOptions(None, load_profile("loihi2"))).bounds


def assert_kept(graph: IntegerGraph, steps: int) -> None:
    assert defects(graph) == []
    assert total(graph, masses_after(graph, steps)) == total(graph, masses_after(graph, 0))


def solved_by_weno(spec: LawSpec, graph: IntegerGraph, steps: int) -> dict[str, Floats]:
    """Float64 finite volumes on the same mesh."""
    result = solved(spec, graph.mesh.shape, steps * graph.time_step)
    return {name: state.reshape(-1) for name, state in zip(spec.parsed().fields, result.state, strict=True)}


def test_a_gas_between_walls_has_fine_quanta_and_is_the_gas_of_the_law() -> None:
    spec = gas()
    assert {field.name: field.value_per_quantum for field in construct(spec, (16,)).fields} == {
        "rho": 2.0**-18,
        "m": 2.0**-18,
    }
    graph = construct(spec, (64,))
    assert_kept(graph, 20)
    computed, expected = values(graph, masses_after(graph, 20)), solved_by_weno(spec, graph, 20)
    for name, field in expected.items():
        assert np.abs(computed[name] - field).max() < 3e-3, name
    assert_bounded(spec, (8,))


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_rounding_takes_no_bit_more(shift: int) -> None:
    full = (1 << 23) - 1
    numbers = np.array([-full, -full + 1, -3, -2, -1, 0, 1, 2, 3, full - 2, full - 1, full], np.int64)
    circuit = Circuit("rounding")
    circuit.port("arrival", Interval(-full, full))
    result = str(circuit.rounded("arrival", shift))
    (stage,) = circuit.stages([result])
    (rounded,) = run(stage.program, Arrays(), {"arrival": numbers}).sends
    assert np.array_equal(rounded, (numbers + (1 << (shift - 1))) >> shift)


def test_a_flux_that_depends_on_the_place_alone_is_a_bias() -> None:
    spec = recipe(
        {"fields": ["u"], "flux": {"u": "0.5*u"}, "flux_y": {"u": "0.3*y"}},
        {"x": "periodic", "y": "outflow"},
        [1.0, 1.0],
        initial={"u": "0.5 + 0.2*sin(2*pi*x)"},
        range={"u": [0, 1]},
    )
    graph = construct(spec, (8, 5))
    assert [population.name for population in graph.populations] == [
        "u",
        "u-slope-x",
        "predictor-x",
        "face-x",
        "u-flux",
    ]
    assert_kept(graph, 10)
    # Along y, every cell loses 0.3 a time unit.
    before, after = (values(graph, masses_after(graph, steps))["u"].mean() for steps in (0, 10))
    quantum = graph.sole_field.value_per_quantum
    assert abs(before - after - 0.3 * 10 * graph.time_step) < 3 * quantum
    assert_bounded(spec, graph.mesh.shape)


@pytest.mark.parametrize(
    ("flux", "populations"),
    [("0.25", ["u", "u-flux"]), ("0.5*u + 0.25", ["u", "face-x", "u-flux"]), ("u*(1 - u) + 0.25", None)],
)
def test_a_constant_part_of_a_flux_piles_up_at_walls(flux: str, populations: list[str] | None) -> None:
    sections: dict[str, Any] = {"initial": {"u": "0.4"}, "range": {"u": [0, 1]}, "time": 0.2}
    spec = recipe({"fields": ["u"], "flux": {"u": flux}}, "wall", **sections)
    graph = construct(spec, (8,))
    if populations is not None:
        assert [population.name for population in graph.populations] == populations
    assert_kept(graph, 5)
    computed = values(graph, masses_after(graph, 1))["u"]
    passed = float(evaluate(spec.parsed().flux[0]["u"], {"u": 0.4})) * graph.time_step * 8
    expected = np.full(8, 0.4) + passed * np.array([-1, 0, 0, 0, 0, 0, 0, 1])
    assert np.abs(computed - expected).max() < 2 * graph.sole_field.value_per_quantum
    assert_bounded(spec, graph.mesh.shape)


def test_a_constant_flux_fills_the_ledgers_of_sides() -> None:
    sections: dict[str, Any] = {"initial": {"u": "0.4"}, "range": {"u": [0, 1]}, "time": 0.5}
    graph = construct(recipe({"fields": ["u"], "flux": {"u": "0.25"}}, "outflow", **sections), (8,))
    masses: Integers = masses_after(graph, 64)["u"]
    field = graph.sole_field
    assert np.abs(values(graph, {"u": masses})["u"] - 0.4).max() <= field.value_per_quantum
    assert abs(masses[8:] * field.quantum - [-0.125, 0.125]).max() <= field.quantum


def test_constant_sources_alone_have_a_time_step() -> None:
    sections: dict[str, Any] = {"initial": {"u": "0.2"}, "range": {"u": [0, 1]}, "time": 2.0}
    spec = recipe({"fields": ["u"], "sources": {"u": "0.25*x"}}, **sections)
    graph = construct(spec, (8,))
    steps = round(2.0 / graph.time_step)
    assert 64 <= steps <= 70
    assert_kept(graph, steps)
    computed = values(graph, masses_after(graph, steps))["u"]
    expected = 0.2 + 0.25 * (np.arange(8) + 0.5) / 8 * steps * graph.time_step
    assert np.abs(computed - expected).max() < 3 * graph.sole_field.value_per_quantum
    assert_bounded(spec, graph.mesh.shape)


def test_no_attempt_makes_quanta_coarser_than_a_range_of_4096() -> None:
    spec = recipe({"fields": ["u"], "flux": {"u": "u**2 + 1000"}}, initial={"u": "0.5"}, range={"u": [0, 1]})
    with pytest.raises(UsageError) as refusal:
        construct(spec, (8,))
    assert str(refusal.value) == (
        "field u: currents of law.flux along x need 9 more bits than a word has; give a coarser quantum; "
        "a quantum of u that is coarse enough, 2^-10, leaves fewer than 4096 in its range; "
        "write the law in deviations, or in units that make its values alike"
    )


def test_the_time_step_is_short_enough_for_sides_that_give_a_flux_by_a_difference() -> None:
    sides = {"left": {"robin": ["k", "1 + x"]}, "right": "wall"}
    law = {"fields": ["u"], "parameters": {"k": 100.0}, "diffusion": {"u": 0.01}}
    graph = construct(recipe(law, sides, initial={"u": "0.5"}, range={"u": [0, 1]}), (16,))
    assert_kept(graph, 200)
    computed = values(graph, masses_after(graph, 200))["u"]
    assert (np.diff(computed) <= 0).all()
    assert 0.8 < computed[0] < 1.0
