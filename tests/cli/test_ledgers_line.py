"""What `simulate` says of the ledgers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from models_under_test import compiled

from pisnn_deploy.cli.main import group
from pisnn_deploy.graph.artifact import write_artifact


@pytest.mark.parametrize(("boundary", "verb"), [("dirichlet=0,0", "took"), ("dirichlet=2,2", "gave")])
def test_reservoirs_took_or_gave(boundary: str, verb: str, tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16, boundary=boundary), {})
    words = ["simulate", str(tmp_path / "a.pisnn"), "--backend", "fast", "--steps", "3"]
    done = CliRunner().invoke(group, words)
    assert f"reservoirs {verb} " in done.output and "reservoirs took -" not in done.output
