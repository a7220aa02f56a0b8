"""``pisnn-deploy campaign``."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pisnn_deploy import __version__
from pisnn_deploy.campaign.agreement import Recorded
from pisnn_deploy.campaign.case import HORIZON, Case
from pisnn_deploy.campaign.plan import Plan, cases_of, read_plan
from pisnn_deploy.campaign.record import ROWS, SHOWN_KEY, Record, folder_of, record_of
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.run import require_workers, run_cases
from pisnn_deploy.campaign.summary import groups_of, implausible_of, messages_of, verdicts_of
from pisnn_deploy.campaign.table import write_table
from pisnn_deploy.campaign.work import WorkerOptions, failed_row
from pisnn_deploy.cli.console import print_json, print_table, print_text, progress
from pisnn_deploy.cli.messages import print_message, with_options
from pisnn_deploy.cli.options import HELP, JSON, QUIETER, timeout
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.printable import printable
from pisnn_deploy.project.outputs import check_outputs
from pisnn_deploy.runs.cluster import cluster
from pisnn_deploy.runs.recording import discard

SHOWN_MESSAGES = 20
_REFUTED = "its recorded row says other facts of its artifact than a row of the same artifact"


@click.command("campaign", context_settings=HELP)
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the table (default: PLAN with the suffix .parquet).",
)
@click.option("--scheduler", metavar="ADDRESS", help="Address of a running Dask cluster (default: a local one).")
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Number of worker processes on this machine (default: one per core).",
)
@click.option("--resume", is_flag=True, help="Run only cases without a result, or whose worker failed.")
@click.option("--dry-run", is_flag=True, help="List the cases without running them.")
@timeout("Stop a case that takes longer.")
@JSON
@QUIETER
def command(
    plan: Path,
    output: Path | None,
    scheduler: str | None,
    workers: int | None,
    resume: bool,
    dry_run: bool,
    timeout: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run every case of PLAN (YAML) on a Dask cluster and write one Parquet table, a row per case.

    The cases are all combinations of the plan's models, meshes, boundaries, profiles, codings, uses of residues,
    initial conditions, seeds, steps, backends and faults, at most 100,000.

    \b
    Examples:
      pisnn-deploy campaign plan.yaml --dry-run
      pisnn-deploy campaign plan.yaml
      pisnn-deploy campaign plan.yaml -o results.parquet --scheduler tcp://host:8786
      pisnn-deploy campaign plan.yaml --resume

    Results are recorded in a folder next to the table (plan.parquet.partial) as they arrive, so an interrupted campaign
    loses only the running cases; the table is written at the end. Exit code 1 if a case failed, or lost mass without an
    injected fault; a refused case is a result.
    """
    if not math.isfinite(timeout):
        raise UsageError(f"--timeout {timeout}: expected a finite number of seconds")
    if scheduler is not None and workers is not None:
        raise UsageError("--workers: is for this machine, the cluster of --scheduler has workers of its own")
    read = read_plan(plan)
    cases = cases_of(read, plan)
    if dry_run:
        _list_cases(cases, as_json=as_json)
        return
    path = output or plan.with_suffix(".parquet")
    require("campaign", "dask", "distributed", "pyarrow", *(() if scheduler else ("cryptography",)))
    check_outputs([path], {str(plan), *(location for case in cases for location in _files(case))})
    started = time.perf_counter()
    with record_of(path, resume=resume) as record:
        record.require(cases)
        if resume and not record.rows:
            print_message(f"warning: --resume: nothing is recorded for {path}; all cases are run")
        waiting = [case for case in cases if not _is_done(record.rows.get(case.key))]
        options = WorkerOptions(deadline_seconds=timeout)
        try:
            ran = _run(cases, waiting, record, options, scheduler, workers, quiet=quiet)
        except BaseException:  # also after an interrupt, the user hears what is kept
            _say_what_is_kept(path, cases, record)
            raise
        record.require_agreement(cases)
        rows = [record.rows[case.key] for case in cases]
        _write(path, rows, read)
    discard(folder_of(path), (ROWS,))
    result = _result(path, rows, ran, time.perf_counter() - started)
    if as_json:
        print_json(result)
    elif not quiet:
        _print(result)
    implausible = result["implausible"]
    if implausible:
        first = next(row for row in rows if row.plausible is False)
        print_message(
            f"warning: {implausible} of {len(rows)} cases are implausible, the first is case "
            f"{first.key[:SHOWN_KEY]}; simulate says how"
        )
    _judge(rows)


def _files(case: Case) -> list[str]:
    """Files that the plan names."""
    target = case.target
    return [named.location for named in (target.model, target.mesh, target.profile, case.initial) if named.is_file]


def _is_done(row: Row | None) -> bool:
    """Whether a case needs no further attempt."""
    return row is not None and row.verdict != "failed"


