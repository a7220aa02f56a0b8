"""How the populations of a limiter are joined: channels ask the cells at their ends, and cells answer.

Each field with a limiter has a population of one neuron a cell that runs `pisnn_deploy.programs.limiter.answer`. What
it hears and who hears it follows from the ends of the channels alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.graph.connections import CellEnds, Connections, Ends, Explicit
from pisnn_deploy.graph.fields import Field, OperatingWindow
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.synapse import Integers, Synapse
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.limiter import answer

ANSWERS = "answers"
"""Answers of the cells of a graph of one field."""
UNIT, EXPONENT = 2, -1
"""Mantissa and exponent of a weight of 1."""
SOURCE_MASS, TARGET_MASS = "source_mass", "target_mass"
"""Ports of a channel that bring the masses of the cells at its ends."""
SHORT_PORTS = ("source_short", "target_short")
FULL_PORTS = ("source_full", "target_full")
"""Ports of a channel that bring what the cells at its ends keep back or refuse."""
LIMITER_PORTS = (SOURCE_MASS, TARGET_MASS, *SHORT_PORTS, *FULL_PORTS)
ASKS = ("low", "forward", "backward")
"""Values that a channel with a limiter sends to cells."""


@dataclass(frozen=True)
class Joined:
    """Names of the populations that a limiter joins.

    Attributes
    ----------
    holder, channels, answers : str
        Holders of the field, its channels, and the answers of its cells.
    """

    holder: str
    channels: str
    answers: str


@dataclass(frozen=True)
class ChannelEnds:
    """Ends of the channels of one field.

    Attributes
    ----------
    source, target : int64 array [channels]
        Holders that a positive packet leaves and enters.
    cells, holders : int
        Number of cells, and of cells and reservoirs.
    """

    source: Integers
    target: Integers
    cells: int
    holders: int


def least_and_most(field: Field, floor: int, ceiling: int) -> tuple[Integers, Integers]:
    """Smallest and largest masses of cells whose levels lie within two limits.

    Parameters
    ----------
    floor, ceiling : int
        Limits in the unit of the field's window.

    Returns
    -------
    least, most : int64 array [cells]
        In quanta.
    """
    return -(-floor // field.inverse_volume), ceiling // field.inverse_volume


def answering(field: Field, program: Program, limits: OperatingWindow, name: str = ANSWERS) -> Population:
    """Population that answers for the cells of a field.

    Parameters
    ----------
    program : Program
        Made by `pisnn_deploy.programs.limiter.answer`.
    limits : OperatingWindow
        Floor and ceiling in the unit of the field's window.
    """
    least, most = least_and_most(field, limits.lower, limits.upper)
    values = {"least": least, "most": most}
    return Population(name, field.cells, program, {name: values[name] for name in program.parameters})


def limiter_synapses(ends: ChannelEnds, channels: Program, joined: Joined) -> tuple[Synapse, ...]:
    """Synapses of a limiter.

    Parameters
    ----------
    channels : Program
        Program of the channels, which tells what they hear and send.
    """
    return tuple(
        Synapse(_name(name, output, target, port, channels), name, target, connections, EXPONENT, port, output)
        for name, output, target, port, connections in _wiring(ends, channels, joined)
    )


def _name(name: str, output: int, target: str, port: str, channels: Program) -> str:
    """Name of a synapse: what is sent, if the sender sends several values to one port, and where it arrives."""
    value = f"-{channels.sends[output]}" if port in ("leaving", "coming") else ""
    return f"{name}{value}-to-{target}-{port.replace('_', '-')}"


def _wiring(ends: ChannelEnds, channels: Program, joined: Joined) -> Iterator[tuple[str, int, str, str, Connections]]:
    """Source, output, target, port and connections of each synapse."""
    number = {value: output for output, value in enumerate(channels.sends)}
    at = {"source": ends.source, "target": ends.target}
    for port in channels.ports:
        end, _, what = port.partition("_")
        if what == "mass":
            yield joined.holder, 0, joined.channels, port, Ends(at[end], ends.cells, ends.holders, UNIT)
        elif what in ("short", "full"):
            heard = Ends(at[end], ends.cells, ends.cells, UNIT)
            yield joined.answers, int(what == "full"), joined.channels, port, heard
    cells = np.arange(ends.cells + 1, dtype=np.int64)
    own = Explicit(cells, cells[:-1], np.full(ends.cells, UNIT, np.int64), ends.holders)
    yield joined.holder, 0, joined.answers, "mass", own

    def asks(value: str, port: str, at_source: int, at_target: int) -> tuple[str, int, str, str, Connections]:
        heard = CellEnds(ends.source, ends.target, ends.cells, at_source, at_target)
        return joined.channels, number[value], joined.answers, port, heard

    if "low" in number:
        yield asks("low", "balance", -UNIT, UNIT)
    yield asks("forward", "leaving", UNIT, 0)
    yield asks("backward", "leaving", 0, UNIT)
    if "source_full" in channels.ports:
        yield asks("forward", "coming", 0, UNIT)
        yield asks("backward", "coming", UNIT, 0)


def has_low(program: Program) -> bool:
    """Whether channels send a low flux."""
    return "low" in program.sends


def answer_to(program: Program) -> Program:
    """Program of the cells that answer channels of a program with a limiter."""
    return answer(has_low(program), FULL_PORTS[0] in program.ports)
