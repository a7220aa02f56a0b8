"""What the checker's claims rest on of the programs of a graph: facts that it reads off them by itself.

A program has these facts whatever its values are called and in whichever order it works them out; of any other it is
said that it has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import BOUNDLESS, LEAK_BITS, MEMORYLESS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.verify.programs import Node, Reading, read
from pisnn_deploy.verify.spans import decayed, reset_limit

NOTHING = Node("constant", (), 0)


@dataclass(frozen=True)
class Face:
    """How a channel makes packets of what arrives.

    Attributes
    ----------
    exponent : int
        A drive of ``2^exponent`` that stays sends a quantum in every PDE step.
    packet_exponent : int
        A packet of one quantum takes ``2^packet_exponent`` from the residue.
    leak : int
        Part of the current that is lost in a PDE step, in 4096ths.
    steps_late : int
        PDE steps that go by before an arrival is heard.
    share_bits : int or None
        ``s`` if a cell gives at most ``max(m, 0) >> s`` through a face; None without such a limit.
    """

    exponent: int
    packet_exponent: int
    leak: int
    steps_late: int
    share_bits: int | None

    @property
    def is_plain(self) -> bool:
        """Whether packets are what arrives in the same PDE step and the rest of what arrived before, rounded."""
        return self.leak == MEMORYLESS and not self.steps_late and self.share_bits is None


class NoFace(ValueError):
    """The program of the channels is none that the checker knows."""


def face_of(graph: IntegerGraph) -> Face:
    """How the channels of a graph make packets."""
    face = face_in(read(str(graph.sole_channels.program)))
    if face is None:
        raise NoFace("faces neither fire the sum of their currents nor send what outgrows a threshold")
    return face


def known_face(graph: IntegerGraph) -> Face | None:
    """How the channels of a graph make packets; None where they run a program that the checker does not know."""
    return face_in(read(str(graph.sole_channels.program)))


def unknown_population(graph: IntegerGraph) -> str:
    """Name of the first layer, or of the channels, whose program the checker does not know; empty without any."""
    layers = [layer.name for layer, shift in zip(graph.between_fields, shifts(graph), strict=True) if shift is None]
    return next(iter(layers), "" if known_face(graph) is not None else graph.sole_channels.name)


def hears_late(graph: IntegerGraph) -> bool:
    """Whether nothing that arrives at the channels of a graph reaches what they send in the same PDE step."""
    reading = read(str(graph.sole_channels.program))
    return bool(reading.ports) and not reading.heard.intersection(reading.sends)


def face_in(reading: Reading) -> Face | None:
    """What a program does as a channel; None if it is none that the checker knows."""
    return _firing(reading) or _late(reading)


def biases(graph: IntegerGraph) -> list[NDArray[np.int64]]:
    """What each neuron of each population but the holders adds to what arrives, int64 [neurons] each."""
    return [
        population.parameters.get("bias", np.zeros(population.size, np.int64))
        for population in (*graph.between_fields, graph.sole_channels)
    ]


def shifts(graph: IntegerGraph) -> list[int | None]:
    """Of each population between holders and channels s, if it sends ``max(arrival + bias, 0) >> s``, else None."""
    return [shift_in(read(str(population.program))) for population in graph.between_fields]


def shift_in(reading: Reading) -> int | None:
    """The shift of a program that sends ``max(arrival + bias, 0) >> s`` and keeps nothing; None of any other."""
    if len(reading.sends) != 1 or reading.states or set(reading.ports) != {"arrival"}:
        return None
    shifted = reading.nodes[reading.sends[0]]
    positive = reading.nodes[shifted.values[0]] if shifted.name == "asr" else NOTHING
    summed = _other(reading, positive.values, NOTHING) if positive.name == "max" else None
    return _integer(shifted.extra) if summed is not None and _is_drive(reading, [summed]) else None


def _firing(reading: Reading) -> Face | None:
    """A residue and a current that fire; both may be limited by what cells have."""
    if len(reading.sends) != 1:
        return None
    sent, share_bits = _unlimited(reading, reading.sends[0])
    fired = reading.nodes[sent]
    residue = _state_that_becomes(reading, Node("rest", fired.values, fired.extra))
    if fired.name != "fired" or residue is None:
        return None
    terms = [*_terms(reading, fired.values[0])]
    if terms.count(residue) != 1:
        return None
    terms.remove(residue)
    leak, others = MEMORYLESS, [term for term in terms if reading.nodes[term].name == "copysign"]
    for term in others:
        decay = decayed(reading, reading.nodes[term])
        state = None if decay is None else _state_named(reading, decay[0])
        if decay is None or decay[2] != LEAK_BITS or state is None or len(others) > 1:
            return None
        if sorted(_terms(reading, reading.after[state])) != sorted(terms):
            return None
        leak = MEMORYLESS - decay[1]
        terms = [other for other in terms if other != term]
    exponent = _integer(fired.extra)
    return Face(exponent, exponent, leak, 0, share_bits) if _is_drive(reading, terms) else None


def _unlimited(reading: Reading, sent: int) -> tuple[int, int | None]:
    """What ``min(max(k, -share(target)), share(source))`` limits, and the shift of its shares; else the node itself."""
    upper = reading.nodes[sent]
    if upper.name != "min":
        return sent, None
    for lifted, above in (upper.values, upper.values[::-1]):
        lower = reading.nodes[lifted]
        if lower.name != "max":
            continue
        for fired, below in (lower.values, lower.values[::-1]):
            least = reading.nodes[below]
            given = None if least.name != "neg" else _share(reading, least.values[0], "target")
            if given is not None and given == _share(reading, above, "source"):
                return fired, given
    return sent, None


def _share(reading: Reading, number: int, end: str) -> int | None:
    """The shift of ``max(mass, 0) >> s`` at an end that is a cell; an end that is open gives whatever is asked."""
    gives = reading.nodes[number]
    opened, told = f"{end}_open", f"{end}_mass"
    if opened not in reading.parameters or told not in reading.ports:
        return None
    if gives.name != "select" or gives.values[0] != reading.names[opened]:
        return None
    boundless, share = (reading.nodes[value] for value in gives.values[1:])
    positive = reading.nodes[share.values[0]] if share.name == "asr" else NOTHING
    if boundless != Node("constant", (), BOUNDLESS) or positive.name != "max":
        return None
    mass = _other(reading, positive.values, NOTHING)
    return _integer(share.extra) if mass is not None and mass == reading.names[told] else None


def _late(reading: Reading) -> Face | None:
    """A current that waits a step and is sent whole, with what was too small to be sent before."""
    if len(reading.sends) != 1 or set(reading.ports) != {"arrival"}:
        return None
    potential = reading.nodes[reading.sends[0]].values[1:2]
    left = Node("sub", (*potential, *reading.sends))
    residue = _state_that_becomes(reading, left)
    if residue is None or reset_limit(reading, left) is None:
        return None
    terms = [*_terms(reading, potential[0])]
    current = _other(reading, terms, reading.nodes[residue])
    state = None if current is None else _state_named(reading, current)
    shifted = NOTHING if state is None else reading.nodes[reading.after[state]]
    if shifted.name != "asr":
        return None
    summed = [*_terms(reading, shifted.values[0])]
    half = _other(reading, summed, Node("input", (), "arrival"))
    shift = _integer(shifted.extra)
    rounds = half is not None and reading.nodes[half] == Node("constant", (), 1 << shift >> 1)
    return Face(shift, 0, MEMORYLESS, 1, None) if rounds else None


def _is_drive(reading: Reading, terms: Iterable[int]) -> bool:
    """Whether terms add up to what arrived and a bias."""
    wanted = [_input(reading, "arrival"), _input(reading, "bias")]
    return sorted(inner for term in terms for inner in _terms(reading, term)) == sorted(
        number for number in wanted if number is not None
    )


def _terms(reading: Reading, number: int) -> Iterator[int]:
    """What a node adds up, sums of sums included and zeros left out."""
    waiting = [number]
    for _ in range(4 * len(reading.nodes)):
        if not waiting:
            return
        inner = waiting.pop()
        node = reading.nodes[inner]
        if node.name == "add":
            waiting += node.values
        elif node != NOTHING:
            yield inner
    yield number  # a sum that grows too long is one term, which fits nothing


def _other(reading: Reading, numbers: Iterable[int], one: Node) -> int | None:
    """The other of two nodes, one of which is given; None where it is not so."""
    rest = [number for number in numbers if reading.nodes[number] != one]
    pair = [*numbers]
    return rest[0] if len(pair) == 2 and len(rest) == 1 else None


def _input(reading: Reading, name: str) -> int | None:
    inputs = (*reading.ports, *reading.parameters)
    return reading.names[name] if name in inputs else None


def _state_named(reading: Reading, number: int) -> str | None:
    return next((state for state in reading.states if reading.names[state] == number), None)


def _state_that_becomes(reading: Reading, node: Node) -> int | None:
    """Node of the one state that becomes a value."""
    states = [state for state, number in reading.after.items() if reading.nodes[number] == node]
    return reading.names[states[0]] if len(states) == 1 else None


def _integer(extra: str | int | tuple[int, ...]) -> int:
    assert isinstance(extra, int)
    return extra
