"""Reading and writing the artifact (docs/reference/artifact.md): one deterministic zip file, no pickle.

The bytes depend on the graph and the provenance alone: members are stored uncompressed, sorted by name and dated
1980-01-01.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.core.npy import DAMAGED_ARCHIVE, int64_array
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.reading import START_OF_SAFETENSORS, is_safetensors, parse_plain_json, read_bytes
from pisnn_deploy.graph import version5
from pisnn_deploy.graph.document import SCHEMA, VERSION, document, graph_from_document
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.runs import Runs, runs_of
from pisnn_deploy.graph.wellformed import defects

LARGEST_ARTIFACT = 1 << 33
"""Size limit of an artifact in bytes; a larger file is refused before anything is allocated."""
LARGEST_DOCUMENT = 1 << 26
"""Size limit of a JSON member in bytes."""
DEEPEST_DOCUMENT = 64
"""Deepest nesting of lists and objects in JSON; the compiler writes six levels."""
LARGEST_COUNT = 1 << 20
"""Most members of an archive."""
SHORTEST_RUNS = 64
"""Arrays shorter than this are never stored as runs."""
SPELLED_OUT = re.compile(r"populations\.[^.]+\.start\..*|membrane\.initial")
"""Arrays that are never stored as runs, so that a mesh cannot be much larger than its file."""
DOCUMENTS = ("graph.json", "certificate.json", "provenance.json", "seal.json")
_NPY: Any = np.lib.format
"""numpy publishes no types for it."""
_DATE = (1980, 1, 1, 0, 0, 0)
_CHECKSUM = re.compile(r"CRC.*'([\w./-]{1,120})'")
_REMEDY = "compile the model again"
LARGEST_VERSION = 1 << 20
LONGEST_VERSION = 64
"""Most characters of a version that a message repeats."""


@dataclass(frozen=True)
class Artifact:
    """A graph as read from a file.

    Attributes
    ----------
    provenance : dict
        Model hash, options and versions, as the compiler noted them.
    sha256 : str
        Hash of the file's bytes.
    altered : tuple of str
        Members whose hashes differ from those in the certificate.
    """

    graph: IntegerGraph
    provenance: dict[str, Any]
    sha256: str
    altered: tuple[str, ...] = ()

    @property
    def broken_seal(self) -> str:
        """Why the certificate does not match the members, as the end of a sentence; empty if it does."""
        if self.graph.certificate is None:
            return "certificate.json is empty, so nothing about the graph is proved"
        if not self.altered:
            return ""
        others = len(self.altered) - 1
        more = f" (nor are {others} other members)" if others > 1 else " (nor is one other member)" if others else ""
        return f"{self.altered[0]} is not what the certificate was issued for{more}"


def warnings_in(provenance: Mapping[str, object]) -> tuple[str, ...]:
    """The compiler's warnings, one sentence each; the file is untrusted."""
    sentences = provenance.get("warnings")
    return tuple(map(str, sentences)) if isinstance(sentences, list) else ()


def artifact_bytes(graph: IntegerGraph, provenance: Mapping[str, object]) -> bytes:
    """Bytes of the artifact.

    Parameters
    ----------
    provenance : mapping
        Plain data for ``provenance.json``.

    Returns
    -------
    bytes
        The same for the same graph and provenance, on every machine.
    """
    members = _proved_members(graph) | {"provenance.json": _json(provenance)}
    members["seal.json"] = _json(_hashes(members, SEALED))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, members[name])
    return buffer.getvalue()


def certificate_bytes(graph: IntegerGraph) -> bytes:
    """Bytes of ``certificate.json``, which names the hash of every other member."""
    return _proved_members(graph)["certificate.json"]


def _proved_members(graph: IntegerGraph) -> dict[str, bytes]:
    described, certificate, arrays = document(graph)
    members = {"graph.json": _json(described), **dict(_array_member(name, array) for name, array in arrays.items())}
    if certificate:
        certificate["members"] = _hashes(members, members)
    return members | {"certificate.json": _json(certificate)}


