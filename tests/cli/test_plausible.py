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
from pisnn_deploy.runs import plausibility

SENTENCE = "the operator multiplies a mode by 1.25 in each PDE step, so it grows"


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
    assert "plausible yes: values range from " in table and "; no mode grows, according to the certificate" in table
    assert errors == ""


def test_what_cannot_be_judged_is_told_and_strict_makes_it_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plausibility, "LARGEST_ALLOWANCE", 0.0)
    graph = compiled(cells=16)
    scale, window = graph.value_per_quantum, graph.window
    width = (window.upper - window.lower) * scale
    doubt = f"an allowance of {2 * scale:.6g} for rounding (2 quanta) in an operating range of {width:.6g}"
    assert call(monkeypatch, "fine.pisnn", "--json", "--report", "run.html") == 0
    out, errors = capsys.readouterr()
    found = json.loads(out)["plausible"]
    assert found["holds"] is None and found["doubt"] == doubt and found["warnings"] == []
    assert found["allowance"] == {"quanta": 2, "value": 2 * scale, "operating_range": width}
    assert errors.splitlines()[-1] == f"warning: plausibility cannot be judged: {doubt}"
    assert f"Whether the run is plausible cannot be judged: {doubt}." in Path("run.html").read_text()
    assert call(monkeypatch, "fine.pisnn", "--strict", "-q") == 1
    error = f"error: --strict: conserved, but plausibility cannot be judged: {doubt}"
    assert capsys.readouterr().err.splitlines()[-1] == error


def test_a_run_that_was_healed_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("fine.pisnn", "--fault", "flip:membrane[7].bit5@3", "--recover", "--report", "run.html")
    assert call(monkeypatch, *words) == 0
    table = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "violations global 0, local 0, flux 0, overflow 0, range 0; 1 more were healed" in table
    page = " ".join(Path("run.html").read_text().split())
    assert "time steps and found 1 violation from faults, all repaired." in page and "found no violations" not in page


def test_a_violated_run_tells_the_step_of_its_last_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("fine.pisnn", "--fault", "flip:membrane[7].bit5@3")
    assert call(monkeypatch, *words) == 1
    table = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "at PDE step 2 drift 0 quanta" in table and "at the end" not in table
    assert "plausible cannot be judged: the run is violated; values range from " in table
    assert call(monkeypatch, *words, "--json") == 1
    assert json.loads(capsys.readouterr().out)["kept"] == {"steps": 3, "last": 2}
