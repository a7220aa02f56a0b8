"""Plain text for a file: no colours, no line is cut at a width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pisnn_deploy.checks.baseline import amount
from pisnn_deploy.checks.outcome import Outcome
from pisnn_deploy.checks.report import Report

_COUNTS = ("cores", "chips", "neurons", "synapses")


def text(outcomes: Sequence[Outcome]) -> str:
    """Verdict, resources, findings and growth of each outcome.

    Parameters
    ----------
    outcomes : sequence of Outcome

    Returns
    -------
    str
    """
    return "\n".join("".join(f"{line}\n" for line in _lines(outcome)) for outcome in outcomes)


def resource_rows(report: Report) -> list[tuple[str, str]]:
    """Name and amount of what is used, for a table."""
    rows = [(name, str(getattr(report.resources, name))) for name in _COUNTS]
    return rows + [(f"use of {name}", f"{share:.1%}") for name, share in sorted(report.resources.utilisation.items())]


def growth_rows(outcome: Outcome) -> list[tuple[str, str, str, str]]:
    """Resource, old, new and change, for a table."""
    return [
        (growth.resource, amount(growth.old), amount(growth.new), growth.change) for growth in outcome.growths or ()
    ]


def _lines(outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.artifact}: {'passes' if outcome.passed else 'fails'} {outcome.report.profile}"
    yield from _aligned(resource_rows(outcome.report))
    for finding in outcome.report.findings:
        yield f"{finding.severity}: {finding.rule} {finding.name}: {finding.population}: {finding.message}"
        if finding.fix:
            yield f"  fix: {finding.fix}"
    if outcome.growths is not None:
        yield "beside the baseline:"
        yield from _aligned([("resource", "old", "new", "change"), *growth_rows(outcome)])
        yield from (f"error: growth: {growth.message}" for growth in outcome.grown)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
