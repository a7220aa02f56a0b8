"""Mutations of artifacts that know what an artifact is made of, and seal it again: most of them reach the checker."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuzz.mutations import NUMBERS, PLAIN, Members, members_of, mutated_plain, npy, zipped
from pisnn_deploy.programs.language import SIGNATURES

NAMES = ("ghost", "membrane", "flux", "hidden1", "hidden9", "route", "nan", "a" * 64, "A", "", "x\n::error::y", "\x9b")
"""Names of populations and synapses: some exist in graphs, some in none."""
TEXTS = (
    "\x9b31m\x07\x08\x1b[2J",
    "\u202e\u2066gnp\u2069",
    "a\r\n::error file=x::planted",
    "##[error]planted",
    "\u2028\u200b\U000e0041",
    "x" * 256,
    "[red]x[/red] $\\frac$ %0A </script>",
    "中文 \U0001f680",
)
RAW = (b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\xed\xa0\x80", b"\x00", b"\xc0\xaf")
"""What no UTF-8 text has, or not there."""
EXTREMES = (*(n for n in NUMBERS if -(2**63) <= n < 2**63), 2**63 - 2, -(2**62), 2**40)

Integers = NDArray[np.int64]


class Parts:
    """An artifact in parts that can be changed; an artifact that was damaged before has none."""

    def __init__(self, content: bytes) -> None:
        members = dict(members_of(content))
        self.json: dict[str, Any] = {name: json.loads(members[name]) for name in members if name.endswith(".json")}
        self.arrays: dict[str, Any] = {
            name: np.load(io.BytesIO(members[name])) for name in members if name.startswith("arrays/")
        }
        self.raw: dict[str, bytes] = {}

    @property
    def graph(self) -> dict[str, Any]:
        """Content of ``graph.json``."""
        graph: dict[str, Any] = self.json["graph.json"]
        return graph

    def named(self, random: Random, *endings: str) -> str:
        """An array whose name ends so, or any."""
        names = [name for name in self.arrays if name.removesuffix(".npy").removesuffix(".runs").endswith(endings)]
        return random.choice(names or list(self.arrays))

    def sealed(self) -> bytes:
        """The artifact, with the hashes of what it is made of."""
        members = {name: npy(array) for name, array in self.arrays.items()}
        members["graph.json"] = _json(self.graph)
        members |= {name: member for name, member in self.raw.items() if name == "graph.json"}
        hashes = {name: hashlib.sha256(member).hexdigest() for name, member in members.items()}
        if isinstance(self.json["certificate.json"], dict):
            self.json["certificate.json"]["members"] = hashes
        members |= {name: _json(value) for name, value in self.json.items() if name != "graph.json"}
        members |= self.raw
        if "seal.json" not in self.raw:
            sealed = ("certificate.json", "provenance.json")
            members["seal.json"] = _json({name: hashlib.sha256(members[name]).hexdigest() for name in sealed})
        content: Members = sorted(members.items())
        return zipped(content)


def mutated_artifact(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change one to three things of an artifact, and seal it again."""
    parts = Parts(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        # What was changed before may not be what the next change looks for.
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            random.choice(_CHANGES)(random, parts)
    return parts.sealed()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _runs(random: Random, parts: Parts) -> None:
    """An array as runs whose lengths are not its own: negative, none, too many, so many that their sum wraps."""
    name = parts.named(
        random, "bias", "mass_before", "reservoirs", "mantissas", "row_starts", "membrane", "flux", "chip"
    )
    whole = _plain(parts, name)
    values = whole.reshape(-1)[:4].tolist() or [0]
    size = whole.size
    lengths = random.choice(
        (
            [size], [size + 1], [max(0, size - 1)], [0], [-1], [1 << 28], [1 << 31], [1 << 62] * 4, [2**63 - 1, 2],
            [-size, 2 * size], [size // 2, size - size // 2],
        )
    )  # fmt: skip
    table = [[values[k % len(values)], length] for k, length in enumerate(lengths)]
    key = name.removesuffix(".npy").removesuffix(".runs")
    if random.random() < 0.8:
        del parts.arrays[name]
    parts.arrays[f"{key}.runs.npy"] = np.array(
        random.choice((table, table, table, [], lengths, [[*table[0], 0]])), "<i8"
    )


def _plain(parts: Parts, name: str) -> Integers:
    array: Integers = parts.arrays[name]
    if name.endswith(".runs.npy") and array.ndim == 2 and array.shape[1] == 2:
        return np.repeat(array[:, 0], np.clip(array[:, 1], 0, 4096))
    return array


def _boxes(random: Random, parts: Parts) -> None:
    """Corners and sizes of boxes beyond the mesh, and beyond what integers hold."""
    name = parts.named(random, "boxes", "offsets", "row_starts", "axons.route", "membrane-to-flux")
    array = np.array(parts.arrays[name])
    flat = array.reshape(-1)
    for _ in range(random.randint(1, 3)):
        if flat.size:
            at = random.randrange(flat.size)
            near = int(flat[at]) + random.choice((1, -1, 2, -2))
            flat[at] = max(-(2**63), min(2**63 - 1, random.choice((near, -int(flat[at]), random.choice(EXTREMES)))))
    if random.random() < 0.2:
        array = random.choice((array[:0], array[:-1], np.concatenate([array, array])))
    parts.arrays[name] = array


def _corner(random: Random, parts: Parts) -> None:
    """One number of a box that is too large, or such that adding to it wraps."""
    name = parts.named(random, "boxes")
    array = np.array(parts.arrays[name])
    if array.ndim == 2 and array.size:
        row, column = random.randrange(array.shape[0]), random.randrange(array.shape[1])
        array[row, column] = random.choice(EXTREMES)
    parts.arrays[name] = array


def _starts(random: Random, parts: Parts) -> None:
    """Starts of rows that ascend only for those whose differences wrap."""
    name = parts.named(random, "row_starts")
    array = np.array(parts.arrays[name]).reshape(-1)
    last = int(array[-1]) if array.size else 0
    wrapping = [0, 2**63 - 1, -(2**63), -1]
    if random.random() < 0.5:
        parts.arrays[name] = np.array([*wrapping[: random.randint(1, 4)], *array[4:-1], last], np.int64)
    else:
        parts.arrays[name] = np.array([*([0] * max(1, array.size - 4)), *wrapping[1:], last], np.int64)


def _numbers(random: Random, parts: Parts) -> None:
    """Extreme integers in any array."""
    name = random.choice(list(parts.arrays))
    array = np.array(parts.arrays[name])
    flat = array.reshape(-1)
    for _ in range(random.choice((1, 2, 8))):
        if flat.size:
            flat[random.randrange(flat.size)] = random.choice(EXTREMES)
    parts.arrays[name] = array


def _arrays(random: Random, parts: Parts) -> None:
    """Other types, other dimensions, other lengths, other names."""
    name = random.choice(list(parts.arrays))
    array = parts.arrays.pop(name)
    kind = random.randrange(6)
    if kind == 0:
        array = array.astype(random.choice(("<f8", "<i4", ">i8", "|u1", "|b1", "<c16", "<U4")))
    elif kind == 1:
        array = array.reshape(random.choice(((1, -1), (-1, 1), (-1, 1, 1))))
    elif kind == 2:
        array = array[: random.randrange(len(array) + 1)]
    elif kind == 3:
        array = np.concatenate([array, array])
    elif kind == 4:
        parts.arrays[
            f"arrays/{random.choice(('operatorz', 'ghost.bias', 'a.runs', 'hidden9.bias', 'axons.ghost'))}.npy"
        ] = array
    else:
        other = random.choice([*parts.arrays, name])
        array, parts.arrays[other] = parts.arrays.get(other, array), array
    parts.arrays[name] = array


def _bounds(random: Random, parts: Parts) -> None:
    """Bounds of populations that the graph does not have, twice the same, none at all, or of other widths."""
    bounds = parts.graph["bounds"]
    if not isinstance(bounds, list) or not bounds:
        return
    at = random.randrange(len(bounds))
    kind = random.randrange(5)
    if kind == 0:
        del bounds[at]
    elif kind == 1:
        bounds.append(dict(bounds[at]))
    elif kind == 2:
        bounds[at][random.choice(("population", "quantity"))] = random.choice((*NAMES, "payload", "packet", "product"))
    elif kind == 3:
        bounds[at][random.choice(("lower", "upper", "bits"))] = random.choice(NUMBERS)
    else:
        other = random.choice(bounds)
        bounds[at]["population"], other["population"] = other["population"], bounds[at]["population"]


def _populations(random: Random, parts: Parts) -> None:
    """Names of populations and synapses, and what is said by these names."""
    graph = parts.graph
    kind = random.randrange(6)
    population = random.choice(graph["populations"])
    if kind == 0:
        population["lines"] = random.choice((0, 1, 17, 32, 33, -1))
    elif kind == 1:
        population["size"] = random.choice((0, 1, population["size"] + 1, 1 << 31, 1 << 40, -1))
    elif kind == 2 and graph["synapses"]:
        synapse = random.choice(graph["synapses"])
        synapse[random.choice(("name", "source", "target", "kind", "port"))] = random.choice(
            (*NAMES, "source_mass", "source-ends", "blocks", "arrival")
        )
    elif kind == 3:
        graph["populations"] = random.choice(
            ([], graph["populations"][::-1], [*graph["populations"], population], graph["populations"][:1])
        )
    elif kind == 4:
        population["name"] = random.choice(NAMES)
    elif graph["synapses"]:
        graph["synapses"].append(dict(random.choice(graph["synapses"])))


def _programs(random: Random, parts: Parts) -> None:
    """Lines of programs: other constants, names and operations, gone, twice, far too long or far too many."""
    population = random.choice(parts.graph["populations"])
    lines = population["program"]
    at = random.randrange(len(lines))
    kind = random.randrange(7)
    if kind == 0:
        number = random.choice((0, 1, -1, 31, 62, 63, 4096, 2**62, 2**64, 10**30))
        lines[at] = re.sub(r"\d+", str(number), lines[at])
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines.insert(at, lines[at])
    elif kind == 3:
        lines[at] = random.choice((lines[at] * 10_000, "", "x = add(x, x)", "send ghost", "keep = ", *TEXTS))
    elif kind == 4:
        word = random.choice(re.findall(r"\w+", lines[at]))
        lines[at] = lines[at].replace(word, random.choice((*SIGNATURES, "arrival", "mass", "packet", "residue")))
    elif kind == 5:
        population["program"] = random.choice(
            (lines * 40, lines[::-1], [*lines, "y1 = add(1, 1)"] * 80, "\n".join(lines))
        )
    else:
        lines[at] = random.choice(PLAIN)


def _placement(random: Random, parts: Parts) -> None:
    """So many cores and chips that their tables would not fit, or none."""
    placement = parts.graph["placement"]
    if isinstance(placement, dict):
        placement[random.choice(("cores", "chips"))] = random.choice((0, 1, 2, 17, 1 << 20, 1 << 24, 1 << 30, -1))
        if random.random() < 0.5:
            cores = placement["cores"]
            for name in [name for name in parts.arrays if "utilisation" in name or "chip" in name]:
                del parts.arrays[name]
                key = name.removesuffix(".npy").removesuffix(".runs")
                parts.arrays[f"{key}.runs.npy"] = np.array([[0, max(1, cores)]], "<i8")


def _texts(random: Random, parts: Parts) -> None:
    """Text that steers terminals and CIs, wherever there is text."""
    graph = parts.graph
    text = random.choice(TEXTS)
    kind = random.randrange(5)
    if kind == 0:
        graph["profile"] = text
    elif kind == 1:
        graph.get("noted", graph)["passes"].append({"name": text, "options": text, "summary": text})
    elif kind == 2:
        graph["spec"]["name"] = text
    elif kind == 3:
        parts.json["provenance.json"][text] = text
    else:
        mesh = graph["mesh"]
        for key in ("group_names", "material_names"):
            if mesh.get(key):
                mesh[key][0] = text


def _mesh(random: Random, parts: Parts) -> None:
    """Shapes, lengths and sides that do not go together."""
    mesh = parts.graph["mesh"]
    if mesh.get("kind") != "structured":
        points = parts.arrays.get("arrays/mesh.points.npy")
        if points is not None:
            # Coordinates are stored as the bits of doubles.
            wrong = random.choice((math.nan, math.inf, 1e200, -1e99, 5e-324, 0.0))
            points.flat[random.randrange(points.size)] = np.array([wrong]).view(np.int64)[0]
        return
    cells = int(np.prod(mesh["shape"]))
    axes = len(mesh["shape"])
    kind = random.randrange(3)
    if kind == 0:
        mesh["shape"] = random.choice(([cells], [1, cells], [cells, 1, 1], [cells * 2], [1 << 26], [1 << 13] * 2))
        if random.random() < 0.7:
            axes = len(mesh["shape"])
            mesh["lengths"], mesh["boundary"] = [1.0] * axes, [mesh["boundary"][0]] * axes
    elif kind == 1:
        mesh["lengths"] = [random.choice((1e308, 5e-324, 1e-320, 1.0, 1e400, -1.0)) for _ in range(axes)]
    else:
        sides = ("periodic", "no-flux", "dirichlet")
        mesh["boundary"] = [[random.choice(sides), random.choice(sides)] for _ in range(axes)]


def _plain_data(random: Random, parts: Parts) -> None:
    """One place of any JSON member is something else."""
    name = random.choice(("graph.json", "graph.json", "graph.json", "certificate.json", "provenance.json"))
    changed = mutated_plain(random, parts.json[name])
    if isinstance(changed, dict):
        parts.json[name] = changed


def _figures(random: Random, parts: Parts) -> None:
    """Numbers of all sizes in the places of numbers."""
    graph = parts.graph
    places = [(graph, key) for key in ("time_step", "period")]
    for field in graph["fields"]:
        places += [(field, key) for key in ("quantum", "unit_volume")]
        places += [(field["window"], key) for key in field["window"]]
    for claim in parts.json["certificate.json"].values():
        if isinstance(claim, dict) and isinstance(claim.get("figures"), dict):
            places += [(claim["figures"], key) for key in claim["figures"]]
    place, key = random.choice(places)
    place[key] = random.choice((*PLAIN, 1e300, 1e-300, 2**62, -(2**62), 10**4000))


def _raw_text(random: Random, parts: Parts) -> None:
    """JSON that is no UTF-8, too deep, has a number of too many digits, or says a key twice."""
    name = random.choice(list(parts.json))
    text = _json(parts.json[name])
    at = random.randrange(len(text) + 1)
    parts.raw[name] = random.choice(
        (
            text[:at] + random.choice(RAW) + text[at:],
            text.decode().encode("utf-16"),
            text.replace(b":1", b":" + b"9" * 5000, 1),
            text[:1] + b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b"," + text[1:],
            text[:1] + b'"x":1e999999999,' + text[1:],
            text[:1] + b'"schema":1,"schema":2,' + text[1:],
            text[:1] + b'"\\ud800":"\\udfff",' + text[1:],
        )
    )


Change = Callable[[Random, Parts], None]
_CHANGES: tuple[Change, ...] = (
    *(
        _runs,
        _runs,
        _programs,
        _programs,
        _boxes,
        _corner,
        _corner,
        _starts,
        _numbers,
        _arrays,
        _bounds,
        _bounds,
        _populations,
        _placement,
        _texts,
        _mesh,
    ),
    *(_plain_data, _figures, _raw_text),
)
