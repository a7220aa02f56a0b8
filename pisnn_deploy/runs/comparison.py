"""Two backends side by side: every integer of every PDE step, and the first that differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.runs.registry import run_graph
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, Trace

STRETCH_BYTES = 1 << 27
"""Bytes of the integers of one backend that are held at once."""


@dataclass(frozen=True)
class Difference:
    """The first integer on which two backends disagree.

    Attributes
    ----------
    step : int
        PDE step after which they differ.
    population, quantity : str
    index : int
        Neuron.
    values : tuple of int
        What either backend has.
    """

    step: int
    population: str
    quantity: str
    index: int
    values: tuple[int, int]

    def sentence(self, first: str, second: str) -> str:
        """Say it, with the names of the backends."""
        return (
            f"{first} and {second} differ first at PDE step {self.step}: {self.population} {self.quantity} "
            f"[{self.index}] is {self.values[0]} on {first} and {self.values[1]} on {second}"
        )


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    steps : int
        PDE steps that were compared.
    integers : int
        Integers that were found equal.
    difference : Difference or None
    failures : tuple of str
        How each of the two runs was stopped; empty sentences if they were not.
    """

    steps: int
    integers: int
    difference: Difference | None
    failures: tuple[str, str]


def compare(
    backends: tuple[str, str],
    graph: IntegerGraph,
    mass: Integers,
    options: RunOptions,
    progress: Progress | None = None,
) -> Comparison:
    """Run a graph on two backends and compare masses, ledgers, packets, currents and residues after every PDE step.

    Both run in stretches from snapshots of their own, so memory is bounded however long the run is.

    Parameters
    ----------
    backends : tuple of str
    graph : IntegerGraph
    mass : int64 array [cells]
    options : RunOptions
        Their ``every`` is not looked at.
    progress : callable, optional
        Told the PDE steps that both have done.

    Returns
    -------
    Comparison
    """
    stretch = max(1, STRETCH_BYTES // (8 * (graph.mesh.holders + 4 * graph.mesh.faces)))
    starts = [options.start, options.start]
    done, integers = options.first_step, 0
    while True:
        end = min(options.steps, done + stretch)
        runs: list[Run] = []
        for backend, start in zip(backends, starts, strict=True):
            asked = replace(options, until=end, every=1, everything=True, start=start)
            runs.append(run_graph(backend, graph, mass, asked))
        first, second = runs
        difference = first_difference(first.trace, second.trace)
        rows = min(first.trace.step.size, second.trace.step.size)
        integers += sum(part[:rows].size for _, _, part in _parts(first.trace)) if difference is None else 0
        done = min(first.steps, second.steps)
        failures = (first.verdict.reason, second.verdict.reason)
        if progress is not None:
            progress(done)
        if difference is not None or any(failures) or end == options.steps:
            return Comparison(done, integers, difference, failures)
        starts = [run.end for run in runs]


def first_difference(first: Trace, second: Trace) -> Difference | None:
    """The first integer on which two traces disagree, in the order of steps.

    Parameters
    ----------
    first, second : Trace
        With the integers of the flux compartments; only steps that both have are compared.

    Returns
    -------
    Difference or None
    """
    found: Difference | None = None
    rows = min(first.step.size, second.step.size)
    for (population, quantity, ours), (_, _, theirs) in zip(_parts(first), _parts(second), strict=True):
        wrong = np.argwhere(ours[:rows] != theirs[:rows])
        if wrong.size and (found is None or int(first.step[wrong[0][0]]) < found.step):
            row, index = (int(number) for number in wrong[0])
            values = int(ours[row, index]), int(theirs[row, index])
            found = Difference(int(first.step[row]), population, quantity, index, values)
    return found


def _parts(trace: Trace) -> Iterator[tuple[str, str, Integers]]:
    """What a trace holds, in the order in which a PDE step makes it."""
    assert trace.flux is not None
    for number, quantity in ((1, "current"), (0, "packet"), (2, "residue")):
        yield FLUX, quantity, trace.flux[:, number]
    yield MEMBRANE, "mass", trace.mass
    yield MEMBRANE, "ledger", trace.ledger
