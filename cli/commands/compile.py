"""``pisnn-deploy compile``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from pisnn_deploy.cli import accuracy, law_graph, mesh_rows
from pisnn_deploy.cli.console import Row, print_json, print_table
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.options import BOUNDARY, HELP, JSON, PROFILE, QUIET, picture
from pisnn_deploy.compiler.passes.measure import MOVED_START
from pisnn_deploy.compiler.passes.stock import frozen_quanta
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.core.limits import require_memory
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.printable import counted
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.explanation import explained
from pisnn_deploy.project.model_file import is_file_name
from pisnn_deploy.project.outputs import check_outputs
from pisnn_deploy.project.own_problem import measured_reference_error
from pisnn_deploy.project.request import compile_request


@click.command("compile", context_settings=HELP)
@click.argument("model")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the artifact (default: MODEL with the suffix .pisnn).",
)
@PROFILE
@click.option(
    "--mesh",
    help="Cells along each axis, such as 128 or 64x64, or a mesh file of triangles or tetrahedra (.msh, .vtu, .vtk, "
    ".inp, .mesh) (default: the problem's own).",
)
@BOUNDARY
@click.option(
    "--lengths",
    "--length",
    metavar="X,Y,...",
    help="Length of the domain along each axis, such as 2,1 (default: the model's).",
)
@click.option(
    "--diffusivity",
    metavar="D[,D,...]",
    help="Diffusivity on a grid, or one along each axis, such as 0.02,0.01 (default: the model's).",
)
@click.option("--materials", type=click.Path(path_type=Path), help="Materials of the regions of a mesh file (YAML).")
@click.option(
    "--weld",
    type=float,
    metavar="TOLERANCE",
    help="Merge points of a mesh file that are closer than this, in its unit of length.",
)
@click.option(
    "--fluxes",
    type=click.Choice(["auto", "two-point", "multi-point"]),
    default="auto",
    show_default=True,
    help="On a mesh file: fluxes of the two cells of a face, or of all cells around it, which are exact for linear "
    "fields at any angle; auto: two-point where that is exact.",
)
@click.option(
    "--digits",
    type=click.Choice(["auto", "one", "many"]),
    default="auto",
    show_default=True,
    help="Where cells differ: weights of one digit, or of many, which take further populations and time steps; auto: "
    "many where one costs accuracy.",
)
@click.option(
    "--conductivity",
    type=click.Path(path_type=Path),
    help="Conductivity of each grid cell (.npy); replaces the model's diffusivity.",
)
@click.option(
    "--capacity",
    type=click.Path(path_type=Path),
    help="Heat capacity of each grid cell: mass per volume and value (.npy).",
)
@click.option(
    "--coding",
    type=click.Choice(["auto", "delta", "dense"]),
    default="auto",
    show_default=True,
    help="What cells send: changes of their value (delta), or the value at every step (dense). auto: delta, but dense "
    "for a law whose changes need more bits than payloads have.",
)
@click.option(
    "--range", "value_range", metavar="LOWER,UPPER", help="Range of cell values to quantise for (default: the model's)."
)
@click.option(
    "--slope", type=float, help="Largest slope of the field to quantise for, value per length (default: the model's)."
)
@click.option(
    "--flux",
    type=float,
    help="Largest flux through a face in one PDE step, in cell values (default: what --range and --slope allow).",
)
@click.option(
    "--placement",
    type=click.Choice(["auto", "blocks", "metis", "index", "none"]),
    default="auto",
    show_default=True,
    help="How to place cells on cores: as boxes (grids only), by METIS (any mesh), in index order, or not at all.",
)
@click.option(
    "--spikes",
    type=click.Choice(["auto", "graded", "binary"]),
    default="auto",
    show_default=True,
    help="Spikes that carry an integer (graded), or one binary line per bit (default: what the profile supports).",
)
@click.option(
    "--processes",
    type=click.Choice(["c-lif", "stock"]),
    default="c-lif",
    show_default=True,
    help="Processes of the graph: C-LIF, or Lava's own Sigma, SigmaDelta and Sparse (linear, memoryless fluxes only).",
)
@click.option(
    "--send-threshold",
    type=click.IntRange(1, 1 << 20),
    metavar="QUANTA",
    help="Smallest flux that a face sends; it accumulates smaller ones (needs --processes stock; default: 1).",
)
@click.option(
    "--problem", metavar="NAME", help="Problem that an ONNX, netx or NIR network solves: heat1d, laplace2d, ..."
)
@click.option(
    "--diffusion-number",
    type=float,
    help="diffusivity * dt / h^2 that such a network was trained for (needed if it has hidden layers).",
)
@click.option(
    "--limiter",
    type=click.Choice(["none", "positivity", "bounds"]),
    default="none",
    show_default=True,
    help="positivity: cells grant no more than they hold, so none falls below 0. bounds: nor above a ceiling.",
)
@click.option(
    "--floor", type=float, metavar="VALUE", help="Floor of the limiter (default: 0; with bounds the range's)."
)
@click.option("--ceiling", type=float, metavar="VALUE", help="Ceiling of --limiter bounds (default: the range's).")
@click.option(
    "--kernels",
    type=click.Choice(["near", "any", "long"]),
    default="near",
    show_default=True,
    help="Integer kernels to choose from: near the trained one, any with the moments of the equation, or those of them "
    "with a longer time step (linear fluxes only).",
)
@click.option(
    "--residues",
    type=click.Choice(["unseen", "seen", "auto"]),
    default="unseen",
    show_default=True,
    help="Whether faces also see what faces near them have not fired yet; auto: where that halves the error "
    "(linear fluxes only).",
)
@click.option("--strict", is_flag=True, help="Treat warnings as errors: exit with 1 and write no artifact.")
@click.option(
    "--explain",
    is_flag=True,
    help="Show what each compiler pass did, the error after each step from floats to integers, and what one bit more "
    "would win. The errors are kept in the artifact, for reports.",
)
@picture("Draw these errors to this file")
@JSON
@QUIET
def command(
    model: str,
    output: Path | None,
    strict: bool,
    explain: bool,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compile MODEL to an artifact (.pisnn).

    MODEL is a checkpoint of a model or law (.safetensors or .pt), the name of a model of the zoo, the recipe of a law
    (YAML with a section `law`), or a flux network trained elsewhere (ONNX, lava-dl's netx or NIR).

    \b
    Examples:
      pisnn-deploy compile heat1d
      pisnn-deploy compile model.pt --mesh 500 --boundary no-flux -o heat.pisnn
      pisnn-deploy compile heat1d --boundary dirichlet=0,1
      pisnn-deploy compile laplace2d --mesh 128x128 --explain --plot accuracy.png
      pisnn-deploy compile heat1d --profile loihi1
      pisnn-deploy compile heat1d --processes stock -o stock.pisnn
      pisnn-deploy compile heat2d --mesh plate.msh --materials materials.yaml --boundary "hole=dirichlet=1"
      pisnn-deploy compile my_law.yaml --mesh 128
      pisnn-deploy compile flux.onnx --problem heat1d
      pisnn-deploy compile flux.net --problem burgers1d --diffusion-number 0.2
    """
    started = time.perf_counter()
    request = compile_request(model, **options)
    named = Path(model)
    path = output or (named.with_suffix(".pisnn") if is_file_name(model) else Path(f"{model}.pisnn"))
    check_outputs([path, plot], request.inputs)
    if plot is not None:
        require("--plot", "matplotlib")
        require_memory("pictures")
    seconds: dict[str, float] = {}
    graph, provenance = compile_requested(request, seconds.__setitem__)
    warnings: list[str] = provenance.get("warnings", [])
    refused = strict and bool(warnings)
    explanation = explained(request, graph) if explain or plot is not None else None
    if explanation is not None:
        provenance |= {"accuracy": explanation.to_dict()}
    digest = "" if refused else write_artifact(path, graph, provenance)
    # Passes run again if the quantum must be coarser; their last times are shown.
    took = [seconds[record.name] for record in graph.history]
    passes = [(r.text, f"{s:.2f} s", r.summary) for r, s in zip(graph.history, took, strict=True)]
    imported = provenance.get("imported")
    if plot is not None and explanation is not None:
        from pisnn_deploy.report.accuracy_picture import draw_accuracy

        draw_accuracy(plot, f"Accuracy of {graph.spec.name}", explanation.to_dict())
    if as_json:
        records = [
            {"pass": name, "seconds": s, "summary": text} for (name, _, text), s in zip(passes, took, strict=True)
        ]
        details: dict[str, Any] = {"imported": imported} if imported is not None else {}
        details |= {} if explanation is None else {"passes": records, "accuracy": explanation.to_dict()}
        details["warnings"] = warnings
        written = {"artifact": None, "sha256": None} if refused else {"artifact": str(path), "sha256": digest}
        print_json(written | _as_json(graph, provenance, time.perf_counter() - started) | details)
    elif not quiet:
        notes: list[Row] = [("imported", note) for note in imported["notes"]] if imported else []
        cautions: list[Row] = [(Text("warning", "yellow"), Text(sentence, "yellow")) for sentence in warnings]
        print_table("not written" if refused else f"{path}", [*_rows(graph, provenance), *notes, *cautions])
    if explain and explanation is not None and not (as_json or quiet):
        print_table("passes", passes, ("pass", "time", "what it did"))
        accuracy.print_accuracy(explanation)
    if as_json:
        for sentence in warnings:
            print_message(f"warning: {sentence}")
    if refused:
        raise CheckError(f"--strict: {path} was not written, for {counted(len(warnings), 'warning')}: {warnings[0]}")


