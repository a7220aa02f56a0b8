"""``pisnn-deploy estimate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pisnn_deploy.checks.formats.text import estimate_text
from pisnn_deploy.cli.console import Row, print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.estimates.activity import Activity, every_neuron, read_activity
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.estimation import Measured, TargetEstimate, all_targets, estimate_targets, measure_here
from pisnn_deploy.project.graphs import read_graph

SCHEMA, VERSION = "pisnn-deploy-estimate", 1
_COLUMNS = ("target", "time (us)", "energy (nJ)", "PDE steps per second", "fits", "from")


@click.command("estimate", context_settings=HELP)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    help=f"Target: a name or a YAML file; may be repeated (default: {', '.join(all_targets())}).",
)
@click.option(
    "--events",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Result of simulate --json: estimate chips from its event counts instead of upper bounds.",
)
@click.option("--measure", is_flag=True, help="Also measure fast and a float64 solver in numpy on this CPU.")
@JSON
@QUIET
def command(
    files: tuple[str, ...],
    profiles: tuple[str, ...],
    events: Path | None,
    measure: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Estimate time and energy of a PDE step of each FILE, an artifact or a model of the zoo, on every target.

    Figures are ranges over public or fitted figures, with their sources; they do not bound what a real part needs.
    Nothing was measured on a chip or a board. The exit code does not say whether a graph fits: use check for that.

    \b
    Examples:
      pisnn-deploy estimate heat1d
      pisnn-deploy estimate heat.pisnn --json
      pisnn-deploy estimate heat.pisnn --profile cortex-m0 --profile my_board.yaml
      pisnn-deploy simulate heat.pisnn --json > run.json && pisnn-deploy estimate heat.pisnn --events run.json
      pisnn-deploy estimate heat.pisnn --measure
    """
    if events is not None and len(files) > 1:
        raise UsageError("`events` are of one graph; estimate one file at a time")
    estimated = []
    for file in files:
        read = read_graph(file)
        graph = read.graph
        activity = every_neuron(graph) if events is None else read_activity(events, graph)
        targets = tuple(estimate_targets(graph, profiles, activity))
        measured = tuple(measure_here(graph)) if measure else None
        estimated.append(_plain(file, read.sha256, graph, activity, targets, measured))
        if not as_json and not quiet:
            _show(file, targets, measured, activity)
    if as_json:
        print_json({"schema": SCHEMA, "version": VERSION, "artifacts": estimated})


def _plain(
    file: str,
    digest: str,
    graph: IntegerGraph,
    activity: Activity,
    targets: Sequence[TargetEstimate],
    measured: Sequence[Measured] | None,
) -> dict[str, Any]:
    return {
        "artifact": file,
        "sha256": digest,
        "mesh": list(graph.mesh.shape),
        "neurons": graph.neurons,
        "activity": activity.source,
        "targets": [target.to_dict() for target in targets],
        "measured": None if measured is None else [one.to_dict() for one in measured],
    }


def _show(
    file: str, targets: Sequence[TargetEstimate], measured: Sequence[Measured] | None, activity: Activity
) -> None:
    rows: list[Row] = [
        (
            target.target,
            estimate_text(target.time.low, target.time.high),
            estimate_text(target.energy.low, target.energy.high),
            estimate_text(*target.steps_per_second),
            f"no: {target.problems[0]}" if target.problems else "yes",
            target.made_of,
        )
        for target in targets
    ]
    for one in measured or ():
        time = one.microseconds
        rate = None if time is None else 1e6 / time
        shown = ("not measured",) * 2 if time is None or rate is None else (f"{time:.4g}", f"{rate:.0f}")
        rows.append((one.name, shown[0], "not measured", shown[1], "", "measured"))
    print_table(f"a PDE step of {file}", rows, _COLUMNS)
    sources = [(target.target, source) for target in targets for source in _sources(target)]
    notes = [(one.name, one.note) for one in measured or ()]
    print_table("sources", [*sources, ("events", activity.source), *notes], ("target", "source"))


def _sources(target: TargetEstimate) -> list[str]:
    return list(dict.fromkeys((*target.time.sources, *target.energy.sources)))
