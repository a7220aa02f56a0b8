"""Workflow commands of GitHub Actions, which show each finding as an annotation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pisnn_deploy.checks.outcome import Outcome

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def github(outcomes: Sequence[Outcome]) -> str:
    """One line a finding; empty where nothing was found.

    Parameters
    ----------
    outcomes : sequence of Outcome

    Returns
    -------
    str
    """
    return "".join(f"{line}\n" for outcome in outcomes for line in _lines(outcome))


def _lines(outcome: Outcome) -> Iterator[str]:
    path, profile = outcome.artifact.as_posix(), outcome.report.profile
    for finding in outcome.report.findings:
        message = f"{finding.message} ({finding.population}, {profile})"
        if finding.fix:
            message += f"\nHow to fix: {finding.fix}"
        yield _command(_LEVELS[finding.severity], path, f"{finding.rule} {finding.name}", message)
    for growth in outcome.grown:
        yield _command("error", path, "resource-growth", f"{growth.message} ({profile})")


def _command(level: str, path: str, title: str, message: str) -> str:
    return f"::{level} file={_property(path)},title={_property(title)}::{_data(message)}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
