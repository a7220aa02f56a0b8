"""What `compile` warns about: in the table, in JSON, in the artifact, and with --strict as the exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from models_under_test import compiled

import pisnn_deploy as pd
from pisnn_deploy.cli.main import main
from pisnn_deploy.compiler.warnings import warnings_of
from pisnn_deploy.target import load_profile

SMALL_BOARD = """\
extends: loihi2
name: small_board
description: A board of one chip whose cores are tiny.
system:
  chips: {value: 1, confidence: documented, source: "Counted on the board"}
chip:
  cores_max: {value: 2, confidence: documented, source: "Made up"}
  cores_usable: {value: 2, confidence: documented, source: "Made up"}
core:
  neurons_max: {value: 64, confidence: documented, source: "Made up"}
"""
SENTENCE = "placement: the graph takes 2 chips, small_board has 1; choose a coarser mesh or a larger system"


@pytest.fixture(autouse=True)
def _board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small_board.yaml").write_text(SMALL_BOARD)


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["pisnn-deploy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


COMPILE = ("compile", "heat1d", "--mesh", "128", "--profile", "small_board.yaml")


def test_a_graph_for_more_chips_than_there_are_is_compiled_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *COMPILE) == 0
    table = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"warning {SENTENCE}" in table
    assert pd.load("heat1d.pisnn").warnings == (SENTENCE,)
    assert call(monkeypatch, "inspect", "heat1d.pisnn") == 0
    assert SENTENCE in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_json_has_the_warnings_and_stderr_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *COMPILE, "--json") == 0
    out, errors = capsys.readouterr()
    assert json.loads(out)["warnings"] == [SENTENCE]
    assert errors == f"warning: {SENTENCE}\n"


def test_strict_makes_a_warning_a_failure_that_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *COMPILE, "--strict", "--json") == 1
    out, errors = capsys.readouterr()
    result = json.loads(out)
    assert result["warnings"] == [SENTENCE] and result["artifact"] is None and result["sha256"] is None
    assert errors.splitlines()[-1] == f"error: --strict: heat1d.pisnn was not written, for 1 warning: {SENTENCE}"
    assert not Path("heat1d.pisnn").exists()


def test_strict_without_a_warning_is_fine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "compile", "heat1d", "--mesh", "32", "--strict", "--json") == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []
    assert pd.load("heat1d.pisnn").warnings == () and "warnings" not in pd.load("heat1d.pisnn").provenance


def test_a_target_without_a_limit_of_chips_warns_of_none() -> None:
    assert warnings_of(compiled(), load_profile("generic-int")) == ()


LESS_ACCURATE = {
    "--limiter positivity": (
        "laplace2d --limiter positivity --range -1,2 --flux 3",
        "; the limiter withholds packets that would lead out of its limits; compile without --limiter, or with limits "
        "farther away from the field",
    ),
    "levels": (
        "heat2d --mesh 8x8 --conductivity k.npy --capacity c.npy --range 0,64 --spikes binary --boundary no-flux",
        "; the quantum is coarse: levels of 0.125 in an operating range of -2 to 66; choose a narrower --range, graded "
        "spikes or a target with wider states",
    ),
}


@pytest.mark.parametrize("words", LESS_ACCURATE)
def test_integers_far_less_accurate_than_the_floats_are_told(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("k.npy", np.linspace(0.005, 0.015, 64).reshape(8, 8))
    np.save("c.npy", np.linspace(0.2, 1.4, 64).reshape(8, 8))
    command, sentence = LESS_ACCURATE[words]
    assert call(monkeypatch, "compile", *command.split(), "--strict", "--json") == 1
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith("accuracy: after ") and warning.endswith(sentence)


LEAVING = {
    ("heat1d", "dirichlet=4,9", "--range", "3,9"): (
        "values differ by 0.0348663 across face 0 beside cell 0, where the operating range allows 0.0273457, at PDE "
        "step 0"
    ),
    ("heat2d", "no-flux", "--mesh", "8x16", "--range", "5,9", "--conductivity", "k.npy"): (
        "cell 0 has the value 1.66895, outside the operating range 5 to 9, at PDE step 0"
    ),
    ("heat2d", "x=periodic y=dirichlet=1,1.5", "--mesh", "8x16", "--conductivity", "k.npy"): (
        "the current of face 128 beside cell 0 is 1.02 times what the operating range allows at PDE step 0"
    ),
}


@pytest.mark.parametrize("words", LEAVING)
def test_a_start_that_leaves_the_range_is_told_with_place_and_step(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("k.npy", np.linspace(0.009, 0.011, 128).reshape(8, 16))
    model, sides, *others = words
    assert call(monkeypatch, "compile", model, "--boundary", sides, *others, "--strict", "--json") == 1
    assert json.loads(capsys.readouterr().out)["warnings"] == [
        f"start: not measured, because a run from the problem's own start stops: {LEAVING[words]}; choose a wider "
        "--range, --slope or --flux, or simulate from a start of your own"
    ]
