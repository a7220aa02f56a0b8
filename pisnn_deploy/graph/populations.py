"""Populations (neurons that run one program) and their depth behind the holders of mass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import Field

from pisnn_deploy.graph.stored import Integers, ListsOf, Name, NeuronCount, ProgramLines, Stored
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.clock import Clock, clock_of
from pisnn_deploy.programs.parts import computing

MOST_LINES = 32
_Lists = ListsOf(lambda name, data, arrays: int(data["size"]))


@dataclass(frozen=True)
class Population(Stored):
    """Neurons of one program.

    Attributes
    ----------
    name : str
        Name used by synapses and bounds.
    size : int
        Number of neurons.
    program : Program
        Program that each neuron runs in a PDE step.
    parameters : mapping of str to int64 array [size]
        One value per neuron for each parameter of the program.
    start : mapping of str to int64 array [size]
        States before the first PDE step; states that are not listed start at 0.
    lines : int
        Number of lines of binary spikes on which a payload is sent (`pisnn_deploy.graph.lines`); 0 where spikes carry
        integers.
    """

    name: Name
    size: NeuronCount
    program: Annotated[Program, ProgramLines()]
    parameters: Annotated[Mapping[str, Integers], _Lists] = field(default_factory=dict)
    start: Annotated[Mapping[str, Integers], _Lists] = field(default_factory=dict)
    lines: Annotated[int, Field(ge=0, le=MOST_LINES)] = 0

    @cached_property
    def is_late(self) -> bool:
        """Whether nothing that arrives in a PDE step reaches what is sent in it."""
        return bool(self.program.ports) and not self._heard.intersection(self.program.sends)

    @property
    def hearing_states(self) -> tuple[str, ...]:
        """States whose next value depends on what arrives."""
        pairs = zip(self.program.states, self.program.after, strict=True)
        return tuple(state for state, value in pairs if value in self._heard)

    @cached_property
    def _heard(self) -> frozenset[str]:
        """Values of the program that depend on what arrives in the PDE step."""
        heard = set(self.program.ports)
        for operation in self.program.operations:
            if heard.intersection(value for value in operation.values if isinstance(value, str)):
                heard.update(operation.results)
        return frozenset(heard)

    @cached_property
    def only_adds(self) -> bool:
        """Whether the program is a holder's: one state, which sums what arrives and is sent."""
        program = self.program
        if len(program.ports) != 1 or len(program.states) != 1 or program.parameters or len(program.operations) != 1:
            return False
        (operation,) = program.operations
        sums = operation.name == "add" and set(operation.operands) == {program.ports[0], program.states[0]}
        return sums and program.after == program.sends == operation.results

    def state_sent(self, output: int) -> str | None:
        """State whose next value an output sends; None if it sends another value."""
        value = self.program.sends[output]
        return next(
            (s for s, after in zip(self.program.states, self.program.after, strict=True) if after == value), None
        )

    def quantity(self, value: str) -> str:
        """Name under which bounds and messages know a value of the program."""
        return value.replace("_", "-")

    def started(self) -> dict[str, Integers]:
        """All states before the first PDE step, int64 [size] by name."""
        return {state: self.start.get(state, np.zeros(self.size, np.int64)) for state in self.program.states}

    @property
    def clock(self) -> Clock | None:
        """Clock that counts PDE steps in its only state; None without one."""
        return clock_of(self.program)

    def states_at(self, step: int) -> dict[str, Integers]:
        """All states before a PDE step of a population whose states are those of a clock, or that has none."""
        clock = self.clock
        if clock is None:
            return self.started()
        return {state: np.full(self.size, clock.at(step), np.int64) for state in self.program.states}


@dataclass(frozen=True)
class Asking:
    """What channels send before they fire, to populations whose answers they hear in the same PDE step.

    Attributes
    ----------
    part : Population
        The channels with the part of their program that computes these values.
    outputs : tuple of int
        Number of each value among all that the channels send.
    """

    part: Population
    outputs: tuple[int, ...]


def asking(channels: Population, outputs: Iterable[int]) -> Asking:
    """Part of channels that sends some outputs before they fire.

    Parameters
    ----------
    outputs : iterable of int
        Outputs that other populations answer.
    """
    numbers = tuple(sorted(outputs))
    program = computing(channels.program, [channels.program.sends[number] for number in numbers])
    parameters = {name: channels.parameters[name] for name in program.parameters if name in channels.parameters}
    start = {name: values for name, values in channels.start.items() if name in program.states}
    return Asking(Population(channels.name, channels.size, program, parameters, start), numbers)


class CycleError(ValueError):
    """Populations form a cycle; the message names one of them."""


def depths(holders: Iterable[str], populations: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Depth of each population: the number of synapses on the longest path from the holders.

    Parameters
    ----------
    holders : iterable of str
        Populations that hold mass, at depth 0.
    populations : iterable of str
        Every population; one that nothing reaches has depth 1.
    links : iterable of (str, str)
        Source and target of each synapse. Links to holders, and from a population to itself, act in the next PDE step
        and do not count.

    Returns
    -------
    dict of str to int
        In ascending order; populations of one depth stay in the order given.

    Raises
    ------
    CycleError
        Some populations form a cycle.
    """
    grounded, names = set(holders), list(populations)
    heard: dict[str, set[str]] = {name: set() for name in names if name not in grounded}
    for source, target in links:
        if target in heard and source != target:
            heard[target].add(source)
    depth = {name: 0 for name in names if name in grounded}
    while len(depth) < len(names):
        ready = {name for name, sources in heard.items() if name not in depth and sources <= depth.keys()}
        if not ready:
            raise CycleError(min(name for name in heard if name not in depth))
        depth |= {
            name: 1 + max((depth[source] for source in heard[name]), default=0) for name in heard if name in ready
        }
    order = {name: number for number, name in enumerate(names)}
    return dict(sorted(depth.items(), key=lambda item: (item[1], order[item[0]])))
