"""Another diffusivity or length changes the clock alone, and compile says so only where that is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import pisnn_deploy as pisnn
from pisnn_deploy.cli.main import group


@pytest.mark.parametrize(
    ("words", "factor"), [({"diffusivity": 0.02}, 0.5), ({"lengths": 2}, 4), ({"lengths": 2, "diffusivity": 0.04}, 1)]
)
def test_the_same_integers_have_the_time_step_of_the_model(words: dict[str, float], factor: float) -> None:
    own = pisnn.compile("heat1d", mesh=32, placement="none")
    other = pisnn.compile("heat1d", mesh=32, placement="none", **words)  # type: ignore[arg-type]
    clock = other.provenance["clock"]
    assert clock == {"diffusivity": 0.01, "lengths": [1.0], "time_step": own.graph.time_step}
    assert other.graph.time_step == pytest.approx(factor * own.graph.time_step, rel=1e-14)
    # The same start takes the same integers through the same steps, whatever their quantum means.
    mass = own.graph.initial // 4
    starts = [artifact.graph.values(mass) for artifact in (own, other)]
    runs = [a.simulate(20, backend="fast", initial=start) for a, start in zip((own, other), starts, strict=True)]
    assert (runs[0].mass == runs[1].mass).all()


def test_nothing_is_said_where_more_changes() -> None:
    for words in ({}, {"diffusivity": "0.02,0.01"}, {"lengths": "2,1"}):
        artifact = pisnn.compile("heat2d", mesh=(16, 8), placement="none", **words)  # type: ignore[arg-type]
        assert "clock" not in artifact.provenance


def test_table_and_json_say_it(tmp_path: Path) -> None:
    words = ["compile", "heat1d", "--mesh", "32", "--length", "2", "-o", str(tmp_path / "a.pisnn")]
    text = " ".join(CliRunner().invoke(group, words).output.replace("│", " ").split())
    assert "clock with the model's own diffusivity 0.01 and length 1, these integers have the time step" in text
    plain = json.loads(CliRunner().invoke(group, [*words, "--json"]).stdout)
    assert plain["time_step"] == pytest.approx(4 * plain["clock"]["time_step"])
