"""Mutants of artifacts with fresh seals, and what `verify`, its kernel and the extracted checker say of them."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from laws_compiled import compiled_law
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    oscillating_model,
    plane_model,
    seeing_box,
    stock_box,
)
from mutations import leaf, leaves, mutated_leaves
from proved import answers
from two_point_graphs import base
from unknown_programs import proved, with_program

from benchmarks.parts.plain_form import plain_form
from fuzz.artifacts import Parts
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact
from pisnn_deploy.programs import parse
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.kernel import check
from pisnn_deploy.verify.plain_artifact import Refused


def bending() -> IntegerGraph:
    """A hidden layer that bends its drive by a table, which no theorem on equations knows."""
    program = parse(
        f"neuron bend(arrival; ; bias)\ntable curve = {' '.join(str(30 * n * n) for n in range(33))}\n"
        "drive = add(arrival, bias)\nindex = asr(drive, 17)\nactivation = table(index, curve)\nsend activation"
    )
    return proved(with_program(compiled(hidden_model((3,)), 8, "no-flux", "dense"), "hidden1", program))


ARTIFACTS: dict[str, Callable[[], IntegerGraph]] = {
    "line, periodic": lambda: compiled(heat_model(), 12, "periodic"),
    "line, reservoirs": lambda: compiled(heat_model((4 / 128, 18 / 128, 46 / 128)), 10, "dirichlet=0.5,1"),
    "plane": lambda: compiled_box(plane_model(), (5, 6), "x=no-flux y=periodic"),
    "leak": lambda: compiled(heat_model(leak=900), 10, "dirichlet=0.5,1"),
    "hidden layer": lambda: compiled(hidden_model((3,)), 8, "no-flux", "dense"),
    "floor": lambda: compiled(oscillating_model(), 6, "no-flux", limiter="positivity"),
    "floor and ceiling": lambda: compiled(oscillating_model(), 5, "dirichlet=0.5,1", limiter="bounds"),
    "Lava's processes": lambda: stock_box(shape=(10,)),
    "binary spikes": lambda: binary_box(heat_model(), (10,), "no-flux"),
    "residues seen": lambda: seeing_box(shape=(10,)),
    "materials": lambda: base("line"),
    "triangles": lambda: base("several"),
    "a table": lambda: bending(),
    "runs of numbers": lambda: compiled(heat_model((4 / 128, 18 / 128, 46 / 128)), 72, "dirichlet=0.5,1"),
    "law: traffic": lambda: compiled_law("lwr", (8,)),
    "law: Gray-Scott": lambda: compiled_law("gray_scott2d", (3, 3)),
}
"""Small artifacts of all kinds."""


@dataclass
class Verdict:
    """What is said of a mutant.

    Attributes
    ----------
    kind : str
        What was changed.
    where : str
        Member and place.
    is_read : bool
        Whether the package's reader accepts the file.
    refusals : dict of str to str
        What `verify` refuses of it, by claim.
    kernel : str
        What the kernel refuses; empty where it accepts.
    left : list of str
        What the kernel leaves out of a file that it accepts.
    extracted : str
        What the extracted checker refuses; empty where it accepts.
    """

    kind: str
    where: str
    is_read: bool
    refusals: dict[str, str]
    kernel: str = ""
    left: list[str] = field(default_factory=list)
    extracted: str = ""


def of_kind(where: str) -> str:
    """Kind of a change, from its place."""
    kinds = {
        r"run ": "runs",
        r"bounds\.\d+\.bits": "widths",
        r"bounds\.": "bounds",
        r"channels\.|synapses\.\S*route|mesh\.source|mesh\.target": "routes",
        r"synapses\.\S*\.(boxes|offsets|row_starts|columns)": "boxes and rows",
        r"synapses\.|operator\.": "weights",
        r"fields\.": "fields",
        r"table ": "tables",
        r"program |populations\.\S*\.parameters": "programs",
    }
    return next((kind for pattern, kind in kinds.items() if re.match(pattern, where)), "meaning")


KINDS = ("routes", "weights", "widths", "bounds", "boxes and rows", "runs", "fields", "tables", "programs", "meaning")


class Mutator:
    """Changes one number, word or line of an artifact, and seals it again.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled, with a certificate.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        self._content = artifact_bytes(graph, {})
        parts = Parts(self._content)
        self._members: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for name in parts.arrays:
            self._members[of_kind(_place(name))].append(name)
        self._leaves: dict[str, list[tuple[str, tuple[Any, ...]]]] = {kind: [] for kind in KINDS}
        populations = parts.graph["populations"]
        for path in leaves(parts.graph):
            if path[0] == "populations" and path[2:3] == ("program",):
                line = populations[path[1]]["program"][path[3]]
                self._leaves["tables" if line.startswith("table ") else "programs"].append(("graph.json", path))
            elif path[0] != "noted":
                self._leaves[of_kind(_named(parts.graph, path))].append(("graph.json", path))
        for path in leaves(parts.json["certificate.json"]):
            if path[0] != "members":
                self._leaves["meaning"].append(("certificate.json", path))

    def kinds(self) -> list[str]:
        """Kinds of changes that the artifact has a place for."""
        return [kind for kind in KINDS if self._members[kind] or self._leaves[kind]]

    def mutant(self, kind: str, random: Random) -> tuple[str, bytes]:
        """Draw a mutant.

        Returns
        -------
        (str, bytes)
            The place, and the file.
        """
        parts, members, places = Parts(self._content), self._members[kind], self._leaves[kind]
        if members and (not places or random.random() < 0.6):
            name = random.choice(members)
            array = parts.arrays[name] = parts.arrays[name].copy()
            if kind == "runs" and len(array) > 1 and random.random() < 0.5:
                first, other = random.sample(range(len(array)), 2)  # as many numbers as before, at other places
                array[[first, other], 1] += [1, -1]
            elif array.size:
                array.flat[random.randrange(array.size)] += random.choice([-2000, -64, -4, -2, -1, 1, 2, 4, 64, 2000])
            return name, parts.sealed()
        document, path = random.choice(places)
        plain = parts.json[document]
        old = leaf(plain, path)
        if kind in ("tables", "programs"):
            new = _other_line(old, random)
        else:
            choices = mutated_leaves(old, np.random.default_rng(random.randrange(1 << 32)))
            new = random.choice([*choices, *([old * 2, -old, old // 2] if type(old) is int else [])])
        leaf(plain, path[:-1])[path[-1]] = copy.deepcopy(new)
        return f"{document} {'.'.join(map(str, path))}: {old} is {new}", parts.sealed()


def _place(member: str) -> str:
    place = member.removeprefix("arrays/").removesuffix(".npy")
    return f"run {place}" if place.endswith(".runs") else place


def _named(graph: dict[str, Any], path: tuple[Any, ...]) -> str:
    """Place of a leaf with names of synapses instead of numbers."""
    words = [*map(str, path)]
    if path[0] == "synapses":
        words[1] = graph["synapses"][path[1]]["name"]
    return ".".join(words)


def _other_line(line: str, random: Random) -> str:
    """A line of a program with another number, operation or value."""
    numbers = [*re.finditer(r"(?<![\w])-?\d+(?!\w)", line)]
    words = [word for word in ("add", "sub", "max", "min", "lt", "ge", "asr", "shl") if f" {word}(" in line]
    if words and (not numbers or random.random() < 0.3):
        others = {"add": "sub", "sub": "add", "max": "min", "min": "max", "lt": "ge", "ge": "lt", "asr": "shl"}
        return line.replace(f" {words[0]}(", f" {others.get(words[0], 'asr')}(")
    if not numbers:
        return line.replace("(", "(0, ", 1) if random.random() < 0.5 else f"{line}x"
    found = random.choice(numbers)
    new = int(found[0]) + random.choice([-2000, -3, -1, 1, 2, 2000])
    return f"{line[: found.start()]}{new}{line[found.end() :]}"


def judged(name: str, count: int, seed: int, folder: Path) -> list[Verdict]:
    """Draw mutants of an artifact and have all three checkers judge them.

    Parameters
    ----------
    name : str
        A key of `ARTIFACTS`.
    count : int
        How many mutants the reader must accept.
    folder : Path
        For files.
    """
    mutator, random = Mutator(ARTIFACTS[name]()), Random(seed)
    verdicts: list[Verdict] = []
    texts: list[str] = []
    readable: list[Verdict] = []
    path = folder / "mutant.pisnn"
    kinds = mutator.kinds()
    refused = 0
    while len(readable) + refused < count:
        kind = kinds[len(verdicts) % len(kinds)]
        where, content = mutator.mutant(kind, random)
        path.write_bytes(content)
        verdict = Verdict(kind, where, True, {})
        verdicts.append(verdict)
        try:
            verdict.left = check(str(path))
        except Refused as error:
            verdict.kernel = str(error.args[0])
        try:
            read = read_artifact(path)
        except PisnnError:
            verdict.is_read = False
            continue
        verdict.refusals = {f.claim: f.text for f in check_certificate(read.graph, read.altered) if not f.holds}
        try:
            texts.append(plain_form(read.graph, str(len(texts))))
        except (PisnnError, ValueError, LookupError) as error:
            verdict.extracted = f"no plain form: {error}"
            refused += 1
            continue
        readable.append(verdict)
    for verdict, line in zip(readable, _all_answers(texts), strict=True):
        verdict.extracted = line.partition(" refused: ")[2]
    return verdicts


def _all_answers(texts: list[str]) -> Iterator[str]:
    for first in range(0, len(texts), 100):
        yield from answers("check", "".join(texts[first : first + 100]))


NOT_COVERED = re.compile(
    r" (payload|product|accumulator|ledger) (ranges|needs)"
    r"|has two bounds, no bound, or does not exist|the claim differs|a ledger may wrap|the claim says more"
)
"""Refusals of bounds and conservation about what a plain form does not have."""


def disagreement(verdict: Verdict) -> str:
    """Why `verify` and the extracted checker disagree on a mutant; empty where they do not.

    They agree if both refuse or both accept, or if what `verify` alone refuses are claims that plain forms do not make.
    """
    if not verdict.is_read:
        return ""
    if verdict.extracted and not verdict.refusals:
        return f"only the extracted checker refuses: {verdict.extracted}"
    if verdict.extracted:
        return ""
    for claim in ("conservation", "bounds"):
        text = verdict.refusals.get(claim, "")
        if text and not text.startswith("not checked") and not NOT_COVERED.search(text):
            return f"only verify refuses {claim}: {text}"
    return ""


NOT_IN_PLAIN_FORMS = re.compile(
    r"(conservation|overflow): the graph has|layout: |widths: there is no quantity|widths: .* has no bound$"
    r"|widths: \S+ (payload|product|accumulator|ledger) ranges|widths: a ledger|widths: \S+ may exceed a word"
)
"""Refusals of the kernel that are not about routes, programs, bounds of values or widths, which a plain form has."""
IMPOSSIBLE = re.compile(r"graph\.json fields\.\d+\.window\.difference")
"""Changes after which no masses are in the window, as sides differ by more than neighbours may."""


def kernel_apart(verdict: Verdict) -> str:
    """Why kernel and extracted checker give different verdicts on a mutant; empty where both refuse or both accept.

    The first words say whether that is explained: what the kernel says that it leaves out, and claims that plain forms
    do not make, are no contradiction, nor is a bound that only the extracted checker can prove, as it computes what
    channels send, where the kernel takes their declared bound. Anything else starts with "unexplained".
    """
    if bool(verdict.kernel) == bool(verdict.extracted):
        return ""
    if verdict.kernel:
        if NOT_IN_PLAIN_FORMS.match(verdict.kernel):
            return f"no part of a plain form: {verdict.kernel}"
        is_bound = re.match(r"widths: (?!the bound)\S+ \S+ ranges|widths: state", verdict.kernel) is not None
        if is_bound and verdict.refusals:
            return f"proved by the extracted checker alone: {verdict.kernel}"
        if is_bound and verdict.kind == "bounds":
            return f"from a bound that is wider: {verdict.kernel}"
        return f"unexplained, only the kernel refuses: {verdict.kernel}"
    if verdict.extracted.startswith("bounds") and any(text.startswith("the bound of") for text in verdict.left):
        return f"left out by the kernel: {verdict.extracted}"
    if verdict.extracted.startswith("bounds") and "units" in verdict.refusals and IMPOSSIBLE.match(verdict.where):
        return f"no masses in the window: {verdict.extracted}"
    return f"unexplained, only the extracted checker refuses: {verdict.extracted}"
