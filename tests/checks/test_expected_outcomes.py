"""Which models of the zoo fit which profiles, and which rules fail where one does not.

The outcomes are in expected_outcomes.json; ``python tests/checks/test_expected_outcomes.py`` writes it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from pisnn_deploy import zoo
from pisnn_deploy.checks import check
from pisnn_deploy.cli.compilation import compile_file
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.profiles import load_profile, names

EXPECTED = Path(__file__).with_name("expected_outcomes.json")

Outcome = str | list[str]
"""``passes``, or the codes of the rules that fail as errors."""


@cache
def graph_of(model: str) -> IntegerGraph:
    """The model compiled for its own mesh and loihi2."""
    return compile_file(model)[0]


def outcome(model: str, profile: str) -> Outcome:
    report = check(graph_of(model), load_profile(profile))
    codes = sorted({finding.rule for finding in report.findings if finding.severity == "error"})
    assert report.passed == (not codes)
    return codes or "passes"


def expected() -> dict[str, dict[str, Outcome]]:
    found: dict[str, dict[str, Outcome]] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def test_every_model_and_profile_has_an_expected_outcome() -> None:
    assert {model: sorted(outcomes) for model, outcomes in expected().items()} == {
        model: list(names()) for model in zoo.names()
    }


@pytest.mark.parametrize("profile", names())
@pytest.mark.parametrize("model", zoo.names())
def test_outcome(model: str, profile: str) -> None:
    assert outcome(model, profile) == expected()[model][profile]


if __name__ == "__main__":
    outcomes = {model: {profile: outcome(model, profile) for profile in names()} for model in zoo.names()}
    EXPECTED.write_text(json.dumps(outcomes, indent=2) + "\n", encoding="utf-8")
