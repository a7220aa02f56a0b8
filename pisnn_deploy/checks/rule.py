"""The `Rule` class, and comparisons that rules share.

The docstring of a rule's function is the text of the rule: the first paragraph states it, the last starts with ``Fix:``
and becomes the `fix` of every finding, and those between give reasons. The manual (docs/reference/rules.md) prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pisnn_deploy.checks.report import Finding, Severity
from pisnn_deploy.core.docstrings import docstring
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import Board, Figure, Profile
from pisnn_deploy.target.board_resources import Use
from pisnn_deploy.target.utilisation import Counts

GRAPH = "graph"
"""Location of a violation that concerns the whole graph."""


DEFAULT_HORIZON = 1_000_000
"""PDE steps that a graph should run by default."""


@dataclass(frozen=True)
class AnySubject:
    """Input of a rule for every target.

    Attributes
    ----------
    rejected : tuple of (str, str)
        Certificate claims that the checker rejected, with reasons.
    horizon : int
        Number of PDE steps that the graph should run.
    """

    graph: IntegerGraph
    rejected: tuple[tuple[str, str], ...]
    horizon: int


@dataclass(frozen=True)
class Subject(AnySubject):
    """Input of a rule for chips of neurons."""

    profile: Profile
    counts: Counts


@dataclass(frozen=True)
class BoardSubject(AnySubject):
    """Input of a rule for boards."""

    profile: Board
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class Violation:
    """A finding without its rule; the attributes are those of `Finding`."""

    population: str
    value: int | float | str | None
    limit: int | float | str | None
    message: str
    severity: Severity = "error"


@dataclass(frozen=True)
class Rule:
    """A rule of ``pisnn-deploy check``.

    Attributes
    ----------
    code : str
        Stable identifier, by which scripts select and ignore rules.
    name : str
        Name in kebab-case, stable too.
    violations : callable
        Function that takes a subject and yields every `Violation`.
    """

    code: str
    name: str
    violations: Callable[[Any], Iterator[Violation]]

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """Paragraphs of the rule's text, each on one line: statement, reasons, fix."""
        return tuple(" ".join(paragraph.split()) for paragraph in docstring(self.violations).split("\n\n"))

    @property
    def statement(self) -> str:
        """Requirement that a graph must meet."""
        return self.paragraphs[0]

    @property
    def fix(self) -> str:
        """How to fix a violation."""
        last = self.paragraphs[-1].removeprefix("Fix:").strip()
        return last[:1].upper() + last[1:]

    def findings(self, subject: AnySubject) -> Iterator[Finding]:
        """Yield a finding for each violation of this rule."""
        for violation in self.violations(subject):
            yield Finding(
                self.code,
                self.name,
                violation.severity,
                violation.population,
                violation.value,
                violation.limit,
                violation.message,
                "" if violation.severity == "info" else self.fix,
            )


def rule(code: str, name: str) -> Callable[[Callable[[Subject], Iterator[Violation]]], Rule]:
    """Turn a function that yields violations into a rule for chips of neurons.

    Parameters
    ----------
    code, name : str
        See `Rule`.
    """
    return lambda violations: Rule(code, name, violations)


def common_rule(code: str, name: str) -> Callable[[Callable[[AnySubject], Iterator[Violation]]], Rule]:
    """Turn a function that yields violations into a rule for every target; parameters are those of `rule`."""
    return lambda violations: Rule(code, name, violations)


def board_rule(code: str, name: str) -> Callable[[Callable[[BoardSubject], Iterator[Violation]]], Rule]:
    """Turn a function that yields violations into a rule for boards; parameters are those of `rule`."""
    return lambda violations: Rule(code, name, violations)


def excess(value: float, limit: Figure[int | None] | Figure[int]) -> Severity | None:
    """Severity of a value with an upper limit.

    Parameters
    ----------
    limit : Figure
        Upper limit; a null value means no limit.

    Returns
    -------
    str or None
        ``error`` above the limit, ``warning`` above the lowest limit of any source, else None.
    """
    if limit.value is not None and value > limit.value:
        return "error"
    if limit.value is not None and limit.low is not None and value > limit.low:
        return "warning"
    return None


def shortfall(value: float, limit: Figure[int]) -> Severity | None:
    """Severity of a value with a lower limit.

    Returns
    -------
    str or None
        ``error`` below the limit, ``warning`` below the highest limit of any source, else None.
    """
    if value < limit.value:
        return "error"
    return "warning" if limit.high is not None and value < limit.high else None


def allowed(limit: Figure[int | None] | Figure[int], severity: Severity) -> int | None:
    """Limit that a value of this severity exceeds."""
    return limit.value if severity == "error" else limit.low


def unpublished(subject: Subject, limit: Figure[int | None], what: str) -> Iterator[Violation]:
    """Report that a limit could not be checked because none is published."""
    if limit.is_unpublished:
        message = f"not checked: no limit for {what} is published for {subject.profile.name}"
        yield Violation(GRAPH, None, None, message, "info")
