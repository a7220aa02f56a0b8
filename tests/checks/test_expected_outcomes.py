"""Which models of the zoo fit which profiles, and which rules fail where one does not.

The outcomes are in expected_outcomes.json; ``python tests/checks/test_expected_outcomes.py`` writes it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from checked_graphs import with_figure
from compiled_files import compile_file

from pisnn_deploy.checks import check
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project import zoo
from pisnn_deploy.target import Profile, load_profile, names

EXPECTED = Path(__file__).with_name("expected_outcomes.json")

Outcome = str | list[str]
"""``passes``, or the codes of the rules that fail as errors."""


BINARY = "loihi1"
"""A target that models are compiled for too: there their spikes are binary."""


@cache
def graph_of(model: str, target: str) -> IntegerGraph:
    """The model compiled for its own mesh and a target."""
    return compile_file(model, profile=target)[0]


def outcome(model: str, profile: Profile, target: str = "loihi2") -> Outcome:
    report = check(graph_of(model, target), profile)
    codes = sorted({finding.rule for finding in report.findings if finding.severity == "error"})
    assert report.passed == (not codes)
    return codes or "passes"


def expected() -> dict[str, dict[str, Outcome]]:
    found: dict[str, dict[str, Outcome]] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def test_every_model_and_profile_has_an_expected_outcome() -> None:
    assert {model: sorted(outcomes) for model, outcomes in expected().items()} == {
        model: sorted([*names(), f"{BINARY} when compiled for it"]) for model in zoo.names()
    }


@pytest.mark.parametrize("profile", names())
@pytest.mark.parametrize("model", zoo.names())
def test_outcome(model: str, profile: str) -> None:
    assert outcome(model, load_profile(profile)) == expected()[model][profile]


@pytest.mark.parametrize("model", zoo.names())
def test_outcome_of_binary_spikes(model: str) -> None:
    found = outcome(model, load_profile(BINARY), BINARY)
    assert found == expected()[model][f"{BINARY} when compiled for it"] == ["PD009"]


def test_a_profile_that_holds_less_changes_the_outcome() -> None:
    assert outcome("heat1d", with_figure(load_profile("loihi2"), "core.neurons_max", 1)) == ["PD102"]


if __name__ == "__main__":
    outcomes = {
        model: {profile: outcome(model, load_profile(profile)) for profile in names()}
        | {f"{BINARY} when compiled for it": outcome(model, load_profile(BINARY), BINARY)}
        for model in zoo.names()
    }
    EXPECTED.write_text(json.dumps(outcomes, indent=2) + "\n", encoding="utf-8")
