"""``train`` of a law: interrupted, resumed, and what it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pisnn_deploy.cli.main import main
from pisnn_deploy.training.checkpoint import read_law_checkpoint
from pisnn_deploy.training.laws import training
from pisnn_deploy.training.laws.state_file import write_state
from pisnn_deploy.training.laws.trainer import Progress

CARS = """
name: cars
law:
  fields: [u]
  flux: {u: u*(1 - u)}
domain: {lengths: 1.0, boundary: periodic}
initial: {u: "0.5 + 0.3*sin(2*pi*x)"}
range: {u: [0, 1]}
time: 0.12
mesh: 16
training: {hidden: 6, half_width: 2, starts: 2, steps: 3, seed: 2}
"""


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pisnn-deploy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_an_interrupted_training_says_how_to_go_on_and_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cars.yaml").write_text(CARS)
    written: list[Path] = []

    def interrupted(path: Path, progress: Progress, mark: str) -> None:
        write_state(path, progress, mark)
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_state", interrupted)
    assert call(monkeypatch, "train", "cars.yaml", "--seed", "2") == 130
    hint = (
        "the state of the training is in cars.safetensors.state; go on with: pisnn-deploy train cars.yaml --seed 2 "
        "--resume"
    )
    assert hint in capsys.readouterr().err.splitlines() and not Path("cars.safetensors").exists()
    assert call(monkeypatch, *hint.partition("pisnn-deploy ")[2].split(), "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["model"] == "cars.safetensors" and plain["seed"] == 2 and plain["failures"] == []
    assert plain["held_out_error"] < plain["first_order_error"] == plain["accept"]
    assert read_law_checkpoint(Path("cars.safetensors")).spec.method == "trained"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cars.safetensors", "cars.yaml"]
