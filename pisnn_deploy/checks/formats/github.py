"""Workflow commands of GitHub Actions, which show each finding as an annotation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pisnn_deploy.checks.outcome import Outcome, Unread
from pisnn_deploy.core.printable import printable, without_commands

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def github(outcomes: Sequence[Outcome], unread: Sequence[Unread] = ()) -> str:
    """Write a command per finding and unreadable file, and a log line with the artifact and the inputs of the check."""
    lines = [line for outcome in outcomes for line in _lines(outcome)]
    lines += [_command("error", file.place.as_posix(), "unreadable", printable(file.message)) for file in unread]
    return "".join(f"{line}\n" for line in lines)


def _lines(outcome: Outcome) -> Iterator[str]:
    path, profile = outcome.place.as_posix(), outcome.report.profile
    for finding in outcome.report.findings:
        message = printable(f"{finding.message} ({finding.population}, {profile})")
        if finding.fix:
            message += f"\nHow to fix: {printable(finding.fix)}"
        yield _command(_LEVELS[finding.severity], path, f"{finding.rule} {finding.name}", message)
    for growth in outcome.grown:
        yield _command("error", path, "resource-growth", printable(f"{growth.message} ({profile})"))
    facts = "; ".join(f"{name}: {value}" for name, value in outcome.rows())
    yield without_commands(printable(f"checked {path}; {facts}"))


def _command(level: str, path: str, title: str, message: str) -> str:
    # Keep line breaks in the path, escaped as GitHub does it, so that the annotation finds its file.
    file = "\n".join("\r".join(map(printable, line.split("\r"))) for line in path.split("\n"))
    return f"::{level} file={_property(file)},title={_property(printable(title))}::{_data(message)}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
