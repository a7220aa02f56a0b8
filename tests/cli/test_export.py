"""``pisnn-deploy export``, and the example that needs nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from pisnn_deploy.cli.main import group

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnxruntime_alone" / "run.py"
ALONE = """
import runpy, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pisnn_deploy", "torch", "lava", "onnx"):
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0])
"""


def test_the_exported_model_runs_alone(tmp_path: Path) -> None:
    path = tmp_path / "heat with ü.onnx"
    done = CliRunner().invoke(group, ["export", "heat1d", "--to", "onnx", "-o", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == {
        "file": str(path),
        "format": "onnx",
        "bytes": path.stat().st_size,
        "steps": "one",
    }
    command = [sys.executable, "-c", ALONE, str(EXAMPLE), str(path), "50"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("heat1d: 50 PDE steps to time 0.3147, 134217728 quanta throughout\nvalues from 0.5")


@pytest.mark.parametrize("words", [["--loop"], []])
def test_names_and_bytes_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    contents = []
    for _ in range(2):
        done = CliRunner().invoke(group, ["export", "heat1d", "--to", "onnx", *words])
        assert done.exit_code == 0 and "heat1d.onnx" in done.output
        contents.append(Path("heat1d.onnx").read_bytes())
    assert contents[0] == contents[1]
    inputs = [given.name for given in onnx.load_from_string(contents[0]).graph.input]
    assert inputs == (["steps"] if words else []) + ["mass", "current", "residue"]


def test_wrong_words_are_refused() -> None:
    for words, message in (
        (["export", "heat1d"], "Missing option '--to'"),
        (["export", "heat1d", "--to", "tflite"], "is not one of 'onnx', 'netx', 'nir', 'lava'"),
    ):
        done = CliRunner().invoke(group, words)
        assert done.exit_code == 2 and message in done.output
