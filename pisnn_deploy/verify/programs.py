"""The checker's own reading of programs, from their text: on Python's integers, and on intervals with three theorems.

Equal operations on equal values are one node, so that a theorem sees what a value was made of and not how it is named:

1. ``fire(v, F)`` leaves a rest within ``2^(F-1)`` of 0.
2. What ``p - select(|p| >= T, p, 0)`` leaves is within ``T - 1`` of 0.
3. ``copysign((|x| k) >> n, x)`` is odd and grows with x. So a state that becomes that of itself plus d, ``k < 2^n``,
   never exceeds the geometric series ``d 2^n / (2^n - k)``: the shift rounds towards 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

Span = tuple[int, int]
"""Least and largest integer."""

FAR = 1 << 64
"""Beyond every word: what a state comes to that is not less is not bounded."""

_HEAD = re.compile(r"neuron (\S+)\((.*?);(.*?);(.*?)\)")
_LINE = re.compile(r"(.+?) = (\w+)\((.*)\)")


class Unbounded(Exception):
    """No theorem bounds a state; the message names it and says why."""


@dataclass(frozen=True)
class Node:
    """A value of a program and what it was made of.

    Attributes
    ----------
    name : str
        The operation; ``input``, ``constant``, and ``fired`` and ``rest`` for both results of ``fire``.
    values : tuple of int
        Numbers of the nodes of its operands.
    extra : str, int or tuple of int
        Name of an input, a constant, bits of a shift, entries of a table.
    """

    name: str
    values: tuple[int, ...] = ()
    extra: str | int | tuple[int, ...] = 0


@dataclass
class Reading:
    """A program as the checker reads it.

    Attributes
    ----------
    ports, states, parameters : tuple of str
    nodes : list of Node
        In the order in which they get their values.
    names : dict of str to int
        Node of each named value.
    after : dict of str to int
        Node that each state becomes.
    sends : tuple of int
        Node of each output.
    """

    ports: tuple[str, ...]
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    nodes: list[Node] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    sends: tuple[int, ...] = ()
    numbers: dict[Node, int] = field(default_factory=dict)

    @cached_property
    def heard(self) -> frozenset[int]:
        """Nodes that depend on what arrives in the same step."""
        heard: set[int] = set()
        for number, node in enumerate(self.nodes):
            if (node.name == "input" and node.extra in self.ports) or heard.intersection(node.values):
                heard.add(number)
        return frozenset(heard)

    def number(self, node: Node) -> int:
        """Number of a node, which is added if there is no equal one."""
        if node not in self.numbers:
            self.numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self.numbers[node]


def read(text: str) -> Reading:
    """Read a program.

    Parameters
    ----------
    text : str
        One operation a line, as docs/artifact.md has it.

    Raises
    ------
    ValueError
        A line that is none of a program.
    """
    head, *lines = text.splitlines()
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ValueError(f"no head of a program: {head}")
    reading = Reading(_words(match[2]), _words(match[3]), _words(match[4]))
    tables: dict[str, tuple[int, ...]] = {}
    for name in (*reading.ports, *reading.states, *reading.parameters):
        reading.names[name] = reading.number(Node("input", (), name))
    for line in lines:
        if line.startswith("table "):
            name, _, entries = line.removeprefix("table ").partition(" = ")
            tables[name] = tuple(map(int, entries.split()))
        elif line.startswith("keep "):
            pairs = dict(word.split(" = ") for word in _words(line.removeprefix("keep ")))
            reading.after = {state: reading.names[pairs[state]] for state in reading.states}
        elif line.startswith("send "):
            reading.sends = tuple(reading.names[word] for word in _words(line.removeprefix("send ")))
        else:
            _operation(reading, line, tables)
    return reading


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _operation(reading: Reading, line: str, tables: Mapping[str, tuple[int, ...]]) -> None:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"no line of a program: {line}")
    results, name, words = _words(match[1]), match[2], _words(match[3])
    extra: int | tuple[int, ...] = 0
    if name in ("shl", "asr", "mul_shr", "fire"):
        extra, words = int(words[-1]), words[:-1]
    elif name == "table":
        extra, words = tables[words[-1]], words[:-1]
    values = tuple(
        reading.names[word] if word in reading.names else reading.number(Node("constant", (), int(word)))
        for word in words
    )
    for result, part in zip(results, ("fired", "rest") if name == "fire" else (name,), strict=True):
        reading.names[result] = reading.number(Node(part, values, extra))


def whole(reading: Reading, inputs: Mapping[str, int]) -> dict[str, int]:
    """Every named value of a program in one step.

    Parameters
    ----------
    reading : Reading
    inputs : mapping of str to int
        Each port, state and parameter.
    """
    numbers: list[int] = []
    for node in reading.nodes:
        numbers.append(_whole(node, [numbers[value] for value in node.values], inputs))
    return {name: numbers[number] for name, number in reading.names.items()}


def _whole(node: Node, values: list[int], inputs: Mapping[str, int]) -> int:
    extra = node.extra
    match node.name, values:
        case "input", []:
            return inputs[str(extra)]
        case "constant", []:
            return _shift(extra)
        case "add", [a, b]:
            return a + b
        case "sub", [a, b]:
            return a - b
        case "neg", [a]:
            return -a
        case "abs", [a]:
            return abs(a)
        case "min", [a, b]:
            return min(a, b)
        case "max", [a, b]:
            return max(a, b)
        case "shl", [a]:
            return a << _shift(extra)
        case "asr", [a]:
            return a >> _shift(extra)
        case "mul_shr", [a, b]:
            return a * b >> _shift(extra)
        case "copysign", [a, b]:
            return a * ((b > 0) - (b < 0))
        case "lt", [a, b]:
            return int(a < b)
        case "ge", [a, b]:
            return int(a >= b)
        case "eq", [a, b]:
            return int(a == b)
        case "select", [condition, a, b]:
            return a if condition else b
        case "table", [a] if isinstance(extra, tuple):
            return extra[max(0, min(a, len(extra) - 1))]
        case "fired", [v]:
            return _packet(v, _shift(extra))
        case "rest", [v]:
            return v - (_packet(v, _shift(extra)) << _shift(extra))
    raise ValueError(f"no operation of {len(values)} values: {node.name}")


def _shift(extra: str | int | tuple[int, ...]) -> int:
    assert isinstance(extra, int)
    return extra


def _packet(potential: int, exponent: int) -> int:
    """The multiple of theta nearest to a potential, towards 0 at a tie, over theta."""
    fired = 2 * abs(potential) + (1 << exponent) - 2 >> exponent + 1
    return fired if potential > 0 else -fired


class Spans:
    """Intervals of the values of a program at every step.

    Parameters
    ----------
    reading : Reading
    inputs : mapping of str to (int, int)
        Of each port and parameter, and of states that are known.
    starts : mapping of str to (int, int), optional
        What states start at; else 0, or what they become of the first inputs.
    limits : mapping of int to (int, int), optional
        Of nodes that something else keeps within these.
    """

    def __init__(
        self,
        reading: Reading,
        inputs: Mapping[str, Span],
        starts: Mapping[str, Span] | None = None,
        limits: Mapping[int, Span] | None = None,
    ) -> None:
        self._reading, self._inputs, self._limits = reading, inputs, dict(limits or {})
        self._starts = dict(starts or {})
        self._known: dict[int, Span] = {}
        self._asked: set[str] = set()

    def of(self, number: int) -> Span:
        """Interval of a node.

        Raises
        ------
        Unbounded
            It rests on a state that no theorem bounds, or on a limit that leaves nothing.
        """
        if number not in self._known:
            low, high = self._made(self._reading.nodes[number])
            least, most = self._limits.get(number, (low, high))
            self._known[number] = max(low, least), min(high, most)
            if max(low, least) > min(high, most):
                raise Unbounded(f"{low} to {high} lies outside the limit {least} to {most}")
        return self._known[number]

    def _made(self, node: Node) -> Span:
        if node.name == "input":
            name = str(node.extra)
            if name in self._inputs:
                return self._inputs[name]
            # Each of the theorems holds from any start on, of what is no nearer to 0 than that.
            low, high = self._state(name)
            start = self._starts.get(name, (low, high))
            return min(low, start[0]), max(high, start[1])
        rest = reset_limit(self._reading, node)
        if rest is not None:
            return -rest, rest
        decay = decayed(self._reading, node)
        if decay is not None:
            low, high = (_decay(end, *decay[1:]) for end in self.of(decay[0]))
            return low, high
        return _span(node, [self.of(value) for value in node.values])

    def _state(self, name: str) -> Span:
        """Interval of a state: of a series, or of what it becomes whatever the states were."""
        reading = self._reading
        if name in self._asked:
            raise Unbounded(f"state {name} grows by itself")
        self._asked.add(name)
        number = reading.after[name]
        series = _series(reading, reading.nodes[number], name)
        if series is not None:
            added, kept, bits = series
            low, high = self.of(added)
            whole, lost = 1 << bits, (1 << bits) - kept
            low, high = -(max(-low, 0) * whole // lost), max(high, 0) * whole // lost
            least, most = self._limits.get(number, (low, high))
            return max(low, least), min(high, most)
        anything = dict.fromkeys(reading.states, (-2 * FAR, 2 * FAR))
        low, high = Spans(reading, {**self._inputs, **anything}, limits=self._limits).of(number)
        if max(-low, high) >= FAR:
            raise Unbounded(f"state {name} grows by itself")
        return low, high


def decayed(reading: Reading, node: Node) -> tuple[int, int, int] | None:
    """x, k and n of ``copysign((|x| k) >> n, x)`` with ``0 <= k <= 2^n``; None for anything else."""
    if node.name != "copysign":
        return None
    size = reading.nodes[node.values[0]]
    if size.name != "mul_shr":
        return None
    absolute, factor = (reading.nodes[value] for value in size.values)
    if (absolute.name, factor.name) != ("abs", "constant") or absolute.values != node.values[1:]:
        return None
    kept, bits = _shift(factor.extra), _shift(size.extra)
    return (node.values[1], kept, bits) if 0 <= kept <= 1 << bits else None


def _decay(number: int, kept: int, bits: int) -> int:
    """``copysign((|x| k) >> n, x)``."""
    return number * kept >> bits if number > 0 else -(-number * kept >> bits)


def reset_limit(reading: Reading, node: Node) -> int | None:
    """T - 1 of ``p - select(|p| >= T, p, 0)`` with ``T >= 1``; None for anything else."""
    if node.name != "sub" or reading.nodes[node.values[1]].name != "select":
        return None
    potential, sent = node.values
    condition, yes, no = reading.nodes[sent].values
    compared, nothing = reading.nodes[condition], reading.nodes[no]
    if compared.name != "ge" or yes != potential or (nothing.name, nothing.extra) != ("constant", 0):
        return None
    size, threshold = (reading.nodes[value] for value in compared.values)
    if (size.name, size.values, threshold.name) != ("abs", (potential,), "constant"):
        return None
    least = _shift(threshold.extra)
    return least - 1 if least >= 1 else None


def _series(reading: Reading, node: Node, state: str) -> tuple[int, int, int] | None:
    """d, k and n where a state becomes d more than ``copysign((|state| k) >> n, state)`` and ``k < 2^n``."""
    if node.name != "add":
        return None
    for part, added in (node.values, node.values[::-1]):
        decay = decayed(reading, reading.nodes[part])
        if decay is not None and decay[0] == reading.names[state] and decay[1] < 1 << decay[2]:
            return added, *decay[1:]
    return None


def _span(node: Node, spans: list[Span]) -> Span:
    """What an operation makes of intervals, without a look at what they were made of."""
    match node.name, spans:
        case "constant", []:
            return _shift(node.extra), _shift(node.extra)
        case "sub", [(a, b), (c, d)]:
            return a - d, b - c
        case "neg", [(a, b)]:
            return -b, -a
        case "abs", [(a, b)]:
            return max(a, -b, 0), max(-a, b)
        case "mul_shr", [(a, b), (c, d)]:
            products = [x * y >> _shift(node.extra) for x in (a, b) for y in (c, d)]
            return min(products), max(products)
        case "copysign", [(a, b), (c, d)]:
            signed = [a, b] * (d > 0) + [-a, -b] * (c < 0) + [0] * (c <= 0 <= d)
            return min(signed), max(signed)
        case "lt" | "ge", [(a, b), (c, d)]:
            least, most = int(b < c), int(a < d)
            return (least, most) if node.name == "lt" else (1 - most, 1 - least)
        case "eq", [(a, b), (c, d)]:
            return int(a == b == c == d), int(a <= d and c <= b)
        case "select", [(c, d), yes, no]:
            if c <= 0 <= d:
                return no if c == d else (min(yes[0], no[0]), max(yes[1], no[1]))
            return yes
        case "table", [(a, b)] if isinstance(node.extra, tuple):
            last = len(node.extra) - 1
            entries = node.extra[max(0, min(a, last)) : max(0, min(b, last)) + 1]
            return min(entries), max(entries)
        case "rest", [(a, b)]:
            half = 1 << _shift(node.extra) - 1
            fires = any(_packet(end, _shift(node.extra)) for end in (a, b))
            return (-half, half) if fires else (a, b)
    # All others grow with each of their operands.
    low, high = (_whole(node, [span[end] for span in spans], {}) for end in (0, 1))
    return low, high
