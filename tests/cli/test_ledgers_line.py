"""What `simulate` says of the ledgers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from models_under_test import compiled

from pisnn_deploy.cli.main import group
from pisnn_deploy.graph.artifact import write_artifact


@pytest.mark.parametrize(("value", "verb"), [(1.1, "took"), (0.9, "gave")])
def test_reservoirs_took_or_gave(value: float, verb: str, tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16, boundary="dirichlet=1,1"), {})
    np.save(tmp_path / "u.npy", np.full(16, value))
    files = [str(tmp_path / "a.pisnn"), "--initial", str(tmp_path / "u.npy")]
    done = CliRunner().invoke(group, ["simulate", *files, "--backend", "fast", "--steps", "3"])
    assert f"reservoirs {verb} " in done.output and "reservoirs took -" not in done.output
