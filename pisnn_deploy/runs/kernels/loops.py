"""Functions of nodes: each runs a range of the tiles of a node, with a loop for each kind of tile and each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.runs.kernels.ir import LONG, WORD, Function, Value, number
from pisnn_deploy.runs.kernels.network import Buffer, Node, Part, Source, Sum
from pisnn_deploy.runs.kernels.tiles import Listing, Pattern, Tiles
from pisnn_deploy.runs.kernels.turns import Turn
from pisnn_deploy.runs.kernels.words import width_of

POINTERS = "%p"
"""Argument of generated functions: addresses of all arrays."""
KIND, FIRST, LENGTH, BASES = range(4)
"""Columns of the table of tiles of a node."""


@dataclass(frozen=True)
class Addresses:
    """Places of arrays in the list of addresses.

    Attributes
    ----------
    buffers : dict of (str, bool) to int
        Place of each buffer, by name and whether it is the array that the step writes.
    tiles : dict of str to int
        Place of the table of tiles, by node.
    listings : dict of (str, int) to int
        Place of the neurons of a listing, by node and number; columns and weights of each term follow.
    constants : dict of (str, str) to int
        Place of the constants of all neurons, by node and name.
    """

    buffers: Mapping[tuple[str, bool], int]
    tiles: Mapping[str, int]
    listings: Mapping[tuple[str, int], int]
    constants: Mapping[tuple[str, str], int]


class NodeText:
    """Writes the function of one node.

    Parameters
    ----------
    tables : dict
        Names of the global constants with the entries of tables, to which those of the node are added.
    first_group : callable
        Returns an unused number of metadata for a loop.
    """

    def __init__(
        self,
        node: Node,
        tiles: Tiles,
        buffers: Mapping[str, Buffer],
        addresses: Addresses,
        tables: dict[tuple[int, ...], str],
        new_group: Callable[[], int],
    ) -> None:
        self._node, self._tiles, self._buffers, self._addresses = node, tiles, buffers, addresses
        self._tables, self._new_group = tables, new_group
        self._code = Function(function_name(node), f"ptr {POINTERS}, ptr %r, i64 %first, i64 %last")
        self._scratch: dict[str, tuple[str, int]] = {}

    def write(self) -> tuple[str, list[int]]:
        """Return the text of the function and the numbers of its loops."""
        code, tiles = self._code, self._tiles
        table = code.pointer(POINTERS, self._addresses.tiles[self._node.name])
        width = BASES + tiles.bases.shape[1] + tiles.factors.shape[1]
        count = Value(code.set("sub i64 %last, %first"), LONG)
        with code.loop(count) as turn:
            tile = code.add(turn, Value("%first", LONG), LONG)
            row = code.at(table, LONG, code.times(tile, width, LONG))
            entries = [code.at(row, LONG, number(column)) for column in range(width)]
            kind, first, length = (code.load(entries[column], LONG) for column in (KIND, FIRST, LENGTH))
            done, kinds = f"done{code.name()}", len(tiles.patterns) + len(tiles.listings)
            labels = [f"kind{code.name()}" for _ in range(kinds)]
            cases = " ".join(f"i64 {at}, label %{label}" for at, label in enumerate(labels))
            code.line(f"switch i64 {kind.text}, label %{done} [ {cases} ]")
            for pattern, label in zip(tiles.patterns, labels, strict=False):
                code.label(label)
                self._run(pattern, first, length, entries[BASES:])
                code.jump(done)
            for at, listing in enumerate(tiles.listings):
                code.label(labels[len(tiles.patterns) + at])
                self._list(at, listing, first, length)
                code.jump(done)
            code.label(done)
        code.line("ret void")
        return code.text(), code.groups

    def _run(self, pattern: Pattern, first: Value, length: Value, entries: list[str]) -> None:
        code, own = self._code, _Own(self, first)
        heard: dict[tuple[int, int], str] = {}
        factors: dict[tuple[int, int], Value] = {}
        known = {**self._tiles.same, **pattern.constants}
        for at, (term, weights) in enumerate(zip(self._node.terms, pattern.weights, strict=True)):
            for entry in range(len(weights)):
                base = code.load(entries[self._tiles.begins[at] + entry], LONG)
                heard[at, entry] = code.at(self._base(term.source), self._bits(term.source), base)
                if weights[entry] is None:
                    place = self._tiles.bases.shape[1] + self._tiles.begins[at] + entry
                    factors[at, entry] = code.load(entries[place], LONG)

        def read(at: int, entry: int, turn: Value) -> Value:
            bits = self._bits(self._node.terms[at].source)
            return code.load(code.at(heard[at, entry], bits, turn), bits)

        for part in self._node.parts:
            self._loop(
                part,
                length,
                lambda turn: own.at(turn),
                lambda name, turn: _number(known[name]) if name in known else own.constant(name, turn),
                lambda each, begin, turn: _weighted(code, each, pattern.weights, factors, begin, _in_turn(read, turn)),
            )

    def _list(self, number_of: int, listing: Listing, first: Value, length: Value) -> None:
        code, node = self._code, self._node
        place = self._addresses.listings[node.name, number_of]
        neurons = code.at(code.pointer(POINTERS, place), WORD, first)
        own = _Own(self, number(0))
        listed = listing.neurons.size
        starts: dict[tuple[int, int], tuple[str, str]] = {}
        for at, columns in enumerate(listing.columns):
            for entry in range(len(columns)):
                offset = code.add(first, number(entry * listed), LONG)
                starts[at, entry] = (
                    code.at(code.pointer(POINTERS, place + 1 + 2 * at), WORD, offset),
                    code.at(code.pointer(POINTERS, place + 2 + 2 * at), listing.bits(at), offset),
                )

        def neuron(turn: Value) -> Value:
            return code.cast(code.load(code.at(neurons, WORD, turn), WORD), LONG)

        def sum_of(each: Sum, begin: int, turn: Value) -> Value:
            bits = width_of(each.interval)
            total = number(0, bits)
            for at in range(begin, begin + len(each.terms)):
                source = node.terms[at].source
                for entry in range(len(listing.columns[at])):
                    column, weight = starts[at, entry]
                    element = code.load(code.at(column, WORD, turn), WORD)
                    value = code.load(code.at(self._base(source), self._bits(source), element), self._bits(source))
                    factor = code.load(code.at(weight, listing.bits(at), turn), listing.bits(at))
                    total = code.add(total, code.both("mul", value, factor, bits), bits)
            return total

        for part in node.parts:
            self._loop(
                part,
                length,
                lambda turn: own.at(neuron(turn)),
                lambda name, turn: (
                    _number(self._tiles.same[name]) if name in self._tiles.same else own.constant(name, neuron(turn))
                ),
                sum_of,
            )

    def _loop(
        self,
        part: Part,
        length: Value,
        own_at: Callable[[Value], Callable[[Source], str]],
        constant: Callable[[str, Value], Value],
        sum_of: Callable[[Sum, int, Value], Value],
    ) -> None:
        code, group, before = self._code, self._new_group(), len(self._code.lines)
        with code.loop(length, group) as turn:
            sums, begin = {}, 0
            for each in self._node.sums:
                if each.name in part.sums:
                    sums[each.name] = sum_of(each, begin, turn)
                begin += len(each.terms)
            written = Turn(
                code,
                self._buffers,
                self._tables,
                sums,
                own_at(turn),
                lambda name: constant(name, turn),
                turn,
                self._scratch,
            )
            part.write(written)
        starts = [f"  store {kept.start.kind} {kept.start.text}, ptr {kept.address}" for kept in written.accumulators]
        code.lines[before:before] = starts
        for kept in written.accumulators:
            kept.finish(code.load(kept.address, kept.start.bits))

    def _base(self, source: Source) -> str:
        return self._code.pointer(POINTERS, self._addresses.buffers[source.buffer, source.is_new])

    def _bits(self, source: Source) -> int:
        return self._buffers[source.buffer].bits


class _Own:
    """Addresses of the elements that belong to a neuron, counted from the first one of a tile."""

    def __init__(self, text: NodeText, first: Value) -> None:
        self._text, self._first = text, first
        self._starts: dict[Source, str] = {}
        code, node = text._code, text._node
        for source in node.own:
            self._starts[source] = code.at(text._base(source), text._bits(source), first)
        self._constants = {
            name: code.at(code.pointer(POINTERS, text._addresses.constants[node.name, name]), LONG, first)
            for name in node.constants
            if (node.name, name) in text._addresses.constants
        }

    def at(self, place: Value) -> Callable[[Source], str]:
        """Return what finds the address of a neuron's element."""
        code = self._text._code
        return lambda source: code.at(self._starts[source], self._text._bits(source), place)

    def constant(self, name: str, place: Value) -> Value:
        """Read a constant of a neuron from memory."""
        code = self._text._code
        return code.load(code.at(self._constants[name], LONG, place), LONG)


