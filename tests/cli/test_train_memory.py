"""Where memory runs out in a training, the advice is for a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pisnn_deploy.cli.commands.train import command
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.training import trainer


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out_names_what_to_change(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(trainer, "train", failing)
    answer = CliRunner().invoke(command, ["heat1d", "-q", "-o", str(tmp_path / "m.pt")])
    assert isinstance(answer.exception, UsageError)
    assert str(answer.exception) == (
        "memory ran out; choose fewer cells, a smaller batch or shorter horizons in the recipe, or allow the process "
        "more"
    )
