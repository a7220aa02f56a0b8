"""A report with what a format needs beside it: which file was checked, by which rules, against which baseline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pisnn_deploy.checks.baseline import Growth
from pisnn_deploy.checks.report import Finding, Report
from pisnn_deploy.checks.rule import Rule
from pisnn_deploy.checks.rules import RULES


@dataclass(frozen=True)
class Outcome:
    """One artifact checked against one profile.

    Attributes
    ----------
    artifact : PurePath
        Relative to the current folder where it lies below it, so that reports do not depend on the machine.
    report : Report
    rules : tuple of Rule
        Those that were asked for.
    growths : tuple of Growth or None
        Every resource beside the baseline; None without a baseline.
    """

    artifact: PurePath
    report: Report
    rules: tuple[Rule, ...]
    growths: tuple[Growth, ...] | None = None

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

    def of_rule(self, rule: Rule) -> tuple[Finding, ...]:
        """Findings of one rule."""
        return tuple(finding for finding in self.report.findings if finding.rule == rule.code)

    def to_dict(self) -> dict[str, Any]:
        """The report's JSON object with the artifact, the rules left out and, against a baseline, ``baseline``."""
        plain = {"artifact": str(self.artifact), **self.report.to_dict(), "rules_left_out": list(self.left_out)}
        if self.growths is not None:
            plain["baseline"] = [growth.to_dict() for growth in self.growths]
        return plain
