"""The checker's own reading of programs, from their text, on Python's integers.

Equal operations on equal values are one node, so that a theorem sees what a value was made of and not how it is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

RESERVED = {"neuron", "table", "keep", "send"}
"""Words that lines begin with, and that name no value."""
_HEAD = re.compile(r"neuron (\S+)\(([^;()]*);([^;()]*);([^;()]*)\)")
_LINE = re.compile(r"([^=]+) = (\w+)\(([^()]*)\)")


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
        One operation a line, as docs/reference/artifact.md has it.

    Raises
    ------
    ValueError
        A line that is none of a program, or a name that is a word of the language.
    """
    head, *lines = text.splitlines()
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ValueError(f"no head of a program: {head}")
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
        raise ValueError(f"{name} is a word of the language, and names no value")


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
        _require_free(result)
        reading.names[result] = reading.number(Node(part, values, extra))


def whole(reading: Reading, inputs: Mapping[str, int]) -> dict[str, int]:
    """Every named value of a program in one step.

    Parameters
    ----------
    inputs : mapping of str to int
        Each port, state and parameter.
    """
    numbers: list[int] = []
    for node in reading.nodes:
        numbers.append(value_of(node, [numbers[value] for value in node.values], inputs))
    return {name: numbers[number] for name, number in reading.names.items()}


def value_of(node: Node, values: list[int], inputs: Mapping[str, int]) -> int:
    """What a node comes to, from what its operands are; an input is looked up by its name."""
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
    raise ValueError(f"no operation of {len(values)} values: {node.name}")


def shift_of(extra: str | int | tuple[int, ...]) -> int:
    """The constant of a node, or the bits by which it shifts."""
    assert isinstance(extra, int)
    return extra


def packet_of(potential: int, exponent: int) -> int:
    """The multiple of theta nearest to a potential, towards 0 at a tie, over theta."""
    fired = 2 * abs(potential) + (1 << exponent) - 2 >> exponent + 1
    return fired if potential > 0 else -fired
