"""``pisnn-deploy check``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from pisnn_deploy.checks.baseline import Growth
from pisnn_deploy.checks.formats import FORMATS
from pisnn_deploy.checks.formats.text import comparison_rows, estimate_rows, growth_rows, resource_rows
from pisnn_deploy.checks.outcome import Outcome, Unread
from pisnn_deploy.checks.rule import DEFAULT_HORIZON
from pisnn_deploy.cli.console import print_table, print_text
from pisnn_deploy.cli.messages import with_options
from pisnn_deploy.cli.options import HELP, QUIET
from pisnn_deploy.cli.repository import in_repository
from pisnn_deploy.core.errors import CheckError, SeveralErrors, UsageError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.printable import counted
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.project.checking import LARGEST_GROWTH, check_request, outcomes_of, rules_of
from pisnn_deploy.project.outputs import check_outputs
from pisnn_deploy.target import own_profile

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}
_FAILING = {"error": frozenset({"error"}), "warning": frozenset({"error", "warning"})}
"""Severities that fail the check, by the least of them."""


def _explain(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Print the text of rules and exit."""
    if value is None or context.resilient_parsing:
        return
    texts = []
    for rule in rules_of("--explain", value):
        *reasons, _ = rule.paragraphs
        paragraphs = [f"{rule.code} {rule.name}", *reasons, f"How to fix: {rule.fix}"]
        texts.append(
            "\n\n".join(click.wrap_text(paragraph, context.max_content_width or 80) for paragraph in paragraphs)
        )
    print_text("\n\n".join(texts))
    context.exit()


@click.command("check", context_settings=HELP)
@click.argument("artifacts", metavar="ARTIFACT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", "profiles", multiple=True, help="Hardware profile: a name or a YAML file; may be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="Format of the report.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file, and text to the terminal.",
)
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Earlier JSON report; fail if a resource has grown since.",
)
@click.option(
    "--max-growth",
    metavar="PERCENT",
    type=click.FloatRange(min=0),
    help=f"Growth of a resource that --baseline allows, in percent (default: {LARGEST_GROWTH}).",
)
@click.option("--select", metavar="RULES", help="Run only these rules: codes or their starts, such as PD001,PD1.")
@click.option("--ignore", metavar="RULES", help="Skip these rules.")
@click.option(
    "--fail-on",
    type=click.Choice(list(_FAILING)),
    default="error",
    show_default=True,
    help="Least severity of a finding that makes the exit code 1.",
)
@click.option(
    "--explain",
    metavar="RULES",
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="Print what these rules require and how to fix a violation, and exit.",
)
@click.option(
    "--events",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Result of simulate --json: estimate from its event counts instead of upper bounds.",
)
@click.option(
    "--against-seconds",
    metavar="SECONDS",
    type=float,
    help="Measured time per PDE step of a float solver, to compare the estimate with.",
)
@click.option(
    "--horizon",
    type=click.IntRange(min=0),
    default=DEFAULT_HORIZON,
    show_default=True,
    help="Number of PDE steps the deployment must last.",
)
@QUIET
def command(
    artifacts: tuple[Path, ...], form: str, output: Path | None, fail_on: str, quiet: bool, **options: Any
) -> None:
    """Check each ARTIFACT against hardware profiles (default: the profile it was compiled for, as this version has it).

    A file that cannot be read is reported, the others are checked, and the exit code is 2.

    \b
    Examples:
      pisnn-deploy check heat.pisnn
      pisnn-deploy check heat.pisnn --profile loihi2 --profile loihi1
      pisnn-deploy check heat.pisnn --format json --ignore PD105
      pisnn-deploy check heat.pisnn --format sarif --output heat.sarif
      pisnn-deploy check heat.pisnn --baseline heat.json --max-growth 2
      pisnn-deploy check heat.pisnn --select PD1 --fail-on warning
      pisnn-deploy check --explain PD007
      pisnn-deploy check heat.pisnn --events run.json
      pisnn-deploy check heat.pisnn --events run.json --against-seconds 0.0004
    """
    request = check_request(**options)
    growing, events, profiles = request.growing, request.subject.events, request.profiles
    check_outputs([output], [*artifacts, *profiles, growing.baseline, events])
    if growing.baseline is not None and len(artifacts) > 1:
        raise UsageError("--baseline is of one artifact; check one at a time")
    outcomes: list[Outcome] = []
    read: list[Path] = []
    failed: list[tuple[Path, UsageError]] = []
    for artifact in artifacts:
        try:
            content = read_artifact(artifact)
            if not profiles:
                own_profile(content.graph.profile, str(artifact))
        except UsageError as error:
            failed.append((artifact, error))
            continue
        read.append(artifact)
        place = in_repository(artifact, Path.cwd())
        outcomes += outcomes_of(request, content.graph, _below_here(artifact), place, content.altered)
    unread = [
        Unread(_below_here(path), in_repository(path, Path.cwd()), with_options(str(error))) for path, error in failed
    ]
    report = FORMATS[form](outcomes, unread)
    if output is not None:
        write_whole(output, report.encode())
    # JSON goes to stdout even if it is also written to a file.
    if form == "json" or (form != "text" and output is None):
        if report:
            print_text(report.removesuffix("\n"), commands=form == "github")
    elif not quiet:
        for outcome in outcomes:
            _show(outcome, several=len(artifacts) > 1)
    problems = _problems(read, outcomes, profiles, _FAILING[fail_on])
    unfit = [CheckError("; ".join(problems))] if problems else []
    if failed:
        raise SeveralErrors([*(error for _, error in failed), *unfit])
    if unfit:
        raise unfit[0]


