"""Functions of nodes: each runs a range of the tiles of a node, with a loop for each kind of tile and each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.runs.kernels.heard import FARTHEST, Columns, columns_of, rows_of, weighted
from pisnn_deploy.runs.kernels.ir import LONG, WORD, Function, Value, number
from pisnn_deploy.runs.kernels.network import Buffer, Node, Part, Source, Sum
from pisnn_deploy.runs.kernels.tiles import TILE, Listing, Tiles
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
            for pattern, label in enumerate(labels[: len(tiles.patterns)]):
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

    def _run(self, kind: int, first: Value, length: Value, entries: list[str]) -> None:
        pattern, own = self._tiles.patterns[kind], _Own(self, first)
        heard = _Heard(self, kind, entries)
        known = {**self._tiles.same, **pattern.constants}
        for part in self._node.parts:
            heard.add_columns(part, length)
            self._loop(
                part,
                length,
                lambda turn: own.at(turn),
                lambda name, turn: _number(known[name]) if name in known else own.constant(name, turn),
                lambda each, begin, turn: heard.sum(each, begin, turn),
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

    def column(self, number_of: int, bits: int) -> str:
        """Local memory for a column that neurons of a tile share."""
        key = f"column {number_of} {bits}"
        if key not in self._scratch:
            self._scratch[key] = self._code.local(bits, TILE + FARTHEST), bits
        return self._scratch[key][0]

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


class _Heard:
    """Reads the sums of a run of neurons."""

    def __init__(self, text: NodeText, kind: int, entries: list[str]) -> None:
        self._text, self._weights = text, text._tiles.patterns[kind].weights
        self._rows = rows_of(text._tiles, kind)
        code, tiles = text._code, text._tiles
        self._starts: list[str] = []
        self._places: dict[tuple[int, int], tuple[int, int]] = {}
        self._factors: dict[tuple[int, int], Value] = {}
        self._columns: dict[str, tuple[Columns, list[str]]] = {}
        for number_of, row in enumerate(self._rows):
            base = code.load(entries[tiles.begins[row.term] + row.first], LONG)
            source = text._node.terms[row.term].source
            self._starts.append(code.at(text._base(source), text._bits(source), base))
            for entry, distance in row.distances.items():
                self._places[row.term, entry] = number_of, distance
                if self._weights[row.term][entry] is None:
                    place = tiles.bases.shape[1] + tiles.begins[row.term] + entry
                    self._factors[row.term, entry] = code.load(entries[place], LONG)

    def _read(self, row: int, distance: int, turn: Value) -> Value:
        code, bits = self._text._code, self._text._bits(self._text._node.terms[self._rows[row].term].source)
        return code.load(code.at(code.at(self._starts[row], bits, turn), bits, number(distance)), bits)

    def add_columns(self, part: Part, length: Value) -> None:
        """Write loops that add up the columns of a part's sums."""
        self._columns, begin = {}, 0
        for each in self._text._node.sums:
            terms = range(begin, begin := begin + len(each.terms))
            rows = tuple(row for row in self._rows if row.term in terms)
            columns = columns_of(rows, self._weights) if each.name in part.sums else None
            if columns is not None:
                bits = width_of(each.interval)
                local = [self._text.column(at, bits) for at in range(len(columns.weights))]
                self._columns[each.name] = columns, local
                for places, alike in columns.loops():
                    self._add_up(columns, places, {local[at]: columns.weights[at] for at in alike}, length, bits)

    def _add_up(
        self,
        columns: Columns,
        places: tuple[int, int],
        weights: dict[str, tuple[int, ...]],
        length: Value,
        bits: int,
    ) -> None:
        code, group = self._text._code, self._text._new_group()
        with code.loop(code.add(length, number(places[1] - places[0]), LONG), group) as turn:
            read = {
                at: self._read(self._rows.index(row), places[0] - begin, turn)
                for at, (row, begin) in enumerate(columns.rows)
                if any(each[at] for each in weights.values())
            }
            for address, column in weights.items():
                entries = [(weight, partial(read.__getitem__, at)) for at, weight in enumerate(column) if weight]
                total = weighted(code, entries, bits, number(0, bits))
                code.store(code.at(address, bits, turn), total, bits)

    def sum(self, each: Sum, begin: int, turn: Value) -> Value:
        """Sum of weighted elements."""
        code, bits, total = self._text._code, width_of(each.interval), number(0, width_of(each.interval))
        if each.name in self._columns:
            columns, local = self._columns[each.name]
            entries = []
            for place, column, sign in columns.uses:
                address = code.at(code.at(local[column], bits, turn), bits, number(place - columns.places[column][0]))
                entries.append((sign, partial(code.load, address, bits)))
            return weighted(code, entries, bits, total)
        known = []
        for term in range(begin, begin + len(each.terms)):
            for entry, weight in enumerate(self._weights[term]):
                if weight is None:
                    value = self._read(*self._places[term, entry], turn)
                    total = code.add(total, code.both("mul", value, self._factors[term, entry], bits), bits)
                elif weight:
                    known.append((weight, partial(self._read, *self._places[term, entry], turn)))
        return weighted(code, known, bits, total)


def function_name(node: Node) -> str:
    """Name of the function of a node."""
    return f'"{node.name}"'


def _number(value: int) -> Value:
    return number(value, width_of(Interval(value, value)))
