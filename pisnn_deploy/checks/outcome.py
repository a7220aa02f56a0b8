"""A report with what a format needs beside it: which file was checked, by which rules, against which baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from pisnn_deploy import __version__
from pisnn_deploy.checks.baseline import Growth
from pisnn_deploy.checks.report import Finding, Report
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.checks.rules import RULES
from pisnn_deploy.target import LIBRARY

Chosen = Literal["--profile", "artifact", "default"]


@dataclass(frozen=True)
class MadeWith:
    """What a report was made with.

    Attributes
    ----------
    source : str
        ``library``, or the path of the profile's file.
    sha256 : str
        Of the profile with all that it inherits.
    chosen_by : str
        Who named the profile: the option, the artifact, or nobody.
    baseline, events : str or None
        Files.
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
        """What and with which value, in words, for a table."""
        where = "of the library" if self.source == LIBRARY else f"from the file {self.source}"
        rows = [("profile", f"{profile} {where}, {_CHOSEN[self.chosen_by]}")]
        return rows + [(name, path) for name, path in (("baseline", self.baseline), ("events", self.events)) if path]


_CHOSEN: Mapping[Chosen, str] = {
    "--profile": "as asked for",
    "artifact": "which the artifact was compiled for",
    "default": "the default, because the artifact names none",
}


@dataclass(frozen=True)
class Outcome:
    """One artifact checked against one profile.

    Attributes
    ----------
    artifact : PurePath
        Relative to the current folder where it lies below it, so that reports do not depend on the machine.
    rules : tuple of Rule
        Those that were asked for.
    growths : tuple of Growth or None
        Every resource beside the baseline; None without a baseline.
    in_repository : PurePath or None
        The artifact from the root of its repository, where code scanning and annotations count from; absolute outside
        of one. As `artifact` unless given.
    """

    artifact: PurePath
    report: Report
    rules: tuple[Rule, ...]
    growths: tuple[Growth, ...] | None = None
    made_with: MadeWith = MadeWith()
    in_repository: PurePath | None = None

    @property
    def place(self) -> PurePath:
        """The artifact, for readers that know the repository and not the current folder."""
        return self.in_repository or self.artifact

    @property
    def target(self) -> tuple[str, str]:
        """The profile's name and source, which tell it from every other."""
        return self.report.profile, self.made_with.source

    @property
    def grown(self) -> tuple[Growth, ...]:
        """Resources that grew by more than is allowed."""
        return tuple(growth for growth in self.growths or () if growth.grew)

    @property
    def passed(self) -> bool:
        """Whether no finding is an error and no resource grew too much."""
        return self.report.passed and not self.grown

    @property
    def left_out(self) -> tuple[str, ...]:
        """Codes of the rules that were not asked for."""
        asked = {rule.code for rule in self.rules}
        return tuple(rule.code for rule in RULES if rule.code not in asked)

    def rows(self) -> list[tuple[str, str]]:
        """What the report was made with, in words: names and values for a table."""
        left_out = [("rules left out", ", ".join(self.left_out))] if self.left_out else []
        return [*self.made_with.rows(self.report.profile), *left_out]

    def of_rule(self, rule: Rule) -> tuple[Finding, ...]:
        """Findings of one rule."""
        return tuple(finding for finding in self.report.findings if finding.rule == rule.code)

    def to_dict(self) -> dict[str, Any]:
        """The report's JSON object with the artifact, the rules left out and, against a baseline, ``baseline``."""
        plain = {"artifact": str(self.artifact), **self.report.to_dict(), "rules_left_out": list(self.left_out)}
        plain["made_with"] = self.made_with.to_dict()
        if self.growths is not None:
            plain["baseline"] = [growth.to_dict() for growth in self.growths]
        return plain
