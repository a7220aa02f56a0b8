"""docs/artifact.md is complete: its program alone replays a run bit for bit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy.backends import RunOptions, run_graph
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.model import Model

PAGE = Path(__file__).parents[2] / "docs" / "artifact.md"


@pytest.mark.parametrize("boundary", ["no-flux", "dirichlet=0.5,1.5"])
@pytest.mark.parametrize("model", [heat_model(leak=900), hidden_model((3, 2))], ids=["leak", "hidden"])
def test_the_program_of_the_page_replays_a_run(model: Model, boundary: str, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "replay.py"
    script.write_text(program)
    graph = compiled(model, 9, boundary)
    write_artifact(tmp_path / "a.pisnn", graph, {})
    printed = subprocess.run(
        [sys.executable, "-I", script, tmp_path / "a.pisnn", "25"], capture_output=True, text=True, check=True
    ).stdout
    run = run_graph("fast", graph, graph.membrane.initial, RunOptions(25))
    assert [int(word) for word in printed.split()] == [*run.trace.mass[-1].tolist(), *run.trace.ledger[-1].tolist()]
