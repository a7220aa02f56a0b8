"""Artifacts of the cases, which were written in version 4, as version 5.

They are damaged on purpose, so no compiler can write them anew: here they get what version 5 stores besides, and keep
all damage as it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

OLD, NEW = 4, 5


def upgrade_folder(folder: Path) -> None:
    """Upgrade every artifact in a folder, and name it by its new hash in recordings of its runs.

    Parameters
    ----------
    folder : Path
        A copy; files are rewritten in place.
    """
    for path in sorted(folder.glob("*.pisnn")):
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        upgraded(path)
        after = hashlib.sha256(path.read_bytes()).hexdigest()
        for snapshot in sorted(folder.glob("*.partial/snapshot.npz")):
            _rename(snapshot, before, after)


def upgraded(path: Path) -> Path:
    """Upgrade an artifact of a linear model of diffusion on a grid without reservoirs; leave any other file alone.

    Parameters
    ----------
    path : Path
        Rewritten in place.

    Returns
    -------
    Path
        The same.
    """
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    graph, certificate = json.loads(members["graph.json"]), json.loads(members["certificate.json"])
    if graph["version"] != OLD:
        return path
    hashes = certificate.get("members", {})
    sealed = {name for name, content in members.items() if hashes.get(name) == hashlib.sha256(content).hexdigest()}
    certificate["equation"] = _equation(graph, members["arrays/operator0.weight.npy"])
    graph |= {"version": NEW, "materials": False}
    graph["noted"] = {name: graph.pop(name) for name in ("quantisation", "passes")}
    members["graph.json"] = _json(graph)
    members["arrays/membrane.held.npy"] = members["arrays/membrane.reservoirs.npy"]
    if "arrays/membrane.reservoirs.npy" in sealed:
        sealed.add("arrays/membrane.held.npy")
    for name in sealed:
        hashes[name] = hashlib.sha256(members[name]).hexdigest()
    members["certificate.json"] = _json(certificate)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), members[name])
    return path


def _equation(graph: dict[str, Any], operator: bytes) -> dict[str, Any]:
    spec, mesh = graph["spec"], graph["mesh"]
    assert spec["equation"] == "diffusion" and not spec["hidden"] and spec["leak"] == 4096
    weights = np.load(io.BytesIO(operator))[0].reshape(2 * spec["half_width"], -1).sum(axis=1).tolist()
    doubled = range(1 - 2 * spec["half_width"], 2 * spec["half_width"], 2)
    moment = -sum(weight * place for weight, place in zip(weights, doubled, strict=True))
    number = Fraction(moment, 2 << graph["flux"]["threshold_exponent"])
    width = Fraction(mesh["lengths"][0]) / mesh["shape"][0]
    figures = {
        "diffusivity": float(number * width**2 / Fraction(graph["time_step"])),
        "wanted_diffusivity": spec["diffusivity"],
    }
    return {"status": "proved", "method": "moments", "figures": figures}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _rename(snapshot: Path, before: str, after: str) -> None:
    with np.load(snapshot, allow_pickle=False) as read:
        arrays = {name: read[name] for name in read.files}
    said = arrays["said"].astype(np.uint8).tobytes().replace(before.encode(), after.encode())
    arrays["said"] = np.frombuffer(said, np.uint8).astype(np.int64)
    np.savez(snapshot, **arrays)
