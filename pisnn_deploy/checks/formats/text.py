"""Plain text, without colours or wrapped lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pisnn_deploy.checks.baseline import amount
from pisnn_deploy.checks.outcome import Outcome, Unread
from pisnn_deploy.checks.report import Report
from pisnn_deploy.core.printable import printable, without_commands
from pisnn_deploy.estimates.estimate import Estimate

SMALLEST_PLAIN, LARGEST_PLAIN = 1e3, 1e15
"""Range in which numbers are printed without an exponent; whole numbers below it are, too."""
_UNITS = {"us": "us", "ns": "ns", "nj": "nJ"}
_NOT_LISTED = ("synaptic_memory_words", "input_axons", "output_axons")
"""Counts of which a table shows only the use."""


def text(outcomes: Sequence[Outcome], unread: Sequence[Unread] = ()) -> str:
    """Write verdict, resources, findings and growth of each outcome, and a line for each unreadable file."""
    blocks = [[*_lines(outcome)] for outcome in outcomes] + [[f"error: {file.message}"] for file in unread]
    lines = ("".join(f"{printable(line)}\n" for line in block) for block in blocks)
    return without_commands("\n".join(lines))


def resource_rows(report: Report) -> list[tuple[str, str]]:
    """Rows of a table: resource and amount."""
    counts = {**vars(report.resources), **report.resources.amounts}
    rows = [(name, str(n)) for name, n in counts.items() if isinstance(n, int) and name not in _NOT_LISTED]
    return rows + [(f"use of {name}", f"{share:.1%}") for name, share in sorted(report.resources.utilisation.items())]


def growth_rows(outcome: Outcome) -> list[tuple[str, str, str, str]]:
    """Rows of a table: resource, old value, new value, change."""
    return [
        (growth.resource, amount(growth.old), amount(growth.new), growth.change) for growth in outcome.growths or ()
    ]


def estimate_rows(report: Report) -> list[tuple[str, str]]:
    """Rows of a table: name and range of each estimate, with the count of a run if there is one."""
    return [(_label(name), _estimated(estimate)) for name, estimate in report.estimates.items()]


def estimate_text(low: float | None, high: float | None) -> str:
    """Range of a figure for people; an end that no source gives is left out."""
    if low is None and high is None:
        return "not published"
    if low is not None and high is not None:
        return _number(low) if low == high else f"{_number(low)} to {_number(high)}"
    return f"at least {_number(low)}" if low is not None else f"at most {_number(high or 0.0)}"


def comparison_rows(report: Report) -> list[tuple[str, str]]:
    """Rows of a table that compares estimates; empty if neither a run nor a float solver was measured."""
    comparison = report.comparison
    if comparison is None or not comparison.asked:
        return []
    here, dense, ratio, solver = comparison.here, comparison.dense, comparison.ratio, comparison.float_solver
    rows = [
        ("spikes", _compared_with_dense(here.spikes, dense.spikes, ratio.spikes)),
        (
            "synaptic operations",
            _compared_with_dense(here.synaptic_operations, dense.synaptic_operations, ratio.synaptic_operations),
        ),
        (
            "energy (nJ)",
            f"{estimate_text(here.energy_low_nj, here.energy_high_nj)}; dense coding "
            f"{estimate_text(dense.energy_low_nj, dense.energy_high_nj)}; ratio "
            f"{estimate_text(ratio.energy_low, ratio.energy_high)}",
        ),
        ("float solver", f"{solver.operations} floating-point operations, {solver.bytes} bytes"),
    ]
    if solver.seconds is not None:
        times = estimate_text(solver.time_ratio_low, solver.time_ratio_high)
        rows.append(("float solver's time", f"{solver.seconds:.4g} s, measured; ratio of chip time to it: {times}"))
    rows += [("comparable", sentence) for sentence in comparison.comparable]
    return rows + [("not comparable", sentence) for sentence in comparison.not_comparable]


def _label(name: str) -> str:
    quantity, _, unit = name.replace("_per_pde_step", "").rpartition("_")
    if unit in _UNITS:
        return f"{quantity.replace('_', ' ')} ({_UNITS[unit]})"
    return name.replace("_per_pde_step", "").replace("_", " ")


def _compared_with_dense(here: float, dense: float, ratio: float | None) -> str:
    return f"{_number(here)}; dense coding {_number(dense)}; ratio {estimate_text(ratio, ratio)}"


def _estimated(estimate: Estimate) -> str:
    if estimate.confidence == "counted" and estimate.value is not None:
        return f"{_number(estimate.value)}, of {estimate_text(estimate.low, estimate.high)}"
    return estimate_text(estimate.low, estimate.high)


def _number(value: float) -> str:
    plain = value.is_integer() or abs(value) >= SMALLEST_PLAIN
    return str(round(value)) if plain and abs(value) < LARGEST_PLAIN else f"{value:.4g}"


def _lines(outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.artifact}: {'passes' if outcome.passed else 'fails'} {outcome.report.profile}"
    if outcome.left_out:
        yield f"rules left out: {', '.join(outcome.left_out)}"
    yield from _aligned([*outcome.made_with.rows(outcome.report.profile), *resource_rows(outcome.report)])
    for finding in outcome.report.findings:
        yield f"{finding.severity}: {finding.rule} {finding.name}: {finding.population}: {finding.message}"
        if finding.fix:
            yield f"  fix: {finding.fix}"
    yield "estimates of a PDE step:"
    yield from _aligned(estimate_rows(outcome.report))
    compared = comparison_rows(outcome.report)
    if compared:
        yield "a PDE step compared with dense coding and a float solver:"
        yield from _aligned(compared)
    if outcome.growths is not None:
        yield "compared with the baseline:"
        yield from _aligned([("resource", "old", "new", "change"), *growth_rows(outcome)])
        yield from (f"error: growth: {growth.message}" for growth in outcome.grown)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
