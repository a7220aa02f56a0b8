"""Effect of faults on memories and messages in each time step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pisnn_deploy.faults.memory import UNDECLARED_BITS, WEIGHT_BITS, flipped, value_bits, word_bits
from pisnn_deploy.faults.places import resolved
from pisnn_deploy.faults.spec import PACKET_KINDS, STATES, Fault, wrong_place
from pisnn_deploy.faults.synapse import FaultySynapse
from pisnn_deploy.faults.values import Flip, FlippedArrays
from pisnn_deploy.graph.integer import FLUX, IntegerGraph, Integers
from pisnn_deploy.graph.lines import Line, stored_synapses
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs.arrays import Arrays, Look


class Injector:
    """The faults of one run.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    faults : sequence of Fault
        All faults of the run.
    steps : int
        Number of PDE steps of the run.

    Raises
    ------
    UsageError
        If the graph or the run has no such place or time.
    """

    def __init__(self, graph: IntegerGraph, faults: Sequence[Fault], steps: int) -> None:
        for fault in faults:
            _require(graph, fault, steps)
        self._graph = graph
        self.faults = tuple(replace(fault, of=resolved(graph, fault)) for fault in faults)
        self.period = int(graph.period or 0)
        self._flips = [fault for fault in self.faults if fault.place in STATES and fault.kind == "flip"]
        self._values = [fault for fault in faults if fault.value]
        self._stale = [fault for fault in faults if fault.kind == "stale"]
        self._dead = [
            (fault, {name: np.flatnonzero(core == fault.index) for name, core in graph.placement.core.items()})
            for fault in faults
            if fault.kind == "dead" and graph.placement is not None
        ]

    def flip(self, population: str, quantity: str, words: Integers, step: int, phase: int) -> None:
        """Flip bits of states at the start of a time step.

        Parameters
        ----------
        population : str
            Whose states.
        quantity : str
            ``mass``, ``current`` or ``residue``.
        words : int64 array [neurons]
            States, changed in place.
        step, phase : int
            PDE step, and the time step of it.
        """
        for fault in self._flips:
            place = fault.of, STATES[fault.place], fault.step, fault.phase
            if place == (population, quantity, step, phase):
                width = word_bits(self._graph, fault.place, fault.index, population)
                words[fault.index] = flipped(int(words[fault.index]), fault.bit, width)

    def dead(self, population: str, step: int, phase: int) -> Integers:
        """Return the neurons that neither update nor send.

        Parameters
        ----------
        population : str
            Whose neurons.
        step, phase : int
            PDE step, and the time step of it.

        Returns
        -------
        int64 array
            Numbers of neurons, ascending.
        """
        none = np.zeros(0, np.int64)
        numbers = [
            neurons.get(population, none) for fault, neurons in self._dead if (fault.step, fault.phase) <= (step, phase)
        ]
        dead: Integers = np.unique(np.concatenate([none, *numbers]))
        return dead

    def held(self, population: str, step: int, phase: int) -> Integers:
        """Return the neurons whose accumulator does not take its input.

        Parameters
        ----------
        population : str
            Whose neurons.
        step, phase : int
            PDE step and time step in which the population updates.

        Returns
        -------
        int64 array
            Numbers of neurons, ascending.
        """
        stale = [fault.index for fault in self._stale if (fault.place, fault.step) == (population, step)]
        return np.union1d(self.dead(population, step, phase), np.array(stale, np.int64))

    def reader(self, population: Population, step: int, look: Look) -> Arrays:
        """Return a program reader for a population in a PDE step, which flips the bits of its faults.

        Parameters
        ----------
        step : int
            PDE step in which the program runs.
        look : callable
            Called with each value; refuses those outside their widths.
        """
        flips = [
            Flip(fault.value, fault.index, fault.bit, self._width(population, fault))
            for fault in self._values
            if (fault.population, fault.step) == (population.name, step)
        ]
        return FlippedArrays(flips, population.size, look) if flips else Arrays(look)

    def _width(self, population: Population, fault: Fault) -> int:
        return value_bits(self._graph, population.name, population.quantity(fault.value), fault.index) or 64

    def synapse(self, line: Line, period: int) -> FaultySynapse:
        """Return a stored synapse population with its faults.

        Parameters
        ----------
        period : int
            Number of time steps per PDE step.
        """
        return FaultySynapse(line, self.faults, self._graph, period)

    def first_step(self) -> int:
        """PDE step of the earliest fault."""
        return min(fault.step for fault in self.faults)


def _require(graph: IntegerGraph, fault: Fault, steps: int) -> None:
    """Refuse a fault with a place or time that does not exist."""
    period = int(graph.period or 0)
    if fault.phase >= period:
        raise wrong_place(fault, f"a PDE step has only the time steps 0 to {period - 1}")
    is_late = fault.kind == "stale" or bool(fault.value)
    fired_before = fault.kind in PACKET_KINDS or (is_late and fault.population not in graph.holders)
    last = steps - 1 if fired_before or fault.phase else steps
    if fault.step > last:
        raise wrong_place(fault, f"the run has only {steps} PDE steps; the last such fault is possible at {last}")
    if fault.place == "weight":
        _require_weight(graph, fault)
        return
    if fault.value:
        _require_value(graph, fault)
        return
    if fault.place == "core":
        if graph.placement is None:
            raise wrong_place(fault, "the artifact has no placement; compile it for a profile")
        size, noun = graph.placement.cores, "cores"
    else:
        population = resolved(graph, fault) or fault.place
        if population not in graph.chain:
            raise wrong_place(fault, f"there is no such population; use {', '.join(graph.chain)}")
        size, noun = graph.size(population), "faces" if population == FLUX else f"neurons of {population}"
    if fault.index >= size:
        raise wrong_place(fault, f"the {size} {noun} are numbered from 0")
    if fault.kind == "misroute":
        _require_holder(graph, fault)
    if fault.kind == "flip":
        width = word_bits(graph, fault.place, fault.index, resolved(graph, fault))
        if fault.bit >= width:
            raise wrong_place(fault, f"the word has the bits 0 to {width - 1}")


def _require_holder(graph: IntegerGraph, fault: Fault) -> None:
    """Refuse a holder that does not exist where a packet is sent."""
    name = resolved(graph, fault)
    (channels,) = (channels for channels in graph.channels if channels.population == name)
    for end, (holder, _, _) in zip(("source", "target"), channels.ends, strict=True):
        size = graph.size(holder)
        if fault.end in ("both", end) and fault.other >= size:
            where = "" if len(graph.fields) == 1 else f" of {graph.field_of(holder).name}"
            raise wrong_place(fault, f"the {size} cells and reservoirs{where} are numbered from 0")


def _require_value(graph: IntegerGraph, fault: Fault) -> None:
    populations = {p.name: p for p in graph.populations}
    population = populations.get(fault.population)
    if population is None:
        raise wrong_place(fault, f"there is no population {fault.population!r}; use {', '.join(populations)}")
    if fault.value not in population.program.names:
        names = ", ".join(population.program.names)
        raise wrong_place(fault, f"the program of {population.name} has no value {fault.value!r}; use {names}")
    if fault.index >= population.size:
        raise wrong_place(fault, f"the {population.size} neurons of {population.name} are numbered from 0")
    width = value_bits(graph, population.name, population.quantity(fault.value), fault.index) or UNDECLARED_BITS
    if fault.bit >= width:
        raise wrong_place(fault, f"the word has the bits 0 to {width - 1}")


def _require_weight(graph: IntegerGraph, fault: Fault) -> None:
    stored = {line.synapse.name: line.synapse.entries for line in stored_synapses(graph)}
    if fault.synapse not in stored:
        raise wrong_place(fault, f"there is no synapse {fault.synapse!r}; use {', '.join(stored)}")
    if fault.index >= stored[fault.synapse]:
        raise wrong_place(fault, f"its {stored[fault.synapse]} connections are numbered from 0")
    if fault.bit >= WEIGHT_BITS:
        raise wrong_place(fault, f"a stored weight has the bits 0 to {WEIGHT_BITS - 1}")
