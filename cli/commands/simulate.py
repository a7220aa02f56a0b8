"""``pisnn-deploy simulate``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pisnn_deploy.cli.console import listener, print_json, print_table
from pisnn_deploy.cli.invocation import command_line
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.options import HELP, JSON, QUIETER, picture, timeout
from pisnn_deploy.cli.run_result import result_rows
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import require
from pisnn_deploy.graph.artifact import Artifact
from pisnn_deploy.project.graphs import read_graph
from pisnn_deploy.project.outputs import check_outputs
from pisnn_deploy.project.own_problem import MOST_STEPS
from pisnn_deploy.project.run_result import result_of, versions
from pisnn_deploy.project.simulate_request import simulate_request
from pisnn_deploy.project.simulation import Simulation, simulate
from pisnn_deploy.report.places import parse_plane, planes_of
from pisnn_deploy.runs import NAMES
from pisnn_deploy.runs.domains.launch import launched_ranks, led
from pisnn_deploy.runs.segments import SEGMENT_SECONDS

_BY_MPI = "does not exist; divide a run by MPI instead: mpirun -n 8 pisnn-deploy simulate ... --backend fast"


@click.command("simulate", context_settings=HELP)
@click.argument("artifact", default="heat1d")
@click.option(
    "--backend",
    type=click.Choice(NAMES),
    help="What runs the graph: Lava processes (cpu), compiled kernels (fast), ONNX Runtime or PyTorch (default: cpu "
    "where Lava is installed, else fast).",
)
@click.option(
    "--against", type=click.Choice(NAMES), help="Run on this backend too, and compare every integer of every PDE step."
)
@click.option(
    "--steps",
    type=click.IntRange(0, MOST_STEPS),
    help="Number of PDE steps (default: to the problem's final time; with --materials at most 1000).",
)
@click.option(
    "--time",
    metavar="T",
    help="Physical time to reach, instead of --steps: the run ends with the first PDE step at or after it. With a unit "
    "(2.5s, 3ms) where a law states units.",
)
@click.option(
    "--until-steady",
    type=click.FloatRange(0, min_open=True),
    metavar="TOLERANCE",
    help="End with the first PDE step in which no cell changes by TOLERANCE per unit of time; --steps or --time limit "
    "it (default: a million PDE steps).",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare with a trajectory (.npz, .nc, .zarr) at each of its times, or with one field (.npy, .csv, .vti, "
    ".vtu) at the end.",
)
@click.option("--domains", hidden=True)
@click.option("--scheduler", hidden=True)
@click.option(
    "--initial",
    metavar="NAME|FILE|EXPRESSION",
    help="Initial condition: a name, a file (.npz, .npy, .csv, .vti, .vtu, .nc, .zarr, .png), or an expression of x, y "
    "and z (default: the problem's own).",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the trace (.npz), all kept steps (.nc, .zarr, .pvd) or the last field (.npy, .csv, .vti, .vtu).",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run with the same --save.")
@click.option(
    "--record-every",
    type=click.FloatRange(0, min_open=True),
    default=SEGMENT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Time between checkpoints of a run with --save.",
)
@click.option(
    "--every",
    type=click.IntRange(1, MOST_STEPS),
    metavar="K",
    help="Keep every K-th PDE step in trace and picture (default: all with --probe or a saved trace, else about 400).",
)
@click.option(
    "--probe",
    multiple=True,
    metavar="POPULATION[:NEURONS]",
    help="Keep spikes and states of these neurons (cpu and fast only), such as flux or flux:0-9,63; may be repeated. "
    "`inspect` lists the populations.",
)
@click.option(
    "--raster",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the spikes of the probed neurons, or of all without --probe, to this file (.png).",
)
@picture("Draw the run to this file")
@click.option(
    "--plane",
    metavar="AXIS=POSITION",
    help="Plane of a 3D grid for --plot, such as z=0.5 (default: a middle plane normal to each axis).",
)
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report of the run to this file: one HTML page that works offline.",
)
@click.option(
    "--synthesise",
    "part",
    metavar="FPGA",
    help="For --report: add the serial circuit of the graph on this part, such as ice40-up5k (see `inspect`).",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="Inject a hardware fault (cpu and fast only); may be repeated. See the page on faults.",
)
@click.option("--recover", is_flag=True, help="Repair violations found after a --fault and continue.")
@click.option("--strict", is_flag=True, help="Exit with 1 if the run is implausible or cannot be judged.")
@timeout("Stop a run on Lava that takes longer.")
@JSON
@QUIETER
@click.pass_context
def command(
    context: click.Context,
    /,
    artifact: str,
    initial: str | None,
    plot: Path | None,
    plane: str | None,
    raster: Path | None,
    page: Path | None,
    part: str | None,
    strict: bool,
    as_json: bool,
    quiet: bool,
    domains: str | None,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Run ARTIFACT (.pisnn) or a model of the zoo (default: heat1d) and audit every step.

    \b
    Examples:
      pisnn-deploy simulate
      pisnn-deploy simulate heat.pisnn --backend cpu --plot run.png --report run.html
      pisnn-deploy simulate heat.pisnn --backend fast --steps 20000 --save run.npz --every 100
      pisnn-deploy simulate heat.pisnn --time 2.5
      pisnn-deploy simulate heat.pisnn --until-steady 1e-4
      pisnn-deploy simulate heat.pisnn --reference solution.nc
      pisnn-deploy simulate heat.pisnn --initial field.npy --json
      pisnn-deploy simulate heat.pisnn --initial "1 + 0.5*cos(2*pi*x)" --save run.nc
      pisnn-deploy simulate heat.pisnn --backend cpu --against fast
      pisnn-deploy simulate heat.pisnn --probe flux:0-31 --probe membrane:0-31 --save run.npz --raster spikes.png
      mpirun -n 8 pisnn-deploy simulate large.pisnn --backend fast
      pisnn-deploy simulate heat.pisnn --backend fast --steps 1000000 --every 1000 --save run.npz
      pisnn-deploy simulate heat.pisnn --backend fast --steps 1000000 --every 1000 --save run.npz --resume
      pisnn-deploy simulate heat1d --backend fast --fault flip:membrane[17].bit5@40 --fault drop:packet[3]@12 --recover

    With --save, checkpoints go to a folder next to the trace (run.npz.partial). If the run is interrupted, repeat the
    command with --resume: the trace will be the same, byte for byte.

    Under an MPI launcher (mpirun, mpiexec, srun), all ranks run the artifact together on fast; needs the extra mpi.
    """
    ranks = launched_ranks()
    if ranks is not None and ranks.rank:
        ranks.serve()
        return
    context.with_resource(led(ranks))
    if domains is not None or scheduler is not None:
        raise UsageError(f"--{'scheduler' if domains is None else 'domains'}: {_BY_MPI}")
    request = simulate_request(initial=initial, everything=page is not None, **options)
    save = request.trace.path
    check_outputs([save, plot, raster, page], [artifact, initial, options["reference"]])
    for option, file in (("--plot", plot), ("--raster", raster)):
        if file is not None:
            require(option, "matplotlib")
    if page is not None:
        require("--report", "matplotlib", "jinja2")
    if plane is not None and plot is None:
        raise UsageError("--plane chooses what --plot draws: also give --plot FILE.png")
    if part is not None and page is None:
        raise UsageError("--synthesise adds to the report: also give --report FILE.html")
    if plot is not None or raster is not None or page is not None:
        require_memory("pictures")
    source = read_graph(artifact)
    drawn = None if plane is None else parse_plane(plane)
    if drawn is not None:
        planes_of(source.graph, drawn)  # refused before the run
    if raster is not None and not request.length.probe:
        request = replace(request, length=replace(request.length, probe=source.graph.chain))
    simulation = simulate(source, request, listener(quiet=quiet), ranks)
    graph, run = simulation.graph, simulation.run
    result = result_of(simulation, artifact)
    if plot is not None:
        from pisnn_deploy.report.picture import draw_run

        draw_run(plot, graph, run, *simulation.drawn_reference, plane=drawn)
    if raster is not None:
        from pisnn_deploy.report.raster import draw_raster

        draw_raster(raster, graph, run.trace)
    if page is not None:
        circuit = _circuit(simulation, part)
        _write_page(page, simulation, source, result, command_line(context), circuit)
    if as_json:
        print_json(result)
    elif not quiet:
        rows = result_rows(graph, run, result, simulation.plausible)
        files = (("trace", save), ("picture", plot), ("raster", raster), ("report", page))
        rows += [(name, str(file)) for name, file in files if file is not None]
        print_table(f"{graph.spec.name} on {run.backend}", rows)
    _judge(simulation, strict=strict)


