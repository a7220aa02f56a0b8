"""A report with its context: the checked file, the selected rules and the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from pisnn_deploy import __version__
from pisnn_deploy.checks.baseline import Growth
from pisnn_deploy.checks.report import Finding, Report
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.target import LIBRARY

Chosen = Literal["--profile", "artifact", "default"]


@dataclass(frozen=True)
class MadeWith:
    """Inputs of a report.

    Attributes
    ----------
    source : str
        ``library``, or the path of the profile file.
    sha256 : str
        Hash of the profile, including inherited figures.
    chosen_by : str
        Where the choice of profile comes from.
    baseline, events : str or None
        Paths of the baseline report and of the recorded events.
    """

    source: str = LIBRARY
    sha256: str = ""
    chosen_by: Chosen = "--profile"
    baseline: str | None = None
    events: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and strings."""
        return {
            "version": __version__,
            "profile": {"source": self.source, "sha256": self.sha256, "chosen_by": self.chosen_by},
            "baseline": self.baseline,
            "events": self.events,
        }

    def rows(self, profile: str) -> list[tuple[str, str]]:
        """Names and values for a table."""
        where = "of the library" if self.source == LIBRARY else f"from the file {self.source}"
        rows = [("profile", f"{profile} {where}, {_CHOSEN[self.chosen_by]}")]
        return rows + [(name, path) for name, path in (("baseline", self.baseline), ("events", self.events)) if path]


_CHOSEN: Mapping[Chosen, str] = {
    "--profile": "chosen with --profile",
    "artifact": "chosen by the artifact",
    "default": "the default, because the artifact has no profile",
}


@dataclass(frozen=True)
class Unread:
    """An artifact that could not be read.

    Attributes
    ----------
    artifact : PurePath
        As for `Outcome`.
    place : PurePath
        Path relative to the root of the repository; absolute outside of one.
    message : str
        What is wrong with the file, and what to do.
    """

    artifact: PurePath
    place: PurePath
    message: str


@dataclass(frozen=True)
class Outcome:
    """The check of one artifact against one profile.

    Attributes
    ----------
    artifact : PurePath
        Path relative to the current folder if the artifact is inside it, so that reports do not depend on the machine.
    rules : tuple of Rule
        The selected rules.
    growths : tuple of Growth or None
        Change of every resource since the baseline; None without a baseline.
    in_repository : PurePath or None
        Path relative to the root of the repository, as code scanning and annotations need it; absolute outside of a
        repository (default: `artifact`).
    """

    artifact: PurePath
    report: Report
    rules: tuple[Rule, ...]
    growths: tuple[Growth, ...] | None = None
    made_with: MadeWith = MadeWith()
    in_repository: PurePath | None = None

    @property
    def place(self) -> PurePath:
        """Path of the artifact for tools that start from the root of the repository."""
        return self.in_repository or self.artifact

    @property
    def target(self) -> tuple[str, str]:
        """Name and source of the profile, which identify it."""
        return self.report.profile, self.made_with.source

    @property
    def grown(self) -> tuple[Growth, ...]:
        """Resources that grew more than allowed."""
        return tuple(growth for growth in self.growths or () if growth.grew)

    @property
    def passed(self) -> bool:
        """Whether there are neither errors nor excessive growth."""
        return self.report.passed and not self.grown

    @property
    def left_out(self) -> tuple[str, ...]:
        """Codes of the rules for this target that were not selected."""
        selected = {rule.code for rule in self.rules}
        return tuple(code for code in self.report.codes if code not in selected)

    def rows(self) -> list[tuple[str, str]]:
        """Inputs of the report as names and values for a table."""
        left_out = [("rules left out", ", ".join(self.left_out))] if self.left_out else []
        return [*self.made_with.rows(self.report.profile), *left_out]

    def of_rule(self, rule: Rule) -> tuple[Finding, ...]:
        """Findings of one rule."""
        return tuple(finding for finding in self.report.findings if finding.rule == rule.code)

    def to_dict(self) -> dict[str, Any]:
        """Return the report's JSON object with the artifact, the rules left out and, if compared, the baseline."""
        plain = {"artifact": str(self.artifact), **self.report.to_dict(), "rules_left_out": list(self.left_out)}
        plain["made_with"] = self.made_with.to_dict()
        if self.growths is not None:
            plain["baseline"] = [growth.to_dict() for growth in self.growths]
        return plain
