"""Reads what an artifact says, with nothing but the standard library of Python 3.8 or newer.

It is the first part of the kernel (`pisnn_deploy.verify.kernel`) and shares no code with the rest of the package.
Numbers that are no integers stay text, for nothing here computes with them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from array import array
from collections import Counter, defaultdict
from itertools import chain, repeat
from operator import itemgetter, le
from typing import Any

DOCUMENTS = "graph.json", "certificate.json", "seal.json", "provenance.json"
MEMBER = re.compile(r"(?:graph|certificate|provenance|seal)\.json|arrays/[^/]+\.npy")
HEADER = re.compile(rb"\{'descr': '<i8', 'fortran_order': False, 'shape': \((\d+),(?: (\d+))?\), \} *\n")
HEAD = re.compile(r"neuron [a-z][a-z0-9_-]*\(([^;()]*);([^;()]*);([^;()]*)\)")
LINE = re.compile(r"([a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)?) = ([a-z_]+)\(([^()]*)\)")
OLD = "is not of version 6"
MOST = 1 << 26
"""Most cells, bytes of a JSON document, and numbers of an array that is stored as runs."""


class Refused(Exception):
    """The file is damaged (code 2), or a claim is wrong (code 1)."""


def need(condition: Any, text: Any, code: Any = 2) -> None:
    """Refuse a file."""
    if not condition:
        raise Refused(text, code)


def plain(pairs: Any) -> Any:
    """Build a JSON object without names that come twice; truth values, which Python takes for numbers, become text."""
    need(len(dict(pairs)) == len(pairs), "a JSON object has a name twice")
    return {name: str(value) if type(value) is bool else value for name, value in pairs}


OPERATIONS: dict[str, Any] = {
    "add": lambda x, a, b, c, d: (a + c, b + d),
    "sub": lambda x, a, b, c, d: (a - d, b - c),
    "neg": lambda x, a, b: (-b, -a),
    "abs": lambda x, a, b: (max(a, -b, 0), max(-a, b)),
    "min": lambda x, a, b, c, d: (min(a, c), min(b, d)),
    "max": lambda x, a, b, c, d: (max(a, c), max(b, d)),
    "shl": lambda x, a, b: (a << x, b << x),
    "asr": lambda x, a, b: (a >> x, b >> x),
    "mul_shr": lambda x, a, b, c, d: hull([v >> x for v in (a * c, a * d, b * c, b * d)]),
    "copysign": lambda x, a, b, c, d: hull([a, b] * (d > 0) + [-a, -b] * (c < 0) + [0] * (c <= 0 <= d)),
    "lt": lambda x, a, b, c, d: (int(b < c), int(a < d)),
    "ge": lambda x, a, b, c, d: (int(a >= d), int(b >= c)),
    "eq": lambda x, a, b, c, d: (int(a == b == c == d), int(a <= d and c <= b)),
    "select": lambda x, p, q, a, b, c, d: hull([a, b] * (p < 0 or q > 0) + [c, d] * (p <= 0 <= q)),
    "table": lambda x, a, b: hull(x[max(0, min(a, len(x) - 1)) : max(0, min(b, len(x) - 1)) + 1]),
    "fire": lambda x, a, b: (packet(a, x), packet(b, x)),
    "rest": lambda x, a, b: (-1 << x >> 1, 1 << x >> 1) if packet(a, x) or packet(b, x) else (a, b),
}
"""The interval of each operation, from its constant and those of its operands; ``rest`` is what ``fire`` leaves."""


NOTHING: Any = ("", (), 0)
EMPTY: Any = ()


def hull(values: Any) -> Any:
    """Return the smallest and the largest value."""
    return min(values), max(values)


def packet(value: Any, bits: Any) -> Any:
    """Return ``value / 2^bits`` rounded to the nearest integer, ties towards 0."""
    size = abs(value) + (1 << bits >> 1) - 1 >> bits
    return size if value > 0 else -size


class Program:
    """The program of a population: for each value its operation, its operands (names or integers), and a constant."""

    def __init__(self, lines: Any) -> None:
        head: Any = HEAD.fullmatch(lines[0])
        self.ports, self.states, self.parameters = (re.findall(r"[^\s,]+", part) for part in head.groups())
        self.after: dict[str, str] = {}
        self.sends: list[str] = []
        self.values: dict[str, Any] = {}
        for name in self.ports + self.states + self.parameters:
            self.assign(name, "input", (), None)
        for line in lines[1:]:
            word, _, rest = line.partition(" ")
            if word == "table":
                self.assign(rest.split(" = ")[0], "entries", (), tuple(map(int, rest.split(" = ")[1].split())))
            elif word == "keep" and not self.after:
                self.after = dict(pair.split(" = ") for pair in rest.split(", "))
            elif word == "send" and not self.sends:
                self.sends = rest.split(", ")
            else:
                match: Any = LINE.fullmatch(line)
                self.read(*match.groups())
        need(list(self.after) == self.states, "a program does not keep each of its states once")
        need({*self.after.values(), *self.sends} <= {*self.values}, "a program keeps or sends an unknown value")

    def read(self, results: Any, op: Any, words: Any) -> None:
        """Read an operation."""
        words, constant = words.split(", "), 0
        if op in ("shl", "asr", "mul_shr", "fire"):
            constant = int(words.pop())
            need((op == "fire") <= constant <= 30, f"a program shifts by {constant} bits")
        elif op == "table":
            constant = self.values[words.pop()][2]
        operands = tuple(word if word in self.values else int(word) for word in words)
        takes = (OPERATIONS[op].__code__.co_argcount - 1, 2 if op == "fire" else 1)
        need(takes == (2 * len(operands), len(results.split(", "))), f"{op} has other operands")
        for name, part in zip(results.split(", "), (op, "rest")):
            self.assign(name, part, operands, constant)

    def assign(self, name: Any, *value: Any) -> None:
        """Give a value its name."""
        is_free = name not in self.values and name not in ("neuron", "table", "keep", "send")
        need(is_free and re.fullmatch("[a-z][a-z0-9_]*", name), f"{name} is no name of a value, or is assigned twice")
        self.values[name] = value

    def value(self, name: Any) -> Any:
        """Return the operation, operands and constant of a value; an integer has none."""
        return self.values.get(name, NOTHING)

    def is_holder(self) -> Any:
        """Whether it is ``m + arrival``, kept and sent."""
        totals = list(self.after.values())
        op, operands, _ = self.value(totals[0]) if len(totals) == 1 else NOTHING
        inputs = sorted(self.ports + self.states)
        is_sum = (op, sorted(map(str, operands)), len(self.values), len(self.ports)) == ("add", inputs, 3, 1)
        return is_sum and self.sends == totals

    def reset(self, name: Any) -> Any:
        """Return T - 1 of ``p - select(|p| >= T, p, 0)`` with an integer ``T >= 1``, or None."""
        op, operands, _ = self.value(name)
        sent = self.value(operands[1]) if op == "sub" else NOTHING
        test = self.value(sent[1][0]) if sent[0] == "select" and sent[1][1:] == (operands[0], 0) else NOTHING
        if test[0] == "ge" and self.value(test[1][0])[:2] == ("abs", operands[:1]):
            return test[1][1] - 1 if isinstance(test[1][1], int) and test[1][1] >= 1 else None
        return None


def intervals(program: Any, inputs: Any, limit: Any = None) -> Any:
    """Return the interval of each value of a program from those of its inputs; runs keep the current in `limit`."""
    known = dict(inputs)
    for name, (op, operands, constant) in program.values.items():
        if name in known or op == "entries":
            continue
        spans, reset = [known.get(operand, (operand, operand)) for operand in operands], program.reset(name)
        known[name] = wide = OPERATIONS[op](constant, *chain(*spans))
        if op == "mul_shr":
            wide = OPERATIONS[op](0, *chain(*spans))
        elif op in ("fire", "rest"):
            wide = spans[0][0] - (1 << constant), spans[0][1] + (1 << constant)
        need(-1 << 63 <= min(wide) <= max(wide) < 1 << 63, f"widths: {name} may need more than 64 bits", 1)
        if reset is not None:
            known[name] = -reset, reset
        if name == "current" and limit is not None:
            known[name] = max(known[name][0], -limit), min(known[name][1], limit)
            for part, other in (operands, operands[::-1]) if op == "add" else ():
                if part not in known:  # a constant
                    continue
                low, high = known.get(other, (other, other))
                known[part] = max(known[part][0], -limit - high), min(known[part][1], limit - low)
    return known


def numbering() -> Any:
    """Return a table that gives each key that it is asked for the next number."""
    return defaultdict(iter(range(1 << 63)).__next__)


def joined(columns: Any, size: Any) -> Any:
    """Number the distinct rows of some columns; return the number of each row, and the rows."""
    table: Any = numbering()
    ids = array("q", map(table.__getitem__, zip(repeat(0, size), *columns)))
    need(len(ids) == size, "a list of numbers is too short")
    return ids, [key[1:] for key in table]


class PlainArtifact:
    """The seal, documents and parts of an artifact; arrays are read when they are used.

    It has the populations, fields (by their holders), channels (by population and output), synapses and bounds of the
    graph by name, the number of cells, inverse volumes, and the holders on both sides of each face of the mesh.
    """

    def __init__(self, path: Any) -> None:
        self.zip: Any = zipfile.ZipFile(path)
        self.lengths: dict[str, int] = {}
        self.check_seal()
        graph = self.graph
        self.populations = {p["name"]: p for p in graph["populations"]}
        self.fields = {f["holder"]: f for f in graph["fields"]}
        self.channels = {(c["population"], c["output"]): c for c in graph["channels"]}
        self.synapses = {s["name"]: s for s in graph["synapses"]}
        self.bounds = {(b["population"], b["quantity"]): (b["lower"], b["upper"]) for b in graph["bounds"]}
        for part in ("populations", "fields", "channels", "synapses", "bounds"):
            need(len(getattr(self, part)) == len(graph[part]), f"two of the {part} are the same")
        self.read_mesh(**graph["mesh"])
        self.volumes = {h: self.numbers(f["inverse_volume"], self.cells) for h, f in self.fields.items()}
        need(all(self.size(holder) >= self.cells for holder in self.fields), "a field lacks cells")
        need(all(min(v) > 0 for v in self.volumes.values()), "an inverse volume is not positive")

    def size(self, name: Any) -> Any:
        """Return the number of neurons of a population."""
        return self.populations[name]["size"]

    def check_seal(self) -> None:
        """Read the documents, and compare the hash of every member."""
        infos = self.zip.infolist()
        self.names = {info.filename for info in infos if MEMBER.fullmatch(info.filename)}
        need(len(self.names) == len(infos), "a member is in the file twice, or does not belong in it")
        need("graph.json" in self.names, "a document is missing")
        self.graph = self.document("graph.json")
        need((self.graph["schema"], self.graph["version"]) == ("pisnn-deploy/artifact", 6), OLD)
        need(self.names.issuperset(DOCUMENTS), "a document is missing")
        for info in infos:
            stored = (info.compress_type, info.compress_size, info.flag_bits & 1) == (0, info.file_size, 0)
            need(stored, f"{info.filename} is compressed or encrypted")
        need(sum(info.file_size for info in infos) <= self.zip.fp.seek(0, 2), "members overlap")
        self.claims, seal = map(self.document, DOCUMENTS[1:3])
        need(self.claims, "seal: the certificate is empty", 1)
        sealed = {**self.claims.pop("members"), **seal}
        for name in sorted(self.names.union(sealed) - {"seal.json"}):
            digest = name in self.names and hashlib.sha256(self.zip.read(name)).hexdigest()
            need(sealed.get(name) == digest, f"seal: {name} is not what was sealed", 1)

    def document(self, name: Any) -> Any:
        """Read a JSON object; numbers that are no integers stay text, for nothing here computes with them."""
        need(self.zip.getinfo(name).file_size <= MOST, f"{name} is too large")
        return json.loads(self.zip.read(name), object_pairs_hook=plain, parse_float=str, parse_constant=plain)

    def numbers(self, name: Any, size: Any = None, width: Any = 0) -> Any:
        """Read a list of `size` numbers, or a table of that many rows of `width`; None for as many as there are."""
        runs = f"arrays/{name}.runs.npy" in self.names
        content = self.zip.read("arrays/{}{}.npy".format(name, ".runs" * runs))
        start = 10 + int.from_bytes(content[8:10], "little")
        shape: Any = HEADER.fullmatch(content, 10, start)
        need(content[:8] == b"\x93NUMPY\x01\x00" and shape, f"{name} is not a list of integers")
        values, columns = array("q", content[start:]), int(shape[2] or 0)
        if sys.byteorder == "big":
            values.byteswap()  # pragma: no cover
        self.lengths[name] = rows = int(shape[1])
        need(len(values) == rows * (columns if shape[2] else 1), f"{name} has another size")
        if runs:
            need(columns == 2 and not width and min(values[1::2], default=1) > 0, f"the runs of {name} are damaged")
            need(size == sum(values[1::2]) <= MOST, f"{name} has another size than the graph says")
            return array("q", chain.from_iterable(map(repeat, values[::2], values[1::2])))
        need(width in (None, columns) and size in (None, rows), f"{name} has another size than the graph says")
        return values

    def read_mesh(self, kind: str, shape: Any = (), boundary: Any = (), **mesh: str) -> None:
        """Find the holders on both sides of each face, and of each axis its first face, cells and sides."""
        self.axes, self.cells, self.source, self.target = [], 1, array("q"), array("q")
        if kind == "cells":
            _, _ = (self.numbers(mesh[name], None, None) for name in ("corners", "face_corners"))
            self.cells, faces = (self.lengths[mesh[name]] for name in ("corners", "face_corners"))
            self.source, self.target = (self.numbers(mesh[end], faces) for end in ("source", "target"))
        for count in shape:
            self.cells *= count
            need(count > 0 and self.cells <= MOST, "the mesh is too large")
        number = block = self.cells
        for count, (lower, upper) in zip(shape, boundary):
            self.axes.append((len(self.source), count, lower, upper))
            inner = block // count
            for first in range(0, self.cells, block):
                line = array("q", range(first, first + block))
                if lower == "dirichlet":
                    line, number = array("q", range(number, number + inner)) + line, number + inner
                if upper == "dirichlet":
                    line, number = line + array("q", range(number, number + inner)), number + inner
                line += line[:inner] if upper == "periodic" else line[:0]
                self.source += line[:-inner]
                self.target += line[inner:]
            block = inner

    def rows(self, s: Any) -> Any:
        """Iterate over what each target neuron hears: places (neurons, or offsets of a stencil), and mantissas."""
        return zip(*self.explicit(s)) if s["kind"] == "explicit" else self.regular(s)

    def mantissas(self, s: Any) -> Any:
        """Iterate over the mantissas of each target neuron."""
        return self.explicit(s)[1] if s["kind"] == "explicit" else map(itemgetter(1), self.regular(s))

    def explicit(self, s: Any) -> Any:
        """Return iterators over the columns and over the mantissas of rows that are listed."""
        size, parts = self.size(s["target"]), s["parts"]
        starts = self.numbers(parts["row_starts"], size + 1)
        columns, mantissas = (self.numbers(parts[name], starts[-1]) for name in ("columns", "mantissas"))
        sending = self.cells if s["source"] in self.fields else self.size(s["source"])  # ledgers never send
        inside = 0 <= min(columns, default=0) <= max(columns, default=0) < sending
        need(inside, f"{s['name']} comes from no neuron that sends")
        length = starts[-1] // size
        if length and starts == array("q", range(0, length * size + 1, length)):  # much faster
            return [zip(*[iter(numbers)] * length) for numbers in (columns, mantissas)]
        need(starts[0] == 0 and all(map(le, starts, starts[1:])), "row_starts do not ascend")
        rows = list(map(slice, starts, starts[1:]))
        return [map(tuple, map(numbers.__getitem__, rows)) for numbers in (columns, mantissas)]

    def regular(self, s: Any) -> Any:
        """Yield rows that follow from the mesh."""
        size, heard = (self.size(s[end]) for end in ("target", "source"))
        parts, kind, read = s["parts"], s["kind"], self.numbers
        is_of_faces = kind in ("blocks", "cell-ends", "incidence")
        need(not is_of_faces or s["source"] not in self.fields, f"{s['name']} comes from no neuron that sends")
        if kind == "stencil":
            yield from self.stencil(parts, size // len(self.source))
        elif kind == "blocks":
            outputs, inputs = size // len(self.source), heard // len(self.source)
            block = read(parts["mantissas"], outputs, inputs)
            lines = [tuple(block[at : at + inputs]) for at in range(0, outputs * inputs, inputs)]
            for first in range(0, heard, inputs):
                yield from zip(repeat(tuple(range(first, first + inputs))), lines)
        elif kind in ("source-ends", "target-ends"):
            value = tuple(read(parts["mantissas"], 1))
            for end in self.source if kind == "source-ends" else self.target:
                yield ((end,), value) if end < self.cells else ((), ())
        else:
            need(kind in ("cell-ends", "incidence"), f"there are no synapses of kind {kind}")
            values, hears = read(parts["mantissas"], 2 if kind == "cell-ends" else 1), [EMPTY] * size
            for face, pair in enumerate(zip(self.source, self.target)):
                for end, value in zip(pair, values if kind == "cell-ends" else (-values[0], values[0])):
                    if end < size:
                        hears[end] += ((face, value),)
            yield from (tuple(zip(*row)) or ((), ()) for row in hears)

    def stencil(self, parts: Any, outputs: Any) -> Any:
        """Yield the rows of a stencil; a place is the axis of the face and the offset of the cell."""
        n, read = len(self.axes), self.numbers
        boxes = read(parts["boxes"], None, 1 + 2 * n)
        starts = read(parts["row_starts"], len(boxes) // (1 + 2 * n) * outputs + 1)
        offsets, mantissas = read(parts["offsets"], starts[-1], n), read(parts["mantissas"], starts[-1])
        rows: list[Any] = []
        at = array("q", [-1]) * (len(self.source) * outputs)
        for box in range(0, len(boxes), 1 + 2 * n):
            axis, lines = boxes[box], [0]
            for a, (_, count, lower, upper) in enumerate(self.axes):
                below = a == axis and lower == "dirichlet"
                count += (below + (upper == "dirichlet") - (lower != "periodic")) * (a == axis)
                first, extent = boxes[box + 1 + a] + below, boxes[box + 1 + n + a]
                need(0 <= first < first + extent <= count, "a box leaves the mesh")
                last = range(first, first + 1 if a == n - 1 else first + extent)
                lines = [line * count + place for line in lines for place in last]
                ends = [boxes[box + 1 + a] + o for o in offsets[a::n][starts[len(rows)] : starts[len(rows) + outputs]]]
                inside = 0 <= min(ends, default=0) <= max(ends, default=0) <= self.axes[a][1] - extent
                need(inside or lower == "periodic", "a stencil leads beyond a wall")
            for output in range(outputs):
                a, b = starts[len(rows) : len(rows) + 2]
                places = tuple((axis, *offsets[n * e : n * (e + 1)]) for e in range(a, b))
                rows.append((places, tuple(mantissas[a:b])))
                for line in lines:
                    start = (self.axes[axis][0] + line) * outputs + output
                    part = slice(start, start + extent * outputs, outputs)
                    need(max(at[part]) < 0, "a face is in two boxes")
                    at[part] = array("q", [len(rows) - 1]) * extent
        need(min(at) >= 0, "a face is in no box")
        yield from map(rows.__getitem__, at)

    def weights(self, s: Any) -> Any:
        """Return the sums of positive and of negative mantissas in rows of a synapse, and its lowest and highest."""
        if s["kind"] == "incidence":
            (value,) = self.numbers(s["parts"]["mantissas"], 1)
            enter, leave = Counter(self.target), Counter(self.source)
            counts = {(enter[holder], leave[holder]) for holder in {*enter, *leave}}
            sums = {
                (abs(value) * up, abs(value) * down)
                for pair in counts
                for up, down in [pair[:: 1 if value > 0 else -1]]
            }
            values = {value, -value}
        else:
            rows = {*self.mantissas(s)}
            sums = {(sum(v for v in row if v > 0), -sum(v for v in row if v < 0)) for row in rows}
            values = set(chain.from_iterable(rows))
        low, high, name, bits = min(values, default=0), max(values, default=0), s["name"], s["exponent"]
        need(-8 <= bits <= 7 and -256 <= low <= high <= 256, f"synapse {name} has too large weights")
        need(not any(v % (1 << max(-bits, 0)) for v in values), f"synapse {name} has weights that are no integers")
        is_odd = low < 0 < high and any(v % 2 for v in values)
        need(not is_odd, f"layout: targets clear the lowest bit of odd mantissas of mixed sign in {name}", 1)
        return sums or {(0, 0)}, min(low, 0), max(high, 0)

    def added(self, group: Any) -> Any:
        """Yield the rows of several synapses with their weights added up."""
        for parts in zip(*map(self.rows, group)):
            row: Any = Counter()
            for s, (places, values) in zip(group, parts):
                for place, value in zip(places, values):
                    row[place] += value << s["exponent"] if s["exponent"] > 0 else value >> -s["exponent"]
            yield tuple(row), tuple(row.values())
