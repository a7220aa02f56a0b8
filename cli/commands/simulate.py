"""``pisnn-deploy simulate``."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.cli.console import print_json, print_table, progress
from pisnn_deploy.cli.files import check_outputs
from pisnn_deploy.cli.invocation import command_line, versions
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.run_result import result_of, result_rows
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.npy import write_arrays
from pisnn_deploy.core.output import whole_file
from pisnn_deploy.core.pointers import require_regular
from pisnn_deploy.faults.outcome import outcomes
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.changes import rebuilt
from pisnn_deploy.project.fields import read_field
from pisnn_deploy.project.graphs import read_graph
from pisnn_deploy.project.model_file import is_file_name
from pisnn_deploy.project.own_problem import (
    admitted_mass,
    named_start,
    problem_of,
    relative_reference_error,
    steps_to_horizon,
)
from pisnn_deploy.runs import NAMES, Run, RunOptions, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.runs.recording import SUFFIX, discard, recording
from pisnn_deploy.runs.segments import SEGMENT_SECONDS, run_in_segments

ROWS_WITHOUT_SAVING = 400
LONGEST_RUN = 1 << 40
ROWS_OF_DOMAINS = 20
"""Each is gathered from all workers."""
LARGEST_TRACE = 1 << 33
"""Bytes of memory that a trace may take."""
BYTES_WITHOUT_SAVING = 1 << 30
"""Memory that the rows of a run may take which nobody saves; a picture needs a few of them."""


@click.command("simulate", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", default="heat1d")
@click.option("--backend", type=click.Choice(NAMES), default="cpu", show_default=True)
@click.option(
    "--against", type=click.Choice(NAMES), help="Compare every integer of every PDE step with another backend."
)
@click.option(
    "--steps",
    type=click.IntRange(0, LONGEST_RUN),
    help="PDE steps; to the problem's horizon unless given, with materials at most 1000.",
)
@click.option(
    "--domains",
    type=click.IntRange(2, 1 << 16),
    help="Cut a grid into so many domains, one a worker of a Dask cluster, with --backend fast.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster that runs, for --domains; else this machine's.")
@click.option("--initial", help="Named initial condition, or a .npy file of cell averages.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the trace (.npz).")
@click.option("--resume", is_flag=True, help="Go on with the run that --save was recording when it was interrupted.")
@click.option(
    "--record-every",
    type=click.FloatRange(0, min_open=True),
    default=SEGMENT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How often --save records where the run stands.",
)
@click.option("--every", type=click.IntRange(1, LONGEST_RUN), help="Keep each K-th PDE step in trace and picture.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the run (.png).")
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report of the run: one page of HTML that needs no network.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="Hit the run with a fault of a chip, on cpu or fast; may be given more than once. See docs/faults.md.",
)
@click.option("--recover", is_flag=True, help="Put right what the audit finds wrong after a --fault, and go on.")
@click.option("--strict", is_flag=True, help="Exit with 1 if the run is implausible, or cannot be judged.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=3600.0, show_default=True, help="Seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no table.")
@click.pass_context
def command(
    context: click.Context,
    artifact: str,
    backend: str,
    against: str | None,
    steps: int | None,
    domains: int | None,
    scheduler: str | None,
    initial: str | None,
    save: Path | None,
    resume: bool,
    record_every: float,
    every: int | None,
    plot: Path | None,
    page: Path | None,
    faults: tuple[str, ...],
    recover: bool,
    strict: bool,
    timeout: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run ARTIFACT (.pisnn), or a model of the zoo (heat1d unless given), and audit every step.

    \b
    Examples:
      pisnn-deploy simulate
      pisnn-deploy simulate heat.pisnn --backend cpu --plot run.png --report run.html
      pisnn-deploy simulate heat.pisnn --backend fast --steps 20000 --save run.npz --every 100
      pisnn-deploy simulate heat.pisnn --initial field.npy --json
      pisnn-deploy simulate heat.pisnn --backend cpu --against fast
      pisnn-deploy simulate large.pisnn --backend fast --domains 8 --scheduler tcp://host:8786
      pisnn-deploy simulate heat.pisnn --backend fast --steps 1000000 --every 1000 --save run.npz
      pisnn-deploy simulate heat.pisnn --backend fast --steps 1000000 --every 1000 --save run.npz --resume
      pisnn-deploy simulate heat1d --backend fast --fault flip:membrane[17].bit5@40 --fault drop:packet[3]@12 --recover

    With --save the run is recorded in a folder beside the trace (run.npz.partial) now and then, so one that was killed
    loses little: the same command with --resume ends with the same bytes.
    """
    if not math.isfinite(timeout):
        raise UsageError(f"--timeout {timeout}: expected a finite number of seconds")
    if resume and save is None:
        raise UsageError("--resume: say with --save which run is to go on")
    if domains is not None and (backend != "fast" or save is not None or against is not None):
        raise UsageError("--domains: goes with --backend fast, and not with --save or --against")
    if scheduler is not None and domains is None:
        raise UsageError("--scheduler: say with --domains how many domains its workers get")
    _require_faultless(faults, recover, domains=domains, against=against, resume=resume)
    check_outputs([save, plot, page], [artifact, initial])
    if save is not None:
        require_regular(save)  # a trace is an archive with a recording beside it
    if plot is not None or page is not None:
        require_memory("pictures")
    read = read_graph(artifact)
    graph, digest = read.graph, read.sha256
    mass, named = _initial_mass(graph, initial)
    own = problem_of(graph)
    if steps is None:
        steps = steps_to_horizon(graph)
    # A report tells which currents and residues were reached; recordings and domains keep none.
    everything = page is not None and save is None and domains is None
    row_bytes = 8 * (graph.mesh.holders + (4 if everything else 1) * graph.mesh.faces)
    if every is None:
        wanted = ROWS_WITHOUT_SAVING if domains is None else ROWS_OF_DOMAINS
        rows = max(1, min(wanted, BYTES_WITHOUT_SAVING // row_bytes - 2))
        every = 1 if save else max(1, -(-steps // rows))
    injected = tuple(parse_fault(text) for text in faults)
    options = RunOptions(steps, every, timeout, everything, faults=injected, recovers=recover)
    _require_room(save, steps // every + 2, row_bytes)
    run = (
        _run_divided(graph, mass, options, domains, scheduler, quiet=quiet)
        if domains is not None
        else _run(backend, graph, mass, options, save, digest, resume, record_every, quiet=quiet)
    )
    exact = None
    if named is not None and graph.medium is None:
        exact = partial(own.reference, graph.grid, graph.reservoir_values(), name=named or None)
    reference = known_to = None
    if exact is not None and run.trace.step.size:
        reference = exact(int(run.trace.step[-1]) * graph.time_step)  # a run that was stopped may have gone on since
        if reference is not None:
            known_to = relative_reference_error(graph, int(run.trace.step[-1]), named or None, reference)
    result = result_of(graph, run, artifact, own.equation, reference, known_to)
    if injected:
        result["faults"] = [asdict(outcome) for outcome in outcomes(graph, injected, run.detections)]
        result["healed"] = sum(found.healed for found in run.detections)
    compared = None
    if against is not None:
        with progress(f"{backend} against {against}", steps, quiet=quiet) as report:
            compared = compare((backend, against), graph, mass, RunOptions(steps, deadline_seconds=timeout), report)
        result["against"] = {
            "backend": against,
            "steps": compared.steps,
            "equal_integers": compared.integers,
            "difference": None if compared.difference is None else asdict(compared.difference),
            "same_end": compared.failures[0] == compared.failures[1],
        }
    if save is not None:
        with whole_file(save) as stream:
            write_arrays(stream, _trace_arrays(graph, run, digest))
        if not injected:
            discard(_recording_of(save))
    if plot is not None:
        from pisnn_deploy.report.picture import draw_run

        draw_run(plot, graph, run, reference)
    if page is not None:
        from pisnn_deploy.report.web_page import Report, write_report

        said = command_line(context), versions(backend)
        write_report(page, Report(graph, run, result, exact, digest, read.provenance, *said))
    if as_json:
        print_json(result)
    elif not quiet:
        print_table(f"{graph.spec.name} on {backend}", result_rows(graph, run, result))
    if compared is not None:
        if compared.difference is not None:
            raise CheckError(compared.difference.sentence(backend, str(against)))
        if compared.failures[0] != compared.failures[1]:
            ends = (failure or "went on" for failure in compared.failures)
            raise CheckError(f"{backend} and {against} end differently: {' / '.join(ends)}")
    _judge(run, result["plausible"], strict=strict)


def _judge(run: Run, plausible: Mapping[str, Any], *, strict: bool) -> None:
    """Fail for what is violated; warn of what is conserved and implausible all the same, or cannot be judged."""
    words = [f"implausible: {sentence}" for sentence in plausible["warnings"]]
    if plausible["doubt"] and run.conserved:
        words.append(f"plausibility cannot be judged: {plausible['doubt']}")
    for text in words:
        print_message(f"warning: {text}")
    if not run.conserved:
        raise CheckError(run.verdict.reason)
    if strict and words:
        raise CheckError(f"--strict: conserved, but {words[0]}")


def _require_faultless(
    faults: tuple[str, ...], recover: bool, *, domains: int | None, against: str | None, resume: bool
) -> None:
    """Refuse what runs with faults cannot do."""
    if recover and not faults:
        raise UsageError("--recover: goes with --fault; nothing else breaks a simulated run")
    for option, is_given in (("--domains", domains), ("--against", against), ("--resume", resume)):
        if faults and is_given:
            raise UsageError(f"--fault: does not go with {option}")


def _require_room(save: Path | None, rows: int, row_bytes: int) -> None:
    """Refuse a trace that cannot be held: on disk, where it stands twice for a moment, or in memory."""
    if save is not None:
        free = shutil.disk_usage(save.parent).free
        if 2 * rows * row_bytes > free:
            raise UsageError(
                f"--save {save}: the trace would hold {rows} steps of {row_bytes} bytes, and takes twice that while it "
                f"is written; {free} bytes are free; keep fewer with --every"
            )
    elif rows * row_bytes > LARGEST_TRACE:
        raise UsageError(f"the trace would hold {rows} steps, more than {LARGEST_TRACE} bytes; keep fewer with --every")


def _run(
    backend: str,
    graph: IntegerGraph,
    mass: NDArray[np.int64],
    options: RunOptions,
    save: Path | None,
    digest: str,
    resume: bool,
    record_every: float,
    *,
    quiet: bool,
) -> Run:
    with progress(f"{graph.spec.name} on {backend}", options.steps, quiet=quiet) as report:
        if save is None or options.faults:  # what a fault left behind is not in a recorded state
            return run_graph(backend, graph, mass, options, report)
        identity = {
            "artifact": digest,
            "backend": backend,
            "start": hashlib.sha256(mass.tobytes()).hexdigest(),
            "steps": options.steps,
            "every": options.every,
        }
        # Held until the command ends: the trace is mapped from the recording and has yet to be written.
        folder = _recording_of(save)
        record = click.get_current_context().with_resource(recording(folder, graph, identity))
        if resume and not record.is_begun:
            print_message(f"warning: --resume: nothing is recorded in {folder}; the run starts at PDE step 0")
        if record.is_begun and not resume:
            print_message(f"warning: {folder}: what was recorded is given up; --resume would go on with it")
        try:
            return run_in_segments(
                backend, graph, mass, options, record, report, resume=resume, segment_seconds=record_every
            )
        except (KeyboardInterrupt, CheckError):
            held = record.progressed()
            if held is None:
                discard(folder)
            else:
                print_message(f"recorded to PDE step {held.state.step}; go on with --resume")
            raise


def _run_divided(
    graph: IntegerGraph,
    mass: NDArray[np.int64],
    options: RunOptions,
    parts: int,
    scheduler: str | None,
    *,
    quiet: bool,
) -> Run:
    from pisnn_deploy.runs.cluster import cluster
    from pisnn_deploy.runs.domains.run import dask_crew, divided, divided_run

    whole = rebuilt(graph, membrane=replace(graph.membrane, initial=mass))
    domains, rounds, halo = divided(whole, parts)
    with (
        cluster(scheduler, min(parts, len(os.sched_getaffinity(0)))) as client,
        dask_crew(client, domains, options.steps, halo) as crew,
        progress(f"{graph.spec.name} in {parts} domains", options.steps, quiet=quiet) as report,
    ):
        return divided_run(whole, domains, crew, rounds, options, report)


def _recording_of(save: Path) -> Path:
    return save.with_name(save.name + SUFFIX)


def _initial_mass(graph: IntegerGraph, initial: str | None) -> tuple[NDArray[np.int64], str | None]:
    """Masses at the start, and the name of the initial condition ("" for the default, None for a file)."""
    if initial is None:
        return admitted_mass(graph, graph.values(graph.membrane.initial), "the problem's own start"), ""
    if is_file_name(initial):
        return admitted_mass(graph, read_field(Path(initial), graph.mesh.shape).reshape(-1), initial), None
    return admitted_mass(graph, named_start(graph, initial), initial), initial


def _trace_arrays(graph: IntegerGraph, run: Run, digest: str) -> dict[str, Any]:
    trace = run.trace
    meta = {
        "quantum": graph.quantum,
        "theta": 1 << graph.packet_exponent,
        "time_step": graph.time_step,
        "artifact": digest,
        "backend": run.backend,
    }
    return {
        "step": trace.step,
        "mass": trace.mass.reshape(-1, *graph.mesh.shape),
        "ledger": trace.ledger,
        "transported": trace.transported,
        "in_flight": trace.in_flight,
        "meta": np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8),
    }
