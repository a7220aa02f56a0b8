"""How an audit hears what populations hold and send: they tell it, or it follows what Lava's own processes send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.stock import is_stock
from pisnn_deploy.lava.plan import Plan, plan_of
from pisnn_deploy.lava.start import CURRENT, Start
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays

EARS = 16
"""Ports that an audit has."""


class Hearing(Protocol):
    """What the messages of one time step say."""

    @property
    def ears(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each message, by what sends it."""

    @property
    def hears_rest(self) -> bool:
        """Whether channels are heard when they do not fire, too."""

    def mass(self, messages: Sequence[Integers], step: int) -> Integers:
        """Masses and ledgers of all fields, int64 [holders]."""

    def flux(self, messages: Sequence[Integers], step: int) -> Integers:
        """Packets, currents and residues of all channels, int64 [3, channels]."""

    def on_its_way(self, messages: Sequence[Integers]) -> Integers:
        """Currents that were sent to channels, int64 [channels]."""

    def events(self, messages: Sequence[Integers], *, holders: bool, channels: bool) -> Mapping[int, int]:
        """Spikes of holders and of channels that do not count theirs, by slot of the population."""


def hearing(graph: IntegerGraph, start: Start) -> Hearing:
    """How the audit of a graph hears its populations.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    start : Start
        Where the run begins.
    """
    return Followed.of(graph, start) if is_stock(graph) else Told.of(graph)


@dataclass(frozen=True)
class Told:
    """Each process tells its own states.

    Attributes
    ----------
    plans : tuple of Plan
        Of the populations that are heard.
    holders : tuple of int
        Which of them hold each field.
    channels : tuple of (int, int)
        Which of them, and where among its own, are the channels of the graph.
    """

    plans: tuple[Plan, ...]
    holders: tuple[int, ...]
    channels: tuple[tuple[int, int], ...]
    hears_rest: bool = True

    @classmethod
    def of(cls, graph: IntegerGraph) -> Told:
        """The populations of a graph."""
        senders = [channels.population for channels in graph.channels]
        names = list(dict.fromkeys((*graph.holders, *senders)))
        own = [senders[:number].count(sender) for number, sender in enumerate(senders)]
        return cls(
            tuple(plan_of(graph, name) for name in names),
            tuple(map(names.index, graph.holders)),
            tuple((names.index(sender), number) for sender, number in zip(senders, own, strict=True)),
        )

    @property
    def ears(self) -> Mapping[str, tuple[int, ...]]:
        """What is told, by population."""
        return {plan.population.name: (len(plan.audited), plan.population.size) for plan in self.plans}

    def mass(self, messages: Sequence[Integers], step: int) -> Integers:
        """Masses and ledgers of all fields."""
        told = [messages[number][0] for number in self.holders]
        return told[0] if len(told) == 1 else np.concatenate(told)

    def flux(self, messages: Sequence[Integers], step: int) -> Integers:
        """Packets, currents and residues of all channels."""
        told = [messages[number][3 * own : 3 * (own + 1)] for number, own in self.channels]
        return told[0] if len(told) == 1 else np.concatenate(told, axis=1)

    def on_its_way(self, messages: Sequence[Integers]) -> Integers:
        """Channels have taken their currents."""
        current: Integers = self.flux(messages, 0)[CURRENT]
        return current

    def events(self, messages: Sequence[Integers], *, holders: bool, channels: bool) -> Mapping[int, int]:
        """Each process counts its own."""
        return {}


@dataclass(frozen=True)
class Followed:
    """Lava's own processes tell no states: the residues follow from the drive by the program, so a face that does
    something else breaks I3. Their widths are looked at here, because these processes do not.

    Attributes
    ----------
    cells, faces : Plan
        Of the two populations.
    residue : int64 array [faces]
        As the program leaves it.
    """

    cells: Plan
    faces: Plan
    residue: Integers
    hears_rest: bool = False

    @classmethod
    def of(cls, graph: IntegerGraph, start: Start) -> Followed:
        """The two populations of a graph."""
        (holders,), (channels,) = graph.holders, graph.channels
        return cls(plan_of(graph, holders), plan_of(graph, channels.population), start.residue.copy())

    @property
    def ears(self) -> Mapping[str, tuple[int, ...]]:
        """States of the cells and the constant that rounds; what the faces receive; what they send."""
        faces = (self.faces.population.size,)
        return {"mass": (self.cells.population.size + 1,), "drive": faces, "packets": faces}

    def mass(self, messages: Sequence[Integers], step: int) -> Integers:
        """Masses of the cells."""
        mass = messages[0][:-1]
        self.cells.require("mass", mass, step)
        return mass

    def flux(self, messages: Sequence[Integers], step: int) -> Integers:
        """Packets and drives as they were sent, and the residues that the program leaves."""
        _, drive, packets = messages
        program = self.faces.population.program
        arrival = np.zeros_like(drive)
        inputs = dict(zip((*program.ports, *program.states), (arrival, drive, self.residue), strict=True))

        def look(name: str, values: Integers) -> None:
            self.faces.require(name, packets if name in program.sends else values, step)

        look("current", drive)
        values = run(program, Arrays(look), {**inputs, **self.faces.population.parameters}).values
        self.residue[:] = values["residue"]
        return np.stack([packets, drive, self.residue])

    def on_its_way(self, messages: Sequence[Integers]) -> Integers:
        """The drive of the next PDE step."""
        return messages[1]

    def events(self, messages: Sequence[Integers], *, holders: bool, channels: bool) -> Mapping[int, int]:
        """States of the cells and packets that are not 0."""
        mass, _, packets = messages
        counts = {self.cells.slot: np.count_nonzero(mass[:-1])} if holders else {}
        return counts | ({self.faces.slot: np.count_nonzero(packets)} if channels else {})
