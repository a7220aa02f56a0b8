"""A short run of the graph of a law from its own start, in the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.laws.spec import LawSpec

MOST_STEPS = 1000
MOST_NEURON_STEPS = 4_000_000
"""Most PDE steps, and neurons times PDE steps, of a run: about two seconds."""


@dataclass(frozen=True)
class LawRun:
    """Result of a run.

    Attributes
    ----------
    masses : mapping of str to int64 array [cells]
        Masses of the cells of each field at the end, by field.
    steps : int
        PDE steps that were run.
    departure : str
        Where and when the run left an operating range or a width, as part of a sentence; empty if it did not.
    """

    masses: Mapping[str, Integers]
    steps: int
    departure: str = ""


def steps_to_run(graph: IntegerGraph, spec: LawSpec) -> int:
    """PDE steps to the final time of a law, at most as many as a short run takes."""
    most = min(MOST_STEPS, max(1, MOST_NEURON_STEPS // graph.neurons))
    return max(1, min(most, round(spec.time / graph.time_step)))


def run_from_start(graph: IntegerGraph, steps: int) -> LawRun:
    """Run a graph from its own start until it leaves the operating window of a field.

    Parameters
    ----------
    graph : IntegerGraph
        Bounded.
    """
    # Masses are compared with their windows, which their widths hold anyway.
    semantics = Semantics(replace(graph, bounds=tuple(bound for bound in graph.bounds if bound.quantity != "mass")))
    states = semantics.begin()
    for step in range(steps + 1):
        masses = {field.name: next(iter(states[field.holder].values()))[: field.cells] for field in graph.fields}
        departure = _departure(graph, masses)
        if departure:
            return LawRun(masses, step, f"after {step} PDE steps {departure}")
        if step < steps:
            try:
                states, _ = semantics.advance(states, step)
            except OverflowViolation as error:
                return LawRun(masses, step, str(error))
    return LawRun(masses, steps)


def _departure(graph: IntegerGraph, masses: Mapping[str, Integers]) -> str:
    for field in graph.fields:
        levels, window, unit = field.levels(masses[field.name]), field.window, field.value_per_quantum
        wrong = (levels < window.lower) | (levels > window.upper)
        if wrong.any():
            cell = int(wrong.argmax())
            return (
                f"{field.name} is {levels[cell] * unit:.6g} in cell {cell}, outside its range {{:g}} to {{:g}}".format(
                    *graph.range_of(field)
                )
            )
    return ""
