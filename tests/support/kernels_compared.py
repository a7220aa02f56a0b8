"""Kernels compared with the reference, step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.run import RunState, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper


def lively(graph: IntegerGraph, seed: int = 5) -> Integers:
    """Random masses well within the operating range, so that packets move and nothing stops the run."""
    window = graph.window
    reach = (window.upper - window.lower) // 8
    if window.difference is not None:
        reach = min(reach, window.difference // 8)
    middle = (window.upper + window.lower) // 2
    return np.random.default_rng(seed).integers(middle - reach, middle + reach + 1, graph.mesh.cells, dtype=np.int64)


def assert_same_state(found: RunState, expected: RunState) -> None:
    for name in ("mass", "current", "residue", "transported"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), (name, expected.step)
        assert getattr(found, name).dtype == np.int64
    for name in ("step", "in_flight", "packets_sent", "quanta_sent", "events"):
        assert getattr(found, name) == getattr(expected, name), name


def unbounded_range(graph: IntegerGraph) -> IntegerGraph:
    """Without limits on slopes and currents, so that random masses beside reservoirs do not stop the run."""
    return graph.with_field(window=replace(graph.window, difference=None, current=None))


def assert_every_step(graph: IntegerGraph, mass: Integers, steps: int = 12, threads: int = 1) -> RunState:
    start = start_of(graph, mass)
    expected = ReferenceStepper(graph, start, steps)
    found = KernelStepper(graph, start, steps, threads)
    expected.begin()
    found.begin()
    assert_same_state(found.state(), expected.state())
    for _ in range(steps):
        expected.advance(1)
        found.advance(1)
        assert_same_state(found.state(), expected.state())
    assert found.tally() == expected.tally()
    found.close()
    return found.state()


def with_bits(graph: IntegerGraph, population: str, quantity: str, bits: int) -> IntegerGraph:
    tight = tuple(
        replace(b, bits=bits) if (b.population, b.quantity) == (population, quantity) else b for b in graph.bounds
    )
    assert tight != graph.bounds
    return replace(graph, bounds=tight)
