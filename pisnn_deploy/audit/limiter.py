"""What the channels of a limiter may send, computed from the masses of the audit and the ends of the channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.limiter import FULL_PORTS, SHORT_PORTS, SOURCE_MASS, TARGET_MASS
from pisnn_deploy.programs import Prepared, Program
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.parts import computing

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Limiter:
    """Programs and ends of the channels of one field, and of the cells that answer them.

    Attributes
    ----------
    fired : str
        Name of the packet before it is limited.
    asking, limiting, answering : Prepared
        From the fired packet to what is asked; from that and the answers to the packet; the program of the cells.
        Without the first and the last, channels withhold by the masses at their ends alone.
    source, target : int64 array [channels]
        Holders at both ends, numbered across all fields.
    cells : slice
        Cells that answer among all holders.
    parameters, limits : mapping of str to int64 array
        Parameters of the channels and of the cells.
    """

    fired: str
    asking: Prepared[Integers] | None
    limiting: Prepared[Integers]
    answering: Prepared[Integers] | None
    source: Integers
    target: Integers
    cells: slice
    parameters: Mapping[str, Integers]
    limits: Mapping[str, Integers]

    def allowed(self, fired: Integers, sent: Integers) -> Integers:
        """Return the packets that channels must send.

        Parameters
        ----------
        fired : int64 array [channels]
            Packets before they are limited.
        sent : int64 array [holders]
            Masses at the start of the PDE step that holders send; 0 of reservoirs.

        Returns
        -------
        int64 array [channels]
            Packets, each a part of what fired or the low flux.
        """
        masses = {SOURCE_MASS: sent[self.source], TARGET_MASS: sent[self.target]}
        inputs = {**self.parameters, self.fired: fired, **masses}
        if self.asking is not None and self.answering is not None:
            inputs |= self._answers(self.asking.run(inputs).values, sent, self.answering)
        (packets,) = self.limiting.run(inputs).sends
        return packets

    def _answers(
        self, asked: Mapping[str, Integers], sent: Integers, answering: Prepared[Integers]
    ) -> Mapping[str, Integers]:
        """What channels hear of the cells at their ends, by port; 0 of reservoirs."""
        forward, backward, cells = asked["forward"], asked["backward"], self.cells
        heard = {"mass": sent[cells]}
        sums = {"leaving": (forward, backward), "coming": (backward, forward)}
        if "low" in asked:
            sums["balance"] = -asked["low"], asked["low"]
        for port, values in sums.items():
            total = np.zeros_like(sent)
            for ends, part in zip((self.source, self.target), values, strict=True):
                np.add.at(total, ends, part)
            heard[port] = total[cells]
        parts: dict[str, Integers] = {}
        for ports, answer in zip(
            (SHORT_PORTS, FULL_PORTS), answering.run({**self.limits, **heard}).sends, strict=False
        ):
            silent = np.zeros_like(sent)
            silent[cells] = answer
            parts |= {ports[0]: silent[self.source], ports[1]: silent[self.target]}
        return parts


def limiter_of(graph: IntegerGraph, channels: Channels, withholding: Program, first: tuple[int, int]) -> Limiter:
    """Return how the channels of a graph are limited.

    Parameters
    ----------
    first : (int, int)
        Numbers of the first holders of the fields at the source and at the target, across all fields.
    withholding : Program
        Operations from the fired packet to the one that is sent, and to what is asked.
    """
    population, field = graph.population(channels.population), graph.field_of(channels.source_holder)
    names = {synapse.source for synapse in graph.into(population.name, SHORT_PORTS[0])}
    answers = graph.population(*names) if len(names) == 1 else None
    packet, *asks = withholding.sends
    parameters = {value: population.parameters[value] for value in withholding.parameters}
    return Limiter(
        withholding.ports[0],
        None if answers is None else Prepared(computing(withholding, asks), Arrays()),
        Prepared(computing(withholding, [packet]), Arrays()),
        None if answers is None else Prepared(answers.program, Arrays()),
        channels.source + first[0],
        channels.target + first[1],
        slice(first[0], first[0] + field.cells),
        parameters,
        {} if answers is None else answers.parameters,
    )
