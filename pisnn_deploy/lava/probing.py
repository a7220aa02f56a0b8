"""Probes in a running population: it writes what it sends and keeps to files of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.plan import Plan
from pisnn_deploy.lava.row_file import RowFile
from pisnn_deploy.runs.probes import Probe, Probed, outputs_of, quantities, states_of

_NEURONS = "neurons"


def file_of(population: str, quantity: str) -> str:
    """Name of the shared array of a probed quantity."""
    return f"probe.{population}.{quantity}"


def create_probes(files: Exchange, graph: IntegerGraph, probes: tuple[Probe, ...], rows: int) -> None:
    """Create the arrays of the probes of a run.

    Parameters
    ----------
    rows : int
        Rows of the trace in this run.
    """
    for probe in probes:
        files.save(file_of(probe.population, _NEURONS), probe.neurons)
        for quantity in quantities(graph, probe.population):
            files.reserve(file_of(probe.population, quantity), (rows, probe.neurons.size))


def probed_rows(files: Exchange, graph: IntegerGraph, probes: tuple[Probe, ...], rows: int) -> tuple[Probed, ...]:
    """Read the rows of the probes of a run."""
    return tuple(
        Probed(
            probe,
            {
                quantity: np.array(files.array(file_of(probe.population, quantity))[:rows])
                for quantity in quantities(graph, probe.population)
            },
        )
        for probe in probes
    )


@dataclass(frozen=True)
class ProbePlan:
    """What a probed population writes.

    Attributes
    ----------
    outputs : mapping of int to str
        Name of the spikes of each output that is recorded.
    states : tuple of (str, int)
        Name of each state, and its word in the memory of the population.
    later : int
        1 for what leads to the masses after a PDE step, which is in the row of these masses; else 0.
    """

    population: str
    outputs: Mapping[int, str]
    states: tuple[tuple[str, int], ...]
    later: int


def probe_plan(files: Exchange, graph: IntegerGraph, plan: Plan) -> ProbePlan | None:
    """Return what a population writes, or None if it is not probed."""
    name = plan.population.name
    if not (files.folder / f"{file_of(name, _NEURONS)}.npy").exists():
        return None
    words = plan.audited_of_channel(0)[1:] if plan.channels else plan.audited
    states = zip(states_of(graph, name), map(plan.kept.index, words), strict=False)
    return ProbePlan(name, outputs_of(graph, name), tuple(states), int(plan.fires))


class ProbeWriter:
    """Writes the rows of a probed population.

    Parameters
    ----------
    files : Exchange
        Folder of the run.
    plan : ProbePlan
        What to write.
    """

    def __init__(self, files: Exchange, plan: ProbePlan) -> None:
        self._neurons = np.array(files.array(file_of(plan.population, _NEURONS)))
        self._row_of = {step: row for row, step in enumerate(files.array("kept").tolist())}
        self._later = plan.later
        self._spikes = {output: RowFile(files, file_of(plan.population, name)) for output, name in plan.outputs.items()}
        self._states = [(RowFile(files, file_of(plan.population, name)), word) for name, word in plan.states]

    def sent(self, output: int, payload: Integers, step: int) -> None:
        """Record what the population sends.

        Parameters
        ----------
        output : int
            Number of the output.
        payload : int64 array [neurons]
            Payloads; 0 sends nothing.
        step : int
            PDE step.
        """
        row = self._row_of.get(step + self._later)
        if row is not None and output in self._spikes:
            self._spikes[output].write(row, payload[self._neurons])

    def remembered(self, kept: Integers, step: int) -> None:
        """Record states.

        Parameters
        ----------
        kept : int64 array [words, neurons]
            Memory of the population, see `Plan.kept`.
        step : int
            PDE step.
        """
        row = self._row_of.get(step + self._later)
        if row is not None:
            for file, word in self._states:
                file.write(row, kept[word][self._neurons])
