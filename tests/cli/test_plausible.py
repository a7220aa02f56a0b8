"""`simulate` tells conserved from plausible: in table, JSON and report, on stderr, and with --strict by its code."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from models_under_test import compiled

from pisnn_deploy.cli.main import main
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.claims import Claim

SENTENCE = "the operator multiplies a mode by 1.25 in each PDE step, so that it grows"


@pytest.fixture(autouse=True)
def _artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = compiled(cells=16)
    write_artifact(Path("fine.pisnn"), graph, {})
    assert graph.certificate is not None
    claim = Claim("none", "growth", {"modulus": 1.25})
    write_artifact(Path("growing.pisnn"), replace(graph, certificate=replace(graph.certificate, stability=claim)), {})


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["pisnn-deploy", "simulate", *words, "--backend", "fast", "--steps", "5"])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_an_implausible_run_is_conserved_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "growing.pisnn", "--json", "--report", "run.html") == 0
    out, errors = capsys.readouterr()
    result = json.loads(out)
    assert result["verdict"] == "conserved" and result["mass"]["drift"] == 0
    assert result["plausible"]["holds"] is False and result["plausible"]["warnings"] == [SENTENCE]
    assert result["plausible"]["amplification"] == 1.25 and result["plausible"]["stability"] == "none"
    assert errors.splitlines()[-1] == f"warning: implausible: {SENTENCE}"
    assert f"Implausible: {SENTENCE}." in Path("run.html").read_text()


def test_strict_makes_it_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "growing.pisnn", "--strict", "-q") == 1
    assert capsys.readouterr().err.splitlines() == [
        f"warning: implausible: {SENTENCE}",
        f"error: --strict: conserved, but implausible: {SENTENCE}",
    ]


def test_a_plausible_run_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "fine.pisnn", "--strict") == 0
    out, errors = capsys.readouterr()
    table = " ".join(out.replace("│", " ").split())
    assert "plausible yes: kept steps lie within " in table and "; no mode grows" in table and errors == ""