def _write_page(
    page: Path,
    simulation: Simulation,
    source: Artifact,
    result: Mapping[str, Any],
    command_words: str,
    circuit: Mapping[str, str],
) -> None:
    from pisnn_deploy.report.web_page import Report, write_report

    run, origin = simulation.run, (source.sha256, source.provenance, command_words, versions(simulation.run.backend))
    write_report(page, Report(simulation.graph, run, result, simulation.exact, *origin, simulation.plausible, circuit))


def _circuit(simulation: Simulation, part: str | None) -> Mapping[str, str]:
    """Figures of the serial circuit on an FPGA."""
    if part is None:
        return {}
    from pisnn_deploy.project.synthesis import synthesise

    return {"part": part, **dict(synthesise(simulation.graph, part, "serial").rows())}


def _judge(simulation: Simulation, *, strict: bool) -> None:
    """Fail on differences and violations; warn of runs that conserve mass but are implausible."""
    run, compared = simulation.run, simulation.comparison
    if compared is not None:
        against = str(simulation.request.against)
        if compared.difference is not None:
            raise CheckError(compared.difference.sentence(run.backend, against))
        if compared.failures[0] != compared.failures[1]:
            ends = (failure or "went on" for failure in compared.failures)
            raise CheckError(f"{run.backend} and {against} end differently: {' / '.join(ends)}")
    cautions = simulation.cautions
    for text in cautions:
        print_message(f"warning: {text}")
    if not run.conserved:
        raise CheckError(run.verdict.reason)
    if strict and cautions:
        raise CheckError(f"--strict: conserved, but {cautions[0]}")
