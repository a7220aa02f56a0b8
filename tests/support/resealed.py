"""Artifacts that are changed member by member and sealed again, as anyone can who writes a file."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes

Members = dict[str, bytes]


def members_of(graph: IntegerGraph) -> Members:
    """Members of the artifact of a graph."""
    with zipfile.ZipFile(io.BytesIO(artifact_bytes(graph, {}))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def document(members: Members, name: str = "graph.json") -> Any:
    return json.loads(members[name])


def array(members: Members, name: str) -> Any:
    return np.load(io.BytesIO(members[f"arrays/{name}.npy"]))


def with_document(members: Members, value: Any, name: str = "graph.json") -> Members:
    return {**members, name: json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"}


def with_array(members: Members, name: str, values: Any) -> Members:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(values, dtype="<i8"), version=(1, 0))  # type: ignore[no-untyped-call]
    return {**members, f"arrays/{name}.npy": buffer.getvalue()}


def written(path: Path, members: Members, sealed: bool = True) -> Path:
    """Write members as an artifact, by default with a seal that fits."""
    if sealed:
        certificate = document(members, "certificate.json")
        parts = [name for name in members if name == "graph.json" or name.startswith("arrays/")]
        certificate["members"] = {name: hashlib.sha256(members[name]).hexdigest() for name in parts}
        members = with_document(members, certificate, "certificate.json")
        names = ("certificate.json", "provenance.json")
        seal = {name: hashlib.sha256(members[name]).hexdigest() for name in names if name in members}
        members = with_document(members, seal, "seal.json")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
    return path


KINDS = ("routes", "weights", "widths", "boxes", "runs", "fields", "tables", "meaning")


def mutant(members: Members, kind: str, draw: random.Random) -> Members | None:
    """Change one thing of a kind; None if an artifact has nothing of it."""
    graph = document(members)
    arrays = sorted(name[7:-4] for name in members if name.startswith("arrays/"))
    holders = {field["holder"] for field in graph["fields"]}
    routes = [f"synapses.{s['name']}." for s in graph["synapses"] if s["target"] in holders]
    of_routes = [name for name in arrays if name.startswith((*routes, "channels."))]
    places = {
        "routes": of_routes,
        "weights": [n for n in arrays if n.endswith((".mantissas", ".bias")) and n not in of_routes],
        "boxes": [n for n in arrays if n.endswith((".boxes", ".offsets", ".row_starts", ".columns"))],
        "runs": [n for n in arrays if n.endswith(".runs")],
        "fields": [n for n in arrays if n.startswith("fields.")],
    }.get(kind)
    if kind in ("widths", "tables", "meaning") or (kind == "fields" and draw.random() < 0.5):
        return _in_graph(members, graph, kind, draw)
    if not places:
        return None
    name = draw.choice(places)
    values = array(members, name)
    if not values.size:
        return None
    at = draw.randrange(values.size)
    values.reshape(-1)[at] += draw.choice([-2, -1, 1, 2, 64])
    return with_array(members, name, values)


def _in_graph(members: Members, graph: Any, kind: str, draw: random.Random) -> Members | None:
    if kind == "widths":
        bound = draw.choice(graph["bounds"])
        part = draw.choice(["bits", "lower", "upper", "quantity"])
        if part == "quantity":
            graph["bounds"].remove(bound)
        else:
            bound[part] -= {"bits": 1, "lower": -1, "upper": 1}[part] * draw.choice([1, 5, -1])
    elif kind == "tables":
        population = draw.choice(graph["populations"])
        line = draw.randrange(1, len(population["program"]))
        text = population["program"][line]
        numbers = list(re.finditer(r"(?<![a-z0-9_])\d+", text.partition(" = ")[2]))
        if not numbers:
            return None
        found, start = draw.choice(numbers), len(text) - len(text.partition(" = ")[2])
        number = max(0, int(found[0]) + draw.choice([-1, 1, 7]))
        population["program"][line] = text[: start + found.start()] + str(number) + text[start + found.end() :]
    elif kind == "fields":
        window = draw.choice(graph["fields"])["window"]
        window[draw.choice([n for n, v in window.items() if v is not None])] += draw.choice([-1, 1, 1000])
    else:
        field = draw.choice(graph["fields"])
        where, name = draw.choice([(field, "quantum"), (graph, "time_step"), (field, "unit_volume")])
        where[name] *= 2
    return with_document(members, graph)
