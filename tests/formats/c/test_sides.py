"""Sides set while C runs: every integer is that of a graph compiled for the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_files import compile_file
from generated_c import Library, library
from law_recipes import recipe

from pisnn_deploy.compiler.compile import compile_integers
from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.options import CompileOptions, GraphOptions
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.c.writer import c_files
from pisnn_deploy.graph import IntegerGraph, Population
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.programs.language import parse
from pisnn_deploy.target import load_profile

STEPS = 4
CELLS = Path(__file__).parents[2] / "cases" / "tpfa_stretched" / "stretch.msh"


def rod(left: float, right: float, **options: Any) -> IntegerGraph:
    return compile_file("heat1d", mesh="24", boundary=f"dirichlet={left},{right}", slope=60.0, **options)[0]


def cells(cold: float, hot: float, **options: Any) -> IntegerGraph:
    boundary = f"cold=dirichlet={cold} hot=dirichlet={hot}"
    options |= {"boundary": boundary, "value_range": "0,1", "fluxes": "two-point"}
    return compile_file("heat2d", mesh=str(CELLS), **options)[0]


KINDS: dict[str, Callable[[float, float], IntegerGraph]] = {
    "limiter": lambda a, b: rod(a, b, limiter="positivity"),
    "limiter with a ceiling": lambda a, b: rod(a, b, limiter="bounds"),
    "mesh of cells": lambda a, b: cells(a, b, digits="one"),
    "mesh of cells with a limiter": lambda a, b: cells(a, b, digits="one", limiter="positivity"),
    "mesh of cells with digits": cells,
}


def compare(compiled: Library, graph: IntegerGraph, states: Any, steps: range) -> Any:
    """Run both and compare masses, ledgers, residues and packets of each PDE step."""
    # Bounds of the artifact were proved for its own values alone.
    semantics = Semantics(replace(graph, bounds=()))
    for step in steps:
        states, results = semantics.advance(states, step)
        compiled.loaded.pisnn_step()
        expected: dict[str, list[int]] = {}
        for field in graph.fields:
            (mass,) = states[field.holder].values()
            expected[field.name] = mass.tolist()
        for channels in graph.channels:
            name = channels.population
            expected |= {f"{name}.{state}": values.tolist() for state, values in states[name].items()}
            packets = np.broadcast_to(results[name].sends[channels.output], channels.size)
            expected[f"{name}.packet"] = packets.tolist()
        assert dict(compiled.state()) == expected, f"PDE step {step + 1}"
        assert compiled.audit() == (0, 0, 0, 0)
    return states


@pytest.mark.parametrize("kind", KINDS)
def test_a_side_set_while_it_runs_is_that_of_a_graph_compiled_for_it(kind: str, tmp_path: Path) -> None:
    before, after = KINDS[kind](0.2, 0.6), KINDS[kind](0.9, 0.3)
    compiled = library(before, tmp_path)
    sides = compiled.plan.sides
    compiled.loaded.pisnn_reset()
    states = compare(compiled, before, Semantics(before).begin(), range(STEPS))
    ledgers = after.ledgers_of(after.sole_field)
    for number, side in enumerate(sides.sides):
        for value in (sides.values.lower - 1, sides.values.upper + 1):
            assert compiled.loaded.pisnn_set_boundary(number, value) == 1
        for value in (sides.values.lower, sides.values.upper, int(after.sole_field.reservoirs[ledgers[side.name][0]])):
            assert compiled.loaded.pisnn_set_boundary(number, value) == 0
    compare(compiled, after, states, range(STEPS, 2 * STEPS))


def tabled(law: dict[str, Any], values: dict[str, tuple[float, float]], **others: Any) -> IntegerGraph:
    """A law whose left side holds a table of each field."""
    left = {name: {"held": {"times": [0.0, 1.0], "values": list(ends)}} for name, ends in values.items()}
    graph = construct(recipe(law, {"left": left, "right": "outflow"}, **others), (8,))
    return compile_integers(graph, CompileOptions(None, load_profile("generic-int"), GraphOptions()))


LAWS: dict[str, Callable[[], IntegerGraph]] = {
    "diffusion by a product": lambda: tabled(
        {"fields": ["u"], "diffusion": {"u": "0.01*(1 + u)"}},
        {"u": (0.2, 0.8)},
        initial={"u": "0.5"},
        range={"u": [0, 1]},
    ),
    "several fields": lambda: tabled(
        {"fields": ["h", "q"], "flux": {"h": "h", "q": "q"}},
        {"h": (1.0, 1.2), "q": (0.0, 0.2)},
        initial={"h": "1", "q": "0"},
        range={"h": [0.7, 1.6], "q": [-0.4, 0.6]},
    ),
}


@pytest.mark.parametrize("kind", LAWS)
def test_a_value_takes_the_place_of_a_table_over_time(kind: str, tmp_path: Path) -> None:
    graph = LAWS[kind]()
    compiled = library(graph, tmp_path)
    signals = compiled.plan.sides.signals
    assert len(signals) == len(graph.fields)
    compiled.loaded.pisnn_reset()
    states = compare(compiled, graph, Semantics(graph).begin(), range(STEPS))
    given = []
    for number, signal in enumerate(signals):
        for value in (signal.sent.lower - 1, signal.sent.upper + 1):
            assert compiled.loaded.pisnn_set_boundary(number, value) == 1
        value = (signal.sent.lower + 3 * signal.sent.upper) // 4
        assert compiled.loaded.pisnn_set_boundary(number, value) == 0
        program = parse(f"neuron given(; count; )\nvalue = min({value}, {value})\nkeep count = count\nsend value")
        given.append(Population(signal.population, 1, program, {}, {"count": np.zeros(1, np.int64)}))
    compare(compiled, graph.with_populations(*given), states, range(STEPS, 2 * STEPS))


def test_the_header_says_why_no_side_can_be_set() -> None:
    sides = {"left": {"held": 1}, "right": "outflow"}
    law = recipe({"fields": ["u"], "flux": {"u": "u"}}, sides, initial={"u": "1"}, range={"u": [0, 2]})
    options = CompileOptions(None, load_profile("generic-int"), GraphOptions())
    header = c_files(plan(compile_integers(construct(law, (8,)), options)))["pisnn.h"].decode()
    assert "/* No side can be set while the program runs: values of a law's sides are constants" in header
    assert "pisnn_set_boundary" not in header


def test_sides_are_not_set_where_cells_might_be_asked_for_more_than_they_can_answer() -> None:
    graph = rod(0.2, 0.6, limiter="positivity")
    wide = [replace(b, upper=1 << 30, bits=32) if b.quantity == "mass" else b for b in graph.bounds]
    sides = plan(replace(graph, bounds=tuple(wide))).sides
    assert not sides.names
    assert sides.why == "for some of their values faces may ask more than 2^26 quanta of a cell"


def test_a_digit_that_might_fall_below_zero_is_not_set() -> None:
    graph = cells(0.2, 0.6)
    first = graph.population("flux-digit-3")
    lowered = replace(first, parameters={"bias": first.parameters["bias"] - (1 << 20)})
    sides = plan(graph.with_populations(lowered)).sides
    assert not sides.names
    assert sides.why == "sums of flux-digit-3 may be below 0 for some values"
