"""Facts about the programs of a graph, recognised by what a program computes.

The names of values and the order of operations do not matter. A program that is not recognised has no such facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import LEAK_BITS, MEMORYLESS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.verify.limiting import Limiting, limiting
from pisnn_deploy.verify.programs import Node, Reading, read
from pisnn_deploy.verify.spans import decayed, reset_limit

NOTHING = Node("constant", (), 0)


@dataclass(frozen=True)
class Face:
    """How a channel turns its input into packets.

    Attributes
    ----------
    exponent : int
        A constant drive of ``2^exponent`` sends one quantum in every PDE step.
    packet_exponent : int
        A packet of one quantum reduces the residue by ``2^packet_exponent``.
    leak : int
        Part of the current that decays in a PDE step, in 4096ths.
    steps_late : int
        PDE steps before an input takes effect.
    limiter : Limiting or None
        How the packet that fires is limited; None if it is sent.
    sees_residues : bool
        Whether it adds its port ``low``, divided by theta and rounded, to its input, and sends its residue.
    """

    exponent: int
    packet_exponent: int
    leak: int
    steps_late: int
    limiter: Limiting | None
    sees_residues: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether packets are the rounded sum of the input in the same PDE step and the residue."""
        return self.leak == MEMORYLESS and not self.steps_late and self.limiter is None


class NoFace(ValueError):
    """The checker does not know the program of the channels."""


def face_of(graph: IntegerGraph) -> Face:
    """Return how the channels of a graph make packets; raise `NoFace` for an unknown program."""
    face = face_in(read(str(graph.sole_channels.program)))
    if face is None:
        raise NoFace("the program of the faces is unknown: it neither fires a sum of currents nor exceeds a threshold")
    return face


def known_face(graph: IntegerGraph) -> Face | None:
    """Return how the channels of a graph make packets, or None for an unknown program."""
    return face_in(read(str(graph.sole_channels.program)))


def unknown_population(graph: IntegerGraph) -> str:
    """Name of the first population with an unknown program (layers, then channels), or an empty string."""
    layers = [layer.name for layer, shift in zip(graph.between_fields, shifts(graph), strict=True) if shift is None]
    return next(iter(layers), "" if known_face(graph) is not None else graph.sole_channels.name)


def hears_late(graph: IntegerGraph) -> bool:
    """Whether no input of the channels affects what they send in the same PDE step."""
    reading = read(str(graph.sole_channels.program))
    return bool(reading.ports) and not reading.heard.intersection(reading.sends)


def face_in(reading: Reading) -> Face | None:
    """Recognise the program of a channel; None for an unknown program."""
    return _firing(reading) or _late(reading)


def biases(graph: IntegerGraph) -> list[NDArray[np.int64]]:
    """Biases of each population except the holders, int64 [neurons] each."""
    return [
        population.parameters.get("bias", np.zeros(population.size, np.int64))
        for population in (*graph.between_fields, graph.sole_channels)
    ]


def shifts(graph: IntegerGraph) -> list[int | None]:
    """Shift s of each population between holders and channels that sends ``max(arrival + bias, 0) >> s``, else None."""
    return [shift_in(read(str(population.program))) for population in graph.between_fields]


def shift_in(reading: Reading) -> int | None:
    """Shift s of a stateless program that sends ``max(arrival + bias, 0) >> s``; None for any other program."""
    if len(reading.sends) != 1 or reading.states or set(reading.ports) != {"arrival"}:
        return None
    shifted = reading.nodes[reading.sends[0]]
    positive = reading.nodes[shifted.values[0]] if shifted.name == "asr" else NOTHING
    summed = _other(reading, positive.values, NOTHING) if positive.name == "max" else None
    return _integer(shifted.extra) if summed is not None and _is_drive(reading, [summed]) else None


def _firing(reading: Reading) -> Face | None:
    """Recognise a face that fires its residue plus current, with or without a limiter."""
    limiter = None if len(reading.sends) <= 2 else limiting(reading)
    if len(reading.sends) > 2 and limiter is None:
        return None
    fired = reading.nodes[reading.sends[0] if limiter is None else limiter.fired]
    if len(reading.sends) == 2 and reading.nodes[reading.sends[1]] != Node("rest", fired.values, fired.extra):
        return None
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
        if decay is None or decay[2] != LEAK_BITS or decay[1] > MEMORYLESS or state is None or len(others) > 1:
            return None
        if sorted(_terms(reading, reading.after[state])) != sorted(terms):
            return None
        leak = MEMORYLESS - decay[1]
        terms = [kept_term for kept_term in terms if kept_term != term]
    exponent = _integer(fired.extra)
    corrections = [term for term in terms if _is_correction(reading, term, exponent)]
    sees = len(corrections) == 1 and len(reading.sends) == 2 and limiter is None
    if sees:
        terms.remove(corrections[0])
    elif len(reading.sends) == 2:
        return None
    return Face(exponent, exponent, leak, 0, limiter, sees) if _is_drive(reading, terms) else None


def _is_correction(reading: Reading, number: int, exponent: int) -> bool:
    """Whether a node is ``(low + theta/2) >> F``."""
    shifted = reading.nodes[number]
    if (shifted.name, shifted.extra) != ("asr", exponent) or "low" not in reading.ports:
        return False
    half = reading.numbers.get(Node("constant", (), 1 << exponent >> 1))
    return sorted(_terms(reading, shifted.values[0])) == sorted([reading.names["low"], -1 if half is None else half])


def _late(reading: Reading) -> Face | None:
    """Recognise a face that delays its current by a step and sends it above a threshold."""
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
    """Whether terms add up to the input and the bias."""
    inputs = [_input(reading, "arrival"), _input(reading, "bias")]
    return sorted(inner for term in terms for inner in _terms(reading, term)) == sorted(
        number for number in inputs if number is not None
    )


def _terms(reading: Reading, number: int) -> Iterator[int]:
    """Yield the nonzero terms of a sum, with nested sums flattened."""
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
    yield number  # a sum with too many terms counts as a single term, which matches nothing


def _other(reading: Reading, numbers: Iterable[int], node: Node) -> int | None:
    """Return the partner of a node in a pair; None if it is not one of exactly two nodes."""
    rest = [number for number in numbers if reading.nodes[number] != node]
    pair = [*numbers]
    return rest[0] if len(pair) == 2 and len(rest) == 1 else None


def _input(reading: Reading, name: str) -> int | None:
    inputs = (*reading.ports, *reading.parameters)
    return reading.names[name] if name in inputs else None


def _state_named(reading: Reading, number: int) -> str | None:
    return next((state for state in reading.states if reading.names[state] == number), None)


def _state_that_becomes(reading: Reading, node: Node) -> int | None:
    """Node of the only state that is set to a value."""
    states = [state for state, number in reading.after.items() if reading.nodes[number] == node]
    return reading.names[states[0]] if len(states) == 1 else None


def _integer(extra: str | int | tuple[int, ...]) -> int:
    assert isinstance(extra, int)
    return extra
