"""Inputs of an audit: states reported by our processes, or derived from the messages of Lava's own processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.shape import MOST_POPULATIONS
from pisnn_deploy.graph.stock import is_stock
from pisnn_deploy.lava.plan import Plan, plan_of
from pisnn_deploy.lava.start import CURRENT, Start
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays

AUDIT_PORTS = MOST_POPULATIONS
"""Number of ports of an audit; unused ones stay unconnected."""


class AuditInput(Protocol):
    """Interpretation of the messages of one time step."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each message, by sender."""

    @property
    def reports_every_step(self) -> bool:
        """Whether channels report their states also when they do not fire."""

    def mass(self, messages: Sequence[Integers], step: int) -> Integers:
        """Return masses and ledgers of all fields, int64 [holders]."""

    def flux(self, messages: Sequence[Integers], step: int) -> Integers:
        """Return packets, currents and residues of all channels, int64 [3, channels]."""

    def next_current(self, messages: Sequence[Integers]) -> Integers:
        """Return currents that were sent to channels, int64 [channels]."""

    def events(self, messages: Sequence[Integers], *, holders: bool, channels: bool) -> Mapping[int, int]:
        """Count spikes of populations that do not count their own, by slot of the population."""


def audit_input(graph: IntegerGraph, start: Start) -> AuditInput:
    """Return the input of a graph's audit.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    start : Start
        Start of the run.
    """
    return DerivedStates.of(graph, start) if is_stock(graph) else ReportedStates.of(graph)


@dataclass(frozen=True)
class ReportedStates:
    """States that each process reports.

    Attributes
    ----------
    plans : tuple of Plan
        Plans of the reporting populations.
    holders : tuple of int
        Index in `plans` of the holder of each field.
    channels : tuple of (int, int)
        Index in `plans`, and index in that population, of each of the graph's channels.
    """

    plans: tuple[Plan, ...]
    holders: tuple[int, ...]
    channels: tuple[tuple[int, int], ...]
    reports_every_step: bool = True

    @classmethod
    def of(cls, graph: IntegerGraph) -> ReportedStates:
        """Create the input for the populations of a graph."""
        senders = [channels.population for channels in graph.channels]
        names = list(dict.fromkeys((*graph.holders, *senders)))
        index_in_sender = [senders[:number].count(sender) for number, sender in enumerate(senders)]
        return cls(
            tuple(plan_of(graph, name) for name in names),
            tuple(map(names.index, graph.holders)),
            tuple((names.index(sender), number) for sender, number in zip(senders, index_in_sender, strict=True)),
        )

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each report, by population."""
        return {plan.population.name: (len(plan.audited), plan.population.size) for plan in self.plans}

    def mass(self, messages: Sequence[Integers], step: int) -> Integers:
        """Masses and ledgers of all fields."""
        masses = [messages[number][0] for number in self.holders]
        return masses[0] if len(masses) == 1 else np.concatenate(masses)

    def flux(self, messages: Sequence[Integers], step: int) -> Integers:
        """Packets, currents and residues of all channels."""
        parts = [messages[number][3 * index : 3 * (index + 1)] for number, index in self.channels]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def next_current(self, messages: Sequence[Integers]) -> Integers:
        """Return the currents, which channels have taken already."""
        current: Integers = self.flux(messages, 0)[CURRENT]
        return current

    def events(self, messages: Sequence[Integers], *, holders: bool, channels: bool) -> Mapping[int, int]:
        """Return nothing: each process counts its own spikes."""
        return {}


@dataclass(frozen=True)
class DerivedStates:
    """States derived from the messages of Lava's own processes, which report none.

    The residues follow from the drive and the program, so a face that deviates from the program violates I3. Widths are
    checked here, because Lava's processes do not check them.

    Attributes
    ----------
    cells, faces : Plan
        Plans of the two populations.
    residue : int64 array [faces]
        Residues after the last step, in quanta.
    """

    cells: Plan
    faces: Plan
    residue: Integers
    reports_every_step: bool = False

    @classmethod
    def of(cls, graph: IntegerGraph, start: Start) -> DerivedStates:
        """Create the input for the two populations of a graph."""
        (holders,), (channels,) = graph.holders, graph.channels
        return cls(plan_of(graph, holders), plan_of(graph, channels.population), start.residue.copy())

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the masses with the rounding constant, of the drive and of the packets."""
        faces = (self.faces.population.size,)
        return {"mass": (self.cells.population.size + 1,), "drive": faces, "packets": faces}

    def mass(self, messages: Sequence[Integers], step: int) -> Integers:
        """Masses of the cells."""
        mass = messages[0][:-1]
        self.cells.require("mass", mass, step)
        return mass

    def flux(self, messages: Sequence[Integers], step: int) -> Integers:
        """Return packets, drives, and the residues that the program computes."""
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

    def next_current(self, messages: Sequence[Integers]) -> Integers:
        """Return the drive of the next PDE step."""
        return messages[1]

    def events(self, messages: Sequence[Integers], *, holders: bool, channels: bool) -> Mapping[int, int]:
        """Count nonzero masses and packets."""
        mass, _, packets = messages
        counts = {self.cells.slot: np.count_nonzero(mass[:-1])} if holders else {}
        return counts | ({self.faces.slot: np.count_nonzero(packets)} if channels else {})