def _below_here(path: Path) -> Path:
    """The path from the current folder, if it lies below it: reports name files as the checkout does."""
    here = Path.cwd()
    whole = path.resolve() if ".." in path.parts else here / path
    return whole.relative_to(here) if whole.is_relative_to(here) else whole


def _problems(
    artifacts: Sequence[Path], outcomes: Sequence[Outcome], profiles: Sequence[str], failing: frozenset[str]
) -> list[str]:
    """What does not fit, or grew, in a line each; the outcomes are in the order of the artifacts."""
    each = len(outcomes) // max(1, len(artifacts))
    problems = []
    for place, artifact in enumerate(artifacts):
        own = outcomes[place * each : (place + 1) * each]
        names = profiles or [outcome.report.profile for outcome in own]
        failed = [name for name, outcome in zip(names, own, strict=True) if not outcome.report.passed]
        if failed:
            problems.append(f"{artifact}: does not fit {', '.join(failed)}")
        warned = {
            name: sum(finding.severity in failing for finding in outcome.report.findings)
            for name, outcome in zip(names, own, strict=True)
            if outcome.report.passed
        }
        problems += [
            f"{artifact}: fits {name}, with {counted(count, 'warning')} (--fail-on warning)"
            for name, count in warned.items()
            if count
        ]
        grown: list[Growth] = [growth for outcome in own for growth in outcome.grown]
        if grown:
            more = f", and {len(grown) - 1} more" if len(grown) > 1 else ""
            problems.append(f"{artifact}: grew: {grown[0].message}{more}")
    return problems


def _show(outcome: Outcome, *, several: bool) -> None:
    report = outcome.report
    verdict = Text("passes", "bold green") if outcome.passed else Text("fails", "bold red")
    name = f"{outcome.artifact} on {report.profile}" if several else report.profile
    print_table(Text(f"{name}: ") + verdict, [*outcome.rows(), *resource_rows(report)])
    if report.findings:
        findings = [
            (Text(f.severity, _COLOURS[f.severity]), f"{f.rule} {f.name}", f.population, f.message, f.fix)
            for f in report.findings
        ]
        print_table("findings", findings, ("severity", "rule", "place", "what", "fix"))
    print_table("estimates of a PDE step", estimate_rows(report))
    compared = comparison_rows(report)
    if compared:
        print_table("a PDE step compared with dense coding and a float solver", compared)
    if outcome.growths is not None:
        rows = [
            (*row[:3], Text(row[3], "bold red" if growth.grew else ""))
            for row, growth in zip(growth_rows(outcome), outcome.growths, strict=True)
        ]
        print_table("compared with the baseline", rows, ("resource", "old", "new", "change"))
