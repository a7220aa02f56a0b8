"""The artifact: deterministic bytes, a faithful round trip, and untrusted files."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact, write_artifact
from pisnn_deploy.graph.document import document

Members = dict[str, bytes]

DAMAGED = "is a damaged artifact; copy it again from its source, or compile the model again"


def same(left: IntegerGraph, right: IntegerGraph) -> bool:
    (left_plain, left_proof, left_arrays), (right_plain, right_proof, right_arrays) = document(left), document(right)
    return (
        left_plain == right_plain
        and left_proof == right_proof
        and left_arrays.keys() == right_arrays.keys()
        and all(np.array_equal(left_arrays[name], right_arrays[name]) for name in left_arrays)
    )


@pytest.mark.parametrize("graph", [compiled(), compiled(hidden_model((3, 2))), compiled(boundary="no-flux", cells=5)])
def test_round_trip(graph: IntegerGraph, tmp_path: Path) -> None:
    digest = write_artifact(tmp_path / "a.pisnn", graph, {"note": "x"})
    artifact = read_artifact(tmp_path / "a.pisnn")
    assert same(artifact.graph, graph)
    assert artifact.sha256 == digest and artifact.provenance == {"note": "x"}
    assert artifact_bytes(artifact.graph, {"note": "x"}) == (tmp_path / "a.pisnn").read_bytes()


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "import hashlib; from models_under_test import compiled, hidden_model;"
        "from pisnn_deploy.graph.artifact import artifact_bytes;"
        "print(hashlib.sha256(artifact_bytes(compiled(hidden_model()), {'b': 1, 'a': 2})).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1] / "support")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_writing_replaces_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    path.write_bytes(b"old")
    write_artifact(path, compiled(), {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pisnn"]
    assert zipfile.is_zipfile(path)


def test_writing_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        write_artifact(tmp_path / "none" / "a.pisnn", compiled(), {})
    assert str(caught.value) == f"{tmp_path}/none/a.pisnn: cannot be written (No such file or directory)"


def members_of(graph: IntegerGraph) -> Members:
    with zipfile.ZipFile(io.BytesIO(artifact_bytes(graph, {}))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def store(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def edit(change: Callable[[dict[str, Any]], None]) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        plain = json.loads(members["graph.json"])
        change(plain)
        members["graph.json"] = json.dumps(plain).encode()

    return apply


def npy(array: np.ndarray[Any, Any], *, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def replace(name: str, content: bytes) -> Callable[[Members], None]:
    return lambda members: members.__setitem__(name, content)


BIAS = "arrays/populations.flux.parameters.bias.npy"
ARRAY = "must be a little-endian int64 array in C order; compile the model again"
HUGE = (
    b"\x93NUMPY\x01\x00\x76\x00"
    + b"{'descr': '<i8', 'fortran_order': False, 'shape': (9999999999999,), }".ljust(117)
    + b"\n"
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("graph.json"), "graph.json: is missing; compile the model again"),
        (
            lambda m: m.pop(BIAS),
            f"{BIAS}: is missing, or is named twice; compile",
        ),
        (replace("../evil", b""), "'../evil': does not belong in an artifact"),
        (replace("arrays/../evil.npy", b""), "'arrays/../evil.npy': does not belong in an artifact"),
        (replace("graph.json", b"{"), "graph.json: is not plain JSON"),
        (replace("graph.json", b"[" * 100_000), "graph.json: is not plain JSON"),
        (replace("graph.json", b'{"a":1,"a":2}'), "graph.json: is not plain JSON (a key is repeated)"),
        (replace("graph.json", b'{"a":NaN}'), "graph.json: is not plain JSON (NaN is not JSON)"),
        (replace("graph.json", b"[]"), "graph.json: is not a JSON object"),
        (
            edit(lambda g: g.update(version=4)),
            "is an artifact of version 4, written by pisnn-deploy of an unknown version; this one reads versions 5 "
            "and 6; compile the model again",
        ),
        (edit(lambda g: g.update(version="4")), 'graph.json: version: must be 6, not "4"'),
        (edit(lambda g: g.update(version=10**400)), "graph.json: version: "),
        (
            edit(lambda g: g.update(schema="other")),
            "graph.json: schema: must be 'pisnn-deploy/artifact', not \"other\"",
        ),
        (
            edit(
                lambda g: g["mesh"].update(
                    shape=[2**26, 2**26], lengths=[1.0, 1.0], boundary=[["periodic", "periodic"]] * 2
                )
            ),
            "graph.json: mesh: 4503599627370496 cells are too many for a file of 120 numbers",
        ),
        (edit(lambda g: g.update(extra=2)), "graph.json: extra: is unknown"),
        (
            edit(lambda g: g["fields"][0].update(quantum=-1.0)),
            "graph.json: fields.0.quantum: must be greater than 0, not -1.0",
        ),
        (
            edit(lambda g: g["fields"][0].update(quantum="1")),
            'graph.json: fields.0.quantum: must be a number, not "1"',
        ),
        (
            replace(BIAS, npy(np.zeros(16))),
            f"{BIAS}: {ARRAY}",
        ),
        (
            replace(BIAS, npy(np.zeros(16, ">i8"))),
            f"{BIAS}: {ARRAY}",
        ),
        (
            replace(BIAS, npy(np.array([{}]), pickled=True)),
            f"{BIAS}: {ARRAY}",
        ),
        (
            replace(BIAS, b"junk"),
            f"{BIAS}: is not a numpy array",
        ),
        (
            replace(BIAS, HUGE),
            f"{BIAS}: has 0 bytes of data, but its shape",
        ),
        (
            replace(BIAS, npy(np.zeros(15, "<i8"))),
            "flux has 15 numbers as bias for 16 neurons",
        ),
        (replace("arrays/surplus.npy", npy(np.zeros(1, "<i8"))), "arrays/surplus.npy does not belong to the graph"),
        (
            replace("arrays/synapses.route.parts.mantissas.npy", npy(np.ones(1, "<i8"))),
            "synapse route: a mantissa is not a multiple",
        ),
        (replace("arrays/synapses.route.parts.mantissas.npy", npy(np.ones(2, "<i8"))), "synapse route: one mantissa"),
        (
            replace("arrays/synapses.membrane-to-flux.parts.offsets.npy", npy(np.zeros((8, 1), "<i8"))),
            "synapse membrane-to-flux: offsets are not in the order of their cells",
        ),
        (
            replace("arrays/synapses.membrane-to-flux.parts.boxes.npy", npy(np.array([[0, 0, 15]], "<i8"))),
            "synapse membrane-to-flux: a face is in no box",
        ),
        (
            replace("arrays/synapses.membrane-to-flux.parts.boxes.npy", npy(np.array([[0, 1, 16]], "<i8"))),
            "synapse membrane-to-flux: box 0 leaves the mesh",
        ),
        (
            replace("arrays/synapses.membrane-to-flux.parts.boxes.npy", npy(np.array([[3, 0, 16]], "<i8"))),
            "synapse membrane-to-flux: a box names an axis outside",
        ),
        (
            replace("arrays/synapses.membrane-to-flux.parts.row_starts.npy", npy(np.array([0, 9], "<i8"))),
            "synapse membrane-to-flux: starts is not an ascending list",
        ),
        (edit(lambda g: g["synapses"][0].update(source="ghost")), "synapse membrane-to-flux: there is no population"),
        (
            replace("arrays/populations.flux.parameters.bias.runs.npy", npy(np.array([[0, 16]], "<i8"))),
            "arrays/populations.flux.parameters.bias.runs.npy: is in the file twice",
        ),
        (
            replace("arrays/other.runs.npy", npy(np.array([[0, 2**40]], "<i8"))),
            "arrays/other.runs.npy: must be pairs of a value and a length",
        ),
        (
            replace("arrays/other.runs.npy", npy(np.array([[0, -3]], "<i8"))),
            "arrays/other.runs.npy: must be pairs of a value and a length",
        ),
    ],
)
def test_a_damaged_artifact_is_one_clear_line(
    change: Callable[[Members], object], message: str, tmp_path: Path
) -> None:
    members = members_of(compiled())
    change(members)
    path = store(tmp_path / "a.pisnn", members)
    with pytest.raises(FileError) as caught:
        read_artifact(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: {message}") and "\n" not in text


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    path = store(tmp_path / "a.pisnn", members_of(compiled()), zipfile.ZIP_DEFLATED)
    with pytest.raises(FileError, match="is compressed or encrypted; artifacts store members uncompressed"):
        read_artifact(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"PK\x05\x06" + bytes(18)])
def test_not_an_artifact(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    path.write_bytes(content)
    with pytest.raises(FileError):
        read_artifact(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_artifact(tmp_path / "none.pisnn")
    assert str(caught.value) == f"{tmp_path}/none.pisnn: cannot be read (No such file or directory)"
    with pytest.raises(FileError, match="cannot be read"):
        read_artifact(tmp_path)


def test_truncation_anywhere_is_refused(tmp_path: Path) -> None:
    whole = artifact_bytes(compiled(heat_model(), cells=4), {})
    path = tmp_path / "a.pisnn"
    for length in range(0, len(whole), 997):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            read_artifact(path)


def test_runs_of_a_small_mesh_expand_to_little(tmp_path: Path) -> None:
    members = members_of(compiled(cells=80))
    name = next(name for name in members if name.endswith(".runs.npy"))
    members[name] = npy(np.array([[0, 1 << 27]], "<i8"))
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as caught:
            read_artifact(store(tmp_path / "a.pisnn", members))
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
    assert f"{name} has {1 << 27} numbers, the graph 80; compile the model again" in str(caught.value)


@pytest.mark.parametrize(
    "error", [struct.error("unpack"), NotImplementedError("method"), EOFError(), zlib.error("bad")]
)
def test_whatever_the_reader_of_archives_raises_is_a_refusal(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise error

    path = tmp_path / "a.pisnn"
    path.write_bytes(artifact_bytes(compiled(cells=4), {}))
    monkeypatch.setattr(zipfile.ZipFile, "infolist", damaged)
    with pytest.raises(FileError) as caught:
        read_artifact(path)
    assert str(caught.value).endswith(f"a.pisnn: {DAMAGED}")


@pytest.mark.parametrize(
    ("place", "where"),
    [
        (0, ""),
        (2, ""),
        (60, " (in arrays/fields.u.held.npy)"),
        (0.25, " (in arrays/populations.membrane.start.mass_before.npy)"),
        (0.5, " (in certificate.json)"),
        (-20, ""),
        (-5, ""),
    ],
)
def test_one_wrong_byte_leaves_a_damaged_artifact(place: float, where: str, tmp_path: Path) -> None:
    data = bytearray(artifact_bytes(compiled(cells=4), {}))
    data[int(place * len(data)) if isinstance(place, float) else place] ^= 0x10
    path = tmp_path / "a.pisnn"
    path.write_bytes(data)
    with pytest.raises(FileError) as caught:
        read_artifact(path)
    assert str(caught.value) == f"{path}: {DAMAGED.replace('artifact', f'artifact{where}', 1)}"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 another archive", b"a text on graph.json"])
def test_other_files_are_no_damaged_artifacts(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"is not an artifact; expected a \.pisnn file written by compile$"):
        read_artifact(path)


def test_an_older_artifact_is_refused_with_the_version_that_wrote_it() -> None:
    path = Path(__file__).parents[1] / "cases" / "artifact_of_16_cells.pisnn"
    with pytest.raises(FileError) as refused:
        read_artifact(path)
    assert str(refused.value) == (
        f"{path}: is an artifact of version 4, written by pisnn-deploy 0.1.0; this one reads versions 5 and 6; "
        "compile the model again"
    )


@pytest.mark.parametrize("version", ["1\n2", "1" * 65, 7, None, {"a": 1}])
def test_a_writer_that_is_no_version_is_not_repeated(version: object, tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    write_artifact(path, compiled(), {"versions": {"pisnn-deploy": version}})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    edit(lambda g: g.update(version=3))(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(FileError, match=r"version 3, written by pisnn-deploy of an unknown version; this one reads"):
        read_artifact(path)


def test_a_limiter_of_equal_shares_is_refused_in_one_line() -> None:
    path = Path(__file__).parent / "version6" / "equal_shares.pisnn"
    with pytest.raises(FileError) as refused:
        read_artifact(path)
    assert str(refused.value) == (
        f"{path}: certificate.json: positivity: a limiter of equal shares is not supported; compile the model again"
    )


def test_kinds_of_connections_that_a_reader_does_not_know_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    write_artifact(path, compiled(limiter="positivity"), {})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert b'"kind":"cell-ends"' in members["graph.json"]
    members["graph.json"] = members["graph.json"].replace(b'"cell-ends"', b'"cell-corners"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(FileError, match=r"^\S+: synapse \S+: there are no connections of kind 'cell-corners'; known"):
        read_artifact(path)
