"""Programs of a limiter, recognised by what they compute, and what follows from them.

A face that asks for ``A`` and hears the parts (in 256ths) that both cells keep back sends
``low + sign(A) ((|A| (256 - h)) >> 8)`` with the larger part h. A cell hears the sum P of what leaves it, and has room
``R = max(m + balance - least, 0)``. If ``P > R`` it answers ``h = max(256 - ((R' T[n']) >> 15), 0)``, where n' is
``P - 1`` and R' is R after the same halvings, and ``T[n] (n + 1) <= 2^23``. Halving rounds down:
``n' + 1 >= P / 2^s`` and ``R' <= R / 2^s``, so ``256 - h <= 256 R / P``, and the packets that it grants sum up to at
most ``P (256 - h) / 256 <= R``. Otherwise it answers 0, and ``P <= R``. The same holds for what enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pisnn_deploy.verify.programs import Node, Reading, shift_of

WHOLE = 256
LARGEST_SUM = 1 << 26
"""Largest sum of requests that four halvings bring into the table."""
_RECIPROCAL_BITS, _ENTRIES = 23, 2048
_HALVINGS = (8, 4, 2, 1)


@dataclass(frozen=True)
class Limiting:
    """How a face limits the packet that fires.

    Attributes
    ----------
    fired : int
        Node of the packet that fires.
    low : tuple of str
        Ports whose masses the low flux depends on: the source's adds, the target's subtracts; none without one.
    weight : int
        The low flux is the weight times that, in units of ``2^-F``, rounded towards 0, plus the parameter ``base``.
    has_ceiling : bool
        Whether cells refuse what they have no room for.
    """

    fired: int
    low: tuple[str, ...]
    weight: int
    has_ceiling: bool


class _Unlike(Exception):
    """A program lacks a value."""


@dataclass(frozen=True)
class _Nodes:
    """Finds values of a program by how they are computed; sums, minima and maxima in either order."""

    reading: Reading

    def __call__(self, name: str, *values: int, extra: int = 0) -> int:
        orders = (values, values[::-1]) if name in ("add", "min", "max") else (values,)
        for order in orders:
            number = self.reading.numbers.get(Node(name, order, extra))
            if number is not None:
                return number
        raise _Unlike

    def whole(self, number: int) -> int:
        return self("constant", extra=number)

    def named(self, name: str) -> int:
        if name not in (*self.reading.ports, *self.reading.parameters):
            raise _Unlike
        return self.reading.names[name]


def limiting(reading: Reading) -> Limiting | None:
    """Recognise how a face limits its packets; None for an unknown program."""
    fired = [number for number, node in enumerate(reading.nodes) if node.name == "fired"]
    if len(fired) != 1 or len(reading.sends) not in (3, 4):
        return None
    try:
        return _limiting(reading, _Nodes(reading), fired[0])
    except _Unlike:
        return None


def _limiting(reading: Reading, find: _Nodes, fired: int) -> Limiting:
    low, weight, masses = _low(reading, find, shift_of(reading.nodes[fired].extra))
    zero = find.whole(0)
    asked = find("add", fired, zero) if low is None else find("sub", fired, low)
    forward, backward = find("max", asked, zero), find("max", find("neg", asked), zero)
    ends = [find.named("source_short"), find.named("target_short")]
    has_ceiling = "source_full" in reading.ports
    others = [find.named("target_full"), find.named("source_full")] if has_ceiling else [zero, zero]
    kept = [find("max" if has_ceiling else "add", *pair) for pair in zip(ends, others, strict=True)]
    kept_back = find("select", find("lt", asked, zero), kept[1], kept[0])
    part = find("sub", find.whole(WHOLE), kept_back)
    passed = find("copysign", find("mul_shr", find("abs", asked), part, extra=8), asked)
    packet = find("add", passed, zero if low is None else low)
    heard = {
        "arrival",
        "source_short",
        "target_short",
        *masses,
        *(("source_full", "target_full") if has_ceiling else ()),
    }
    if reading.sends != (packet, *(() if low is None else (low,)), forward, backward) or set(reading.ports) != heard:
        raise _Unlike
    return Limiting(fired, masses, weight, has_ceiling)


def _low(reading: Reading, find: _Nodes, exponent: int) -> tuple[int | None, int, tuple[str, ...]]:
    """Node of the low flux, its weight, and the ports with masses that it depends on."""
    masses = tuple(port for port in ("source_mass", "target_mass") if port in reading.ports)
    if not masses:
        return None, 0, ()
    beyond, numbers = find.named("beyond"), [find.named(port) for port in masses]
    if len(masses) == 2:
        moved = find("add", find("sub", *numbers), beyond)
    elif masses == ("source_mass",):
        moved = find("add", numbers[0], beyond)
    else:
        moved = find("sub", beyond, numbers[0])
    size = find("abs", moved)
    for number, node in enumerate(reading.nodes):
        if node.name == "mul_shr" and node.values[0] == size and node.extra == exponent:
            factor = reading.nodes[node.values[1]]
            if factor.name == "constant":
                low = find("add", find("copysign", number, moved), find.named("base"))
                return low, shift_of(factor.extra), masses
    raise _Unlike


def answers(reading: Reading, limiter: Limiting) -> bool:
    """Whether a program answers what a face with a limiter asks."""
    ports = {"mass", "leaving", *(("balance",) if limiter.low else ()), *(("coming",) if limiter.has_ceiling else ())}
    if reading.states or set(reading.ports) != ports:
        return False
    find = _Nodes(reading)
    try:
        balanced = find("add", find.named("mass"), find.named("balance") if limiter.low else find.whole(0))
        sends = [_part(find, find("sub", balanced, find.named("least")), find.named("leaving"))]
        if limiter.has_ceiling:
            sends.append(_part(find, find("sub", find.named("most"), balanced), find.named("coming")))
    except _Unlike:
        return False
    return reading.sends == tuple(sends)


def _part(find: _Nodes, room: int, asked: int) -> int:
    """Node of the part of what is asked that there is no room for."""
    zero = find.whole(0)
    room = find("max", room, zero)
    is_too_much = find("lt", room, asked)
    index = find("sub", asked, find.whole(1))
    for bits in _HALVINGS:
        is_big = find("ge", index, find.whole((_ENTRIES >> 1) << bits))
        index = find("select", is_big, find("asr", index, extra=bits), index)
        room = find("select", is_big, find("asr", room, extra=bits), room)
    # Below what is asked, room is below the number of entries here, so the minimum changes nothing.
    room = find("min", room, find.whole(_ENTRIES))
    inverse = _reciprocal(find.reading, index)
    share = find("mul_shr", room, inverse, extra=_RECIPROCAL_BITS - 8)
    part = find("max", find("sub", find.whole(WHOLE), share), zero)
    return find("select", is_too_much, part, zero)


def _reciprocal(reading: Reading, index: int) -> int:
    """Node of a look-up of a reciprocal that is never too large."""
    for number, node in enumerate(reading.nodes):
        if node.name == "table" and node.values == (index,) and isinstance(node.extra, tuple):
            entries: Mapping[int, int] = dict(enumerate(node.extra))
            if len(entries) == _ENTRIES and all(
                0 <= entry * (place + 1) <= 1 << _RECIPROCAL_BITS for place, entry in entries.items()
            ):
                return number
    raise _Unlike
