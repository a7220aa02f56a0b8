"""``pisnn-deploy check``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from pisnn_deploy.checks import RULES, Report, check
from pisnn_deploy.checks.rule import DEFAULT_HORIZON
from pisnn_deploy.cli.console import Row, print_table, print_text
from pisnn_deploy.cli.files import check_outputs
from pisnn_deploy.errors import CheckError, UsageError
from pisnn_deploy.graph.artifact import read_artifact, write_whole
from pisnn_deploy.profiles import load_profile
from pisnn_deploy.verify import check_certificate

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--profile", "profiles", multiple=True, help="Hardware profile: a name or a YAML file; may be repeated.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON report here.")
@click.option("--select", metavar="RULES", help="Only these rules, such as PD001,PD102.")
@click.option("--ignore", metavar="RULES", help="Not these rules.")
@click.option(
    "--horizon", type=click.IntRange(min=0), default=DEFAULT_HORIZON, show_default=True, help="PDE steps to run for."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    artifact: Path,
    profiles: tuple[str, ...],
    form: str,
    output: Path | None,
    select: str | None,
    ignore: str | None,
    horizon: int,
    quiet: bool,
) -> None:
    """Check ARTIFACT against hardware profiles; the artifact's own unless given.

    \b
    Examples:
      pisnn-deploy check heat.pisnn
      pisnn-deploy check heat.pisnn --profile loihi2 --profile loihi1
      pisnn-deploy check heat.pisnn --format json --ignore PD105
    """
    check_outputs([output], [artifact, *profiles])
    selected, ignored = _codes("--select", select), _codes("--ignore", ignore)
    read = read_artifact(artifact)
    graph = read.graph
    rejected = tuple((f.claim, f.text) for f in check_certificate(graph, read.altered) if not f.holds)
    names = profiles or (graph.profile or "loihi2",)
    reports = [_filtered(check(graph, load_profile(name), rejected, horizon), selected, ignored) for name in names]
    plain: list[dict[str, Any]] = [report.to_dict() for report in reports]
    text = json.dumps(plain[0] if len(plain) == 1 else {"reports": plain}, indent=2, allow_nan=False)
    if output is not None:
        write_whole(output, text.encode() + b"\n")
    if form == "json":
        print_text(text)
    elif not quiet:
        for report in reports:
            _show(report)
    failed = [name for name, report in zip(names, reports, strict=True) if not report.passed]
    if failed:
        raise CheckError(f"{artifact}: does not fit {', '.join(failed)}")


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


def _filtered(report: Report, selected: frozenset[str], ignored: frozenset[str]) -> Report:
    kept = tuple(f for f in report.findings if (not selected or f.rule in selected) and f.rule not in ignored)
    return replace(report, findings=kept)


def _show(report: Report) -> None:
    plain = report.to_dict()
    resources = plain["resources"]
    verdict = Text("passes", "bold green") if report.passed else Text("fails", "bold red")
    rows: list[Row] = [(name, str(resources[name])) for name in ("cores", "chips", "neurons", "synapses")]
    rows += [(f"use of {name}", f"{share:.1%}") for name, share in sorted(resources["utilisation"].items())]
    print_table(Text(f"{plain['profile']}: ") + verdict, rows)
    if report.findings:
        found = [
            (Text(f.severity, _COLOURS[f.severity]), f"{f.rule} {f.name}", f.population, f.message, f.fix)
            for f in report.findings
        ]
        print_table("findings", found, ("severity", "rule", "place", "what", "fix"))
