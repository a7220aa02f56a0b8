"""``pisnn-deploy verify`` accepts what compile wrote, and nothing that was changed since."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from models_under_test import compiled

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.verify import NOT_PROVED


def test_a_fresh_artifact_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    write_artifact(path, compiled(boundary="dirichlet=0.5,1"), {})
    result = CliRunner().invoke(group, ["verify", str(path)])
    assert result.exit_code == 0
    claims = ("seal", "law", "layout", "clock", "units", "conservation", "bounds", "overflow", "stability", "equation")
    for word in (*claims, "proved", "not proved", *NOT_PROVED):
        assert word in " ".join(result.stdout.replace("│", "").split())
    plain = json.loads(CliRunner().invoke(group, ["verify", str(path), "--json"]).stdout)
    assert plain["verified"] is True and tuple(finding["claim"] for finding in plain["findings"]) == claims
    assert plain["not_proved"] == list(NOT_PROVED)
    assert {finding["claim"]: finding["status"] for finding in plain["findings"]}["conservation"] == "proved"
    assert CliRunner().invoke(group, ["verify", str(path), "-q"]).stdout == ""


def test_a_graph_that_loses_mass_is_rejected_also_with_a_fresh_seal(tmp_path: Path) -> None:
    graph = compiled()
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[5] += 2
    path = tmp_path / "a.pisnn"
    write_artifact(path, replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas))), {})
    result = CliRunner().invoke(group, ["verify", str(path)])
    assert isinstance(result.exception, CheckError) and result.exception.exit_code == 1
    assert str(result.exception).startswith(f"{path}: conservation is rejected: the stored route of face ")
    assert "REJECTED" in result.stdout


def test_a_changed_member_breaks_the_seal(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    write_artifact(path, compiled(), {})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["graph.json"] = members["graph.json"].replace(b'"profile":"loihi2"', b'"profile":"loihi9"')
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    result = CliRunner().invoke(group, ["verify", str(path), "--json"])
    assert json.loads(result.stdout)["verified"] is False
    assert str(result.exception) == (f"{path}: seal is rejected: graph.json is not what the certificate was issued for")


@pytest.mark.parametrize("narrowed", [1, 1000])
def test_a_bound_that_is_too_narrow_is_rejected(narrowed: int, tmp_path: Path) -> None:
    graph = compiled()
    bounds = tuple(replace(b, upper=b.upper - narrowed) if b.quantity == "packet" else b for b in graph.bounds)
    path = tmp_path / "a.pisnn"
    write_artifact(path, replace(graph, bounds=bounds), {})
    result = CliRunner().invoke(group, ["verify", str(path), "-q"])
    assert f"{path}: bounds is rejected: flux packet ranges from" in str(result.exception)


def test_an_unconditional_claim_must_leave_room_for_rounding(tmp_path: Path) -> None:
    graph = compiled()
    certificate = graph.certificate
    assert certificate is not None and certificate.overflow.method == "invariant-range"
    figures = dict(certificate.overflow.figures)
    for name, change in (("drift", -1), ("start_lower", -1), ("start_upper", 1), ("start_difference", 2)):
        figures[name] = figures[name] + change
    claim = replace(certificate.overflow, figures=figures)
    path = tmp_path / "a.pisnn"
    write_artifact(path, replace(graph, certificate=replace(certificate, overflow=claim)), {})
    result = CliRunner().invoke(group, ["verify", str(path), "-q"])
    assert "overflow is rejected: rounding may move one of the " in str(result.exception)


def test_masses_of_the_start_are_no_claim(tmp_path: Path) -> None:
    graph = compiled()
    path = tmp_path / "a.pisnn"
    write_artifact(path, starting_from(graph, np.roll(graph.initial, 3)), {})
    assert CliRunner().invoke(group, ["verify", str(path), "-q"]).exit_code == 0


def test_the_table_of_invariance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pisnn"
    write_artifact(path, compiled(), {})
    words = ["verify", str(path), "--invariance", "--steps", "2", "--backends", "fast"]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0 and "invariance" in result.stdout and "mesh with x reversed" in result.stdout
    rows = json.loads(CliRunner().invoke(group, [*words, "--json"]).stdout)["invariance"]
    assert {row["verdict"] for row in rows} <= {"equal", "does not apply"}
    assert "backend fast" in {row["transformation"] for row in rows}
    masses = Field.masses
    monkeypatch.setattr(Field, "masses", lambda self, values: masses(self, values) + 1)
    broken = CliRunner().invoke(group, [*words, "--json"])
    assert isinstance(broken.exception, CheckError) and json.loads(broken.stdout)["verified"] is False
    assert str(broken.exception).startswith(f"{path}: units of values times 2^-9: cell 0 starts with ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--steps", "2"), "--steps: needs --invariance"),
        (("--backends", "fast"), "--backends: needs --invariance"),
        (
            ("--invariance", "--backends", "fast,gpu"),
            "--backends 'gpu': expected names of cpu, fast, onnx, torch, separated by commas",
        ),
    ],
)
def test_options_of_the_table_of_invariance(words: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(group, ["verify", "a.pisnn", *words])
    assert isinstance(result.exception, UsageError) and str(result.exception) == sentence