def _widths(graph: IntegerGraph) -> dict[str, int]:
    widths: dict[str, int] = {}
    for bound in graph.bounds:
        key = bound.quantity if bound.population in ("flux",) else f"{bound.population}_{bound.quantity}"
        key = "membrane" if key == "membrane_mass" else key
        widths[key] = max(bound.bits, widths.get(key, 0))
    return widths


def _as_json(graph: IntegerGraph, provenance: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    if not graph.has_flux_network:
        return law_graph.compiled_json(graph, provenance, seconds)
    certificate, placement, quantisation = graph.certificate, graph.placement, graph.quantisation
    claims = {} if certificate is None else certificate.claims
    return {
        "model": graph.spec.name,
        "mesh": list(graph.mesh.shape),
        "cells": graph.mesh.cells,
        "faces": graph.mesh.faces,
        "neurons": graph.neurons,
        "synapses": sum(synapse.entries for synapse in graph.synapses),
        "period": graph.period,
        "time_step": graph.time_step,
        "coding": graph.coding,
        "binary": _lines(graph),
        "processes": provenance["options"].get("processes", "c-lif"),
        "fluxes": "network" if graph.materials is None else provenance.get("fluxes", "two-point"),
        "frozen": _frozen(graph),
        "quantum": graph.quantum,
        "resolution": graph.resolution,
        "theta": 1 << known_face(graph).exponent,
        "limiter": provenance["options"].get("limiter", "none"),
        "bits": _widths(graph),
        "quantisation": {
            "relative_l2_float": quantisation.relative_l2_float,
            "relative_l2_integer": quantisation.relative_l2_integer,
            "relative_l2_rounded": quantisation.relative_l2_rounded,
            "reference_error": measured_reference_error(graph),
            "measured_against": provenance.get("measured_against", "reference"),
            "start": "own" if graph.starts_inside else "moved",
            "steps": quantisation.steps,
        },
        **{key: provenance[key] for key in mesh_rows.KEYS if key in provenance},
        "certificate": {
            **{name: claim.status for name, claim in claims.items()},
            "details": {name: claim.details for name, claim in claims.items()},
        },
        "placement": {"cores": placement.cores, "chips": placement.chips} if placement else None,
        "wall_seconds": seconds,
    }


def _status(claim: Claim) -> str:
    """Details of the claims about coefficients; `inspect` shows those of the others."""
    has_details = claim.method in ("moments", "states", "other-law")
    return f"{claim.status}: {claim.details}" if has_details else claim.status


def _lines(graph: IntegerGraph) -> dict[str, int]:
    """Lines of the populations whose spikes are binary."""
    return {population.name: population.lines for population in graph.populations if population.lines}


def _spikes(graph: IntegerGraph) -> str:
    lines = ", ".join(f"{count} lines of each {name}" for name, count in _lines(graph).items())
    return f"binary: {lines}" if lines else "graded"


def _limiter(graph: IntegerGraph) -> list[Row]:
    claim = None if graph.certificate is None else graph.certificate.positivity
    if claim is None:
        return []
    ends = [level * graph.value_per_quantum for level in (graph.window.lower, graph.window.upper)]
    if "ceiling" in claim.figures:
        return [("limiter", f"bounds: no cell leaves {ends[0]:g} to {ends[1]:g}")]
    return [("limiter", f"positivity: no cell falls below {ends[0]:g}")]


def _frozen(graph: IntegerGraph) -> dict[str, float] | None:
    """How far from rest a field may freeze; None where every difference levels out."""
    quanta = frozen_quanta(graph)
    return None if quanta is None else {"quanta": quanta, "value": quanta * graph.value_per_quantum}


def _frozen_row(graph: IntegerGraph) -> list[Row]:
    frozen = _frozen(graph)
    if frozen is None:
        return []
    return [("frozen slopes", f"up to {frozen['quanta']:.0f} quanta (value {frozen['value']:.2g}) from rest")]


def _quantum(graph: IntegerGraph) -> str:
    """The quantum and the step of cell values; a level may be coarser than a quantum where cells differ in size."""
    value = f"value {graph.value_per_quantum:g}"
    if graph.resolution != graph.value_per_quantum:
        value += f", levels of {graph.resolution:g}"
    return f"{graph.quantum:g} ({value}), theta 2^{known_face(graph).exponent}"


_PROCESSES = {"c-lif": "C-LIF", "stock": "Sigma, SigmaDelta, Sparse"}


def _rows(graph: IntegerGraph, provenance: Mapping[str, Any]) -> list[Row]:
    if not graph.has_flux_network:
        return law_graph.compiled_rows(graph)
    quantisation, certificate, placement = graph.quantisation, graph.certificate, graph.placement
    states = [bound.bits for bound in graph.bounds if bound.is_state_or_payload]
    accumulators = max(bound.bits for bound in graph.bounds if bound.quantity == "accumulator")
    rows: list[Row] = [
        ("model", graph.spec.name),
        ("mesh", f"{graph.mesh.cells} cells, {graph.mesh.faces} faces, {graph.boundary_text}"),
        *mesh_rows.quality(provenance),
        ("neurons", f"{graph.neurons}, {sum(synapse.entries for synapse in graph.synapses)} synapses"),
        ("processes", _PROCESSES[provenance["options"].get("processes", "c-lif")]),
        *mesh_rows.fluxes(graph),
        *_frozen_row(graph),
        ("schedule", f"{counted(graph.period or 1, 'time step')} per PDE step, {graph.coding} coding"),
        ("spikes", _spikes(graph)),
        *_limiter(graph),
        ("quantum", _quantum(graph)),
        ("widths", f"states and payloads {max(states)} bits, accumulators {accumulators} bits"),
        *mesh_rows.time_step(graph, provenance),
    ]
    if quantisation.relative_l2_float is not None and quantisation.relative_l2_integer is not None:
        errors = f"float {quantisation.relative_l2_float:.2e}, integer {quantisation.relative_l2_integer:.2e}"
        if quantisation.relative_l2_rounded is not None:
            errors += f" (nearest integers {quantisation.relative_l2_rounded:.2e})"
        known_to = measured_reference_error(graph)
        known = "" if known_to is None else f", reference known to {known_to:.0e}"
        against = provenance.get("measured_against")
        if against is None:
            moved = "" if graph.starts_inside else f", from {MOVED_START}"
            rows.append(("relative L2 error", f"{errors} after {quantisation.steps} PDE steps{moved}{known}"))
        else:
            steps = f"after {quantisation.steps} PDE steps, against {against}, not against the PDE"
            rows.append(("rounding error", f"relative L2 {errors} {steps}"))
    if certificate is not None:
        rows += [(name, _status(claim)) for name, claim in certificate.claims.items()]
    if placement is not None:
        cores = f"{counted(placement.cores, 'core')} on {counted(placement.chips, 'chip')}"
        rows.append(("placement", f"{cores} ({graph.profile})"))
    return rows
