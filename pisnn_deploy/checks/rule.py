"""What a rule is, and the comparisons that rules share.

The docstring of a rule's function is the rule: its first paragraph states it, its last begins with ``Fix:`` and becomes
the `fix` of every finding, and what stands between says why. The manual (docs/reference/rules.md) prints the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pisnn_deploy.checks.report import Finding, Severity
from pisnn_deploy.core.docstrings import docstring
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import Figure, Profile
from pisnn_deploy.target.utilisation import Counts

GRAPH = "graph"
"""Place of a violation that concerns the whole graph."""


DEFAULT_HORIZON = 1_000_000
"""PDE steps."""


@dataclass(frozen=True)
class Subject:
    """What a rule looks at.

    Attributes
    ----------
    rejected : tuple of (str, str)
        Claims of the certificate that the checker rejects, each with its reason.
    horizon : int
        PDE steps that the graph is to run for.
    """

    graph: IntegerGraph
    profile: Profile
    counts: Counts
    rejected: tuple[tuple[str, str], ...] = ()
    horizon: int = DEFAULT_HORIZON


@dataclass(frozen=True)
class Violation:
    """A finding before its rule signs it; the attributes are those of `Finding`."""

    population: str
    value: int | float | str | None
    limit: int | float | str | None
    message: str
    severity: Severity = "error"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    code : str
        Stable: scripts select and ignore rules by it.
    name : str
        Kebab-case, as stable as the code.
    violations : callable
        Takes a `Subject` and yields every `Violation`.
    """

    code: str
    name: str
    violations: Callable[[Subject], Iterator[Violation]]

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """Paragraphs of the rule's text, one line each: the statement, the reasons, the fix."""
        return tuple(" ".join(paragraph.split()) for paragraph in docstring(self.violations).split("\n\n"))

    @property
    def statement(self) -> str:
        """What must hold."""
        return self.paragraphs[0]

    @property
    def fix(self) -> str:
        """What to do when it does not."""
        last = self.paragraphs[-1].removeprefix("Fix:").strip()
        return last[:1].upper() + last[1:]

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """Findings of this rule, one for each violation."""
        for found in self.violations(subject):
            yield Finding(
                self.code,
                self.name,
                found.severity,
                found.population,
                found.value,
                found.limit,
                found.message,
                "" if found.severity == "info" else self.fix,
            )


def rule(code: str, name: str) -> Callable[[Callable[[Subject], Iterator[Violation]]], Rule]:
    """Make a rule of a function that yields violations.

    Parameters
    ----------
    code, name : str
        See `Rule`.
    """
    return lambda violations: Rule(code, name, violations)


def excess(value: float, limit: Figure[int | None] | Figure[int]) -> Severity | None:
    """How bad it is that a value meets a limit.

    Parameters
    ----------
    limit : Figure
        Null limits nothing.

    Returns
    -------
    str or None
        ``error`` above the limit; ``warning`` below it but above the lowest limit that a source gives; otherwise None.
    """
    if limit.value is not None and value > limit.value:
        return "error"
    if limit.value is not None and limit.low is not None and value > limit.low:
        return "warning"
    return None


def shortfall(value: float, limit: Figure[int]) -> Severity | None:
    """How bad it is that a value meets a lower limit.

    Returns
    -------
    str or None
        ``error`` below the limit; ``warning`` above it but below the highest limit that a source gives; otherwise None.
    """
    if value < limit.value:
        return "error"
    return "warning" if limit.high is not None and value < limit.high else None


def allowed(limit: Figure[int | None] | Figure[int], severity: Severity) -> int | None:
    """The limit that a value of this severity exceeds."""
    return limit.value if severity == "error" else limit.low


def unpublished(subject: Subject, limit: Figure[int | None], what: str) -> Iterator[Violation]:
    """Say that a limit was not checked because the public record has none; silent otherwise."""
    if limit.is_unpublished:
        message = f"not checked: no limit of {what} is published for {subject.profile.name}"
        yield Violation(GRAPH, None, None, message, "info")