def write_artifact(path: Path, graph: IntegerGraph, provenance: Mapping[str, object]) -> str:
    """Write an artifact, whole or not at all.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    data = artifact_bytes(graph, provenance)
    write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def read_artifact(path: Path) -> Artifact:
    """Read an artifact from an untrusted file.

    Raises
    ------
    FileError
        Not an artifact of this version, damaged, or not well formed.
    """
    path = Path(path)
    data = read_bytes(path, LARGEST_ARTIFACT)
    if is_safetensors(data[:START_OF_SAFETENSORS]):
        raise FileError(
            path, "is a safetensors file, not an artifact", remedy="if it is a checkpoint, compile it first"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _members(path, archive)
    except DAMAGED_ARCHIVE as error:
        raise _not_read(path, data, str(error)) from error
    documents: dict[str, dict[str, Any]] = {}
    for name in DOCUMENTS[:-1]:
        documents[name] = _document(path, name, members)
    described, certificate, provenance = documents.values()
    _require_version(path, described, provenance)
    is_old = described.get("version") == version5.VERSION
    seal = {} if is_old else _document(path, "seal.json", members)
    arrays = _read_arrays(path, members)
    altered = [*_altered(path, "certificate.json: members", certificate.pop("members", {}), _proved(members))]
    if not is_old:
        altered += _altered(path, "seal.json", seal, {name: members[name] for name in SEALED})
    try:
        if is_old:
            described, arrays = version5.translated(described, arrays)
        graph = graph_from_document(described, certificate, arrays)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        where = "certificate.json" if error.title == "Certificate" else "graph.json"
        raise FileError(path, problem_text(first), field=f"{where}: {field}", remedy=_REMEDY) from error
    except ValueError as error:
        raise FileError(path, str(error), remedy=_REMEDY) from error
    problems = defects(graph)
    if problems:
        raise FileError(path, problems[0], remedy=_REMEDY)
    return Artifact(graph, provenance, hashlib.sha256(data).hexdigest(), tuple(sorted(altered)))


def _not_read(path: Path, data: bytes, reason: str) -> FileError:
    """The error for an archive that cannot be read. It has each name twice, so damage to one leaves the other.

    Parameters
    ----------
    reason : str
        What zipfile says, which quotes the name of a member whose bytes are not those of its checksum.
    """
    if b"PK" in data and DOCUMENTS[0].encode() in data:
        member = _CHECKSUM.search(reason)
        where = f" (in {member[1]})" if member else ""
        return FileError(path, f"is a damaged artifact{where}", remedy="copy it again from its source, or " + _REMEDY)
    return FileError(path, "is not an artifact", remedy="expected a .pisnn file written by compile")


def _document(path: Path, name: str, members: Mapping[str, bytes]) -> dict[str, Any]:
    if name not in members:
        raise FileError(path, "is missing", field=name, remedy=_REMEDY)
    return _read_json(path, name, members[name])


def _altered(path: Path, where: str, hashes: object, members: Mapping[str, bytes]) -> Iterator[str]:
    """Members whose hashes differ from those in the certificate, or that only one side lists."""
    if not isinstance(hashes, dict):
        raise FileError(path, "must name a hash for each member", field=where, remedy=_REMEDY)
    computed = _hashes(members, members)
    yield from (name for name in {*hashes, *computed} if hashes.get(name) != computed.get(name))


def read_sealed_artifact(path: Path) -> Artifact:
    """Read an artifact for use; every member must match the hash in the certificate.

    Raises
    ------
    FileError
        As for `read_artifact`; or the seal is broken.
    """
    artifact = read_artifact(path)
    if artifact.broken_seal:
        raise FileError(path, artifact.broken_seal, remedy=_REMEDY)
    return artifact


def _require_version(path: Path, described: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Refuse artifacts of versions that cannot be read; the meaning of older ones was not proved."""
    version = described.get("version")
    if described.get("schema") != SCHEMA or version in (VERSION, version5.VERSION):
        return
    if type(version) is not int or not 0 < version < LARGEST_VERSION:
        return  # reading the graph reports what is wrong with it
    versions = provenance.get("versions")
    writer = versions.get("pisnn-deploy") if isinstance(versions, dict) else None
    known = isinstance(writer, str) and len(writer) <= LONGEST_VERSION and writer.isprintable()
    raise FileError(
        path,
        f"is an artifact of version {version}, written by pisnn-deploy {writer if known else 'of an unknown version'}; "
        f"this one reads versions {version5.VERSION} and {VERSION}",
        remedy=_REMEDY,
    )


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > LARGEST_COUNT:
        raise FileError(path, f"has more than {LARGEST_COUNT} members")
    members: dict[str, bytes] = {}
    for info in infos:
        name = info.filename
        known = name in DOCUMENTS or (
            name.startswith("arrays/") and name.endswith(".npy") and ".." not in name and name.count("/") == 1
        )
        if name.endswith("data.pkl"):
            raise FileError(path, "is a checkpoint, not an artifact", remedy="compile it first")
        if not known:
            raise FileError(path, "does not belong in an artifact", field=repr(name))
        if name in members:
            raise FileError(path, "is in the file twice", field=name)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise FileError(path, "is compressed or encrypted; artifacts store members uncompressed", field=name)
        if name.endswith(".json") and info.file_size > LARGEST_DOCUMENT:
            raise FileError(path, f"is larger than {LARGEST_DOCUMENT} bytes", field=name)
        members[name] = archive.read(info)
    return members


