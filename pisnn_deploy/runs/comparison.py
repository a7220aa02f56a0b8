"""Compare two backends: every integer of every PDE step, and the first difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.registry import run_graph
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, Trace, row_bytes

STRETCH_BYTES = 1 << 27
"""Memory for the integers of one backend, in bytes."""


@dataclass(frozen=True)
class Difference:
    """The first integer on which two backends disagree.

    Attributes
    ----------
    step : int
        PDE step of the difference.
    index : int
        Number of the neuron.
    values : tuple of int
        Value on each backend.
    """

    step: int
    population: str
    quantity: str
    index: int
    values: tuple[int, int]

    def sentence(self, first: str, second: str) -> str:
        """Describe the difference, with the names of the backends."""
        return (
            f"{first} and {second} first differ at PDE step {self.step}: {self.population} {self.quantity} "
            f"[{self.index}] is {self.values[0]} on {first} and {self.values[1]} on {second}"
        )


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes
    ----------
    steps : int
        Number of compared PDE steps.
    integers : int
        Number of equal integers.
    failures : tuple of str
        Why each of the runs was stopped, or empty strings.
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

    Both run in stretches, each from its own snapshot, so memory is bounded.

    Parameters
    ----------
    mass : int64 array [cells]
        Initial masses in quanta.
    options : RunOptions
        Options of the run; ``every`` is ignored.
    progress : callable, optional
        Called with the number of PDE steps that both have completed.
    """
    stretch = max(1, STRETCH_BYTES // row_bytes(graph, everything=True))
    starts = [options.start, options.start]
    done, integers = options.first_step, 0
    while True:
        end = min(options.steps, done + stretch)
        runs: list[Run] = []
        for backend, start in zip(backends, starts, strict=True):
            stretch_options = replace(options, until=end, every=1, everything=True, start=start)
            runs.append(run_graph(backend, graph, mass, stretch_options))
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
    """Return the first difference between two traces, in the order of steps, or None.

    Parameters
    ----------
    first, second : Trace
        Only common steps are compared. Of a trace without flux compartments, sums of packets are compared.
    """
    earliest: Difference | None = None
    rows = min(first.step.size, second.step.size)
    everything = first.flux is not None and second.flux is not None
    parts = zip(_parts(first, everything=everything), _parts(second, everything=everything), strict=True)
    for (population, quantity, ours), (_, _, theirs) in parts:
        wrong = np.argwhere(ours[:rows] != theirs[:rows])
        if wrong.size and (earliest is None or int(first.step[wrong[0][0]]) < earliest.step):
            row, index = (int(number) for number in wrong[0])
            values = int(ours[row, index]), int(theirs[row, index])
            earliest = Difference(int(first.step[row]), population, quantity, index, values)
    return earliest


def _parts(trace: Trace, *, everything: bool = True) -> Iterator[tuple[str, str, Integers]]:
    """Yield the parts of a trace in the order in which a PDE step computes them."""
    for channels in trace.columns.channels:
        if trace.flux is None or not everything:
            yield channels.population, "sum of packets", trace.transported[:, channels.part]
            continue
        for number, quantity in ((1, "current"), (0, "packet"), (2, "residue")):
            yield channels.population, quantity, trace.flux[:, number, channels.part]
    for field in trace.columns.fields:
        yield field.holder, "mass", trace.mass[:, field.cells]
        yield field.holder, "ledger", trace.ledger[:, field.reservoirs]
