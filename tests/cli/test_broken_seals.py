"""An artifact that was changed after its certificate was issued is used by no command; verify and check reject it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from models_under_test import compiled

import pisnn_deploy as pd
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, FileError
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact

SENTENCE = "a.pisnn: graph.json is not what the certificate was issued for; compile the model again"

Members = dict[str, bytes]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with an artifact whose diffusivity was changed."""
    monkeypatch.chdir(tmp_path)
    members = members_of_heat()
    before = members["graph.json"]
    members["graph.json"] = before.replace(b'"diffusivity":0.01', b'"diffusivity":0.02')
    assert members["graph.json"] != before
    store(members)
    yield tmp_path


def members_of_heat() -> Members:
    with zipfile.ZipFile(io.BytesIO(artifact_bytes(compiled(cells=16), {}))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def store(members: Members) -> None:
    with zipfile.ZipFile("a.pisnn", "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "words",
    [
        "simulate a.pisnn --backend fast --steps 2",
        "simulate a.pisnn --backend fast --steps 2 --save out.npz",
        "simulate a.pisnn --backend fast --steps 2 --against onnx --json",
        "export a.pisnn --to onnx -o out.onnx",
        "export a.pisnn --to netx -o out.net",
        "export a.pisnn --to nir -o out.nir",
        "export a.pisnn --to lava -o out",
        "export a.pisnn --to lava -o out.zip",
    ],
)
def test_no_command_uses_it(words: str, folder: Path) -> None:
    result = CliRunner().invoke(group, words.split())
    assert isinstance(result.exception, FileError) and result.exception.exit_code == 2
    assert str(result.exception) == SENTENCE and result.stdout == ""
    assert [path.name for path in folder.iterdir()] == ["a.pisnn"]


def test_a_campaign_does_not_take_an_artifact_for_a_model(folder: Path) -> None:
    (folder / "plan.yaml").write_text("models: [a.pisnn]\nbackends: [fast]\nsteps: [2]\n")
    result = CliRunner().invoke(group, ["campaign", "plan.yaml", "--workers", "1", "--json"])
    summary = json.loads(result.stdout)
    assert summary["verdicts"]["refused"] == summary["cases"] == 1 and summary["artifacts"] == 0


def test_the_python_api_does_not_load_it() -> None:
    with pytest.raises(FileError) as raised:
        pd.load("a.pisnn")
    assert str(raised.value) == SENTENCE


@pytest.mark.parametrize("form", ["text", "json", "dot", "png"])
def test_inspect_shows_it_with_a_warning(form: str) -> None:
    words = ["inspect", "a.pisnn", "--format", form, *(["-o", "a.png"] if form == "png" else [])]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: a.pisnn: graph.json is not what the certificate was issued for; no claim of the certificate is "
        "one of this file\n"
    )
    if form == "text":
        rows = [line for line in result.stdout.partition("certificate  ")[2].splitlines() if "not of this file" in line]
        assert len(rows) == 4 and "│ proved" not in result.stdout
    if form == "json":
        assert json.loads(result.stdout)["altered"] == ["graph.json"]


def test_inspect_says_nothing_of_a_seal_that_holds() -> None:
    store(members_of_heat())
    result = CliRunner().invoke(group, ["inspect", "a.pisnn", "--format", "json"])
    assert result.stderr == "" and json.loads(result.stdout)["altered"] == []
    assert "seal" not in CliRunner().invoke(group, ["inspect", "a.pisnn"]).output


@pytest.mark.parametrize("command", ["verify", "check"])
def test_verify_and_check_reject_it(command: str) -> None:
    result = CliRunner().invoke(group, [command, "a.pisnn", "--json" if command == "verify" else "--format=json"])
    assert isinstance(result.exception, CheckError) and result.exception.exit_code == 1
    assert "graph.json is not what the certificate was issued for" in result.stdout


START = "arrays/populations.membrane.start.mass_before.npy"


def changed_array(members: Members) -> None:
    array = np.load(io.BytesIO(members[START]))
    array[0] += 1
    stream = io.BytesIO()
    np.save(stream, array)
    members[START] = stream.getvalue()


def without_hashes(members: Members) -> None:
    certificate = json.loads(members["certificate.json"])
    del certificate["members"]
    members["certificate.json"] = json.dumps(certificate).encode()


def a_hash_too_many(members: Members) -> None:
    certificate = json.loads(members["certificate.json"])
    certificate["members"]["arrays/none.npy"] = "0" * 64
    members["certificate.json"] = json.dumps(certificate).encode()


def without_certificate(members: Members) -> None:
    members["certificate.json"] = b"{}"


def another_note(members: Members) -> None:
    members["provenance.json"] = b'{"warnings":[]}\n'


def a_weaker_claim(members: Members) -> None:
    members["certificate.json"] = members["certificate.json"].replace(b'"proved"', b'"assumed"', 1)


def two_members(members: Members) -> None:
    changed_array(members)
    members["graph.json"] += b"\n"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (changed_array, f"{START} is not what the certificate was issued for"),
        (
            two_members,
            f"{START} is not what the certificate was issued for (nor is one other member)",
        ),
        (a_hash_too_many, "arrays/none.npy is not what the certificate was issued for (nor is one other member)"),
        (another_note, "provenance.json is not what the certificate was issued for"),
        (a_weaker_claim, "certificate.json is not what the certificate was issued for"),
        (without_certificate, "certificate.json is empty, so nothing about the graph is proved"),
    ],
)
def test_every_break_of_the_seal_is_named(change: Callable[[Members], None], problem: str) -> None:
    members = members_of_heat()
    change(members)
    store(members)
    assert read_artifact(Path("a.pisnn")).broken_seal == problem
    result = CliRunner().invoke(group, ["simulate", "a.pisnn", "--backend", "fast", "--steps", "1"])
    assert str(result.exception) == f"a.pisnn: {problem}; compile the model again"


def test_a_certificate_without_hashes_seals_nothing() -> None:
    members = members_of_heat()
    without_hashes(members)
    store(members)
    others = len(members) - 3
    assert read_artifact(Path("a.pisnn")).broken_seal == (
        f"arrays/fields.u.held.npy is not what the certificate was issued for (nor are {others} other members)"
    )
