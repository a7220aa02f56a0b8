"""``pisnn-deploy check``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource
from rich.text import Text

from pisnn_deploy.checks import RULES, Report, Rule, check
from pisnn_deploy.checks.baseline import Baseline, Growth
from pisnn_deploy.checks.formats import FORMATS
from pisnn_deploy.checks.formats.text import comparison_rows, estimate_rows, growth_rows, resource_rows
from pisnn_deploy.checks.outcome import Chosen, MadeWith, Outcome
from pisnn_deploy.checks.rule import DEFAULT_HORIZON
from pisnn_deploy.cli.console import print_table, print_text
from pisnn_deploy.cli.files import check_outputs
from pisnn_deploy.cli.repository import in_repository
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.estimates.activity import read_activity
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.target import Profile, digest_of_profile, load_profile, own_profile, source_of
from pisnn_deploy.verify import check_certificate

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifacts", metavar="ARTIFACT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", "profiles", multiple=True, help="Hardware profile: a name or a YAML file; may be repeated.")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report here, in that format; the terminal gets the text.",
)
@click.option(
    "--baseline", type=click.Path(dir_okay=False, path_type=Path), help="JSON report to compare resources with."
)
@click.option(
    "--max-growth",
    metavar="PERCENT",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="By how much a resource may grow beside the baseline.",
)
@click.option("--select", metavar="RULES", help="Only these rules, such as PD001,PD102.")
@click.option("--ignore", metavar="RULES", help="Not these rules.")
@click.option(
    "--events",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Result of simulate --json: estimates then rest on what it counted.",
)
@click.option(
    "--against-seconds",
    metavar="SECONDS",
    type=float,
    help="Seconds per PDE step of a float solver that you measured, to compare with.",
)
@click.option(
    "--horizon", type=click.IntRange(min=0), default=DEFAULT_HORIZON, show_default=True, help="PDE steps to run for."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def command(
    context: click.Context,
    artifacts: tuple[Path, ...],
    profiles: tuple[str, ...],
    form: str,
    output: Path | None,
    baseline: Path | None,
    max_growth: float,
    select: str | None,
    ignore: str | None,
    events: Path | None,
    against_seconds: float | None,
    horizon: int,
    quiet: bool,
) -> None:
    """Check every ARTIFACT against hardware profiles; unless given, the one of the library that the artifact names.

    \b
    Examples:
      pisnn-deploy check heat.pisnn
      pisnn-deploy check heat.pisnn --profile loihi2 --profile loihi1
      pisnn-deploy check heat.pisnn --format json --ignore PD105
      pisnn-deploy check heat.pisnn --format sarif --output heat.sarif
      pisnn-deploy check heat.pisnn --baseline heat.json --max-growth 2
      pisnn-deploy check heat.pisnn --events run.json
      pisnn-deploy check heat.pisnn --events run.json --against-seconds 0.0004
    """
    check_outputs([output], [*artifacts, *profiles, baseline, events])
    if baseline is None and context.get_parameter_source("max_growth") is not ParameterSource.DEFAULT:
        raise UsageError("--max-growth: there is nothing to compare with; give --baseline FILE too")
    if not math.isfinite(max_growth):
        raise UsageError(f"--max-growth {max_growth}: expected a finite number of percent")
    if against_seconds is not None and not (math.isfinite(against_seconds) and against_seconds > 0):
        raise UsageError(f"--against-seconds {against_seconds}: expected a positive number of seconds")
    if baseline is not None and len(artifacts) > 1:
        raise UsageError("--baseline is of one artifact; check one at a time")
    rules = _rules(_codes("--select", select), _codes("--ignore", ignore))
    files = tuple(None if path is None else str(path) for path in (baseline, events))
    old = None if baseline is None else Baseline(baseline)
    outcomes = []
    for artifact in artifacts:
        read = read_artifact(artifact)
        graph = read.graph
        rejected = tuple((f.claim, f.text) for f in check_certificate(graph, read.altered) if not f.holds)
        activity = None if events is None else read_activity(events, graph)
        for name, target, chosen in _targets(profiles, graph.profile, artifact):
            report = _filtered(check(graph, target, rejected, horizon, activity, against_seconds), rules)
            growths = None if old is None else old.growths(report.profile, report.resources, max_growth)
            digest = digest_of_profile(target)
            made_with = MadeWith(source_of(name), digest, chosen, *files)
            place = in_repository(artifact, Path.cwd())
            outcomes.append(Outcome(_below_here(artifact), report, rules, growths, made_with, place))
    content = FORMATS[form](outcomes)
    if output is not None:
        write_whole(output, content.encode())
    # Programs that ask for JSON read it from stdout, whether or not it is kept in a file too.
    if form == "json" or (form != "text" and output is None):
        if content:
            print_text(content.removesuffix("\n"), commands=form == "github")
    elif not quiet:
        for outcome in outcomes:
            _show(outcome, several=len(artifacts) > 1)
    _fail(artifacts, outcomes, profiles)


def _targets(asked: Sequence[str], own: str, artifact: Path) -> Iterator[tuple[str, Profile, Chosen]]:
    """Profiles to check against: names or paths, what they are, and who named them."""
    for name in asked:
        yield name, load_profile(name), "--profile"
    if not asked:
        profile = own_profile(own, str(artifact))
        yield profile.name, profile, "artifact" if own else "default"


def _codes(option: str, text: str | None) -> frozenset[str]:
    """Codes of rules; one that does not exist would pass everything or nothing unseen."""
    if text is None:
        return frozenset()
    known = [rule.code for rule in RULES]
    codes = [code.strip().upper() for code in text.split(",")]
    for code in codes:
        if code not in known:
            raise UsageError(f"{option} {code!r}: no such rule; known are {', '.join(known)}")
    return frozenset(codes)


def _rules(selected: frozenset[str], ignored: frozenset[str]) -> tuple[Rule, ...]:
    return tuple(rule for rule in RULES if (not selected or rule.code in selected) and rule.code not in ignored)


def _filtered(report: Report, rules: Sequence[Rule]) -> Report:
    codes = {rule.code for rule in rules}
    return replace(report, findings=tuple(finding for finding in report.findings if finding.rule in codes))


def _below_here(path: Path) -> Path:
    """The path from the current folder, if it lies below it: reports name files as the checkout does."""
    here = Path.cwd()
    whole = path.resolve() if ".." in path.parts else here / path
    return whole.relative_to(here) if whole.is_relative_to(here) else whole


def _fail(artifacts: Sequence[Path], outcomes: Sequence[Outcome], profiles: Sequence[str]) -> None:
    """Say in one line what does not fit or grew; the outcomes are in the order of the artifacts."""
    each = len(outcomes) // len(artifacts)
    problems = []
    for place, artifact in enumerate(artifacts):
        own = outcomes[place * each : (place + 1) * each]
        names = profiles or [outcome.report.profile for outcome in own]
        failed = [name for name, outcome in zip(names, own, strict=True) if not outcome.report.passed]
        if failed:
            problems.append(f"{artifact}: does not fit {', '.join(failed)}")
        grown: list[Growth] = [growth for outcome in own for growth in outcome.grown]
        if grown:
            more = f", and {len(grown) - 1} more" if len(grown) > 1 else ""
            problems.append(f"{artifact}: grew: {grown[0].message}{more}")
    if problems:
        raise CheckError("; ".join(problems))


def _show(outcome: Outcome, *, several: bool) -> None:
    report = outcome.report
    verdict = Text("passes", "bold green") if outcome.passed else Text("fails", "bold red")
    name = f"{outcome.artifact} on {report.profile}" if several else report.profile
    print_table(Text(f"{name}: ") + verdict, [*outcome.rows(), *resource_rows(report)])
    if report.findings:
        found = [
            (Text(f.severity, _COLOURS[f.severity]), f"{f.rule} {f.name}", f.population, f.message, f.fix)
            for f in report.findings
        ]
        print_table("findings", found, ("severity", "rule", "place", "what", "fix"))
    print_table("estimates of a PDE step", estimate_rows(report))
    compared = comparison_rows(report)
    if compared:
        print_table("a PDE step beside dense coding and a float solver", compared)
    if outcome.growths is not None:
        rows = [
            (*row[:3], Text(row[3], "bold red" if growth.grew else ""))
            for row, growth in zip(growth_rows(outcome), outcome.growths, strict=True)
        ]
        print_table("beside the baseline", rows, ("resource", "old", "new", "change"))
