"""``compile --limiter``: what it says, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pisnn_deploy.cli.commands import compile as compiling
from pisnn_deploy.cli.commands import verify as verifying
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.graph.artifact import read_artifact


def test_a_limiter_is_compiled_in_shown_and_proved_again(tmp_path: Path) -> None:
    path = tmp_path / "heat.pisnn"
    words = ["heat1d", "--mesh", "32", "--limiter", "positivity", "-o", str(path)]
    found = json.loads(CliRunner().invoke(compiling.command, [*words, "--json"]).output)
    assert found["limiter"] == "positivity" and found["certificate"]["positivity"] == "proved"
    assert read_artifact(path).provenance["options"]["limiter"] == "positivity"
    shown = CliRunner().invoke(compiling.command, [*words, "--explain"], catch_exceptions=False).output
    assert "positivity: no cell falls below 0" in " ".join(shown.split())
    verified = json.loads(CliRunner().invoke(verifying.command, [str(path), "--json"]).output)
    assert verified["verified"]
    assert {"positivity": "proved", "equation": "proved"}.items() <= {
        finding["claim"]: finding["status"] for finding in verified["findings"]
    }.items()


def test_without_a_limiter_nothing_speaks_of_one(tmp_path: Path) -> None:
    path = tmp_path / "heat.pisnn"
    ran = CliRunner().invoke(compiling.command, ["heat1d", "--mesh", "32", "-o", str(path), "--json"])
    found = json.loads(ran.output)
    assert found["limiter"] == "none" and "positivity" not in found["certificate"]
    assert "limiter" not in read_artifact(path).provenance["options"]


def test_a_range_below_0_is_refused(tmp_path: Path) -> None:
    words = [
        "compile",
        "heat1d",
        "--mesh",
        "32",
        "--range",
        "-2,0",
        "--limiter",
        "positivity",
        "-o",
        str(tmp_path / "a.pisnn"),
    ]
    with pytest.raises(CompileError) as raised:
        CliRunner().invoke(group, words, catch_exceptions=False)
    assert raised.value.exit_code == 2
    assert str(raised.value) == (
        "limit: the operating range of -524288 to 0 quanta leaves nothing between the limits, 0 and 0; choose another "
        "--range, or compile without --limiter"
    )
    assert not list(tmp_path.iterdir())


def test_a_floor_and_a_ceiling_are_compiled_in_and_proved_again(tmp_path: Path) -> None:
    path = tmp_path / "heat.pisnn"
    words = ["heat1d", "--mesh", "32", "--limiter", "bounds", "--floor", "0.125", "--ceiling", "1.75", "-o", str(path)]
    shown = CliRunner().invoke(compiling.command, words, catch_exceptions=False).output
    assert "bounds: no cell leaves 0.125 to 1.75" in " ".join(shown.split())
    options = read_artifact(path).provenance["options"]
    assert (options["limiter"], options["floor"], options["ceiling"]) == ("bounds", 0.125, 1.75)
    verified = json.loads(CliRunner().invoke(verifying.command, [str(path), "--json"]).output)
    assert {finding["claim"]: finding["status"] for finding in verified["findings"]}["positivity"] == "proved"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--floor", "1"], "--floor: needs --limiter positivity or bounds"),
        (["--limiter", "positivity", "--ceiling", "1"], "--ceiling: needs --limiter bounds"),
        (["--limiter", "bounds", "--floor", "2", "--ceiling", "1"], "--floor 2: expected less than the ceiling, 1"),
        (["--limiter", "positivity", "--floor", "nan"], "--floor nan: expected a finite number"),
    ],
)
def test_limits_that_no_limiter_has_are_refused(words: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        CliRunner().invoke(
            group, ["compile", "heat1d", *words, "-o", str(tmp_path / "a.pisnn")], catch_exceptions=False
        )
    assert str(raised.value) == sentence