def _in_turn(read: Callable[[int, int, Value], Value], turn: Value) -> Callable[[int, int], Value]:
    """Return what reads an entry of a term in a turn."""
    return lambda at, entry: read(at, entry, turn)


def _weighted(
    code: Function,
    each: Sum,
    weights: tuple[tuple[int | None, ...], ...],
    factors: Mapping[tuple[int, int], Value],
    begin: int,
    read: Callable[[int, int], Value],
) -> Value:
    """Sum of weighted elements; those with the same weight, or its negative, are added before they are multiplied."""
    bits = width_of(each.interval)
    groups: dict[int, list[tuple[bool, int, int]]] = {}
    total = number(0, bits)
    for at in range(begin, begin + len(each.terms)):
        for entry, weight in enumerate(weights[at]):
            if weight is None:
                total = code.add(total, code.both("mul", read(at, entry), factors[at, entry], bits), bits)
            elif weight:
                groups.setdefault(abs(weight), []).append((weight > 0, at, entry))
    for size, entries in groups.items():
        inner = number(0, bits)
        for is_positive, at, entry in sorted(entries, key=lambda item: not item[0]):
            combine = code.add if is_positive else code.sub
            inner = combine(inner, read(at, entry), bits)
        total = code.add(total, code.times(inner, size, bits), bits)
    return total


def function_name(node: Node) -> str:
    """Name of the function of a node."""
    return f'"{node.name}"'


def _number(value: int) -> Value:
    return number(value, width_of(Interval(value, value)))
