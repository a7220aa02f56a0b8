"""Artifacts taken apart and sealed again; without a new seal, the reader would only report a wrong hash."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from typing import Any

import numpy as np

from fuzz.mutations import Members, members_of, npy, zipped

SEALED = ("certificate.json", "provenance.json")


def sealed(members: Members) -> Members:
    """Members of an artifact with matching hashes."""
    proved = {name: content for name, content in members.items() if name == "graph.json" or name.startswith("arrays/")}
    changed = dict(members)
    with contextlib.suppress(ValueError):  # an invalid certificate is sealed unchanged
        certificate = json.loads(members["certificate.json"])
        if isinstance(certificate, dict):
            certificate["members"] = {name: hashlib.sha256(content).hexdigest() for name, content in proved.items()}
            changed["certificate.json"] = json_bytes(certificate)
    if "seal.json" in members:  # artifacts of version 5 have none
        seal = {name: hashlib.sha256(changed[name]).hexdigest() for name in SEALED}
        changed["seal.json"] = json_bytes(seal)
    return dict(sorted(changed.items()))


def json_bytes(value: Any) -> bytes:
    """Plain data as the compiler writes it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Parts:
    """An artifact in parts that can be changed.

    Parameters
    ----------
    content : bytes
        The artifact.

    Attributes
    ----------
    json : dict of str to dict
        Documents by the names of their members.
    arrays : dict of str to array
        Arrays by the names of their members.
    raw : dict of str to bytes
        Members that are stored unchanged.
    """

    def __init__(self, content: bytes) -> None:
        members = members_of(content)
        self.json: dict[str, Any] = {name: json.loads(members[name]) for name in members if name.endswith(".json")}
        self.arrays: dict[str, Any] = {
            name: np.load(io.BytesIO(members[name])) for name in members if name.startswith("arrays/")
        }
        self.raw: Members = {}

    @property
    def graph(self) -> dict[str, Any]:
        """Content of ``graph.json``."""
        graph: dict[str, Any] = self.json["graph.json"]
        return graph

    def sealed(self) -> bytes:
        """The artifact with matching hashes."""
        members = {name: npy(array) for name, array in self.arrays.items()}
        members |= {name: json_bytes(value) for name, value in self.json.items()}
        return zipped(sealed(members | self.raw))
