"""``train`` tells the truth: bad recipes, their exit codes and messages, and what a good one prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pisnn_deploy.cli.main import main
from pisnn_deploy.project import zoo
from pisnn_deploy.training.checkpoint import read_checkpoint

GOOD = """
model:
  name: tiny
  equation: diffusion
  diffusivity: 0.01
  problem: heat1d
  lengths: [1.0]
  half_width: 2
  weight_exponents: [7]
  diffusion_number: 0.5
  operating_range: {lower: 0.0, upper: 2.0}
training:
  cells: 16
  modes: 6
  batch: 4
  epochs: 60
  horizons: [1, 2]
  learning_rate: 0.05
  quantised_from: 0.5
"""

BAD = {
    "rises": (
        (("learning_rate: 0.05", "learning_rate: 1.0"), ("epochs: 60", "epochs: 6")),
        1,
        [
            "training tiny: the loss rose from 5.69e-02 to 6.34e-01 on held-out fields; the held-out error 7.96e-01 is "
            "above 1.33e-02, that of FTCS on the same mesh; waves of 2 cells grow by 1.59375 in each PDE step; raise "
            "training.stability or lower model.diffusion_number; rises.safetensors was not written"
        ],
    ),
    "blows-up": (
        (("[1, 2]", "[1500]"), ("diffusion_number: 0.5", "diffusion_number: 1.9"), ("epochs: 60", "epochs: 2")),
        1,
        ["training tiny: the loss is inf in epoch 1; lower learning_rate or shorten the horizons"],
    ),
    "grows": (
        (("diffusion_number: 0.5", "diffusion_number: 1.9"), ("learning_rate: 0.05", "learning_rate: 0.001")),
        1,
        [
            "training tiny: the held-out error 1.30e-01 is above 3.16e-03, that of FTCS on the same mesh; waves of 2 "
            "cells grow by 1.75 in each PDE step; raise training.stability or lower model.diffusion_number; "
            "grows.safetensors was not written"
        ],
    ),
    "not-good-enough": (
        (("batch: 4", "batch: 4\n  accept: 1.0e-9"),),
        1,
        [
            "training tiny: the held-out error 5.45e-03 is above 1.00e-09, training.accept; "
            "not-good-enough.safetensors was not written"
        ],
    ),
    "others-problem": (
        (("problem: heat1d", "problem: advection_diffusion1d"), ("[1.0]", "[1.0, 2.0]"), ("modes: 6", "modes: 60")),
        2,
        [
            "others-problem.yaml: model.problem: advection_diffusion1d solves advection-diffusion in 1D, but the model "
            "solves diffusion in 2D",
            "others-problem.yaml: training.modes: must be at most 7 on 16 cells, not 60",
        ],
    ),
    "nonsense": (
        (("problem: heat1d", "problem: wave"), ("cells: 16", "cells: -16"), ("0.01", ".inf"), ("epochs", "epoch")),
        2,
        [
            "nonsense.yaml: model.diffusivity: must be finite, not Infinity",
            "nonsense.yaml: training.cells: must be at least 2, not -16",
            "nonsense.yaml: training.epochs: is missing",
            "nonsense.yaml: training.epoch: is unknown; did you mean epochs?",
            "nonsense.yaml: model.problem: 'wave' is unknown; use heat1d, heat2d, heat3d, laplace2d, "
            "advection_diffusion1d, burgers1d",
        ],
    ),
}


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["pisnn-deploy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recipe_has_an_exit_code_a_message_and_no_checkpoint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, code, lines = BAD[name]
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.yaml").write_text(text)
    assert call(monkeypatch, "train", f"{name}.yaml", "-q") == code
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [f"error: {line}" for line in lines] and captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.yaml"]


def test_a_training_prints_what_it_learned_next_to_what_was_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    assert call(monkeypatch, "train", "good.yaml", "--resume") == 0
    out, errors = capsys.readouterr()
    assert "warning: --resume: there is no good.safetensors.state; training starts from scratch" in errors.splitlines()
    rows = [line.strip("│ ").split("│") for line in out.splitlines()]
    table = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    assert table["held-out loss"] == "0.0569 before training, 2.97e-05 after"
    assert table["held-out error"] == "5.45e-03 after 4 PDE steps" and table["FTCS"] == "1.86e-02 on the same mesh"
    assert table["diffusion number"] == "0.492188, expected 0.5"
    assert table["effective diffusivity"] == "0.0100554, expected 0.01"
    assert table["amplification factor"] == "0.99998147 at most"
    model = read_checkpoint(Path("good.safetensors"))
    integers = np.rint(model.weights[0][0] * 128)
    assert -integers @ model.spec.positions[0] == 0.4921875 * 128, "the integers of the model that was written"


def test_json_has_the_figures_of_a_training_that_failed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(GOOD.replace("batch: 4", "batch: 4\n  accept: 1.0e-9"))
    assert call(monkeypatch, "train", "r.yaml", "--json", "-q") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["model"] is None and found["accept"] == 1e-9 and found["scheme"] == "FTCS"
    assert found["failures"] == ["the held-out error 5.45e-03 is above 1.00e-09, training.accept"]
    assert found["loss_after"] == pytest.approx(found["held_out_error"] ** 2)
    assert [one["name"] for one in found["coefficients"]] == ["diffusion number", "effective diffusivity"]


def test_a_coefficient_that_is_not_finite_fails_in_strict_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with zoo.recipe_path("laplace2d") as path:
        text = path.read_text().replace("damping: 8.9", "damping: 1.0e6").replace("epochs: 600", "epochs: 4")
    Path("r.yaml").write_text(text.replace("stability: 1.0", "stability: 1.0\n  accept: 100"))
    assert call(monkeypatch, "train", "r.yaml", "--json", "-q") == 1
    captured = capsys.readouterr()
    failure = "the integer weights have the damping inf, expected 1e+06; lower model.damping"
    assert captured.err == f"error: training laplace2d: {failure}; r.safetensors was not written\n"
    figures = json.loads(captured.out, parse_constant=pytest.fail)
    assert figures["coefficients"][1] == {"name": "damping", "learned": None, "wanted": 1e6}
    assert figures["failures"] == [failure] and figures["model"] is None and not Path("r.safetensors").exists()