def _json(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode() + b"\n"


def _read_json(path: Path, name: str, content: bytes) -> dict[str, Any]:
    try:
        value = parse_plain_json(content)
        _require_shallow(value)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not plain JSON ({error})", field=name, remedy=_REMEDY) from error
    if not isinstance(value, dict):
        raise FileError(path, "is not a JSON object", field=name, remedy=_REMEDY)
    return value


def _require_shallow(value: object) -> None:
    """Refuse nesting that could be read but not written: writers need more stack for each level than readers."""
    level: list[object] = [value]
    for _ in range(DEEPEST_DOCUMENT):
        lists = [
            item if isinstance(item, list) else [*item.values()] for item in level if isinstance(item, list | dict)
        ]
        level = [inner for items in lists for inner in items if isinstance(inner, list | dict)]
        if not level:
            return
    raise ValueError(f"nested more than {DEEPEST_DOCUMENT} levels deep")


def _npy(array: Integers) -> bytes:
    buffer = io.BytesIO()
    _NPY.write_array(buffer, np.ascontiguousarray(array, dtype="<i8"), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


SEALED = ("certificate.json", "provenance.json")
"""Members whose hashes are in the seal; the certificate holds those of the graph and its arrays."""


def _hashes(members: Mapping[str, bytes], names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of some members."""
    return {name: hashlib.sha256(members[name]).hexdigest() for name in names}


def _proved(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """The graph and its arrays."""
    return {name: content for name, content in members.items() if name not in (*SEALED, "seal.json")}


def _array_member(name: str, array: Integers) -> tuple[str, bytes]:
    """An array as a member, stored as runs of equal numbers where that is smaller."""
    if array.ndim == 1 and array.size > SHORTEST_RUNS and not SPELLED_OUT.fullmatch(name):
        first = np.flatnonzero(np.concatenate([[True], array[1:] != array[:-1]]))
        if 2 * first.size < array.size:
            lengths = np.diff(np.concatenate([first, [array.size]]))
            return f"arrays/{name}.runs.npy", _npy(np.column_stack([array[first], lengths]))
    return f"arrays/{name}.npy", _npy(array)


def _read_arrays(path: Path, members: Mapping[str, bytes]) -> dict[str, Integers | Runs]:
    """Arrays by name. Runs are not expanded, because only the graph says how long an array must be."""
    arrays: dict[str, Integers | Runs] = {}
    for name, content in members.items():
        if not name.startswith("arrays/"):
            continue
        key = name.removeprefix("arrays/").removesuffix(".npy")
        numbers = _read_npy(path, name, content)
        array: Integers | Runs = numbers
        if key.endswith(".runs"):
            key = key.removesuffix(".runs")
            if SPELLED_OUT.fullmatch(key):
                raise FileError(path, "must not be stored as runs", field=name, remedy=_REMEDY)
            try:
                array = runs_of(numbers)
            except ValueError as error:
                raise FileError(path, str(error), field=name, remedy=_REMEDY) from error
        if key in arrays:
            raise FileError(path, "is in the file twice", field=name)
        arrays[key] = array
    return arrays


def _read_npy(path: Path, name: str, content: bytes) -> Integers:
    try:
        array = int64_array(content)
        if array.ndim not in (1, 2):
            raise ValueError("must be a list or a table of numbers")
    except ValueError as error:
        raise FileError(path, str(error), field=name, remedy=_REMEDY) from error
    return array
