"""The checker's own parser and evaluator of programs, in Python integers.

Equal operations on equal values are one node, so theorems depend on how a value is computed and not on its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

RESERVED = {"neuron", "table", "keep", "send"}
"""Keywords of the language, which cannot name values."""
_HEAD = re.compile(r"neuron (\S+)\(([^;()]*);([^;()]*);([^;()]*)\)")
_LINE = re.compile(r"([^=]+) = (\w+)\(([^()]*)\)")


@dataclass(frozen=True)
class Node:
    """A value of a program: an operation and its operands.

    Attributes
    ----------
    name : str
        The operation; ``input``, ``constant``, and ``fired`` and ``rest`` for both results of ``fire``.
    values : tuple of int
        Numbers of the operand nodes.
    extra : str, int or tuple of int
        Name of an input, value of a constant, bits of a shift, or entries of a table.
    """

    name: str
    values: tuple[int, ...] = ()
    extra: str | int | tuple[int, ...] = 0


@dataclass
class Reading:
    """A parsed program.

    Attributes
    ----------
    nodes : list of Node
        Nodes in the order of evaluation.
    names : dict of str to int
        Node number of each named value.
    after : dict of str to int
        Node number of each state's new value.
    sends : tuple of int
        Node number of each output.
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
        """Nodes that depend on inputs of the same step."""
        heard: set[int] = set()
        for number, node in enumerate(self.nodes):
            if (node.name == "input" and node.extra in self.ports) or heard.intersection(node.values):
                heard.add(number)
        return frozenset(heard)

    def number(self, node: Node) -> int:
        """Number of a node, which is added if no equal one exists."""
        if node not in self.numbers:
            self.numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self.numbers[node]


@lru_cache(maxsize=256)
def read(text: str) -> Reading:
    """Parse a program.

    Parameters
    ----------
    text : str
        One operation a line, as specified in docs/reference/artifact.md.

    Raises
    ------
    ValueError
        For an invalid line, or a keyword used as a name.
    """
    head, *lines = text.splitlines()
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ValueError(f"invalid first line of a program: {head}")
    reading = Reading(_words(match[2]), _words(match[3]), _words(match[4]))
    tables: dict[str, tuple[int, ...]] = {}
    for name in (*reading.ports, *reading.states, *reading.parameters):
        _require_free(name)
        reading.names[name] = reading.number(Node("input", (), name))
    for line in lines:
        _require_free(line.partition(" = ")[0])
        if line.startswith("table "):
            name, _, entries = line.removeprefix("table ").partition(" = ")
            _require_free(name)
            tables[name] = tuple(map(int, entries.split()))
        elif line.startswith("keep "):
            pairs = dict(word.split(" = ") for word in _words(line.removeprefix("keep ")))
            reading.after = {state: reading.names[pairs[state]] for state in reading.states}
        elif line.startswith("send "):
            reading.sends = tuple(reading.names[word] for word in _words(line.removeprefix("send ")))
        else:
            _operation(reading, line, tables)
    return reading


def _require_free(name: str) -> None:
    if name in RESERVED:
        raise ValueError(f"{name} is a keyword and cannot name a value")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _operation(reading: Reading, line: str, tables: Mapping[str, tuple[int, ...]]) -> None:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"invalid line of a program: {line}")
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
        _require_free(result)
        reading.names[result] = reading.number(Node(part, values, extra))


def whole(reading: Reading, inputs: Mapping[str, int]) -> dict[str, int]:
    """Evaluate every named value of a program in one step.

    Parameters
    ----------
    inputs : mapping of str to int
        Value of each port, state and parameter.
    """
    numbers: list[int] = []
    for node in reading.nodes:
        numbers.append(value_of(node, [numbers[value] for value in node.values], inputs))
    return {name: numbers[number] for name, number in reading.names.items()}


def value_of(node: Node, values: list[int], inputs: Mapping[str, int]) -> int:
    """Evaluate a node from its operands; an input is looked up by its name."""
    extra = node.extra
    match node.name, values:
        case "input", []:
            return inputs[str(extra)]
        case "constant", []:
            return shift_of(extra)
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
            return a << shift_of(extra)
        case "asr", [a]:
            return a >> shift_of(extra)
        case "mul_shr", [a, b]:
            return a * b >> shift_of(extra)
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
            return packet_of(v, shift_of(extra))
        case "rest", [v]:
            return v - (packet_of(v, shift_of(extra)) << shift_of(extra))
    raise ValueError(f"unknown operation {node.name} with {len(values)} operands")


def shift_of(extra: str | int | tuple[int, ...]) -> int:
    """Value of a constant node, or bits of a shift."""
    assert isinstance(extra, int)
    return extra


def packet_of(potential: int, exponent: int) -> int:
    """``potential / 2^exponent`` rounded to the nearest integer, ties towards 0."""
    fired = 2 * abs(potential) + (1 << exponent) - 2 >> exponent + 1
    return fired if potential > 0 else -fired
