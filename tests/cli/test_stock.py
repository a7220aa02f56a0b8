"""``compile --processes stock`` as users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError


def test_a_stock_graph_is_compiled_verified_and_told_apart(tmp_path: Path) -> None:
    path = str(tmp_path / "stock.pisnn")
    words = ["compile", "heat1d", "--mesh", "32", "--processes", "stock", "--send-threshold", "5", "-o", path, "--json"]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert (told["processes"], told["period"], told["coding"], told["theta"]) == ("stock", 1, "dense", 128)
    assert told["certificate"]["conservation"] == told["certificate"]["stability"] == "proved"
    assert CliRunner().invoke(group, ["verify", path, "-q"]).exit_code == 0
    found = CliRunner().invoke(group, ["check", path, "--profile", "loihi2", "--format", "json"])
    findings = json.loads(found.output)["findings"]
    (exponent,) = [one for one in findings if one["rule"] == "PD002"]
    assert (exponent["population"], exponent["value"], exponent["severity"]) == ("membrane-to-flux", -8, "warning")


def test_words_that_do_not_go_together(tmp_path: Path) -> None:
    capacity, out = tmp_path / "capacity.npy", str(tmp_path / "out.pisnn")
    np.save(capacity, 1.0 + np.arange(8) % 2)
    for words, message in (
        (["--send-threshold", "3"], "--send-threshold: needs --processes stock"),
        (
            ["--processes", "stock", "--mesh", "8", "--capacity", str(capacity)],
            "--processes stock: cells that differ need levels of their own, which Sigma lacks; use c-lif",
        ),
    ):
        done = CliRunner().invoke(group, ["compile", "heat1d", *words, "-o", out])
        assert isinstance(done.exception, UsageError) and str(done.exception) == message, done.output
        assert not Path(out).exists()