def _run(
    cases: Sequence[Case],
    waiting: Sequence[Case],
    record: Record,
    options: WorkerOptions,
    scheduler: str | None,
    workers: int | None,
    *,
    quiet: bool,
) -> int:
    """Run the cases that wait, and again those whose recorded rows they refute; how many that were."""
    if not waiting:
        return 0
    recorded = Recorded(cases, {key: row for key, row in record.rows.items() if _is_done(row)})
    ran = 0
    with cluster(scheduler, workers) as client:
        require_workers(client)
        while waiting:
            refuted: list[Case] = []
            with progress("campaign", len(waiting), quiet=quiet) as report:
                done = 0
                for rows in run_cases(client, waiting, options):
                    others = recorded.refuted_by(rows)
                    # One write, so that a kill never leaves contradictory rows.
                    record.append([*rows, *(failed_row(case, _REFUTED) for case in others)])
                    refuted += others
                    done += len(rows)
                    report(done)
            ran += done
            waiting = refuted
            if refuted:
                print_message(
                    f"warning: {len(refuted)} recorded rows say other facts of their artifact than rows that were just "
                    f"run, the first that of case {refuted[0].key[:SHOWN_KEY]}; these cases are run again"
                )
    return ran


def _say_what_is_kept(path: Path, cases: Sequence[Case], record: Record) -> None:
    """Say what an interrupted campaign leaves: no table, because a script would take it for a whole one."""
    folder = folder_of(path)
    if not record.rows:
        discard(folder, (ROWS,))
        return
    number = sum(case.key in record.rows for case in cases)
    table = f"{path} is left as it was" if path.exists() else f"{path} is not written"
    print_message(f"{number} of {len(cases)} cases have a row in {folder}; {table}; go on with --resume")


def _write(path: Path, rows: Sequence[Row], plan: Plan) -> None:
    write_table(path, rows, {"pisnn-deploy.version": __version__, "pisnn-deploy.plan": plan.model_dump_json()})


def _list_cases(cases: Sequence[Case], *, as_json: bool) -> None:
    artifacts = len({case.target for case in cases})
    listed = [{"key": case.key, **case.described()} for case in cases]
    if as_json:
        print_json({"artifacts": artifacts, "cases": listed})
        return
    lines = [f"{len(cases)} cases of {artifacts} artifacts"]
    for facts in listed:
        steps = HORIZON if facts["asked_steps"] is None else facts["asked_steps"]
        words = (f"{name}={value}" for name, value in facts.items() if name not in ("key", "asked_steps"))
        lines.append(printable("  ".join([*(word for word in words if word != "seed=None"), f"steps={steps}"])))
    print_text("\n".join(lines))


def _result(path: Path, rows: Sequence[Row], ran: int, seconds: float) -> dict[str, Any]:
    messages = messages_of(rows)
    return {
        "output": str(path),
        "cases": len(rows),
        "ran": ran,
        "artifacts": len({row.artifact for row in rows if row.artifact is not None}),
        "verdicts": verdicts_of(rows),
        "implausible": implausible_of(rows),
        "groups": [asdict(group) for group in groups_of(rows)],
        "messages": [asdict(message) for message in messages[:SHOWN_MESSAGES]],
        "further_messages": max(0, len(messages) - SHOWN_MESSAGES),
        "wall_seconds": seconds,
    }


def _print(result: dict[str, Any]) -> None:
    columns = ("model", "backend", *result["verdicts"], "implausible", "drift", "error")
    table = []
    for group in result["groups"]:
        error, drift = group["largest_relative_l2_error"], group["largest_drift"]
        shown = (
            str(group["implausible"]),
            "" if drift is None else str(drift),
            "" if error is None else f"{error:.2e}",
        )
        table.append((group["model"], group["backend"], *map(str, group["verdicts"].values()), *shown))
    ran, cases = result["ran"], result["cases"]
    title = f"{result['output']}: {cases} cases of {result['artifacts']} artifacts"
    print_table(title if ran == cases else f"{title}, {ran} run, the others had a row", table, columns)
    if result["messages"]:
        sentences = [(str(each["rows"]), each["verdict"], with_options(each["text"])) for each in result["messages"]]
        if result["further_messages"]:
            sentences.append(("", "", f"and {result['further_messages']} more, in the table"))
        print_table("not conserved", sentences, ("cases", "verdict", "message"))


def _judge(rows: Sequence[Row]) -> None:
    """A violation that a fault was behind is what the audit is for; any other is a failure."""
    for verdict, remedy in (("violated", ""), ("failed", "; --resume runs them again")):
        failures = [row for row in rows if row.verdict == verdict and not (verdict == "violated" and row.fault)]
        if failures:
            raise CheckError(
                f"{len(failures)} of {len(rows)} cases {verdict}, the first: {failures[0].message}{remedy}"
            )
