"""SARIF 2.1.0, the exchange format of static analysis, which code scanning reads."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote_from_bytes

from pisnn_deploy import __version__
from pisnn_deploy.checks.outcome import Outcome, Unread
from pisnn_deploy.checks.report import Finding
from pisnn_deploy.checks.rule import GRAPH, Rule
from pisnn_deploy.core.printable import json_text

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MANUAL = "docs/reference/rules.md"
"""Path of the manual in the repository."""
ROOT = "%SRCROOT%"
"""Base of relative paths: the root of the checkout."""
GROWTH = "resource-growth"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_FINGERPRINT = "pisnnDeployFinding/v1"


def sarif(outcomes: Sequence[Outcome], unread: Sequence[Unread] = ()) -> str:
    """Write a run per profile, and one for the files that could not be read."""
    targets = dict.fromkeys(outcome.target for outcome in outcomes)
    runs = [_run(target[0], [outcome for outcome in outcomes if outcome.target == target]) for target in targets]
    if unread:
        runs.append(_failed_run(unread))
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": runs}) + "\n"


def anchor(rule: Rule) -> str:
    """Link to a rule's section in the manual."""
    return f"{MANUAL}#{rule.code.lower()}-{rule.name}"


def _run(profile: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    rules = [_descriptor(rule) for rule in outcomes[0].rules]
    if any(outcome.growths is not None for outcome in outcomes):
        rules.append(
            {
                "id": GROWTH,
                "name": GROWTH,
                "shortDescription": {"text": "No resource exceeds the baseline by more than the allowed growth."},
                "fullDescription": {"text": "No resource exceeds the baseline by more than the allowed growth."},
                "help": {"text": "Find the cause of the growth, or write a new baseline."},
                "helpUri": "docs/reference/ci.md#growth",
                "defaultConfiguration": {"level": "error"},
            }
        )
    left_out = outcomes[0].left_out
    index = {rule["id"]: place for place, rule in enumerate(rules)}
    seen: Counter[str] = Counter()
    results = [result for outcome in outcomes for result in _results(outcome, index, seen)]
    driver = {"name": "pisnn-deploy", "semanticVersion": __version__, "rules": rules}
    return {
        "tool": {"driver": driver},
        # Code scanning tells several runs of one tool apart by this id.
        "automationDetails": {"id": f"pisnn-deploy/check/{profile}/"},
        "invocations": [{"executionSuccessful": True}],
        "properties": {
            "madeWith": outcomes[0].made_with.to_dict(),
            **({"rulesLeftOut": list(left_out)} if left_out else {}),
        },
        "results": results,
    }


def _failed_run(unread: Sequence[Unread]) -> dict[str, Any]:
    """A run without results, because nothing was checked: each file is an error of the tool's execution."""
    notifications = [
        {
            "level": "error",
            "message": {"text": file.message},
            "locations": [_location(file.place, {"name": GRAPH, "kind": GRAPH})],
        }
        for file in unread
    ]
    return {
        "tool": {"driver": {"name": "pisnn-deploy", "semanticVersion": __version__, "rules": []}},
        "automationDetails": {"id": "pisnn-deploy/check/unreadable/"},
        "invocations": [{"executionSuccessful": False, "toolExecutionNotifications": notifications}],
        "results": [],
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    *reasons, _ = rule.paragraphs
    full = " ".join(reasons)
    markdown = "\n\n".join((*reasons, f"**How to fix:** {rule.fix}"))
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.statement},
        "fullDescription": {"text": full},
        "help": {"text": f"{full} How to fix: {rule.fix}", "markdown": markdown},
        "helpUri": anchor(rule),
        "defaultConfiguration": {"level": "error"},
    }


def _results(outcome: Outcome, index: dict[str, int], seen: Counter[str]) -> Iterator[dict[str, Any]]:
    profile = outcome.report.profile
    for finding in outcome.report.findings:
        text = f"{finding.population}: {finding.message}" + (f". How to fix: {finding.fix}" if finding.fix else "")
        # A finding keeps its identity when only its numbers change.
        words = re.sub(r"\d+", "#", finding.message)
        identity = (profile, outcome.place.as_posix(), finding.rule, finding.population, words)
        yield _result(
            finding.rule,
            index[finding.rule],
            _LEVELS[finding.severity],
            text,
            _location(outcome.place, _logical(finding)),
            _fingerprint(identity, seen),
        )
    for growth in outcome.grown:
        identity = (profile, outcome.place.as_posix(), GROWTH, growth.resource, "")
        logical = {"name": growth.resource, "kind": "resource"}
        location = _location(outcome.place, logical)
        yield _result(GROWTH, index[GROWTH], "error", growth.message, location, _fingerprint(identity, seen))


def _result(rule: str, index: int, level: str, text: str, location: dict[str, Any], fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }


def _location(artifact: PurePath, logical: dict[str, str]) -> dict[str, Any]:
    if artifact.is_absolute():
        place = {"uri": Path(artifact).as_uri()}
    else:
        place = {"uri": quote_from_bytes(os.fsencode(artifact.as_posix())), "uriBaseId": ROOT}
    # An artifact has no lines, but code scanning refuses results without a line.
    return {
        "physicalLocation": {"artifactLocation": place, "region": {"startLine": 1}},
        "logicalLocations": [logical],
    }


def _logical(finding: Finding) -> dict[str, str]:
    place = finding.population
    kind = GRAPH if place == GRAPH else "population"
    if re.fullmatch(r"(core|chip) \d+", place):
        kind = place.split()[0]
    return {"name": place, "kind": kind}


def _fingerprint(identity: tuple[str, ...], seen: Counter[str]) -> str:
    key = json.dumps(identity)
    seen[key] += 1
    return hashlib.sha256(f"{key}{seen[key]}".encode()).hexdigest()
