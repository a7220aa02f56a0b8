"""``pisnn-deploy inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pisnn_deploy.cli import law_graph, mesh_rows
from pisnn_deploy.cli.console import Row, print_table, print_text
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.options import HELP
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.printable import json_text
from pisnn_deploy.graph.artifact import Artifact, read_artifact, warnings_in
from pisnn_deploy.graph.document import document
from pisnn_deploy.graph.integer import ARRIVAL, IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.project.outputs import check_outputs

if TYPE_CHECKING:
    from pisnn_deploy.project.synthesis import Synthesis


@click.command("inspect", context_settings=HELP)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "dot", "png"]),
    default="text",
    show_default=True,
    help="Format of the output; png and dot draw the graph.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of the terminal.",
)
@click.option(
    "--synthesise",
    "part",
    metavar="FPGA",
    help="Synthesise the circuit of `export --to verilog` for this part (ice40-up5k or ecp5-25f), place and route it, "
    "and show its cells, clock and PDE steps per second. Needs yosys and nextpnr.",
)
@click.option(
    "--layout",
    type=click.Choice(["parallel", "streamed", "serial"]),
    default="serial",
    show_default=True,
    help="For --synthesise: how the circuit lays out the neurons.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print no tables.")
def command(artifact: Path, form: str, output: Path | None, part: str | None, layout: str, quiet: bool) -> None:
    """Show what ARTIFACT contains: populations, programs, synapses, bounds, certificate.

    inspect proves nothing (see verify), but warns if the file was changed after its certificate was issued.

    \b
    Examples:
      pisnn-deploy inspect heat.pisnn
      pisnn-deploy inspect heat.pisnn --format png -o graph.png
      pisnn-deploy inspect heat.pisnn --format dot | dot -Tsvg > graph.svg
      pisnn-deploy inspect heat.pisnn --synthesise ice40-up5k --layout streamed
    """
    check_outputs([output], [artifact])
    read = read_artifact(artifact)
    if read.broken_seal:
        print_message(f"warning: {artifact}: {read.broken_seal}; no claim of the certificate is one of this file")
    if part is not None and form not in ("text", "json"):
        raise UsageError(f"--synthesise has no picture; use --format text or json, not {form}")
    synthesis = None if part is None else _synthesis(read.graph, part, layout)
    if form == "png":
        require("--format png", "matplotlib")
        require_memory("pictures")
        from pisnn_deploy.report.graph_picture import draw_graph

        if output is None:
            raise UsageError("--format png needs a file to write to: give -o FILE.png")
        draw_graph(output, read.graph)
        return
    if form == "text" and output is None:
        if not quiet and synthesis is not None:
            print_table(f"{artifact} on {part}", [*synthesis.rows()])
        elif not quiet:
            print_artifact(artifact, read)
        return
    if form == "dot":
        from pisnn_deploy.report.graph_text import dot_text

        text = dot_text(read.graph)
    else:
        circuit = {} if synthesis is None else {"circuit": synthesis.plain()}
        text = json_text(_plain(read) | circuit) + "\n"
    if output is None:
        print_text(text.removesuffix("\n"))
    else:
        write_whole(output, text.encode())


def _synthesis(graph: IntegerGraph, part: str, layout: str) -> Synthesis:
    from pisnn_deploy.project.synthesis import synthesise

    return synthesise(graph, part, layout)


def _plain(read: Artifact) -> dict[str, object]:
    described, certificate, arrays = document(read.graph)
    sizes = {name: list(array.shape) for name, array in sorted(arrays.items())}
    return {
        "sha256": read.sha256,
        "altered": list(read.altered),
        "graph": described,
        "certificate": certificate,
        "provenance": read.provenance,
        "arrays": sizes,
    }


def _program(graph: IntegerGraph, population: Population) -> list[Row]:
    """Lines of a program, and the declared widths of what each gives; an operation may give two."""
    widths = {(bound.population, bound.quantity): str(bound.bits) for bound in graph.bounds}
    results: dict[str, tuple[str, ...]] = {
        str(operation): operation.results for operation in population.program.operations
    }
    return [
        (
            line,
            ", ".join(widths.get((population.name, population.quantity(name)), "") for name in results.get(line, ())),
        )
        for line in str(population.program).splitlines()
    ]


def print_artifact(path: Path, read: Artifact) -> None:
    """Print the tables of an artifact.

    Parameters
    ----------
    path : Path
        For the title.
    """
    graph = read.graph
    print_table(
        f"{path} ({graph.spec.name}, {' x '.join(map(str, graph.mesh.shape))} cells, {graph.boundary_text})",
        [(name, str(graph.size(name))) for name in graph.chain],
        ("population", "neurons"),
    )
    if not graph.has_flux_network:
        print_table("fields", law_graph.fields_table(graph), law_graph.FIELD_COLUMNS)
        print_table("channels", law_graph.channels_table(graph), law_graph.CHANNEL_COLUMNS)
    for population in graph.populations:
        print_table(f"program of {population.name}", _program(graph, population), ("line", "bits"))
    rows: list[Row] = []
    for synapse in graph.synapses:
        # All connections would be millions of lines.
        distinct = synapse.distinct_mantissas
        low, high = (int(distinct.min()), int(distinct.max())) if distinct.size else (0, 0)
        rows.append(
            (
                synapse.name,
                f"{synapse.source} to {synapse.target}" + ("" if synapse.port == ARRIVAL else f" ({synapse.port})"),
                str(synapse.entries),
                f"{low} to {high}",
                str(synapse.exponent),
            )
        )
    print_table("synapses", rows, ("synapse", "joins", "entries", "mantissas", "exponent"))
    bounds = [(f"{b.population} {b.quantity}", f"{b.lower} to {b.upper}", str(b.bits)) for b in graph.bounds]
    print_table("bounds", bounds, ("quantity", "interval", "bits"))
    if graph.certificate is not None:
        foreign = "not of this file" if read.broken_seal else ""
        claims = [(name, foreign or claim.status, claim.details) for name, claim in graph.certificate.claims.items()]
        print_table("certificate", claims, ("claim", "status", "why"))
    split = mesh_rows.split(read.provenance)
    if split:
        print_table("mesh file, as whoever compiled it noted it", split)
    warnings = warnings_in(read.provenance)
    if warnings:
        print_table("warnings of the compiler", [(sentence,) for sentence in warnings])
    print_table(
        "passes, as whoever compiled it noted them (not proved)",
        [(record.text, record.summary) for record in graph.history],
        ("pass", "what it did"),
    )
